"""`ccdnn-train`: make data, fit a network, measure it, and export the model that `ccdnn` and Slicer run."""

from __future__ import annotations

import argparse
import sys

from ccdnn import __version__
from ccdnn.errors import CcdnnError
from ccdnn.stops import stopping_like_ctrl_c
from ccdnn_training.cli import evaluate, export, fit, prepare, search, semi_real, simulate, stress, uncertainty
from ccdnn_training.studies import cli as studies

_COMMANDS = (simulate, prepare, fit, search, evaluate, export, uncertainty, semi_real, stress, studies)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ccdnn-train", description=__doc__)
    parser.add_argument("--version", action="version", version=f"ccdnn-train {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_parser(commands)
    return parser


def main(arguments: list[str] | None = None) -> int:
    options = build_parser().parse_args(arguments)
    try:
        with stopping_like_ctrl_c():
            return options.run(options)
    except CcdnnError as error:
        print(f"ccdnn-train: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("ccdnn", "ccdnn_training", ""):
            raise
        print(f'ccdnn-train: {error.name} is not installed; install it with: pip install "ccdnnsynth[training]".', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("ccdnn-train: stopped; run the same command again to resume.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
