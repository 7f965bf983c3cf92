"""The paper's test of differences between methods (section 2.8), and its marks of significance."""

from __future__ import annotations

import numpy as np
from scipy.stats import wilcoxon

STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))
STARS_IN_WORDS = "\\* P < .05; \\*\\* P < .01; \\*\\*\\* P < .001"  # for Markdown


def signed_rank_p(first: np.ndarray, second: np.ndarray) -> float | None:
    """P of the two-sided Wilcoxon signed-rank test of pairs; None if all pairs are equal."""
    difference = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    return float(wilcoxon(difference).pvalue) if np.any(difference) else None


def stars(p: float | None) -> str:
    """The paper's marks of significance."""
    return next((mark for limit, mark in STARS if p is not None and p < limit), "")
