"""`ccdnn-train bound`: the best that an estimator of one pixel can do on the simulation study's tuples."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("bound", help="the best possible PSNR of the simulation study, by nearest neighbours")
    parser.add_argument("--noise", type=float, nargs="+", default=[0, 2, 4, 7], metavar="PERCENT", help="Rician noise")
    parser.add_argument("--tuples", type=int, default=2_000_000, help="simulated pixels for the estimate")
    parser.add_argument("--queries", type=int, default=100_000, help="other pixels that measure its error")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="threads")
    parser.add_argument("-o", "--output", type=Path, help="Markdown file to write, in addition to standard output")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from ccdnn.writing import require_writable, write_text
    from ccdnn_training.cli.progress import progress
    from ccdnn_training.evaluation.bound import bound_over_tuples, markdown_table

    if options.output:
        require_writable(options.output)
    bounds = []
    with progress("levels of noise") as on_level:
        for noise in options.noise:
            settings = {"tuples": options.tuples, "queries": options.queries, "seed": options.seed, "workers": options.jobs}
            bounds.append(bound_over_tuples(noise, **settings))
            on_level(len(bounds), len(options.noise))
    table = markdown_table(bounds)
    if options.output:
        command = shlex.join(["ccdnn-train", *sys.argv[1:]])
        write_text(
            f"PSNR (dB) of the conditional mean over the simulation study's tuples.\n\nCommand: `{command}`\n\n{table}",
            options.output,
        )
    print(table)
    return 0
