"""Smooth random fields in space, drawn once from a seed and read at any point: what makes a procedural knee organic."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ccdnn_training.phantom.shapes import Points

LATTICE = 48


class NoiseField:
    """Value noise of about unit variance whose bumps are `scale` (x, y, z) mm wide; it repeats every 48 bumps.

    Args:
        rng: source of the lattice values.
        scale: width of a bump in mm, one number or one a direction.
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
        coordinates = np.stack([p / s + o for p, s, o in zip(np.broadcast_arrays(*points), self._scale, self._offset, strict=True)])
        return ndimage.map_coordinates(self._lattice, coordinates, order=self._order, mode="grid-wrap", prefilter=False)


class Warp:
    """A smooth displacement of space, up to a few `amplitude` mm, over distances of `scale` mm."""

    def __init__(self, rng: np.random.Generator, amplitude: float, scale: float) -> None:
        self._amplitude = np.float32(amplitude)
        self._fields = [NoiseField(rng, scale, smooth=True) for _ in range(3)]

    def __call__(self, points: Points) -> Points:
        x, y, z = (p + self._amplitude * field(points) for p, field in zip(points, self._fields, strict=True))
        return x, y, z
