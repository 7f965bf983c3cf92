"""`ccdnn measure`: compares an acquired and a synthetic STIR quantitatively, as far as the given files allow."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from ccdnn.cli import console
from ccdnn.cli.measure_report import measured_report
from ccdnn.errors import InputError
from ccdnn.measure.cnr import CnrForm, parse_pairs
from ccdnn.measure.comparison import Images, measure_images, on_one_grid
from ccdnn.measure.labels import read_label_map
from ccdnn.measure.overlap import MENISCUS_THRESHOLD
from ccdnn.measure.profile import Image
from ccdnn.measure.scaling import Scaling
from ccdnn.measure.table import Cell, Table, readable
from ccdnn.report.page import INDEX, file_stem
from ccdnn.report.write import check_report_folder, write_report
from ccdnn.selection import Selector
from ccdnn.volume import Grid
from ccdnn.writing import require_no_input, write_files

_OPTIONS = {Image.ACQUIRED: "acquired", Image.SYNTHETIC: "synthetic", Image.T1: "t1", Image.T2: "t2", Image.GRE: "gre"}

# Columns with the details of a number, for which a terminal has no room.
_LEFT_TO_CSV = ("Definition", "Note", "unit", "method", "n", "note")
_DETAILS = ("Mean ", "SD ", "Voxels ")

_EPILOG = """\
SERIES is a file, a folder that contains one series, or FOLDER::ROW with the row number from `ccdnn inspect`.

examples:
  ccdnn measure --acquired stir.nrrd --synthetic synthetic.nrrd
      image similarity: MSE, PSNR, SSIM, MS-SSIM
  ccdnn measure --acquired stir.nrrd --synthetic synthetic.nrrd --labels labels.nrrd
      also the CNR between tissues, for which one of the two images is enough; the names of the tissues are in labels.json
  ccdnn measure --acquired stir.nrrd --synthetic synthetic.nrrd --line "-12,30,5 -12,30,-20"
      also profiles along a line; the quotes allow a point to begin with a minus
  ccdnn measure --acquired stir.nrrd --synthetic synthetic.nrrd --t1 t1.nrrd --report report
      all results as an HTML page with pictures, and the tables as CSV

Numbers have full precision in --json and --csv, and four digits on the terminal.
"""


def add_parser(commands: Any) -> None:
    """Add this command to the subparsers of `ccdnn`."""
    parser = commands.add_parser(
        "measure",
        help="compare an acquired and a synthetic STIR quantitatively",
        description="CNR between tissues, profiles along a line and image similarity of an acquired and a synthetic STIR.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    images = parser.add_argument_group("images (at least one of the two STIRs)")
    for image, name in _OPTIONS.items():
        images.add_argument(f"--{name}", metavar="SERIES", help=image.value)
    cnr = parser.add_argument_group("CNR")
    cnr.add_argument("--labels", metavar="FILE", help="label map of the tissues, on the grid of the acquired STIR")
    cnr.add_argument(
        "--names",
        type=Path,
        metavar="JSON",
        help='names of its labels: {"1": "fat", "2": "muscle", …} (default: those in FILE, in a .json of the same name beside '
        "it, or in labels.json beside it)",
    )
    cnr.add_argument("--pairs", default="", metavar="A/B;C/D", help="foreground/background pairs (default: the paper's five)")
    cnr.add_argument("--form", default=CnrForm.DIFFERENCE, type=CnrForm, metavar=_values(CnrForm), help=_forms())
    profiles = parser.add_argument_group("profiles")
    profiles.add_argument("--line", nargs="+", metavar="R,A,S", help="two or more points in mm RAS (right, anterior, superior)")
    similarity = parser.add_argument_group("similarity")
    similarity.add_argument(
        "--scaling",
        default=Scaling.TISSUE,
        type=Scaling,
        metavar=_values(Scaling),
        help="how to scale the two STIRs to 0–1 (default: tissue, one scale that fluid does not affect)",
    )
    similarity.add_argument("--mask", metavar="NAME", help="label to measure inside (default: everywhere, including air)")
    similarity.add_argument(
        "--threshold",
        default=MENISCUS_THRESHOLD,
        type=float,
        metavar="T",
        help="threshold of the segmentations compared by Dice overlap, on images scaled to 0–1 (default: %(default)s)",
    )
    output = parser.add_argument_group("output")
    output.add_argument("--json", action="store_true", help="print all tables as JSON on stdout")
    output.add_argument("--csv", type=Path, metavar="FOLDER", help="write a CSV for each table")
    output.add_argument("--report", type=Path, metavar="FOLDER", help="write an HTML page with pictures, and the CSVs beside it")
    output.add_argument("--slice", type=int, metavar="N", help="slice of the report's pictures, from 1 (default: the middle one)")
    output.add_argument(
        "--with-names",
        action="store_true",
        help="include file names in the report; they may contain a patient's name (default: no)",
    )
    output.add_argument("--force", action="store_true", help="measure even if the series belong to different patients")
    output.add_argument("-q", "--quiet", action="store_true", help="print warnings and errors only")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Run the command with the parsed `options`.

    Raises:
        CcdnnError: an error the user can fix; no report was written.
    """
    if options.report:
        check_report_folder(options.report)
    selector = Selector(None)
    series = {image: selector.one(text) for image, name in _OPTIONS.items() if (text := getattr(options, name)) is not None}
    volumes = {image: found.load() for image, found in series.items()}
    labels = read_label_map(selector.one(options.labels), options.names) if options.labels else None
    images = on_one_grid(volumes, labels, force=options.force)
    names = labels.names_file if labels else options.names
    inputs = [*selector.used_files, *filter(None, [names])]
    found = f"The names of the labels are those in {names}." if names != options.names else ""
    for sentence in filter(None, (images.remark, found)):
        if not options.quiet:
            console.note(sentence)
    index = _slice_index(options.slice, images.grid)
    warnings = [*images.warnings, *selector.problems]
    for warning in warnings:
        console.warning(warning)
    measured = measure_images(
        images,
        pairs=parse_pairs(options.pairs),
        form=options.form,
        line=None if options.line is None else _points(options.line),
        scaling=options.scaling,
        mask=options.mask,
        threshold=options.threshold,
    )
    if not measured.sections and not options.report:
        raise InputError("There is nothing to measure: give both STIRs for similarity, --labels for CNR, or --line for profiles.")
    tables = {file_stem(title): table for title, table in measured.tables.items()}
    if options.csv:
        contents = {f"{stem}.csv": table.to_csv().encode("utf-8", "backslashreplace") for stem, table in tables.items()}
        require_no_input([options.csv / name for name in contents], inputs)
        write_files(options.csv, contents)
    if options.report:
        write_report(options.report, measured_report(options, series, images, measured.sections, index))
    if options.json:
        console.result(json.dumps({**_as_json(images, tables), "warnings": warnings}, indent=2, ensure_ascii=False))
    else:
        for section in measured.sections:
            _print(section.tables[0])
        _tell_where(options)


