"""Reader agreement: intraclass correlation (two-way random effects, absolute agreement) of a single reader or the readers' mean.

Shrout and Fleiss 1979 (ICC(2,1) and ICC(2,k)); confidence intervals of McGraw and Wong 1996, cases A,1 and A,k.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import f as f_distribution

# The paper's section 2.9; a value between 0.59 and 0.60 counts as fair.
INTERPRETATION = ((0.75, "excellent"), (0.60, "good"), (0.40, "fair"))


@dataclass(frozen=True)
class Agreement:
    """An intraclass correlation, its confidence interval, and the numbers of targets and readers."""

    value: float
    low: float
    high: float
    targets: int
    readers: int

    @property
    def interpretation(self) -> str:
        """The paper's term for this level of agreement."""
        if not np.isfinite(self.value):
            return "not defined"
        return next((word for least, word in INTERPRETATION if self.value >= least), "poor")


def intraclass_correlation(scores: np.ndarray, confidence: float = 0.95) -> tuple[Agreement, Agreement]:
    """ICC(2,1) for a single reader and ICC(2,k) for the mean of all readers.

    Args:
        scores: (target, reader); every reader scored every target; at least two of each.

    Returns:
        NaN if all scores are equal, because agreement is then undefined.

    Raises:
        ValueError: fewer than two targets or readers, or a missing score.
    """
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 2 or min(scores.shape) < 2 or not np.isfinite(scores).all():
        raise ValueError("An intraclass correlation needs at least two targets and two readers, with no score missing.")
    n, k = scores.shape
    centred = scores - scores.mean()
    rows, columns = centred.mean(axis=1), centred.mean(axis=0)
    of_targets = k * np.sum(rows**2) / (n - 1)
    of_readers = n * np.sum(columns**2) / (k - 1)
    residual = np.sum((centred - rows[:, None] - columns) ** 2) / ((n - 1) * (k - 1))
    total = of_targets + (k - 1) * residual + k * (of_readers - residual) / n
    if total <= 0 or np.allclose(centred, 0):
        nothing = Agreement(float("nan"), float("nan"), float("nan"), n, k)
        return nothing, nothing
    single = (of_targets - residual) / total
    low, high = _interval(single, of_targets, of_readers, residual, n, k, confidence)
    of_mean = Agreement(_of_mean(single, k), _of_mean(low, k), _of_mean(high, k), n, k)
    return Agreement(float(single), low, high, n, k), of_mean


def _interval(
    single: float, of_targets: float, of_readers: float, residual: float, n: int, k: int, confidence: float
) -> tuple[float, float]:
    if residual <= 0 and of_readers <= 0:  # the readers agree on everything
        return 1.0, 1.0
    a = k * single / (n * (1 - single))
    b = 1 + k * single * (n - 1) / (n * (1 - single))
    freedom = (a * of_readers + b * residual) ** 2 / ((a * of_readers) ** 2 / (k - 1) + (b * residual) ** 2 / ((n - 1) * (k - 1)))
    tail = (1 + confidence) / 2
    lower, upper = f_distribution.ppf(tail, n - 1, freedom), f_distribution.ppf(tail, freedom, n - 1)
    spread = k * of_readers + (k * n - k - n) * residual
    low = n * (of_targets - lower * residual) / (lower * spread + n * of_targets)
    high = n * (upper * of_targets - residual) / (spread + n * upper * of_targets)
    return float(low), float(high)


def _of_mean(single: float, k: int) -> float:
    """The agreement of the mean of k readers, by the Spearman–Brown formula."""
    return float(single * k / (1 + single * (k - 1)))
