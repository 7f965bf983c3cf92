"""Truncation: a scanner measures fewer phase-encoding lines than the image has rows, which rings at edges (Gibbs).

Arguments: share of the k-space lines measured along each direction. The paper's voxels of 0.45 × 0.57 mm in a 160 mm
field of view shown on 384 pixels are 0.93 along readout and 0.73 along phase.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft


@dataclass(frozen=True)
class Truncation:
    readout: float
    phase: float
    phase_axis: int

    @classmethod
    def draw(cls, rng: np.random.Generator, phase_axis: int) -> Truncation:
        return cls(float(rng.uniform(0.88, 1.0)), float(rng.uniform(0.66, 0.86)), phase_axis)

    def apply(self, image: np.ndarray) -> np.ndarray:
        """The image (slice, row, column), complex or real, with its outer k-space cut off; complex64."""
        keep = np.ones(image.shape[1:], dtype=np.float32)
        for axis in (-1, -2):
            share = self.phase if axis == self.phase_axis else self.readout
            keep *= _window(image.shape[axis], share) if axis == -1 else _window(image.shape[axis], share)[:, None]
        return fft.ifft2(fft.fft2(image.astype(np.complex64), axes=(-2, -1)) * keep, axes=(-2, -1))


def _window(length: int, share: float) -> np.ndarray:
    """1 for the measured lines, with the short taper that scanners apply against ringing, in FFT order."""
    frequency = np.abs(np.fft.fftfreq(length)) * 2
    return np.clip((share - frequency) / 0.06 + 0.5, 0, 1).astype(np.float32)
