"""`ccdnn reader-study`: a blinded folder for readers, and the key that the coordinator keeps."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ccdnn.cli import console

_EPILOG = """\
MANIFEST is a CSV with a row for each case: the columns case and stir (the acquired STIR), t1, t2 and gre where there are any, and
one column for each method with the file of its synthetic STIR. Paths are relative to it.

example:
  ccdnn reader-study cases.csv -o readers --key key.json

Readers get the folder and score in Slicer (section "Reader study"); the key stays with you. When they are done:
  ccdnn-train readers key.json scores/*.csv -o table
"""


def add_parser(commands: Any) -> None:
    """Add this command to the subparsers of `ccdnn`."""
    parser = commands.add_parser(
        "reader-study",
        help="blind and shuffle synthetic images of several methods for readers",
        description="Make a blinded reader study. Research use only.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("manifest", type=Path, metavar="MANIFEST")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FOLDER", help="folder to create for the readers")
    parser.add_argument("--key", required=True, type=Path, metavar="KEY", help="key to create, which unblinds the study; keep it")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Do what the parsed `options` say.

    Raises:
        CcdnnError: what the user can mend; nothing was written.
    """
    from ccdnn.readers.manifest import read_manifest
    from ccdnn.readers.study import create_study

    study = create_study(read_manifest(options.manifest), options.output, options.key)
    images = len(study.cases[0].images)
    console.result(f"{options.output}: {len(study.cases)} cases with {images} blinded images each, {len(study.regions)} regions")
    console.result(f"{options.key}: the key; keep it from the readers")
