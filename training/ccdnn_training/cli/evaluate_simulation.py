"""`ccdnn-train evaluate-simulation`: fits of the simulation study on its test images, beside the bounds and the paper."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "evaluate-simulation",
        help="measure fits of the simulation study on its test images",
        description="Each checkpoint is measured on the test images of its own setting. Scores that OUTPUT has are kept, so that a "
        "stopped command goes on, and a later one adds fits to the table.",
    )
    parser.add_argument("maps", type=Path, help="folder that `ccdnn-train simulate-labels` made")
    parser.add_argument("checkpoints", type=Path, nargs="+", help="RUN/checkpoints/last.ckpt; RUN's name is the name of the scores")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for NAME.csv, summary.md and examples.png")
    parser.add_argument("--images", type=int, help="the first so many test images; all if left out")
    parser.add_argument("--tuples", type=int, default=2_000_000, help="simulated pixels that the bounds are estimated from")
    parser.add_argument("--noisy-bound-images", type=int, default=100, help="with noise the bounds are slow: on so many images")
    parser.add_argument("--examples", type=int, nargs="*", default=[0], metavar="IMAGE", help="images to draw")
    parser.add_argument("--jobs", type=int, default=1, help="threads of the bounds' search")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    import numpy as np

    from ccdnn.errors import InputError
    from ccdnn.writing import make_folder
    from ccdnn_training.cli.progress import progress
    from ccdnn_training.data.label_maps import LabelMaps
    from ccdnn_training.evaluation.simulation import Bounds, TrainedNetwork, score_images
    from ccdnn_training.evaluation.simulation_report import (
        SettingScores,
        draw_examples,
        read_scores,
        write_scores,
        write_summary,
    )

    maps = LabelMaps(options.maps)
    trained = {path.resolve().parents[1].name: TrainedNetwork.load(path) for path in options.checkpoints}
    if len(trained) < len(options.checkpoints):
        raise InputError("Two of the checkpoints belong to runs of one name; their scores would have one file.")
    make_folder(options.output)
    results, bounds = [], {}
    air = float(np.mean(maps.part("train") == 0))
    for name, network in trained.items():
        path, setting = options.output / f"{name}.csv", network.setting
        if not path.exists():
            if setting.noise not in bounds and not setting.shift:
                limits = {"tuples": options.tuples, "noisy_images": options.noisy_bound_images, "workers": options.jobs}
                bounds[setting.noise] = Bounds(setting.noise, air, **limits)
            with progress(name) as on_image:
                of_setting = bounds.get(setting.noise)
                scores = score_images(network, maps, of_setting, count=options.images, on_image=on_image)
            write_scores(scores, path)
        results.append(SettingScores(setting, network.size, read_scores(path)))
    command = shlex.join(["ccdnn-train", *sys.argv[1:]])
    write_summary(results, maps.made_by, command, options.output / "summary.md")
    if options.examples:
        draw_examples(list(trained.values()), maps.part("test"), options.examples, options.output / "examples.png")
    print((options.output / "summary.md").read_text(encoding="utf-8"))
    return 0
