"""One table type for every measurement, used by the panel, the plots, the report and the CSV files."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

from ccdnn.csv_file import guarded

Cell = str | int | float | None


@dataclass(frozen=True)
class Measurement:
    """One number measured on an image.

    Args:
        name: what was measured, such as "SSIM" or "CNR cartilage–bone".
        value: NaN where it could not be measured; `note` then says why.
        unit: "dB", "mm", …; "1" for a ratio.
        measured_on: the image, or the pair of images, in words.
        method: the definition behind the number, enough to repeat it.
        n: number of samples (voxels, or slices where `method` says so).
        note: one sentence for the reader, usually empty.
    """

    name: str
    value: float
    unit: str
    measured_on: str
    method: str
    n: int
    note: str = ""


@dataclass(frozen=True)
class Column:
    """A column's name, and the unit of its numbers ("1" for ratios; "" for words, counts, and units that differ by row)."""

    name: str
    unit: str = ""

    @property
    def heading(self) -> str:
        """The name with its unit, as in the first line of a CSV."""
        return f"{self.name} ({self.unit})" if self.unit not in ("", "1") else self.name


@dataclass(frozen=True)
class Table:
    """Rows under named columns.

    Args:
        title: what the table shows, in a few words.
        rows: as many cells as columns each; a number that could not be measured is NaN or None.
        notes: sentences for the reader: the definitions used, why a number is missing.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"A row of the table {self.title!r} does not have {len(self.columns)} cells.")

    def column(self, name: str) -> tuple[Cell, ...]:
        """The cells of the column with that name (without its unit)."""
        index = [column.name for column in self.columns].index(name)
        return tuple(row[index] for row in self.rows)

    def to_csv(self) -> str:
        """A header line, then the rows; numbers with all their digits, an unmeasured one as an empty field."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(guarded(column.heading) for column in self.columns)
        writer.writerows([guarded(_plain(cell)) for cell in row] for row in self.rows)
        return text.getvalue()

    def to_json(self) -> str:
        """A list of objects by column name; an unmeasured or infinite number is null, since JSON has no number for it."""
        names = [column.name for column in self.columns]
        rows = [dict(zip(names, map(_plain, row), strict=True)) for row in self.rows]
        return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"


def table_of(measurements: Iterable[Measurement], title: str = "Measurements") -> Table:
    """A row for each measurement, a column for each of its fields."""
    columns = tuple(Column(field.name) for field in fields(Measurement))
    return Table(title, columns, tuple(tuple(asdict(measurement).values()) for measurement in measurements))


def measurements_of(table: Table) -> list[Measurement]:
    """The measurements in a table of `table_of`."""
    rows: Iterable[Iterable[Any]] = table.rows
    return [Measurement(*row) for row in rows]


def readable(cell: Cell) -> str:
    """A cell as displayed: a number with four digits, or a dash if there is none; CSV and JSON have full precision."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return "–"
    return f"{cell:.4g}".replace("-", "−").replace("inf", "∞") if isinstance(cell, float) else str(cell)


def _plain(cell: Cell) -> Cell:
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell
