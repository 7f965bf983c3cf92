"""Does the probability that a bright mark is a lesion tell true lesions from false ones?

True marks are lesions of the simulated knees. False marks are the brightest balls of healthy marrow in the synthetic image, of the
size of lesions: what a reader would take for one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ccdnn.model.uncertainty import RegionError
from ccdnn.trust import compare_regions
from ccdnn_training.data.simulated_cohort import LESIONS
from ccdnn_training.evaluation.lesions import MARROW
from ccdnn_training.uncertainty.calibration import ball
from ccdnn_training.uncertainty.cases import Case

FALSE_MARKS, RADIUS_MM = 5, 4.0  # of each knee; the radius of an edema of the phantom is 4 to 12 mm


@dataclass(frozen=True)
class Mark:
    """A bright mark in the synthetic marrow of one knee.

    Args:
        kind: a lesion, or "healthy marrow".
        really_brighter: whether the acquired STIR is brighter there than in marrow, by more than a tenth of the marrow's mean.
        difference: of the synthetic image, to marrow.
        probability: that it is brighter in truth.
        inside: whether the acquired difference lies in the 95 % interval.
    """

    subject: str
    missing: str
    kind: str
    really_brighter: bool
    difference: float
    probability: float
    inside: bool


def marks_of(case: Case, error: RegionError) -> Iterator[Mark]:
    """The true and the false marks of a knee."""
    marrow = case.regions.get(MARROW)
    if marrow is None:
        return
    voxel = float(np.prod(case.spacing))
    reference = np.flatnonzero(marrow)
    level = float(case.acquired[marrow].mean())
    regions = [(name, case.regions[name]) for name in LESIONS.values() if name in case.regions]
    for kind, region in [*regions, *((f"healthy {MARROW}", mask) for mask in _brightest(case, marrow))]:
        found = compare_regions(case.image, case.scale, np.flatnonzero(region), reference, error, voxel)
        acquired = float(case.acquired[region].mean()) - level
        low, high = found.interval
        missing = "+".join(case.missing)
        yield Mark(case.subject, missing, kind, acquired > 0.1 * level, found.difference, found.brighter, low <= acquired <= high)


def _brightest(case: Case, marrow: np.ndarray) -> Iterator[np.ndarray]:
    """The brightest balls of healthy marrow, far enough from each other and from the marrow's edge."""
    inner = ndimage.distance_transform_edt(marrow, case.spacing) > RADIUS_MM / 2
    sigma = [RADIUS_MM / 2 / s for s in case.spacing]
    smooth = np.where(inner, ndimage.gaussian_filter(case.image, sigma), -np.inf)
    for _ in range(FALSE_MARKS):
        at = np.array(np.unravel_index(int(smooth.argmax()), smooth.shape))
        if not np.isfinite(smooth[tuple(at)]):
            return
        mask = np.zeros(marrow.shape, bool)
        mask[ball(at, RADIUS_MM, case.spacing, marrow)] = True
        yield mask
        smooth[ball(at, 3 * RADIUS_MM, case.spacing, np.ones_like(marrow))] = -np.inf


def roc(values: Sequence[float], positive: Sequence[bool]) -> float:
    """The area under the ROC curve: how often a positive has the higher value, ties counting half."""
    first = np.array([v for v, p in zip(values, positive, strict=True) if p])
    second = np.array([v for v, p in zip(values, positive, strict=True) if not p])
    if not first.size or not second.size:
        return float("nan")
    return float(np.mean((first[:, None] > second) + 0.5 * (first[:, None] == second)))
