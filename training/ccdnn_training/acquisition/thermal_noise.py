"""Thermal noise: Rician on the magnitude image (paper, Eq. S1); STIR, with half its magnetisation spent, is the noisiest.

Arguments: standard deviation in each channel, in per cent of the image's robust maximum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ccdnn_training.physics.noise import add_rician_noise

_PERCENT = {"t1": (0.5, 1.8), "t2": (0.5, 1.8), "gre": (0.6, 2.0), "stir": (0.8, 2.0)}
ROBUST_MAXIMUM_PERCENTILE = 99.5
WIDEST_PERCENT = 10.0  # of a fast or low-field input


@dataclass(frozen=True)
class ThermalNoise:
    percent: float
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator, contrast: str) -> ThermalNoise:
        return cls(float(rng.uniform(*_PERCENT[contrast])), int(rng.integers(2**31)))

    @classmethod
    def draw_wide(cls, rng: np.random.Generator) -> ThermalNoise:
        """Noise of an input from any hospital: from half a per cent to, rarely, `WIDEST_PERCENT`."""
        spread = float(rng.beta(1.0, 1.6))
        return cls(0.5 * (WIDEST_PERCENT / 0.5) ** spread, int(rng.integers(2**31)))

    def apply(self, image: np.ndarray) -> np.ndarray:
        """The magnitude of `image` (slice, row, column; real or complex) with noise."""
        magnitude = np.abs(image)
        sigma = self.percent / 100 * float(np.percentile(magnitude, ROBUST_MAXIMUM_PERCENTILE))
        return add_rician_noise(magnitude, sigma, np.random.default_rng(self.seed))
