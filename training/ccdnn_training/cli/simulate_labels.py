"""`ccdnn-train simulate-labels`: the label maps of the simulation study."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("simulate-labels", help="label maps of random knees for the simulation study (resumable)")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=10_000, help="total of all parts: 70 %% train, 20 %% validation, 10 %% test")
    parser.add_argument("--slices", type=int, default=10, help="images per knee")
    parser.add_argument("--size", type=int, default=128, help="rows and columns")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from ccdnn_training.cli.progress import progress
    from ccdnn_training.data.label_maps import MapRecipe, knees_of, make_label_maps

    knees = knees_of(options.images, options.slices)
    with progress("knees") as on_knee:
        make_label_maps(
            options.folder,
            knees,
            MapRecipe(options.size, options.slices),
            made_by=shlex.join(["ccdnn-train", *sys.argv[1:]]),
            jobs=options.jobs,
            on_knee=on_knee,
        )
    content = ", ".join(f"{count * options.slices} {part}" for part, count in knees.items())
    print(f"{options.folder} contains label maps for {content} images.")
    return 0
