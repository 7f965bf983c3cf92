"""Splits a slice into parts to compute, so that together they equal the whole.

An output pixel depends on inputs up to the receptive radius away. A window is therefore computed from a source that extends
that far beyond it. The source is cut only at the image's borders, where the network's zero padding belongs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class Window:
    """Rows `top` to `bottom` and columns `left` to `right` (exclusive) of a slice."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def grown(self, margin: int, rows: int, columns: int) -> Window:
        """The window with `margin` more pixels on every side, clipped to the image of `rows` × `columns`."""
        return Window(
            max(self.top - margin, 0),
            min(self.bottom + margin, rows),
            max(self.left - margin, 0),
            min(self.right + margin, columns),
        )

    def within(self, other: Window) -> Window:
        """The same pixels, counted from the corner of `other`."""
        return Window(self.top - other.top, self.bottom - other.top, self.left - other.left, self.right - other.left)

    def tiles(self, longest: int) -> Iterator[Window]:
        """Equal parts of the window, with no side longer than `longest`."""
        for top, bottom in pairwise(_cuts(self.top, self.bottom, longest)):
            for left, right in pairwise(_cuts(self.left, self.right, longest)):
                yield Window(top, bottom, left, right)


def _cuts(start: int, stop: int, longest: int) -> list[int]:
    parts = -(-(stop - start) // longest)
    return [start + (stop - start) * part // parts for part in range(parts + 1)]


def content_window(content: np.ndarray) -> Window | None:
    """The smallest window that contains all true pixels of `content` (image, row, column); None if there are none."""
    rows = np.flatnonzero(content.any(axis=(0, 2)))
    if rows.size == 0:
        return None
    columns = np.flatnonzero(content.any(axis=(0, 1)))
    return Window(int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)


def template_shape(rows: int, columns: int, radius: int) -> tuple[int, int]:
    """Size of the smallest empty image whose output contains every value of the output for an empty `rows` × `columns` image.

    Away from the borders the output is constant. Within `radius` of a border it depends on the zero padding.
    """
    return min(rows, 2 * radius + 1), min(columns, 2 * radius + 1)


def expand_template(template: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The output (…, row, column) for an empty image of `rows` × `columns`, from that of `template_shape`."""
    return template[..., _stretched(template.shape[-2], rows)[:, None], _stretched(template.shape[-1], columns)]


def _stretched(short: int, length: int) -> np.ndarray:
    """Index into `short` for each of `length` pixels: both ends unchanged, the middle pixel repeated."""
    pixels = np.arange(length)
    middle = short // 2
    return np.where(pixels <= middle, pixels, np.maximum(middle, pixels - (length - short)))
