"""Whether a synthetic STIR shows a lesion."""

from __future__ import annotations

import math

import numpy as np

MARROW = "bone"  # bone marrow, as the paper calls it (Figure 8)


def contrast_kept(synthetic: np.ndarray, acquired: np.ndarray, lesion: np.ndarray, marrow: np.ndarray) -> float:
    """Difference of the means of lesion and marrow in the synthetic STIR, divided by that in the acquired one.

    1 is a lesion as bright as acquired, 0 an invisible one, negative a dark one; NaN if the acquired STIR shows none.

    Args:
        synthetic, acquired: (slice, row, column), in one unit.
        lesion, marrow: (slice, row, column) bool.
    """
    shown, there = (float(image[lesion].mean() - image[marrow].mean()) for image in (synthetic, acquired))
    return shown / there if there else math.nan
