"""One table for every measurement: the panel shows it, the plot draws it, the command line prints and saves it."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True)
class Measurement:
    """One number measured on an image.

    Args:
        name: what was measured, such as "SSIM" or "CNR cartilage–bone".
        value: NaN where it could not be measured; `note` then says why.
        unit: "dB", "mm", …; "1" for a ratio.
        measured_on: the image, or the pair of images, in words.
        method: the definition behind the number, enough to repeat it.
        n: samples that went in (voxels, or slices where `method` says so).
        note: one sentence for the reader, mostly empty.
    """

    name: str
    value: float
    unit: str
    measured_on: str
    method: str
    n: int
    note: str = ""


def to_csv(rows: Iterable[Measurement]) -> str:
    """The table as CSV, a header line first; values with all their digits, an unmeasured value as an empty field."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Measurement)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(_plain(row) for row in rows)
    return text.getvalue()


def to_json(rows: Iterable[Measurement]) -> str:
    """The table as a JSON list of objects; an unmeasured or infinite value is null, which JSON has no number for."""
    return json.dumps([_plain(row) for row in rows], indent=2, ensure_ascii=False) + "\n"


def _plain(row: Measurement) -> dict[str, str | float | int | None]:
    return {**asdict(row), "value": float(row.value) if math.isfinite(row.value) else None}