def _values(choices: type[Enum]) -> str:
    return "|".join(choice.value for choice in choices)


def _forms() -> str:
    return "; ".join(f"{form.value}{' (default)' * (form is CnrForm.DIFFERENCE)}: {form.formula}" for form in CnrForm)


# ---------------------------------------------------------------------------------------------------------------- inputs


def _slice_index(number: int | None, grid: Grid) -> int:
    slices = grid.shape[0]
    if number is None:
        return slices // 2
    if not 1 <= number <= slices:
        raise InputError(f"There is no slice {number}; the STIR has slices 1 to {slices}.")
    return number - 1


def _points(texts: Sequence[str]) -> np.ndarray:
    """(n, 3) in mm RAS, from points given as separate arguments or together in quotes."""
    try:
        points = [tuple(map(float, point.split(","))) for text in texts for point in text.split()]
    except ValueError:
        points = []
    if not points or any(len(point) != 3 for point in points):
        raise InputError(f'{" ".join(texts)!r} is not a line; write points as R,A,S in mm, such as "-12,30,5 -12,30,-20".')
    return np.array(points)


# ---------------------------------------------------------------------------------------------------------------- output


def _print(table: Table) -> None:
    """The main columns; the CSV has all of them."""
    names = [column.name for column in table.columns]
    shown = [index for index, name in enumerate(names) if name not in _LEFT_TO_CSV and not name.startswith(_DETAILS)]
    rows = [[_cell(names, row, index) for index in shown] for row in table.rows]
    console.print_table(table.title, [table.columns[index].heading for index in shown], rows)
    told = list(table.notes)
    for column in {"note", "Note"} & set(names):
        told += [
            f"{row[0]}: {note}" for row, note in zip(table.rows, table.column(column), strict=True) if note and note not in told
        ]
    for sentence in told:
        console.note(sentence)


def _cell(names: Sequence[str], row: Sequence[Cell], index: int) -> str:
    """The cell as text, followed by its unit if units differ by row."""
    unit = row[names.index("unit")] if names[index] == "value" else "1"
    return readable(row[index]) + (f" {unit}" if unit != "1" else "")


def _as_json(images: Images, tables: Mapping[str, Table]) -> dict[str, Any]:
    return {
        "notice": "Research use only, not for diagnosis.",
        "remark": images.remark,
        "volumes": {
            image.value: {
                "columns": volume.grid.shape[2],
                "rows": volume.grid.shape[1],
                "slices": volume.grid.shape[0],
                "spacing_mm": volume.grid.spacing,
            }
            for image, volume in images.own.items()
        },
        "tables": {
            stem: {"title": table.title, "rows": json.loads(table.to_json()), "notes": table.notes}
            for stem, table in tables.items()
        },
    }


def _tell_where(options: argparse.Namespace) -> None:
    if options.csv:
        console.result(f"{options.csv}: the tables as CSV")
    if options.report:
        console.result(f"{options.report / INDEX}: the report")
