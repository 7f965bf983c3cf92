"""Voxels inside an outline drawn in a plane: a region of interest as a radiologist draws it on a slice."""

from __future__ import annotations

import numpy as np


def voxels_in_outline(points: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """The voxels whose centres lie inside a closed outline, in the one layer of voxels that its plane passes through.

    An outline parallel to the slices selects the slice it is on or, between two, the nearer one, at most half a slice away. An
    outline across or oblique to the slices selects one voxel of each column of voxels that it cuts. Columns run along the axis
    nearest to the plane's normal.

    Args:
        points: (n, 3), the outline's corners as continuous voxel coordinates (column i, row j, slice k); the last is joined to the
            first. An outline that crosses itself follows the even-odd rule.
        shape: (slices, rows, columns) of the volume.

    Returns:
        Indices into the flattened volume, ascending, int64; none if the outline encloses no area or lies outside the volume.
    """
    points = np.asarray(points, np.float64).reshape(-1, 3)
    if len(points) < 3 or not np.isfinite(points).all():
        return np.empty(0, np.int64)
    centre = points.mean(axis=0)
    _, sizes, directions = np.linalg.svd(points - centre, full_matrices=False)
    if sizes[1] <= 1e-9 * max(sizes[0], 1.0):  # a point or a line
        return np.empty(0, np.int64)
    normal = directions[2]
    through = int(np.argmax(np.abs(normal)))
    across, along = (axis for axis in range(3) if axis != through)
    sizes_ijk = shape[::-1]

    coordinates = np.empty((3, 0), np.int64)
    layers = []
    for row, columns in _rows(points[:, across], points[:, along], sizes_ijk[across], sizes_ijk[along]):
        cell = np.empty((3, len(columns)), np.int64)
        cell[across], cell[along] = columns, row
        tilt = normal[across] * (columns - centre[across]) + normal[along] * (row - centre[along])
        cell[through] = np.floor(centre[through] - tilt / normal[through] + 0.5)
        layers.append(cell)
    if layers:
        coordinates = np.concatenate(layers, axis=1)
        coordinates = coordinates[:, (coordinates[through] >= 0) & (coordinates[through] < sizes_ijk[through])]
    i, j, k = coordinates
    return np.sort((k * shape[1] + j) * shape[2] + i)


def _rows(x: np.ndarray, y: np.ndarray, columns: int, rows: int):
    """Row by row, the integers between each pair of crossings of the polygon (x, y) with that row."""
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    for row in range(max(0, int(np.ceil(y.min()))), min(rows - 1, int(np.floor(y.max()))) + 1):
        crossing = (y <= row) != (next_y <= row)
        at = x[crossing] + (row - y[crossing]) / (next_y[crossing] - y[crossing]) * (next_x[crossing] - x[crossing])
        at.sort()
        spans = [np.arange(max(0, int(np.ceil(a))), min(columns - 1, int(np.floor(b))) + 1) for a, b in at.reshape(-1, 2)]
        # Two crossings at one column would count its voxel twice.
        yield row, np.unique(np.concatenate(spans)) if spans else np.empty(0, np.int64)
