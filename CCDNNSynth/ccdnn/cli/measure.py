"""`ccdnn measure`: compares an acquired and a synthetic STIR quantitatively, as far as the given files allow."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

from ccdnn.cli import console
from ccdnn.cli.comparison import Images, on_one_grid
from ccdnn.cli.measure_report import measured_report
from ccdnn.errors import InputError
from ccdnn.measure.cnr import CnrForm, cnr_chart, cnr_table, parse_pairs
from ccdnn.measure.labels import Labels, read_labels
from ccdnn.measure.overlap import MENISCUS_THRESHOLD, overlap_measurement
from ccdnn.measure.profile import Image, measure_profiles, profile_chart, profile_table, profile_values
from ccdnn.measure.scaling import Scaling
from ccdnn.measure.similarity import Measure, measurements, scaled_pair, similarity_by_slice
from ccdnn.measure.similarity_table import overlap_by_slice, similarity_chart, similarity_table
from ccdnn.measure.table import Cell, Table, readable, table_of
from ccdnn.patient import difference_of_patients, require_one_patient
from ccdnn.report.content import Section
from ccdnn.report.page import INDEX, file_stem
from ccdnn.report.write import check_report_folder, write_report
from ccdnn.selection import Selector
from ccdnn.series import Series
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
  ccdnn measure --acquired stir.nrrd --synthetic synthetic.nrrd --labels labels.nrrd --names labels.json
      also the CNR between tissues, for which one of the two images is enough
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
    cnr.add_argument("--labels", type=Path, metavar="FILE", help="label map of the tissues, on the grid of the acquired STIR")
    cnr.add_argument("--names", type=Path, metavar="JSON", help='names of its labels: {"1": "fat", "2": "muscle", …}')
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
    series = _series(options, selector)
    inputs = [*selector.used_files, *filter(None, (options.labels, options.names))]
    if not options.force:
        require_one_patient(series.values())
    volumes = {image: found.load() for image, found in series.items()}
    images = on_one_grid(volumes)
    if images.remark and not options.quiet:
        console.note(images.remark)
    index = _slice_index(options.slice, images.grid)
    labels = read_labels(options.labels, options.names, images.grid) if options.labels else None
    difference = difference_of_patients(series.values())
    forced = [f"The measurement was forced: {difference}."] if difference else []
    warnings = [*forced, *selector.problems, *(warning for volume in volumes.values() for warning in volume.warnings)]
    warnings += labels.volume.warnings if labels else ()
    for warning in warnings:
        console.warning(warning)
    sections = [*_cnr(options, images, labels), *_profiles(options, images), *_similarity(options, images, labels)]
    if not sections and not options.report:
        raise InputError("There is nothing to measure: give both STIRs for similarity, --labels for CNR, or --line for profiles.")
    tables = {file_stem(table.title): table for section in sections for table in section.tables}
    if options.csv:
        contents = {f"{stem}.csv": table.to_csv().encode("utf-8", "backslashreplace") for stem, table in tables.items()}
        require_no_input([options.csv / name for name in contents], inputs)
        write_files(options.csv, contents)
    if options.report:
        write_report(options.report, measured_report(options, series, images, sections, index))
    if options.json:
        console.result(json.dumps({**_as_json(images, tables), "warnings": warnings}, indent=2, ensure_ascii=False))
    else:
        for section in sections:
            _print(section.tables[0])
        _tell_where(options)


def _values(choices: type[Enum]) -> str:
    return "|".join(choice.value for choice in choices)


def _forms() -> str:
    return "; ".join(f"{form.value}{' (default)' * (form is CnrForm.DIFFERENCE)}: {form.formula}" for form in CnrForm)


# ---------------------------------------------------------------------------------------------------------------- inputs


def _series(options: argparse.Namespace, selector: Selector) -> dict[Image, Series]:
    """The series of the given images; first the one whose grid is the reference: the acquired STIR, else the synthetic one."""
    given = {image: text for image, name in _OPTIONS.items() if (text := getattr(options, name)) is not None}
    if Image.ACQUIRED not in given and Image.SYNTHETIC not in given:
        raise InputError("No STIR was given; name one with --acquired or --synthetic, or both to compare them.")
    return {image: selector.one(text) for image, text in given.items()}


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


# ---------------------------------------------------------------------------------------------------------- measurements


def _cnr(options: argparse.Namespace, images: Images, labels: Labels | None) -> Iterator[Section]:
    if labels is None:
        return
    names = {Image.ACQUIRED: "acquired", Image.SYNTHETIC: "synthetic"}
    arrays = {name: images.shared[image].array for image, name in names.items() if image in images.shared}
    table = cnr_table(arrays, labels.regions(), parse_pairs(options.pairs), options.form)
    yield Section("Contrast-to-noise ratio", (table,), (cnr_chart(table),))


def _profiles(options: argparse.Namespace, images: Images) -> Iterator[Section]:
    if options.line is None:
        return
    profiles = measure_profiles(images.own, _points(options.line))
    tables = (profile_table(profiles), profile_values(profiles))
    yield Section("Line profiles", tables, (profile_chart(profiles, scaled=True),))


def _similarity(options: argparse.Namespace, images: Images, labels: Labels | None) -> Iterator[Section]:
    if options.mask is not None and (labels is None or not images.are_a_pair):
        raise InputError("--mask names a label inside which two STIRs are compared; it needs both STIRs and --labels.")
    if not images.are_a_pair:
        return
    pair = scaled_pair(
        images.shared[Image.SYNTHETIC].array,
        images.shared[Image.ACQUIRED].array,
        options.scaling,
        names=(Image.SYNTHETIC.value, Image.ACQUIRED.value),
        mask=labels.mask(options.mask) if labels and options.mask else None,
        known=images.known,
    )
    slices, overlaps = list(similarity_by_slice(pair)), overlap_by_slice(pair, options.threshold)
    of_slices = similarity_table(pair, slices, overlaps)
    words = " against ".join(pair.names)
    overlap = overlap_measurement(reduce(add, overlaps), words, f"of “{options.mask}”" if options.mask else "of the volume")
    of_volume = table_of([*measurements(pair, slices, words), overlap], "Similarity")
    charts = (
        similarity_chart(measure, [one.values[measure] for one in slices], f"{measure.value} by slice") for measure in Measure
    )
    yield Section("Image similarity", (replace(of_volume, notes=of_slices.notes), of_slices), tuple(charts))


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
