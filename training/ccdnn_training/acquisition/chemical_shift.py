"""Chemical shift: fat precesses slower than water, so it lands displaced along readout, and out of phase in a gradient echo.

Arguments: bandwidth in Hz a pixel. Example: 440 Hz at 220 Hz a pixel displaces fat by two pixels.
Source: `physics.md` of the project; 434–447 Hz at 3 T.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

FAT_WATER_HZ = 440.0  # at 3 T


@dataclass(frozen=True)
class ChemicalShift:
    bandwidth: float  # Hz a pixel
    readout_axis: int  # −1: along rows of the image (columns change), −2: along columns

    @classmethod
    def draw(cls, rng: np.random.Generator, readout_axis: int) -> ChemicalShift:
        return cls(bandwidth=float(rng.uniform(220, 500)), readout_axis=readout_axis)

    def apply(self, fat: np.ndarray) -> np.ndarray:
        """The fat image (slice, row, column), displaced by a fraction of or a few pixels."""
        shift = [0.0, 0.0, 0.0]
        shift[self.readout_axis] = FAT_WATER_HZ / self.bandwidth
        return ndimage.shift(fat, shift, order=1, mode="nearest")


def fat_phase(te: float) -> complex:
    """exp(i·2π·Δf·TE): fat's phase against water's at a gradient echo's TE (ms); a spin echo refocuses it to 1."""
    return complex(np.exp(2j * np.pi * FAT_WATER_HZ * te * 1e-3))
