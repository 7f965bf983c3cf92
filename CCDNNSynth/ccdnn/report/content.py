"""What a report holds, apart from how it looks."""

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
        pixels: uint8, (row, column) grey or (row, column, 3) RGB, as it hangs on the screen.
        aspect: a pixel's height over its width.
        note: which slice, and from which to which intensity it is shown.
        synthetic: it shows what was computed and not acquired; the page and the file then say so.
    """

    title: str
    pixels: np.ndarray
    aspect: float = 1.0
    note: str = ""
    synthetic: bool = False


@dataclass(frozen=True)
class Section:
    """What belongs together: the tables and charts of one kind of measurement."""

    title: str
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()


@dataclass(frozen=True)
class Report:
    """A comparison of an acquired and a synthetic STIR, or of as much of it as there is.

    Nothing in it may come from a patient's record but `identity`, which stays None unless the user has asked for it.

    Args:
        title: the heading of the page.
        inputs: one row for each volume.
        provenance: what → how, in words: model, versions, what was run.
        pictures: of the volumes, in the order to read them.
        sections: what was measured.
        identity: what → who, such as "Patient name" → "Doe, Jane".
    """

    title: str
    inputs: Table
    provenance: Mapping[str, str]
    pictures: tuple[Picture, ...] = ()
    sections: tuple[Section, ...] = ()
    identity: Mapping[str, str] | None = None
