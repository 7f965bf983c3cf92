"""The content of a report, independent of its appearance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ccdnn.chart import Chart
from ccdnn.measure.table import Table


@dataclass(frozen=True, eq=False)
class Picture:
    """One slice of one volume.

    Args:
        title: which volume, by its role, such as "acquired STIR".
        pixels: uint8, (row, column) grey or (row, column, 3) RGB, in display orientation.
        aspect: a pixel's height over its width.
        note: which slice, and the intensity range shown.
        synthetic: whether it was computed and not acquired; the page and the file then state this.
    """

    title: str
    pixels: np.ndarray
    aspect: float = 1.0
    note: str = ""
    synthetic: bool = False


@dataclass(frozen=True)
class Section:
    """What is said, shown, tabulated and plotted on one subject, in this order; `notes` has a sentence or two each."""

    title: str
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()
    notes: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Report:
    """A comparison of an acquired and a synthetic STIR, or the available parts of it.

    Only `identity` may come from a patient's record; it is None unless the user asks for it.

    Args:
        title: the heading of the page.
        inputs: one row for each volume.
        provenance: label → text: model, versions, command.
        pictures: of the volumes, in reading order.
        sections: what was measured.
        identity: label → text, such as "Patient name" → "Doe, Jane".
    """

    title: str
    inputs: Table
    provenance: Mapping[str, str]
    pictures: tuple[Picture, ...] = ()
    sections: tuple[Section, ...] = ()
    identity: Mapping[str, str] | None = None
