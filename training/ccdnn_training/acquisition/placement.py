"""Placement: the patient moved between series, in three dimensions and further than in `misregistration`.

Arguments: shift in mm (slice, row, column), rotation in degrees about each of these axes, through the volume's centre.
Interpolation is linear between slices and cubic within them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ccdnn_training.acquisition.misregistration import Misregistration
from ccdnn_training.triple import triple

LARGEST_SHIFT, LARGEST_ROTATION = 3.0, 2.0  # mm, degrees


@dataclass(frozen=True)
class Placement:
    shift_mm: tuple[float, float, float]
    rotation: tuple[float, float, float]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Placement:
        """Half of the series hardly move; the others move by up to `LARGEST_SHIFT`."""
        distance = min(abs(rng.normal(0, 0.4 if rng.random() < 0.5 else 1.5)), LARGEST_SHIFT)
        direction = rng.normal(size=3)
        shift = distance * direction / np.linalg.norm(direction)
        degrees = np.clip(rng.normal(0, 0.15 + 0.3 * distance, 3), -LARGEST_ROTATION, LARGEST_ROTATION)
        return cls(triple(shift), triple(degrees))

    def apply(self, image: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
        """The real image (slice, row, column) moved; `spacing` in mm in the same order."""
        between = self._between_slices(image, spacing)
        rows, columns = (shift / size for shift, size in zip(self.shift_mm[1:], spacing[1:], strict=True))
        return Misregistration((rows, columns), self.rotation[0]).apply(between)

    def _between_slices(self, image: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
        """The image moved through the slices, by the shift and by the tilt about the in-plane axes."""
        slices, rows, columns = image.shape
        about_rows, about_columns = np.tan(np.deg2rad(self.rotation[1:]))
        y = (np.arange(rows, dtype=np.float32) - (rows - 1) / 2)[:, None] * np.float32(spacing[1])
        x = (np.arange(columns, dtype=np.float32) - (columns - 1) / 2) * np.float32(spacing[2])
        offset = (np.float32(self.shift_mm[0]) + np.float32(about_columns) * y + np.float32(about_rows) * x) / np.float32(
            spacing[0]
        )
        result = np.empty_like(image)
        for index in range(slices):
            place = np.clip(index - offset, 0, slices - 1)
            lower = np.minimum(place.astype(np.intp), max(slices - 2, 0))
            share = place - lower
            upper = np.minimum(lower + 1, slices - 1)
            # Only the slices near this one contribute.
            result[index] = sum(
                image[k] * np.where(lower == k, 1 - share, 0) + image[k] * np.where(upper == k, share, 0)
                for k in range(int(lower.min()), int(upper.max()) + 1)
            )
        return result
