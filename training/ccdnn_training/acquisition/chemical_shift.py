"""Chemical shift: fat precesses slower than water, so it lands displaced along readout, and out of phase in a gradient echo.

Arguments: bandwidth in Hz a pixel, and the field in tesla. Example: at 3 T, 220 Hz a pixel displaces fat by two pixels.
The difference of frequencies is proportional to the field: 434–447 Hz at 3 T.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage


def fat_water_hz(tesla: float) -> float:
    """How much slower fat precesses than water."""
    return 440.0 * tesla / 3.0


@dataclass(frozen=True)
class ChemicalShift:
    bandwidth: float  # Hz a pixel
    readout_axis: int  # −1: along rows of the image (columns change), −2: along columns
    tesla: float = 3.0

    @classmethod
    def draw(cls, rng: np.random.Generator, readout_axis: int, tesla: float = 3.0) -> ChemicalShift:
        # Scanners of lower field read out more slowly, against noise, so that the displacement in pixels is alike.
        return cls(float(rng.uniform(220, 500) * (tesla / 3.0) ** 0.5), readout_axis, tesla)

    def apply(self, fat: np.ndarray) -> np.ndarray:
        """The fat image (slice, row, column), displaced by a fraction of or a few pixels."""
        shift = [0.0, 0.0, 0.0]
        shift[self.readout_axis] = fat_water_hz(self.tesla) / self.bandwidth
        return ndimage.shift(fat, shift, order=1, mode="nearest")


def fat_phase(te: float, tesla: float = 3.0) -> complex:
    """exp(i·2π·Δf·TE): fat's phase against water's at a gradient echo's TE (ms); a spin echo refocuses it to 1."""
    return complex(np.exp(2j * np.pi * fat_water_hz(tesla) * te * 1e-3))
