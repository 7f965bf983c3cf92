"""`ccdnn measure`: compares an acquired and a synthetic STIR quantitatively, as far as the given files allow."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from ccdnn.cli import console, many
from ccdnn.cli.measure_report import measured_report
from ccdnn.errors import InputError
from ccdnn.measure.cnr import CnrForm, parse_pairs
from ccdnn.measure.comparison import measure_images, on_one_grid
from ccdnn.measure.labels import read_label_map
from ccdnn.measure.overlap import MENISCUS_THRESHOLD
from ccdnn.measure.profile import Image
from ccdnn.measure.scaling import Scaling
from ccdnn.measure.table import Cell, Table, readable
from ccdnn.report.document import as_text, measured_document
from ccdnn.report.page import INDEX, file_stem
from ccdnn.report.write import check_report_folder, write_report
from ccdnn.selection import Selector
from ccdnn.volume import Grid
from ccdnn.writing import require_no_input, write_files

_OPTIONS = {Image.ACQUIRED: "acquired", Image.SYNTHETIC: "synthetic", Image.T1: "t1", Image.T2: "t2", Image.GRE: "gre"}

# Options that are about one study, and their values if they are not given.
_OF_ONE_STUDY = {
    **dict.fromkeys(("acquired", "t1", "t2", "gre", "uncertainty", "labels", "line", "csv", "report", "slice")),
    "with_names": False,
}

# Columns with the details of a number, for which a terminal has no room.
_LEFT_TO_CSV = ("Definition", "Note", "unit", "method", "n", "note")
_DETAILS = ("Mean ", "SD ", "Voxels ")

_WITH_EACH = {Image.SYNTHETIC: "; with --each the folder of the results of `synthesize --each`"}

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
  ccdnn measure --each studies/ --synthetic results/ -o measured --jobs 4
      similarity of every study with its result of `ccdnn synthesize --each studies/ -o results`, and CNR where the study has a
      label map; the acquired STIR and the label map are found in the study, or named in the CSV file, in the columns acquired and
      labels. In measured/: similarity.csv, cnr.csv, statistics.csv (mean and SD), summary.csv, and NAME.json for each study

With --each, a study that fails is listed in the summary and the others continue; run the same command again to do what is left.
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
        images.add_argument(f"--{name}", metavar="SERIES", help=image.value + _WITH_EACH.get(image, ""))
    images.add_argument(
        "--uncertainty",
        metavar="SERIES",
        help="of the synthetic STIR, from `ccdnn synthesize --uncertainty FILE`; adds intervals to CNR and profiles",
    )
    many.add_options(parser)
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
    output.add_argument("-o", "--output", type=Path, metavar="OUT", help="with --each, the folder for the tables")
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
        CcdnnError: an error the user can fix; no report was written, or OUT has what is finished of many studies.
    """
    if options.each is None:
        _one(options)
    else:
        _each(options)


def _one(options: argparse.Namespace) -> None:
    many.refuse_for_one(options)
    if options.output is not None:
        raise InputError("-o is for many studies (--each); use --csv or --report for one.")
    if options.report:
        check_report_folder(options.report)
    selector = Selector(None)
    series = {image: selector.one(text) for image, name in _OPTIONS.items() if (text := getattr(options, name)) is not None}
    volumes = {image: found.load() for image, found in series.items()}
    labels = read_label_map(selector.one(options.labels), options.names) if options.labels else None
    uncertainty = selector.one(options.uncertainty).load() if options.uncertainty else None
    images = on_one_grid(volumes, labels, uncertainty, force=options.force)
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
    if options.csv:
        tables = {file_stem(title): table for title, table in measured.tables.items()}
        contents = {f"{stem}.csv": table.to_csv().encode("utf-8", "backslashreplace") for stem, table in tables.items()}
        require_no_input([options.csv / name for name in contents], inputs)
        write_files(options.csv, contents)
    if options.report:
        write_report(options.report, measured_report(options, series, images, measured.sections, index))
    if options.json:
        console.result(as_text(measured_document(images, measured, warnings)))
    else:
        for section in measured.sections:
            _print(section.tables[0])
        _tell_where(options)


def _each(options: argparse.Namespace) -> None:
    from ccdnn.cohort.measuring import MeasureTask, tables_of, write_tables

    if given := [name for name, unset in _OF_ONE_STUDY.items() if getattr(options, name) != unset]:
        name = f"--{given[0].replace('_', '-')}"
        raise InputError(f"{name} is for one study; with --each, the images of a study are found in it or named in its row.")
    if options.output is None:
        raise InputError("With --each, name a folder for the tables with -o.")
    parse_pairs(options.pairs)
    task = MeasureTask(
        None if options.synthetic is None else str(_folder(options.synthetic)),
        options.pairs,
        options.form,
        options.scaling,
        options.mask,
        options.threshold,
        None if options.names is None else str(options.names.resolve()),
        options.force,
    )
    records = many.run_each(options, task, "Measuring", options.quiet or options.json)
    tables = tables_of(options.output, records)
    write_tables(options.output, tables)
    if options.json:
        found = {name: json.loads(table.to_json()) for name, table in tables.items()}
        console.result(json.dumps({"studies": [record.row(task.columns) for record in records], **found}, indent=2))
    else:
        statistics = tables["statistics"]
        headings = [column.heading for column in statistics.columns]
        console.print_table(statistics.title, headings, [[readable(cell) for cell in row] for row in statistics.rows])
        console.result(many.summary_line(options, records))
    many.end(options, records)


def _folder(text: str) -> Path:
    path = Path(text)
    if not path.is_dir():
        raise InputError(f"{text} is not a folder; with --each, --synthetic is the folder of the results.")
    return path.resolve()


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


def _tell_where(options: argparse.Namespace) -> None:
    if options.csv:
        console.result(f"{options.csv}: the tables as CSV")
    if options.report:
        console.result(f"{options.report / INDEX}: the report")
