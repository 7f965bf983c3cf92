"""`ccdnn-train fit`: fit a network with a configuration file; any setting can be overridden on the command line."""

from __future__ import annotations

import argparse


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "fit",
        help="fit a network with a configuration from training/configs",
        description="Arguments are passed to Lightning's command line: --config FILE, --trainer.max_epochs 2, --ckpt_path last, …",
        add_help=False,
        prefix_chars="\0",  # every argument, options too, belongs to Lightning
    )
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from ccdnn_training.fitting.command import fit

    fit(options.arguments)
    return 0
