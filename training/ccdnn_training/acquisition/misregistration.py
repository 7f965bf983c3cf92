"""Misregistration: the patient moved between series, by 0–2 pixels and a fraction of a degree (paper, section 2.6).

Arguments: shift in pixels (row, column), rotation in degrees about the image's centre.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class Misregistration:
    shift: tuple[float, float]
    rotation: float

    @classmethod
    def draw(cls, rng: np.random.Generator, largest_shift: float = 2.0) -> Misregistration:
        direction, distance = rng.uniform(0, 2 * np.pi), abs(rng.normal(0, 0.35 * largest_shift))
        distance = min(distance, largest_shift)
        return cls((float(distance * np.sin(direction)), float(distance * np.cos(direction))), float(rng.uniform(-0.3, 0.3)))

    def apply(self, image: np.ndarray) -> np.ndarray:
        """A real image (slice, row, column) with all slices moved alike, by cubic interpolation so that edges stay sharp."""
        angle = np.deg2rad(self.rotation)
        matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        centre = (np.array(image.shape[1:]) - 1) / 2
        offset = centre - matrix @ (centre + self.shift)
        moved = [ndimage.affine_transform(s, matrix, offset, order=3, mode="nearest", output=np.float32) for s in image]
        return np.stack(moved)
