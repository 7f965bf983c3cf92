"""Checks for faults of a synthetic STIR that an average over all voxels does not show.

All images are (slice, row, column) in one unit; regions are masks of that shape, named as by `ccdnn.measure.cnr.tissue_name`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from ccdnn.measure.cnr import cnr
from ccdnn_training.data.cache import TISSUE_THRESHOLD
from ccdnn_training.data.simulated_cohort import LESIONS
from ccdnn_training.evaluation.lesions import MARROW, contrast_kept

EDEMA = LESIONS["edema"]
FAT, MUSCLE, FLUID = "fat", "muscle", "synovial fluid"

# Of the largest part of a slice.
SMALLEST_PART = 0.002

# Streaks are measured at this distance from the skin, in pixels; closer to it, the edge itself is blurred.
STREAKS_FROM, STREAKS_TO = 6, 20
# Width of the marrow beside cortical bone, in pixels, where a series in another plane causes partial volume.
SUBCHONDRAL = 6


def body_of(inputs: np.ndarray, threshold: float = TISSUE_THRESHOLD) -> np.ndarray:
    """Mask of the patient: tissue that is bright in any input, and what lies between tissue in a row or in a column.

    Cortical bone, tendons and vessels are as dark as air, and a vessel may leave the picture.

    Args:
        inputs: (contrast, slice, row, column), normalised.

    Returns:
        (slice, row, column).
    """
    brightest = inputs.max(axis=0)
    body = np.zeros(brightest.shape, bool)
    for index, image in enumerate(brightest):
        parts, count = ndimage.label(ndimage.binary_opening(image > threshold, iterations=2))
        if count:
            sizes = np.bincount(parts.ravel())[1:]
            tissue = np.isin(parts, np.flatnonzero(sizes >= SMALLEST_PART * sizes.max()) + 1)  # specks in the air are not
            body[index] = _between(tissue, 0) | _between(tissue, 1)
    return body


def _between(mask: np.ndarray, axis: int) -> np.ndarray:
    """From the first to the last voxel of the mask along an axis."""
    after = np.logical_or.accumulate(mask, axis)
    before = np.flip(np.logical_or.accumulate(np.flip(mask, axis), axis), axis)
    return after & before


def correlation(synthetic: np.ndarray, acquired: np.ndarray, where: np.ndarray) -> float:
    """Pearson's r of the voxels `where`; 0 if one image is constant."""
    one, other = synthetic[where].astype(np.float64), acquired[where].astype(np.float64)
    return float(np.corrcoef(one, other)[0, 1]) if one.std() and other.std() else 0.0


def streaks_in_air(synthetic: np.ndarray, body: np.ndarray) -> float:
    """The 99th percentile of air's deviation from its median, 6 to 20 pixels from the skin, over the body's 99.5th percentile."""
    away = np.stack([ndimage.distance_transform_edt(~inside) if inside.any() else np.zeros(inside.shape) for inside in body])
    air = synthetic[(away > STREAKS_FROM) & (away <= STREAKS_TO)]
    top = float(np.percentile(synthetic[body], 99.5)) if body.any() else 0.0
    return float(np.percentile(np.abs(air - np.median(air)), 99)) / top if air.size and top > 0 else math.nan


def marrow_checks(
    synthetic: np.ndarray, acquired: np.ndarray, regions: Mapping[str, np.ndarray], edema_contrast: float
) -> dict[str, float]:
    """The SD of healthy marrow divided by the acquired one, and the share of this marrow that is falsely bright.

    Args:
        edema_contrast: difference of edema and marrow in acquired images; bright is more than half of it above marrow's mean.
    """
    marrow = regions.get(MARROW)
    if marrow is None:
        return {}
    limit = acquired[marrow].mean() + edema_contrast / 2
    false = (synthetic[marrow] > limit) & (acquired[marrow] <= limit)
    return {"marrow SD": float(synthetic[marrow].std() / acquired[marrow].std()), "false bright marrow": float(false.mean())}


def lesion_checks(synthetic: np.ndarray, acquired: np.ndarray, regions: Mapping[str, np.ndarray]) -> dict[str, float]:
    """For each lesion of the subject: the share of its contrast to marrow that is kept, and its CNR to marrow."""
    found = {}
    for lesion in LESIONS.values():
        if lesion in regions and MARROW in regions:
            found[f"contrast of {lesion}"] = contrast_kept(synthetic, acquired, regions[lesion], regions[MARROW])
            found[f"CNR of {lesion}"] = cnr(synthetic[regions[lesion]], synthetic[regions[MARROW]]).value
    return found


def brightness_checks(synthetic: np.ndarray, acquired: np.ndarray, regions: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Brightness of fluid, muscle and marrow relative to fat, divided by the same in the acquired image; 1 is as acquired."""
    if FAT not in regions:
        return {}
    found = {}
    for name, tissue in (("fluid", FLUID), ("muscle", MUSCLE), ("marrow", MARROW)):
        if tissue in regions:
            ratios = [float(image[regions[tissue]].mean() / image[regions[FAT]].mean()) for image in (synthetic, acquired)]
            found[f"{name} to fat"] = ratios[0] / ratios[1]
    return found


def crescent(changed: np.ndarray, unchanged: np.ndarray, regions: Mapping[str, np.ndarray], edema_contrast: float) -> float:
    """How much a change of the inputs brightens marrow near its border, relative to an edema's contrast.

    Args:
        changed, unchanged: one network's results from the changed and from the original inputs.
    """
    marrow = regions.get(MARROW)
    if marrow is None:
        return math.nan
    depth = np.stack([ndimage.distance_transform_edt(inside) for inside in marrow])
    border = marrow & (depth <= SUBCHONDRAL)
    added = ndimage.uniform_filter(changed - unchanged, (0, 3, 3))
    return float(np.percentile(added[border], 99)) / edema_contrast if border.any() and edema_contrast else math.nan


def edema_contrast_of(acquired: np.ndarray, regions: Mapping[str, np.ndarray]) -> float:
    """Difference of the means of edema and marrow; NaN without edema."""
    if EDEMA not in regions or MARROW not in regions:
        return math.nan
    return float(acquired[regions[EDEMA]].mean() - acquired[regions[MARROW]].mean())
