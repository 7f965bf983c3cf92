"""Chemical shift: fat precesses more slowly than water, so it is displaced along readout and out of phase in a gradient echo.

Arguments: bandwidth in Hz per pixel, and the field in tesla. Example: at 3 T, 220 Hz per pixel displaces fat by two pixels.
The frequency difference is proportional to the field: 434–447 Hz at 3 T.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage


def fat_water_hz(tesla: float) -> float:
    """How much more slowly fat precesses than water, in Hz."""
    return 440.0 * tesla / 3.0


@dataclass(frozen=True)
class ChemicalShift:
    bandwidth: float  # Hz per pixel
    readout_axis: int  # −1: along rows of the image (columns change), −2: along columns
    tesla: float = 3.0

    @classmethod
    def draw(cls, rng: np.random.Generator, readout_axis: int, tesla: float = 3.0) -> ChemicalShift:
        # Low-field scanners use a lower bandwidth to reduce noise, so the displacement in pixels is similar.
        return cls(float(rng.uniform(220, 500) * (tesla / 3.0) ** 0.5), readout_axis, tesla)

    def apply(self, fat: np.ndarray) -> np.ndarray:
        """The fat image (slice, row, column), displaced by a fraction of a pixel or a few pixels."""
        shift = [0.0, 0.0, 0.0]
        shift[self.readout_axis] = fat_water_hz(self.tesla) / self.bandwidth
        return ndimage.shift(fat, shift, order=1, mode="nearest")


def fat_phase(te: float, tesla: float = 3.0) -> complex:
    """exp(i·2π·Δf·TE): fat's phase relative to water at a gradient echo's TE (ms); a spin echo refocuses it to 1."""
    return complex(np.exp(2j * np.pi * fat_water_hz(tesla) * te * 1e-3))
