"""The factors of a card's uncertainty, and how often the acquired value lies in the intervals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from ccdnn.model.uncertainty import INTERVALS, RegionError, Uncertainty
from ccdnn_training.uncertainty.cases import Case

BODY, AIR = "body", "air"
# Voxels taken of each tissue of a subject; more are hardly more independent.
PER_TISSUE = 2_000
# Regions for the error of their means: balls in a tissue.
RADII_MM = (0.5, 1.0, 2.0, 3.0, 5.0, 8.0)
REGIONS_EACH = 12
CUBE_MM = 10.0


def factors_of(cases: Iterable[Case], seed: int = 0) -> tuple[float, ...]:
    """Half the width of each interval in scales, so that the interval holds its share of the voxels of a tissue, on average.

    Every tissue counts the same, however large it is: a cartilage is as important as the fat around it.
    """
    rng = np.random.default_rng(seed)
    ratios, weights = [], []
    for case in cases:
        for tissue, mask in masks_of(case).items():
            if tissue in (BODY, AIR):
                continue
            chosen = _some(mask, PER_TISSUE, rng)
            ratios.append((np.abs(case.error) / case.scale)[chosen])
            weights.append(np.full(len(ratios[-1]), 1 / len(ratios[-1])))
    return tuple(weighted_quantile(np.concatenate(ratios), np.concatenate(weights), interval) for interval in INTERVALS)


def weighted_quantile(values: np.ndarray, weights: np.ndarray, share: float) -> float:
    """The value that `share` of the weight lies below."""
    order = np.argsort(values)
    summed = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(summed, share * summed[-1])])


def masks_of(case: Case) -> dict[str, np.ndarray]:
    """Tissues, the body and the air of a subject."""
    return {BODY: case.body, **case.regions, AIR: ~case.body}


@dataclass(frozen=True)
class Coverage:
    """How often the acquired value of one tissue of one subject lies in an interval.

    Args:
        missing: inputs left out, joined by "+".
        shares: for each of `INTERVALS`.
        half_width: mean, of the widest interval.
        error: root mean square.
        n: voxels.
    """

    subject: str
    missing: str
    tissue: str
    shares: tuple[float, ...]
    half_width: float
    error: float
    n: int


def coverages(uncertainty: Uncertainty, case: Case) -> Iterator[Coverage]:
    """Of every tissue of a subject, its body and the air."""
    factors = [uncertainty.factor(case.missing, interval) for interval in INTERVALS]
    ratio, error = np.abs(case.error) / case.scale, case.error
    for tissue, mask in masks_of(case).items():
        if not mask.any():
            continue
        shares = tuple(float((ratio[mask] <= factor).mean()) for factor in factors)
        width = float(case.scale[mask].mean()) * factors[-1]
        yield Coverage(
            case.subject,
            "+".join(case.missing),
            tissue,
            shares,
            width,
            float(np.sqrt(np.mean(error[mask] ** 2))),
            int(mask.sum()),
        )


def rank_correlations(case: Case) -> dict[str, float]:
    """Spearman's correlation of expected and actual error: over all voxels, over the body's, and over cubes of 10 mm.

    A cube counts if at least half of it is body.
    """
    expected, actual = case.scale, np.abs(case.error)
    sides = tuple(max(1, round(CUBE_MM / spacing)) for spacing in case.spacing)
    in_body = _blocks(case.body.astype(np.float32), sides)
    cubes = [_blocks(values * case.body, sides)[in_body > 0.5] / in_body[in_body > 0.5] for values in (expected, actual)]
    body = case.body
    return {
        "all voxels": _spearman(expected.ravel(), actual.ravel()),
        "voxels of the body": _spearman(expected[body], actual[body]),
        "cubes of 10 mm": _spearman(*cubes),
    }


def region_ratios(case: Case, rng: np.random.Generator) -> list[tuple[float, float]]:
    """(volume in mm³, (error of the mean / mean scale)²) of balls in single tissues."""
    voxel = float(np.prod(case.spacing))
    found = []
    for mask in case.regions.values():
        places = np.argwhere(mask)
        for radius in RADII_MM:
            for at in places[rng.integers(len(places), size=REGIONS_EACH)]:
                region = ball(at, radius, case.spacing, mask)
                ratio = case.error[region].mean() / case.scale[region].mean()
                found.append((len(region[0]) * voxel, float(ratio) ** 2))
    return found


def ball(at: np.ndarray, radius: float, spacing: Sequence[float], mask: np.ndarray) -> tuple[np.ndarray, ...]:
    """Indices of the voxels of `mask` within `radius` mm of the voxel `at`, which is one of them."""
    reach = [int(radius / s) for s in spacing]
    window = tuple(slice(max(0, int(a) - r), int(a) + r + 1) for a, r in zip(at, reach, strict=True))
    axes = [(np.arange(w.start, w.start + n) - a) * s for w, n, a, s in zip(window, mask[window].shape, at, spacing, strict=True)]
    distance = sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij", sparse=True))
    inside = np.nonzero((distance <= radius**2) & mask[window])
    return tuple(indices + w.start for indices, w in zip(inside, window, strict=True))


def fit_region_error(ratios: Sequence[tuple[float, float]]) -> RegionError:
    """The error of a region's mean, fitted to the mean squared ratios of regions of about the same size.

    Args:
        ratios: see `region_ratios`.
    """
    volumes, squares = np.array(ratios).T
    size = np.round(2 * np.log2(volumes)).astype(int)  # two groups for each doubling of the volume
    groups = [size == value for value in np.unique(size) if np.count_nonzero(size == value) >= REGIONS_EACH]
    means = np.array([[volumes[group].mean(), squares[group].mean(), group.sum()] for group in groups])

    def deviation(logarithms: np.ndarray) -> np.ndarray:
        voxel, floor, volume = np.exp(logarithms)
        modelled = floor + voxel / (1 + means[:, 0] / volume)
        return (np.log(modelled) - np.log(means[:, 1])) * np.sqrt(means[:, 2])

    start = np.log([means[0, 1], max(means[-1, 1], 1e-6), np.median(volumes)])
    voxel, floor, volume = np.exp(optimize.least_squares(deviation, start, loss="soft_l1").x)
    return RegionError(voxel=float(voxel + floor), floor=float(floor), volume_mm3=float(volume))


def _blocks(values: np.ndarray, sides: Sequence[int]) -> np.ndarray:
    """Means over blocks of the volume; what is left at the far ends is dropped."""
    counts = [n // side for n, side in zip(values.shape, sides, strict=True)]
    cut = values[tuple(slice(count * side) for count, side in zip(counts, sides, strict=True))]
    shape = [length for count, side in zip(counts, sides, strict=True) for length in (count, side)]
    return cut.reshape(shape).mean(axis=(1, 3, 5))


def _spearman(one: np.ndarray, other: np.ndarray) -> float:
    return float(stats.spearmanr(one, other).statistic)


def _some(mask: np.ndarray, count: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Indices of at most `count` voxels of a mask."""
    inside = np.flatnonzero(mask)
    chosen = rng.choice(inside, count, replace=False) if inside.size > count else inside
    return tuple(np.unravel_index(chosen, mask.shape))
