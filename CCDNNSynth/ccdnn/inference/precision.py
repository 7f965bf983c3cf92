"""Checks whether a reduced precision agrees with float32 on the study at hand, and whether it is faster."""

from __future__ import annotations

import math
import time

import numpy as np

from ccdnn.inference.backend import Backend

# A root-mean-square deviation of 1/316 of the intensity range, an order of magnitude below the noise of any MR image.
LOWEST_AGREEMENT_DB = 50.0

PROBE_SIDE = 96
TIMED_SIDE = 192  # a smaller image fits the caches, where 16 bits gain more than in a whole slice


def agreement_db(reference: np.ndarray, other: np.ndarray) -> float:
    """PSNR of `other` against `reference` in dB, with the reference's range as the peak; −inf if `other` is not finite.

    A constant reference has no range: an equal image gives +inf, any other −inf.
    """
    if not np.isfinite(other).all():
        return -math.inf
    error = float(np.sqrt(np.mean((other.astype(np.float64) - reference) ** 2)))
    peak = float(reference.max() - reference.min())
    if error == 0:
        return math.inf
    return 20 * math.log10(peak / error) if peak > 0 else -math.inf


def probe_of(images: np.ndarray, side: int = PROBE_SIDE) -> np.ndarray:
    """The block of the study that varies most, (1, contrast, row, column): tissue edges and outliers, where rounding matters most.

    Args:
        images: (contrast, slice, row, column), normalised.
        side: of the block in pixels; smaller images are used whole.
    """
    contrasts, slices, rows, columns = images.shape
    height, width = min(side, rows), min(side, columns)
    down, across = rows // height, columns // width
    top, left = (rows - down * height) // 2, (columns - across * width) // 2
    blocks = images[:, :, top : top + down * height, left : left + across * width]
    blocks = blocks.reshape(contrasts, slices, down, height, across, width)
    variance = blocks.var(axis=(3, 5)).sum(axis=0)
    index, i, j = np.unravel_index(int(variance.argmax()), variance.shape)
    return np.ascontiguousarray(blocks[:, index, i, :, j, :][None])


def agrees(reference: Backend, reduced: Backend, probe: np.ndarray) -> tuple[bool, float]:
    """Whether `reduced` may stand in for `reference`, and the agreement of their images on `probe` in dB."""
    agreement = agreement_db(reference(probe)[:, 0], reduced(probe)[:, 0])
    return agreement >= LOWEST_AGREEMENT_DB, agreement


def gain(reference: Backend, reduced: Backend, probe: np.ndarray, repeats: int = 3) -> float:
    """How many times as fast as `reference` the backend `reduced` is on `probe`.

    The two take turns, so that other work on the machine affects both; the fastest turn of each counts.
    """
    best: dict[int, float] = {}
    for _ in range(repeats):
        for backend in (reference, reduced):
            started = time.perf_counter()
            backend(probe)
            seconds = time.perf_counter() - started
            best[id(backend)] = min(seconds, best.get(id(backend), math.inf))
    return best[id(reference)] / best[id(reduced)]
