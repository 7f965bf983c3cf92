"""The main edge of a profile: its position and width, robust to noise.

An edge between two uniform tissues, blurred by the scanner, has the shape of an error function. Its 10–90 % width is the distance
between 10 % and 90 % of the step between the two sides. Single samples are too noisy to measure this, so the error function is
fitted to all samples of the edge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ccdnn.errors import InputError

# Standard deviation, in samples, of the Gaussian used to find the edge (one voxel at the default step). The fit itself
# uses the unsmoothed samples, so the smoothing does not widen the edge.
_SMOOTHING = 2.0
# The edge ends where the slope falls below this share of its maximum; beyond that the profile is level.
_LEVEL_SLOPE = 0.15
# The minimum step of an edge, in standard deviations of the noise.
_CLEAR = 5.0
# Samples this far apart do not share a voxel at the default step, so their noise is independent.
_INDEPENDENT = 2
_SMALLEST_LENGTH = 8

_WIDTH_PER_SIGMA = 2 * 1.2815515655446004  # between the 10 % and 90 % quantiles of the normal distribution
_Z = np.linspace(-6, 6, 4801)
_NORMAL = np.array([0.5 * math.erfc(-z / math.sqrt(2)) for z in _Z])  # numpy has no error function


@dataclass(frozen=True)
class Edge:
    """An error function of distance.

    Args:
        position: its midpoint, in mm from the first sample.
        width: from 10 to 90 % of the step, in mm.
        before, after: the levels on its two sides, in the image's units.
    """

    position: float
    width: float
    before: float
    after: float

    @property
    def rising(self) -> bool:
        return self.after > self.before


def main_edge(
    values: np.ndarray, step_mm: float, *, like: Edge | None = None, within_mm: float = math.inf, name: str = "The profile"
) -> Edge:
    """The edge at the steepest point of a profile.

    Args:
        values: (n,) finite, at equal steps.
        step_mm: between the samples.
        like: the edge of another profile of the same line; the result has the same direction (up or down) and lies at most
            `within_mm` from it.
        name: for messages.

    Raises:
        InputError: there is none; the message says why.
    """
    values = np.asarray(values, np.float64)
    if len(values) < _SMALLEST_LENGTH:
        raise InputError(f"{name} is too short for an edge ({len(values)} samples, {_SMALLEST_LENGTH} are needed).")
    slope = np.gradient(_smoothed(values))
    if like is None:
        steepness = np.abs(slope)
    else:
        distance = np.arange(len(values)) * step_mm - like.position
        steepness = np.where(np.abs(distance) <= within_mm, slope if like.rising else -slope, 0.0)
    steepest = int(np.argmax(steepness))
    # A constant leaves differences of the last digit.
    if steepness[steepest] <= 1e-9 * np.abs(values).max():
        where = "" if like is None else f" of that direction within {within_mm:g} mm of the other image's"
        raise InputError(f"{name} has no edge{where}.")
    first, last = _extent(slope * np.sign(slope[steepest]), steepest)
    edge, left_over = _fit(values[first : last + 1], steepest - first)
    if abs(edge.after - edge.before) < _CLEAR * max(left_over, _noise(values)):
        raise InputError(f"{name} has no edge that stands out of its noise.")
    return Edge((first + edge.position) * step_mm, edge.width * step_mm, edge.before, edge.after)


def _smoothed(values: np.ndarray) -> np.ndarray:
    radius = math.ceil(3 * _SMOOTHING)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / _SMOOTHING) ** 2)
    return np.convolve(np.pad(values, radius, mode="edge"), kernel / kernel.sum(), mode="valid")


def _noise(values: np.ndarray) -> float:
    """Standard deviation of the noise, from second differences, in which slopes cancel and edges affect few samples."""
    bends = values[2 * _INDEPENDENT :] - 2 * values[_INDEPENDENT:-_INDEPENDENT] + values[: -2 * _INDEPENDENT]
    return float(1.4826 * np.median(np.abs(bends)) / math.sqrt(6))


def _extent(slope: np.ndarray, steepest: int) -> tuple[int, int]:
    """First and last sample of the edge, whose slope is positive, with as much of the level sides as the edge is long."""
    level = _LEVEL_SLOPE * slope[steepest]
    first = last = steepest
    while first > 0 and slope[first - 1] > level:
        first -= 1
    while last < len(slope) - 1 and slope[last + 1] > level:
        last += 1
    length = last - first + 1
    left, right = max(0, first - length), min(len(slope) - 1, last + length)
    while first > left and abs(slope[first - 1]) <= level:
        first -= 1
    while last < right and abs(slope[last + 1]) <= level:
        last += 1
    return first, last


def _fit(values: np.ndarray, start: float) -> tuple[Edge, float]:
    """Least-squares fit of an error function, in samples, and the standard deviation of its residuals.

    For a given midpoint and width the two levels follow from linear equations, so only midpoint and width are searched, on a
    successively refined grid. The levels stay within the observed values: a thin structure has no level side to fix them.
    """
    n = len(values)
    middle, log_sigma = float(start), math.log(n / 6)
    reach = np.array([n / 4, 2.5])
    steps = np.linspace(-1, 1, 9)
    best = (math.inf, middle, log_sigma, 0.0, 0.0)
    while reach.max() > 1e-3:
        # Narrower than a tenth of a sample is a step; wider than the window is not this edge.
        middles = np.clip(middle + reach[0] * steps, 0, n - 1)
        sigmas = np.exp(np.clip(log_sigma + reach[1] * steps, math.log(0.1), math.log(n)))
        m, s = (grid.ravel() for grid in np.meshgrid(middles, sigmas))
        share = np.interp((np.arange(n) - m[:, None]) / s[:, None], _Z, _NORMAL)
        cost, before, after = _levels(share, values)
        index = int(np.argmin(cost))
        best = min(best, (float(cost[index]), float(m[index]), math.log(s[index]), float(before[index]), float(after[index])))
        _cost, middle, log_sigma = best[:3]
        reach = reach / 3
    least, middle, log_sigma, below, above = best
    left_over = math.sqrt(max(least, 0.0) / max(n - 4, 1))
    return Edge(middle, _WIDTH_PER_SIGMA * math.exp(log_sigma), below, above), left_over


def _levels(share: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The levels p, q, within the range of the values, for the best fit of p·(1 − share) + q·share, for each row of `share`."""
    low, high = values.min(), values.max()
    rest = 1 - share
    uu, uv, vv = (rest * rest).sum(axis=1), (rest * share).sum(axis=1), (share * share).sum(axis=1)
    uy, vy = rest @ values, share @ values
    tiny = np.finfo(float).tiny
    determinant = np.maximum(uu * vv - uv * uv, tiny)
    p, q = (vv * uy - uv * vy) / determinant, (uu * vy - uv * uy) / determinant
    # The best pair lies inside the square of allowed levels or on one of its four sides.
    candidates = [(p, q)]
    for bound in (low, high):
        fixed = np.full_like(p, bound)
        candidates.append((fixed, np.clip((vy - uv * bound) / np.maximum(vv, tiny), low, high)))
        candidates.append((np.clip((uy - uv * bound) / np.maximum(uu, tiny), low, high), fixed))
    costs = np.stack([values @ values - 2 * (p * uy + q * vy) + p * p * uu + 2 * p * q * uv + q * q * vv for p, q in candidates])
    costs[0, (p < low) | (p > high) | (q < low) | (q > high)] = np.inf
    choice = costs.argmin(axis=0)
    rows = np.arange(len(choice))
    ps, qs = (np.stack(side) for side in zip(*candidates, strict=True))
    return costs[choice, rows], ps[choice, rows], qs[choice, rows]
