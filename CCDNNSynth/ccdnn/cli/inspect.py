"""`ccdnn inspect`: the series at a path, how they were acquired, and what each can be used as."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ccdnn.acquisition import PARAMETERS
from ccdnn.cli import console
from ccdnn.errors import InputError, ModelError
from ccdnn.model.catalog import list_models
from ccdnn.model.header import read_card
from ccdnn.series import Role, Series
from ccdnn.study import Study, choose_roles, read_study
from ccdnn.text import shown


def add_parser(commands: Any) -> None:
    """Add this command to the subparsers of `ccdnn`."""
    parser = commands.add_parser(
        "inspect",
        help="list the series in a file or folder",
        description="List the series in a file or folder: grid, protocol, the role each plays in a synthesis, and why.",
        epilog="Use the row numbers with `ccdnn synthesize --t1 ROW`. Times are in ms; a dash marks what the file does not state.",
    )
    parser.add_argument("path", type=Path, metavar="PATH", help="DICOM, NIfTI, NRRD or MetaImage file, or a folder of any of them")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Run the command with the parsed `options`.

    Raises:
        InputError: no such path, or no image in it.
    """
    study = read_study(options.path)
    plan = _plan(study)
    if options.json:
        console.result(json.dumps({**_as_json(study), "synthesis": asdict(plan)}, indent=2, ensure_ascii=False))
        return
    _print_table(study)
    console.result(plan.sentence)
    for row, series in enumerate(study.series, start=1):
        for sentence in (*([series.problem] if series.problem else []), *series.warnings):
            console.warning(f"row {row}: {sentence}")
    for problem in study.problems:
        console.warning(problem)


@dataclass(frozen=True)
class _Plan:
    """What `ccdnn synthesize` would do with the study and the default model.

    Args:
        model: its name and version; "" if none is installed.
        rows: role → row of the series it would use; empty if the study cannot be used.
        missing: optional roles that have no series.
        problem: why the study cannot be used; "" if it can.
    """

    model: str
    rows: Mapping[str, int] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    problem: str = ""

    @property
    def sentence(self) -> str:
        if not self.rows:
            return f"`ccdnn synthesize` cannot use this study as it is: {self.problem}"
        used = ", ".join(f"{Role(role).label} row {row}" for role, row in self.rows.items())
        without = "".join(f", without {Role(role).label}" for role in self.missing)
        return f"`ccdnn synthesize` with the model {self.model} would use {used}{without}."


def _plan(study: Study) -> _Plan:
    try:
        card = read_card(next(entry.path for entry in list_models() if entry.default))
    except ModelError as error:
        return _Plan("", problem=str(error))
    model = f"{card.name} {card.version}"
    try:
        chosen = choose_roles(study.series, [Role(role) for role in card.roles], [Role(role) for role in card.optional])
    except InputError as error:
        return _Plan(model, problem=str(error))
    rows = {role: study.series.index(chosen[Role(role)]) + 1 for role in card.roles if Role(role) in chosen}
    return _Plan(model, rows, tuple(role for role in card.roles if role not in rows))


def _print_table(study: Study) -> None:
    from rich.table import Table

    table = Table(title=f"{len(study.series)} series", title_justify="left")
    table.add_column("row", justify="right")
    table.add_column("series", overflow="fold")
    table.add_column("grid, mm")
    for parameter in PARAMETERS:
        table.add_column(parameter.label, justify="right", no_wrap=True)
    table.add_column("role", no_wrap=True)
    table.add_column("reason", overflow="fold")
    for first, last in _folded(study.series):
        series = study.series[first]
        row, name = str(first + 1), series.name
        if last > first:
            row, name = f"{first + 1}–{last + 1}", f"{name} … {study.series[last].time_point}"
        values = [parameter.of(series.acquisition) for parameter in PARAMETERS]
        role = series.role.label if series.problem is None else f"{series.role.label} (unusable)"
        name, reason = (shown(text, longest=None) for text in (name, series.reason))
        table.add_row(row, name, _grid(series), *map(_number, values), role, reason)
    console.print_wide(table, width=200)  # rich assumes 80 columns for a pipe, which would wrap every cell


def _folded(found: Sequence[Series]) -> list[tuple[int, int]]:
    """First and last series index of each table row; all time points of a series share one row."""
    rows: list[tuple[int, int]] = []
    for index, series in enumerate(found):
        before, point = found[index - 1] if index else None, series.time_point or 0
        follows = before is not None and before.problem is None and point > 1 and point == (before.time_point or 0) + 1
        if follows and series.problem is None:
            rows[-1] = (rows[-1][0], index)
        else:
            rows.append((index, index))
    return rows


def _grid(series: Series) -> str:
    if series.grid is None:
        return "–"
    slices, rows, columns = series.grid.shape
    return f"{columns}×{rows}×{slices} {series.plane}\n" + "×".join(f"{spacing:.3g}" for spacing in series.grid.spacing)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.5g}"


def _as_json(study: Study) -> dict[str, Any]:
    return {
        "series": [_series_as_json(row, series) for row, series in enumerate(study.series, start=1)],
        "problems": study.problems,
    }


def _series_as_json(row: int, series: Series) -> dict[str, Any]:
    acquisition, grid = series.acquisition, series.grid
    return {
        "row": row,
        "name": series.name,
        "role": series.role.value,
        "reason": series.reason,
        "problem": series.problem,
        "warnings": list(series.warnings),
        "source": str(series.source),
        "files": len(series.files),
        "grid": None
        if grid is None
        else {
            "columns": grid.shape[2],
            "rows": grid.shape[1],
            "slices": grid.shape[0],
            "spacing_mm": grid.spacing,
            "ijk_to_ras": grid.ijk_to_ras.tolist(),
            "plane": series.plane,
        },
        "protocol": {
            **{parameter.name: parameter.of(acquisition) for parameter in PARAMETERS},
            "field_strength_t": acquisition.field_strength_t,
            "technique": None if acquisition.technique is None else acquisition.technique.value,
            "inversion": acquisition.inversion,
            "fat_suppressed": acquisition.fat_suppressed,
            "b_value": acquisition.b_value,
        },
    }
