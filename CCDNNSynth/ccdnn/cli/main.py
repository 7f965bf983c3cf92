"""The `ccdnn` command: one module per subcommand, one exit code per kind of error.

Exit codes: 0 done · 2 wrong arguments · 3 input · 4 model · 5 output · 6 device · 130 stopped with Ctrl-C. Any other
exception keeps its traceback and exits 1.
"""

from __future__ import annotations

import argparse
import traceback
from collections.abc import Sequence

import shtab

from ccdnn import __version__
from ccdnn.cli import console, demo, export_dicom, inspect, measure, models, reader_study, synthesize
from ccdnn.errors import Cancelled, CcdnnError, DeviceError
from ccdnn.stops import stopping_like_ctrl_c

_COMMANDS = (inspect, synthesize, measure, export_dicom, models, reader_study, demo)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line `arguments` (default: the process's own) and return its exit code."""
    console.prepare_streams()
    chosen = build_parser().parse_args(arguments)
    try:
        with stopping_like_ctrl_c():
            chosen.run(chosen)
    except CcdnnError as error:
        if chosen.verbose:
            traceback.print_exc()
        console.error(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        console.error("Stopped; nothing was written.")
        return Cancelled.exit_code
    except BrokenPipeError:
        console.drop_stdout()  # the reader, such as `head`, closed the pipe
    except MemoryError:
        console.error("There is not enough memory; close other programs or use smaller images.")
        return DeviceError.exit_code
    return 0


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ccdnn",
        description="Synthetic STIR of the knee from T1-w, T2-w and GRE volumes (CC-DNN). Research use only, not for diagnosis.",
        epilog="Exit codes: 0 done, 2 wrong arguments, 3 input, 4 model, 5 output, 6 device, 130 stopped with Ctrl-C.",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="print where in the program an error was raised, too")
    shtab.add_argument_to(parser, "--print-completion", help="print a completion script for this shell, for its start-up file")
    parser.add_argument("--version", action="version", version=f"ccdnn {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_parser(commands)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
