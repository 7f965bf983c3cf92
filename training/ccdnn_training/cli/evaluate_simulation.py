"""`ccdnn-train evaluate-simulation`: fits of the simulation study on its test images, compared with the bounds and the paper."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ccdnn_training.data.label_maps import LabelMaps
    from ccdnn_training.evaluation.simulation import ImageScore, TrainedNetwork


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "evaluate-simulation",
        help="measure fits of the simulation study on its test images",
        description="Each checkpoint is measured on the test images of its own setting. Scores in OUTPUT are kept, so that a "
        "stopped command resumes, and a later one adds fits to the table.",
    )
    parser.add_argument("maps", type=Path, help="folder made by `ccdnn-train simulate-labels`")
    parser.add_argument("checkpoints", type=Path, nargs="+", help="RUN/checkpoints/last.ckpt; the scores are named after RUN")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for NAME.csv, summary.md and examples.png")
    parser.add_argument("--images", type=int, help="number of test images, from the first; all if left out")
    parser.add_argument("--tuples", type=int, default=2_000_000, help="simulated pixels for estimating the bounds")
    parser.add_argument("--noisy-bound-images", type=int, default=100, help="images for the bounds with noise, which are slow")
    parser.add_argument("--examples", type=int, nargs="*", default=[0], metavar="IMAGE", help="images to draw")
    parser.add_argument("--jobs", type=int, default=1, help="threads for computing the bounds")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from ccdnn.errors import InputError
    from ccdnn.writing import make_folder
    from ccdnn_training.data.label_maps import LabelMaps
    from ccdnn_training.evaluation.simulation import TrainedNetwork, score_network
    from ccdnn_training.evaluation.simulation_report import SettingScores, draw_examples, write_summary

    maps = LabelMaps(options.maps)
    trained = {path.resolve().parents[1].name: TrainedNetwork.load(path) for path in options.checkpoints}
    if len(trained) < len(options.checkpoints):
        raise InputError("Two of the checkpoints belong to runs of the same name and would share a score file; rename one run.")
    make_folder(options.output)
    results = []
    for name, network in trained.items():
        scores = _kept(options.output / f"{name}.csv", partial(score_network, network, maps, count=options.images))
        if not network.setting.shift:  # there is no bound for shifted inputs
            path = options.output / f"bounds_noise_{network.setting.noise:g}_seed_{network.seed}.csv"
            scores += _kept(path, partial(_score_bounds, network, maps, options))
        results.append(SettingScores(network.setting, network.size, scores))
    command = shlex.join(["ccdnn-train", *sys.argv[1:]])
    write_summary(results, maps.made_by, command, options.output / "summary.md")
    if options.examples:
        draw_examples(list(trained.values()), maps, options.examples, options.output / "examples.png")
    print((options.output / "summary.md").read_text(encoding="utf-8"))
    return 0


def _kept(path: Path, make: Callable[..., list[ImageScore]]) -> list[ImageScore]:
    """The scores that an earlier call wrote to `path`, or those that `make` computes, written there for a later call."""
    from ccdnn_training.cli.progress import progress
    from ccdnn_training.evaluation.simulation_report import read_scores, write_scores

    if not path.exists():
        with progress(path.stem) as on_image:
            write_scores(make(on_image=on_image), path)
    return read_scores(path)


def _score_bounds(
    network: TrainedNetwork, maps: LabelMaps, options: argparse.Namespace, on_image: Callable[[int, int], None]
) -> list[ImageScore]:
    """Bounds for the images of a network's setting, shared by networks with other losses."""
    from ccdnn_training.evaluation.simulation import Bounds, score_bounds

    noise = network.setting.noise
    air = float((maps.part("train") == 0).mean())
    bounds = Bounds(noise, air, tuples=options.tuples, workers=options.jobs)
    count = options.images
    if noise:
        count = min(count or options.noisy_bound_images, options.noisy_bound_images)
    return score_bounds(bounds, network.images(maps), count=count, on_image=on_image)
