"""The tuples of the simulation study (paper, section 2.2) and their signals under the paper's protocol.

A tuple is (S0, T1, T2, T2*): S0 from 0.01 to 1 by 0.01, and in steps of 10 ms T1 from 10 to 4000, T2 from 10 to 2000 and T2*
from 10 to 1000 ms, with T1 > T2 > T2*.

Signals are magnitudes in units of the largest S0, so all four contrasts share one scale and lie between 0 and 1: the
paper's normalisation, one minimum and one maximum for all of the data, with the constants 0 and 1.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ccdnn_training.physics.protocol import CONTRASTS, PAPER_PROTOCOL

STEPS = (100, 400, 200, 100)  # of S0, T1, T2 and T2*
STEP = (0.01, 10.0, 10.0, 10.0)  # 1, ms, ms, ms


def draw_tuples(rng: np.random.Generator, count: int) -> np.ndarray:
    """`count` tuples (tuple, 4) float64 of S0, T1, T2, T2* (ms), uniformly from all grid points that meet the constraint."""
    found = np.empty((0, 4))
    while len(found) < count:
        # About half of the grid meets the constraint.
        drawn = rng.integers(1, np.array(STEPS) + 1, (2 * (count - len(found)) + 16, 4)) * np.array(STEP)
        _, t1, t2, t2_star = drawn.T
        found = np.concatenate([found, drawn[(t1 > t2) & (t2 > t2_star)]])
    return found[:count]


def signals_of(tuples: np.ndarray) -> np.ndarray:
    """Magnitudes (tuple, contrast) float32 of tuples (tuple, 4), contrasts in the order of `CONTRASTS`."""
    signals = [np.abs(PAPER_PROTOCOL[contrast].signal(*tuples.T)) for contrast in CONTRASTS]
    return np.stack(signals, axis=1).astype(np.float32)


@cache
def signal_maxima() -> np.ndarray:
    """The largest magnitude of each contrast over the whole grid, (contrast,) float32.

    A signal only grows with S0 and T2*, so their largest allowed values suffice.
    """
    t1, t2 = (axis.ravel() for axis in np.meshgrid(np.arange(10.0, 4001, 10), np.arange(20.0, 2001, 10)))
    allowed = t1 > t2
    t1, t2 = t1[allowed], t2[allowed]
    tuples = np.stack([np.ones_like(t1), t1, t2, np.minimum(t2 - 10, 1000)], axis=1)
    return signals_of(tuples).max(axis=0)
