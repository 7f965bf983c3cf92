"""`ccdnn-train study simulation`: label maps, the bound of every estimator, and the scores of fits."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ccdnn_training.studies.simulation.label_maps import LabelMaps
    from ccdnn_training.studies.simulation.score import ImageScore, TrainedNetwork


def add_parser(studies: argparse._SubParsersAction) -> None:
    steps = studies.add_parser("simulation", help="the simulation study: label maps, bounds and scores").add_subparsers(
        required=True, metavar="STEP"
    )
    labels = steps.add_parser("labels", help="label maps of random knees (resumable)")
    labels.add_argument("folder", type=Path)
    labels.add_argument("--images", type=int, default=10_000, help="total of all parts: 70 %% train, 20 %% validation, 10 %% test")
    labels.add_argument("--slices", type=int, default=10, help="images per knee")
    labels.add_argument("--size", type=int, default=128, help="rows and columns")
    labels.add_argument("--jobs", type=int, default=1, help="processes")
    labels.set_defaults(run=make_labels)

    bound = steps.add_parser("bound", help="the best possible PSNR of an estimator of one pixel, by nearest neighbours")
    bound.add_argument("--noise", type=float, nargs="+", default=[0, 2, 4, 7], metavar="PERCENT", help="Rician noise")
    bound.add_argument("--tuples", type=int, default=2_000_000, help="simulated pixels for the estimate")
    bound.add_argument("--queries", type=int, default=100_000, help="other pixels that measure its error")
    bound.add_argument("--seed", type=int, default=0)
    bound.add_argument("--jobs", type=int, default=1, help="threads")
    bound.add_argument("-o", "--output", type=Path, help="Markdown file to write, in addition to standard output")
    bound.set_defaults(run=estimate_bound)

    score = steps.add_parser(
        "score",
        help="measure fits on the test images",
        description="Each checkpoint is measured on the test images of its own setting. Scores in OUTPUT are kept, so that a "
        "stopped command resumes, and a later one adds fits to the table.",
    )
    score.add_argument("maps", type=Path, help="folder made by `ccdnn-train study simulation labels`")
    score.add_argument("checkpoints", type=Path, nargs="+", help="RUN/checkpoints/last.ckpt; the scores are named after RUN")
    score.add_argument("-o", "--output", type=Path, required=True, help="folder for NAME.csv, summary.md and examples.png")
    score.add_argument("--images", type=int, help="number of test images, from the first; all if left out")
    score.add_argument("--tuples", type=int, default=2_000_000, help="simulated pixels for estimating the bounds")
    score.add_argument("--noisy-bound-images", type=int, default=100, help="images for the bounds with noise, which are slow")
    score.add_argument("--examples", type=int, nargs="*", default=[0], metavar="IMAGE", help="images to draw")
    score.add_argument("--jobs", type=int, default=1, help="threads for computing the bounds")
    score.set_defaults(run=score_fits)


def make_labels(options: argparse.Namespace) -> int:
    from ccdnn_training.reporting import command_line, progress
    from ccdnn_training.studies.simulation.label_maps import MapRecipe, knees_of, make_label_maps

    knees = knees_of(options.images, options.slices)
    recipe = MapRecipe(options.size, options.slices)
    with progress("knees") as on_knee:
        make_label_maps(options.folder, knees, recipe, made_by=command_line(), jobs=options.jobs, on_knee=on_knee)
    content = ", ".join(f"{count * options.slices} {part}" for part, count in knees.items())
    print(f"{options.folder} contains label maps for {content} images.")
    return 0


def estimate_bound(options: argparse.Namespace) -> int:
    from ccdnn.writing import require_writable
    from ccdnn_training.reporting import progress, write_page
    from ccdnn_training.studies.simulation.bound import bound_over_tuples, bounds_table

    if options.output:
        require_writable(options.output)
    settings = {"tuples": options.tuples, "queries": options.queries, "seed": options.seed, "workers": options.jobs}
    bounds = []
    with progress("levels of noise") as on_level:
        for noise in options.noise:
            bounds.append(bound_over_tuples(noise, **settings))
            on_level(len(bounds), len(options.noise))
    table = bounds_table(bounds)
    if options.output:
        write_page("PSNR (dB) of the conditional mean over the simulation study's tuples.", "", table, options.output)
    print(table)
    return 0


def score_fits(options: argparse.Namespace) -> int:
    from ccdnn.errors import InputError
    from ccdnn.writing import make_folder
    from ccdnn_training.studies.simulation.label_maps import LabelMaps
    from ccdnn_training.studies.simulation.report import SettingScores, draw_examples, write_summary
    from ccdnn_training.studies.simulation.score import TrainedNetwork, score_network

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
    write_summary(results, maps.made_by, options.output / "summary.md")
    if options.examples:
        draw_examples(list(trained.values()), maps, options.examples, options.output / "examples.png")
    print((options.output / "summary.md").read_text(encoding="utf-8"))
    return 0


def _kept(path: Path, make: Callable[..., list[ImageScore]]) -> list[ImageScore]:
    """The scores that an earlier call wrote to `path`, or those that `make` computes, written there for a later call."""
    from ccdnn_training.reporting import progress, read_records, write_records
    from ccdnn_training.studies.simulation.score import ImageScore

    if not path.exists():
        with progress(path.stem) as on_image:
            write_records(make(on_image=on_image), ImageScore, path)
    return read_records(ImageScore, path)


def _score_bounds(
    network: TrainedNetwork, maps: LabelMaps, options: argparse.Namespace, on_image: Callable[[int, int], None]
) -> list[ImageScore]:
    """Bounds for the images of a network's setting, shared by networks with other losses."""
    from ccdnn_training.studies.simulation.score import Bounds, score_bounds

    noise = network.setting.noise
    air = float((maps.part("train") == 0).mean())
    bounds = Bounds(noise, air, tuples=options.tuples, workers=options.jobs)
    count = options.images
    if noise:
        count = min(count or options.noisy_bound_images, options.noisy_bound_images)
    return score_bounds(bounds, network.images(maps), count=count, on_image=on_image)
