"""Correlation of two profiles of one line: Pearson's r, and the shift at which they match best."""

from __future__ import annotations

import math

import numpy as np

from ccdnn.errors import InputError

# Below this correlation at the best shift the profiles are too different, and no shift is reported.
LEAST_CORRELATION = 0.5

_CONSTANT = "A profile does not vary along the line, so no correlation can be computed."


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
    """The shift of the synthetic profile along the line relative to the acquired one, in mm.

    Computes Pearson's r of the overlapping samples at every whole step up to `limit_mm`, while half of the samples overlap. A
    parabola locates the peak between the steps.

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
        raise InputError(f"The profiles are too different for a shift: their best correlation is {correlations[best]:.2f}.")
    around = correlations[max(best - 1, 0) : best + 2]
    if len(around) < 3 or np.isnan(around).any():
        raise InputError(f"The best match lies at the limit of the search, {reach * step_mm:.2g} mm; the shift may be larger.")
    left, middle, right = around
    bend = left - 2 * middle + right
    between = 0.5 * (left - right) / bend if bend < 0 else 0.0
    return float((best - reach + between) * step_mm)


def _at(lag: int, acquired: np.ndarray, synthetic: np.ndarray) -> float:
    """Pearson's r with the synthetic profile read `lag` samples later; NaN if the overlapping part is constant."""
    n = len(acquired)
    first, second = (acquired[: n - lag], synthetic[lag:]) if lag >= 0 else (acquired[-lag:], synthetic[: n + lag])
    try:
        return pearson_r(first, second)
    except InputError:
        return math.nan


def _is_constant(values: np.ndarray) -> bool:
    # Rounding leaves tiny differences in a constant profile.
    return bool(np.ptp(values) <= 1e-9 * np.abs(values).max())
