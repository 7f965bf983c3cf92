"""Reslicing: a series acquired in another plane, or with thicker slices, and interpolated onto the study's grid.

Along the normal of its own slices such a series has samples millimetres apart, each the mean over a slice's thickness. `ccdnn`
interpolates linearly between them, so edges across this direction are smeared. Along the tibial plateau, this partial volume looks
like edema.

Arguments: the axis of the study's grid that the slices are stacked along (−3 slice, −2 row, −1 column), their spacing and thickness
in mm, and the offset of the first slice as a fraction of the spacing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Reslicing:
    axis: int
    spacing_mm: float
    thickness_mm: float
    first: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Reslicing:
        """Another plane in two of three draws; in the third, slices of 5 to 9 mm in the same plane."""
        axis = int(rng.choice((-1, -2, -3)))
        spacing = float(rng.uniform(5.0, 9.0) if axis == -3 else rng.uniform(2.0, 5.0))
        return cls(axis, spacing, spacing * float(rng.uniform(0.8, 1.0)), float(rng.random()))

    def sample(self, image: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
        """The series' own slices: `image` (slice, row, column; `spacing` in mm) averaged to its slices along `axis`."""
        return _along(image, self.axis, self._means(image.shape[self.axis], spacing[self.axis]))

    def interpolate(self, sampled: np.ndarray, length: int, spacing: tuple[float, float, float]) -> np.ndarray:
        """`sampled`, linearly interpolated onto the study's grid, which has `length` voxels along `axis`."""
        return _along(sampled, self.axis, self._weights(length, spacing[self.axis]))

    def _centres(self, length: int, size: float) -> np.ndarray:
        """Positions of the slices in mm from the centre of the grid's first voxel; they extend beyond both ends."""
        extent = (length - 1) * size
        count = int(np.ceil(extent / self.spacing_mm)) + 2
        return (np.arange(count) - self.first) * self.spacing_mm

    def _means(self, length: int, size: float) -> np.ndarray:
        """(slices, length): the share of each voxel in each slice's mean; beyond the ends the edge values repeat."""
        centres, position = self._centres(length, size), np.arange(length) * size
        overlap = np.minimum(position + size / 2, centres[:, None] + self.thickness_mm / 2)
        overlap -= np.maximum(position - size / 2, centres[:, None] - self.thickness_mm / 2)
        weights = np.clip(overlap, 0, None)
        outside = weights.sum(axis=1) == 0  # thinner than the voxel spacing, or beyond an end: the nearest voxel
        nearest = np.abs(position - centres[:, None]).argmin(axis=1)
        weights[outside, nearest[outside]] = 1
        return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)

    def _weights(self, length: int, size: float) -> np.ndarray:
        """(length, slices): linear interpolation between the slices."""
        place = np.arange(length) * size / self.spacing_mm + self.first
        count = len(self._centres(length, size))
        return np.clip(1 - np.abs(place[:, None] - np.arange(count)), 0, None).astype(np.float32)


def _along(image: np.ndarray, axis: int, matrix: np.ndarray) -> np.ndarray:
    """`matrix` (new, old) applied along `axis` of a real or complex image."""
    return np.moveaxis(np.tensordot(matrix, image, axes=(1, axis)), 0, axis)
