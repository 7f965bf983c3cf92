"""Saturation band: a slab that the scanner darkens to suppress motion or flow, oblique through the slices of one series.

Arguments: direction of the slab's normal in degrees from the row axis, distance of its edge from the image's centre and softness of
the edge as fractions of the image, and the share of signal that remains.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SaturationBand:
    direction: float
    edge: float
    softness: float
    left: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> SaturationBand:
        return cls(*(float(v) for v in rng.uniform((0, 0.1, 0.01, 0.05), (360, 0.45, 0.06, 0.6))))

    def apply(self, image: np.ndarray) -> np.ndarray:
        """The image (slice, row, column), darkened beyond the edge in all of its slices."""
        rows, columns = image.shape[1:]
        y = np.linspace(-0.5, 0.5, rows, dtype=np.float32)[:, None]
        x = np.linspace(-0.5, 0.5, columns, dtype=np.float32)
        angle = np.deg2rad(self.direction)
        beyond = np.clip((np.float32(np.cos(angle)) * y + np.float32(np.sin(angle)) * x - self.edge) / self.softness + 0.5, 0, 1)
        return image * (1 - np.float32(1 - self.left) * beyond).astype(np.float32)
