"""Signal equations of the paper's section 2.1, vectorised. Times in ms, angles in degrees, signals relative to S0.

All arguments broadcast; T1, T2 and T2* must be positive.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Signal = NDArray[np.floating]


def spin_echo(s0: ArrayLike, t1: ArrayLike, t2: ArrayLike, *, tr: float, te: float) -> Signal:
    """Eq. 1: S0 · (1 − exp(−TR/T1)) · exp(−TE/T2)."""
    t1, t2 = np.asarray(t1, dtype=float), np.asarray(t2, dtype=float)
    return np.asarray(s0) * -np.expm1(-tr / t1) * np.exp(-te / t2)


def spoiled_gradient_echo(s0: ArrayLike, t1: ArrayLike, t2_star: ArrayLike, *, tr: float, te: float, flip_angle: float) -> Signal:
    """Eq. 2: S0 · sinθ · (1 − E1) / (1 − cosθ · E1) · exp(−TE/T2*), E1 = exp(−TR/T1)."""
    t1, t2_star = np.asarray(t1, dtype=float), np.asarray(t2_star, dtype=float)
    theta = np.deg2rad(flip_angle)
    e1 = np.exp(-tr / t1)
    return np.asarray(s0) * np.sin(theta) * (1 - e1) / (1 - np.cos(theta) * e1) * np.exp(-te / t2_star)


def inversion_recovery(s0: ArrayLike, t1: ArrayLike, t2: ArrayLike, *, tr: float, te: float, ti: float) -> Signal:
    """Eq. 3, signed: S0 · (1 − 2·exp(−TI/T1) + exp(−TR/T1)) · exp(−TE/T2). An image shows its magnitude."""
    t1, t2 = np.asarray(t1, dtype=float), np.asarray(t2, dtype=float)
    return np.asarray(s0) * (1 - 2 * np.exp(-ti / t1) + np.exp(-tr / t1)) * np.exp(-te / t2)
