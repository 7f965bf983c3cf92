"""Smooth random fields in space, drawn once from a seed and read at any point: they make a procedural knee look organic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from ccdnn_training.phantom.shapes import Points

LATTICE = 48
NODES_A_BUMP = 4


class NoiseField:
    """Value noise of about unit variance whose bumps are `scale` (x, y, z) mm wide; it repeats every 48 bumps.

    Args:
        rng: source of the lattice values.
        scale: width of a bump in mm, one number or one per direction.
        smooth: cubic instead of linear interpolation between the lattice's values, for fields that move surfaces.
    """

    def __init__(self, rng: np.random.Generator, scale: float | tuple[float, float, float], *, smooth: bool = False) -> None:
        lattice = ndimage.gaussian_filter(rng.standard_normal((LATTICE,) * 3), 0.6, mode="wrap")
        self._lattice = (lattice / lattice.std()).astype(np.float32)
        if smooth:
            self._lattice = ndimage.spline_filter(self._lattice, order=2, output=np.float32, mode="grid-wrap")
        self._order = 2 if smooth else 1
        self._scale = np.broadcast_to(np.asarray(scale, dtype=np.float32), (3,))
        self._offset = rng.uniform(0, LATTICE, 3).astype(np.float32)

    def __call__(self, points: Points) -> np.ndarray:
        """Values at `points`, three arrays (sub-slice, row, column) that change smoothly from voxel to voxel.

        A field much wider than a voxel is evaluated only every few rows and columns, and interpolated between them.
        """
        whole = np.broadcast_arrays(*points)
        pixel = np.sqrt(sum(float(p[0, 0, -1] - p[0, 0, 0]) ** 2 for p in whole)) / max(1, whole[0].shape[2] - 1)
        stride = max(1, int(self._scale.min() / (NODES_A_BUMP * max(pixel, 1e-6))))
        if stride == 1:
            return self._at(whole)
        rows, columns = (_nodes(length, stride) for length in whole[0].shape[1:])
        coarse = self._at([p[:, rows][:, :, columns] for p in whole])
        between_rows, between_columns = (_interpolation(nodes) for nodes in (rows, columns))
        return between_rows @ coarse @ between_columns.T

    def _at(self, points: Sequence[np.ndarray]) -> np.ndarray:
        coordinates = np.stack([p / s + o for p, s, o in zip(points, self._scale, self._offset, strict=True)])
        return ndimage.map_coordinates(self._lattice, coordinates, order=self._order, mode="grid-wrap", prefilter=False)


def _nodes(length: int, stride: int) -> np.ndarray:
    """Every `stride`-th index, and the last."""
    return np.unique(np.append(np.arange(0, length, stride), length - 1))


def _interpolation(nodes: np.ndarray) -> np.ndarray:
    """(length, nodes) weights that interpolate linearly between `nodes`."""
    indices = np.arange(nodes[-1] + 1)
    return np.stack([np.interp(indices, nodes, unit) for unit in np.eye(len(nodes))], axis=1).astype(np.float32)


class Warp:
    """A smooth displacement of space by up to a few times `amplitude` mm, over distances of `scale` mm."""

    def __init__(self, rng: np.random.Generator, amplitude: float, scale: float) -> None:
        self._amplitude = np.float32(amplitude)
        self._fields = [NoiseField(rng, scale, smooth=True) for _ in range(3)]

    def __call__(self, points: Points) -> Points:
        x, y, z = (p + self._amplitude * field(points) for p, field in zip(points, self._fields, strict=True))
        return x, y, z
