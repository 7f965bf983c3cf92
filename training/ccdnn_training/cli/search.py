"""`ccdnn-train search`: choose the loss's ratios and window by the error on validation subjects."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "search",
        help="choose the loss's ratios and window on validation subjects (resumable)",
        description="Fits one network for every combination. Arguments after -- are passed to `ccdnn-train fit`: "
        "ccdnn-train search -o runs/search -- --config training/configs/cohort/paper.yaml --data.init_args.fold 1",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the trials and the tables")
    parser.add_argument("--ratio-c2", type=float, nargs="+", default=[0.1, 0.3, 1.0], metavar="α", help="default: 0.1 0.3 1")
    parser.add_argument("--ratio-c3", type=float, nargs="+", default=[0.1, 0.3, 1.0], metavar="β", help="default: 0.1 0.3 1")
    parser.add_argument("--window", type=int, nargs="+", default=[3, 5, 7], metavar="k", help="odd numbers; default: 3 5 7")
    parser.add_argument("arguments", nargs="+", metavar="-- FIT ARGUMENTS", help="--config FILE and overrides")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from ccdnn.errors import InputError
    from ccdnn_training.fitting.search import best_of, search, trials_of
    from ccdnn_training.reporting import progress

    if even := [window for window in options.window if window < 1 or window % 2 == 0]:
        raise InputError(f"A window needs a centre pixel, but {even[0]} is not an odd number.")
    with progress("trials") as on_trial:
        results = search(
            trials_of(options.ratio_c2, options.ratio_c3, options.window),
            options.output,
            options.arguments,
            on_trial=on_trial,
        )
    best = best_of(results)
    print((options.output / "search.md").read_text(encoding="utf-8"))
    print(f"The best of {len(results)}: {' '.join(best.trial.arguments)} (validation MSE {best.validation_mse:.4g}).")
    return 0
