"""Susceptibility voids: spots where the field is disturbed and a gradient echo has lost its signal (T2* shortening).

Arguments: centres as fractions of the volume (slice, row, column), radii in pixels, depth (1 removes all signal).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ccdnn_training.triple import triple


@dataclass(frozen=True)
class SusceptibilityVoids:
    centres: tuple[tuple[float, float, float], ...]
    radii: tuple[float, ...]
    depth: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> SusceptibilityVoids:
        count = int(rng.integers(0, 6))
        centres = tuple(triple(rng.uniform((0.1, 0.2, 0.3), (0.9, 0.8, 0.8))) for _ in range(count))
        return cls(centres, tuple(float(r) for r in rng.uniform(2, 7, count)), float(rng.uniform(0.5, 0.95)))

    def apply(self, image: np.ndarray) -> np.ndarray:
        """A darkened copy of the image (slice, row, column); a void affects one slice."""
        result = image.copy()
        slices, rows, columns = image.shape
        y, x = np.ogrid[:rows, :columns]
        for (k, j, i), radius in zip(self.centres, self.radii, strict=True):
            squared = (y - j * rows) ** 2 + (x - i * columns) ** 2
            result[int(k * slices)] *= 1 - self.depth * np.exp(-squared / (2 * radius**2), dtype=np.float32)
        return result
