"""Images along a line: equal steps of arc length along a polyline, and linear interpolation between voxel centres.

Needs only numpy, so that Slicer's own process can run it while a point is dragged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ccdnn.errors import InputError
from ccdnn.volume import Grid

# Two samples per voxel show everything that linear interpolation between voxels can.
STEPS_PER_VOXEL = 2
# A line dragged across metres, or a spacing of micrometres in a damaged header, must not freeze the window.
MAX_STEPS = 4096

# As in `ccdnn.resample`: voxels have a width, so a volume ends half a voxel beyond its outermost centres.
_HALF_VOXEL = 0.5
_BORDER_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class SampledLine:
    """Points at equal distances along a line, including its two ends.

    Args:
        points: (n, 3) in mm RAS.
        distance: (n,) mm from the first point, along the line.
    """

    points: np.ndarray
    distance: np.ndarray

    @property
    def length(self) -> float:
        """In mm."""
        return float(self.distance[-1])

    @property
    def step(self) -> float:
        """Distance between neighbouring points in mm."""
        return self.length / (len(self.distance) - 1)


def default_step(*grids: Grid) -> float:
    """Half the smallest in-plane spacing of the volumes, in mm."""
    return min(min(grid.spacing[:2]) for grid in grids) / STEPS_PER_VOXEL


def sample_line(points: np.ndarray, step_mm: float) -> SampledLine:
    """Sample a polyline in equal steps of arc length.

    Args:
        points: (n, 3) corners in mm RAS; a closed curve repeats its first point at its end.
        step_mm: the longest step; it is shortened so that a whole number of steps, at most `MAX_STEPS`, spans the line.

    Raises:
        InputError: fewer than two points, all at one place, or not finite.
    """
    points = np.asarray(points, np.float64).reshape(-1, 3)
    if len(points) < 2:
        raise InputError(f"The line has {'one point' if len(points) else 'no point yet'}; place two or more.")
    if not np.isfinite(points).all():
        raise InputError("The line has an invalid point (NaN or infinite); place it again.")
    corners = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    length = corners[-1]
    if length < 1e-6:
        raise InputError("The line has no length: its points coincide; move one of them.")
    steps = int(np.clip(np.ceil(length / step_mm - 1e-9), 1, MAX_STEPS))
    distance = np.linspace(0.0, length, steps + 1)
    return SampledLine(np.stack([np.interp(distance, corners, axis) for axis in points.T], axis=1), distance)


def sample_image(array: np.ndarray, ijk_to_ras: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Interpolate an image linearly at points.

    Args:
        array: (slice, row, column) of any number type.
        ijk_to_ras: 4×4 in mm.
        points: (n, 3) in mm, in the coordinates of `ijk_to_ras`.

    Returns:
        (n,) float64; up to half a voxel beyond the outermost voxel centres the value there, NaN further out and
        beside a NaN.
    """
    ijk = (points - ijk_to_ras[:3, 3]) @ np.linalg.inv(ijk_to_ras[:3, :3]).T
    position = ijk[:, ::-1]  # in the order of the array's axes
    last = np.array(array.shape) - 1
    margin = _HALF_VOXEL + _BORDER_TOLERANCE
    inside = ((position >= -margin) & (position <= last + margin)).all(axis=1)
    position = np.clip(np.where(inside[:, None], position, 0.0), 0, last)
    lower = np.minimum(position.astype(np.intp), np.maximum(last - 1, 0))
    upper, share = np.minimum(lower + 1, last), position - lower
    values = np.zeros(len(points))
    for corner in np.ndindex(2, 2, 2):
        index = tuple(np.where(corner, upper, lower).T)
        weight = np.where(corner, share, 1 - share).prod(axis=1)
        values += np.where(weight > 0, weight * array[index], 0)
    values[~inside] = np.nan
    return values
