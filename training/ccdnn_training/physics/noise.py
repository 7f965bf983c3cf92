"""Rician noise (paper, Eq. S1)."""

from __future__ import annotations

import numpy as np
from scipy.special import ive


def add_rician_noise(signal: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """√((S + n₁)² + n₂²) with n₁, n₂ ~ N(0, σ): the magnitude of a complex image with equal noise in both channels.

    Args:
        signal: any shape, real; signed signals are allowed, the result is a magnitude.
        sigma: standard deviation of each channel, in the signal's units, 0 or more; p % noise is p / 100 · max(S).
        rng: source of the noise.
    """
    if sigma < 0:
        raise ValueError(f"The noise's standard deviation must be 0 or more, not {sigma}.")
    if sigma == 0:
        return np.abs(signal)
    real = signal + sigma * rng.standard_normal(signal.shape, dtype=np.float32)
    imaginary = sigma * rng.standard_normal(signal.shape, dtype=np.float32)
    return np.hypot(real, imaginary)


def rician_mean(signal: np.ndarray, sigma: float) -> np.ndarray:
    """The mean of `add_rician_noise` for a non-negative `signal`: σ √(π/2) L½(−S² / 2σ²)."""
    if sigma == 0:
        return np.asarray(signal)
    x = np.square(signal, dtype=np.float64) / (2 * sigma**2)
    return sigma * np.sqrt(np.pi / 2) * ((1 + x) * ive(0, x / 2) + x * ive(1, x / 2))  # ive is scaled by exp(−x/2)
