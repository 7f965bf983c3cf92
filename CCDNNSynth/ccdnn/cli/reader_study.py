"""`ccdnn reader-study`: a blinded folder for readers, and the key that the coordinator keeps."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ccdnn.cli import console

_EPILOG = """\
MANIFEST is a CSV with a row for each case. Its columns are case, stir (the acquired STIR), optionally t1, t2 and gre, and one
column for each method with the file of its synthetic STIR. Paths are relative to the manifest.

example:
  ccdnn reader-study cases.csv -o readers --key key.json

Give the folder to the readers, who score in Slicer (section "Reader study"). Keep the key. When they are done:
  ccdnn-train study readers key.json scores/*.csv -o table
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
    parser.add_argument("--key", required=True, type=Path, metavar="KEY", help="key file to create, which unblinds the study")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Run the command with the parsed `options`.

    Raises:
        CcdnnError: an error the user can fix; nothing was written.
    """
    from ccdnn.readers.manifest import read_manifest
    from ccdnn.readers.study import create_study

    study = create_study(read_manifest(options.manifest), options.output, options.key)
    images = len(study.cases[0].images)
    console.result(f"{options.output}: {len(study.cases)} cases with {images} blinded images each, {len(study.regions)} regions")
    console.result(f"{options.key}: the key; do not give it to the readers")
