"""The features of a pixel in Replica (Jog et al., Medical Image Analysis 2017), at one resolution.

    3×3 patch of every contrast · the coarser level's prediction · 32 context means of every contrast

A context mean is the mean over a square whose centre lies in one of 8 directions (45° apart) at one of 4 distances; farther
squares are larger. Its paper has them for one contrast; here every contrast has them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter

_PATCH = [(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1)]
_DIRECTIONS = np.deg2rad(np.arange(0, 360, 45))


@dataclass(frozen=True)
class Context:
    """Distances and side lengths of the context squares, in pixels of the level."""

    radii: tuple[int, ...]
    widths: tuple[int, ...]

    def offsets(self) -> list[tuple[int, int, int]]:
        """(row offset, column offset, width) of every square."""
        return [
            (round(radius * np.sin(angle)), round(radius * np.cos(angle)), width)
            for radius, width in zip(self.radii, self.widths, strict=True)
            for angle in _DIRECTIONS
        ]


FINEST = Context((4, 8, 16, 32), (3, 5, 7, 9))
COARSER = Context((2, 4, 8, 16), (1, 3, 5, 7))


def features_of(images: np.ndarray, coarser: np.ndarray | None, context: Context, pixels: np.ndarray) -> np.ndarray:
    """Features (pixel, feature) float32 of some pixels of one slice.

    Args:
        images: (contrast, row, column) at this level.
        coarser: (row, column) at this level, the coarser level's prediction of the target; None at the coarsest.
        context: the squares of this level.
        pixels: (pixel, 2) rows and columns. Beyond the border, the nearest pixel is used.
    """
    means = {width: uniform_filter(images, (1, width, width), mode="nearest") for width in set(context.widths)}
    columns = [_at(images, pixels, row, column) for row, column in _PATCH]
    columns += [_at(means[width], pixels, row, column) for row, column, width in context.offsets()]
    if coarser is not None:
        columns.append(_at(coarser[None], pixels, 0, 0))
    return np.concatenate(columns).T.astype(np.float32)


def _at(images: np.ndarray, pixels: np.ndarray, row: int, column: int) -> np.ndarray:
    """(contrast, pixel) values at the pixels moved by an offset."""
    rows = np.clip(pixels[:, 0] + row, 0, images.shape[-2] - 1)
    columns = np.clip(pixels[:, 1] + column, 0, images.shape[-1] - 1)
    return images[:, rows, columns]
