"""`ccdnn export-dicom`: writes a synthetic volume as a DICOM series in the study of its source images."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ccdnn.cli import console
from ccdnn.errors import InputError
from ccdnn.selection import Selector
from ccdnn.study import read_volume
from ccdnn.writing import require_no_input

_EPILOG = """\
SERIES is a DICOM folder that contains one series, or FOLDER::ROW with the row number from `ccdnn inspect`.

examples:
  ccdnn export-dicom stir.nrrd --reference study::3 --source study::4 --source study::6 -o stir_dicom
  ccdnn export-dicom stir.nrrd --no-reference -o stir_dicom       no DICOM source: an anonymous patient
  ccdnn export-dicom stir.nrrd --uncertainty map.nrrd --reference study::3 -o stir_dicom

Every file states that it is synthetic and not acquired. The series joins the patient's own study, so check it before sending it
anywhere. OUT must be new or empty.
"""


def add_parser(commands: Any) -> None:
    """Add this command to the subparsers of `ccdnn`."""
    parser = commands.add_parser(
        "export-dicom",
        help="write a synthetic volume as a derived DICOM series",
        description="Write a synthetic volume as a derived DICOM series of the study it was made from. Research use only.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "volume", type=Path, metavar="SYNTHETIC", help="output of `ccdnn synthesize`; a NIfTI file needs its .json beside it"
    )
    origin = parser.add_mutually_exclusive_group(required=True)
    origin.add_argument("--reference", metavar="SERIES", help="DICOM series whose patient, study and position the new one shares")
    origin.add_argument("--no-reference", action="store_true", help="write a new study for an anonymous patient")
    parser.add_argument(
        "--source", action="append", default=[], metavar="SERIES", help="another DICOM series it was made from; may be repeated"
    )
    parser.add_argument(
        "--uncertainty",
        type=Path,
        metavar="MAP",
        help="uncertainty map of the same run, as `ccdnn synthesize` writes it; becomes a DICOM Parametric Map, a series of its "
        "own, in OUT/uncertainty/uncertainty.dcm",
    )
    parser.add_argument("--force", action="store_true", help="write even if the sources belong to different patients")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="OUT", help="folder to create")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Run the command with the parsed `options`.

    Raises:
        CcdnnError: an error the user can fix; nothing was written.
    """
    # pydicom is slow to import, and the other commands do not need this part of it.
    from ccdnn.dicom.export import export_series

    if options.no_reference and options.source:
        raise InputError("With --no-reference there is no study for a --source to belong to; omit one of the two.")
    selector = Selector(None)
    reference = None if options.no_reference else _dicom_files(selector, options.reference)
    sources = [_dicom_files(selector, text) for text in options.source]
    require_no_input([options.output], selector.used_files)
    exported = export_series(
        read_volume(options.volume),
        options.output,
        reference,
        sources,
        force=options.force,
        uncertainty=None if options.uncertainty is None else read_volume(options.uncertainty),
    )
    for change in exported.changes:
        console.warning(change)
    if reference is None:
        console.warning("Written to a new study of an anonymous patient; it will not appear beside the patient's images.")
    console.result(f"{options.output}: {len(exported.files)} DICOM files, a synthetic series, not acquired")
    if exported.uncertainty is not None:
        console.result(f"{exported.uncertainty}: its uncertainty, a DICOM Parametric Map")


def _dicom_files(selector: Selector, text: str) -> tuple[Path, ...]:
    series = selector.one(text)
    if not series.provenance.get("series_instance_uid"):
        raise InputError(f"{series.name} is not a DICOM series; name one, or use --no-reference for an anonymous patient.")
    return series.files
