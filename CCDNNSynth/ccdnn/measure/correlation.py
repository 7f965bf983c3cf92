"""How two profiles of one line go together: Pearson's r, and the shift at which they match best."""

from __future__ import annotations

import math

import numpy as np

from ccdnn.errors import InputError

# Below this correlation at the best shift the profiles show different things, and no shift is given.
LEAST_CORRELATION = 0.5

_CONSTANT = "A profile does not vary along the line, so nothing can be correlated with it."


def pearson_r(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's correlation coefficient of two profiles (n,).

    Raises:
        InputError: one of them is constant.
    """
    if _is_constant(x) or _is_constant(y):
        raise InputError(_CONSTANT)
    x, y = x - x.mean(), y - y.mean()
    return float(np.clip(x @ y / math.sqrt((x @ x) * (y @ y)), -1.0, 1.0))


def shift(acquired: np.ndarray, synthetic: np.ndarray, step_mm: float, limit_mm: float) -> float:
    """How much further along the line the synthetic profile lies than the acquired one, in mm.

    Pearson's r of the overlapping samples at every whole step up to `limit_mm` (and while half of the samples overlap); the peak
    between the steps by a parabola.

    Args:
        acquired, synthetic: (n,) finite, at equal steps.

    Raises:
        InputError: a constant profile, no correlation of `LEAST_CORRELATION`, or the best match lies at the limit.
    """
    n = len(acquired)
    reach = min(int(limit_mm / step_mm), n // 2)
    correlations = np.array([_at(lag, acquired, synthetic) for lag in range(-reach, reach + 1)])
    if np.isnan(correlations).all():
        raise InputError(_CONSTANT)
    best = int(np.nanargmax(correlations))
    if correlations[best] < LEAST_CORRELATION:
        raise InputError(f"The profiles are too unlike for a shift: at best they correlate by {correlations[best]:.2f}.")
    around = correlations[max(best - 1, 0) : best + 2]
    if len(around) < 3 or np.isnan(around).any():
        raise InputError(f"The best match lies at the limit of the search, {reach * step_mm:.2g} mm; the shift may be larger.")
    left, middle, right = around
    bend = left - 2 * middle + right
    between = 0.5 * (left - right) / bend if bend < 0 else 0.0
    return float((best - reach + between) * step_mm)


def _at(lag: int, acquired: np.ndarray, synthetic: np.ndarray) -> float:
    """Pearson's r where the synthetic profile is taken `lag` samples later; NaN where a constant piece is left."""
    n = len(acquired)
    first, second = (acquired[: n - lag], synthetic[lag:]) if lag >= 0 else (acquired[-lag:], synthetic[: n + lag])
    try:
        return pearson_r(first, second)
    except InputError:
        return math.nan


def _is_constant(values: np.ndarray) -> bool:
    # A constant leaves differences of the last digit.
    return bool(np.ptp(values) <= 1e-9 * np.abs(values).max())
