"""Painting tissues front to back: what is painted first hides what is painted later."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ccdnn_training.phantom import shapes
from ccdnn_training.physics.tissues import TISSUE_NAMES

_INDEX = {name: index for index, name in enumerate(TISSUE_NAMES)}


@dataclass(frozen=True)
class Frame:
    """Points (x lateral, y anterior, z superior, in mm) of one slab, as arrays of one shape (sub-slice, row, column)."""

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray

    @property
    def points(self) -> shapes.Points:
        return self.x, self.y, self.z

    def window(self, low: np.ndarray, high: np.ndarray) -> tuple[slice, slice, slice] | None:
        """The smallest part of the slab that contains every point of the box `low`…`high` (mm), or None if it contains none."""
        inside = np.ones(self.x.shape, dtype=bool)
        for coordinate, lowest, highest in zip(self.points, low, high, strict=True):
            inside &= (coordinate > lowest) & (coordinate < highest)
        if not inside.any():
            return None
        rows, columns = (np.flatnonzero(inside.any(axis=axes)) for axes in ((0, 2), (0, 1)))
        return slice(None), slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)

    def crop(self, window: tuple[slice, slice, slice]) -> Frame:
        return Frame(self.x[window], self.y[window], self.z[window])


class Canvas:
    """Amounts of each tissue, (tissue, sub-slice, row, column), 0…1, filled by `paint` from front to back.

    Args:
        shape: (sub-slices, rows, columns).
        edge: least width in mm over which a surface fades, one pixel's size: partial volume within the slice plane.
    """

    def __init__(self, shape: tuple[int, int, int], edge: float) -> None:
        self.amounts = np.zeros((len(TISSUE_NAMES), *shape), dtype=np.float32)
        self._clear = np.ones(shape, dtype=np.float32)
        self._edge = np.float32(edge)

    def paint(
        self,
        tissue: str,
        distance: np.ndarray,
        *,
        opacity: float | np.ndarray = 1.0,
        density: float | np.ndarray = 1.0,
        window: tuple[slice, slice, slice] = (slice(None),) * 3,
    ) -> None:
        """Fill where `distance` (mm) is negative, behind everything painted before.

        Args:
            opacity: share of the clear space that the tissue takes, 0…1.
            density: the tissue's texture: its amount relative to the tissue's proton density.
            window: the part of the slab that `distance` covers.
        """
        width = self._edge
        if len(distance) > 1:  # a surface that crosses the slice obliquely fades over what it moves from one sub-slice to the next
            width = np.maximum(width, np.abs(np.gradient(distance, axis=0)))
        coverage = np.clip(np.float32(0.5) - distance / width, 0, 1) * opacity * self._clear[window]
        self.amounts[_INDEX[tissue]][window] += coverage * density
        self._clear[window] -= coverage

    def paint_tube(
        self,
        tissue: str,
        frame: Frame,
        path: np.ndarray,
        radii: list[float] | tuple[float, ...],
        *,
        flatten: tuple[float, float, float] = (1, 1, 1),
        opacity: float = 1.0,
    ) -> None:
        """Fill a tube along `path` (n, 3), evaluated only in the part of the slab it can reach."""
        path = np.asarray(path, dtype=np.float32)
        reach = max(radii) * np.asarray(flatten) + 2 * self._edge
        window = frame.window(path.min(axis=0) - reach, path.max(axis=0) + reach)
        if window is not None:
            distance = shapes.tube(frame.crop(window).points, path, radii, flatten)
            self.paint(tissue, distance, opacity=opacity, window=window)
