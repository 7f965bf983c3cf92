"""Overlap of a structure segmented in two images by one threshold (Figure 7C of the paper).

"For the lateral meniscus, a simple threshold was applied to both images with a value of 0.1", on images scaled to 0–1. A meniscus
is dark in STIR, so the segmentation of an image is taken as its voxels below the threshold within the region of interest. The paper
shows that region as a magnified picture; here it is the mask. Without a mask it is the whole volume, and the air around the knee,
dark in both images, accounts for most of the overlap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ccdnn.errors import InputError
from ccdnn.measure.table import Measurement

MENISCUS_THRESHOLD = 0.1


@dataclass(frozen=True)
class Overlap:
    """Counts of voxels below a threshold. The counts of slices add up to those of the volume.

    Args:
        threshold: on images scaled to 0–1.
        image, reference, both: voxels below it in the image, in the reference, and in both.
    """

    threshold: float
    image: int
    reference: int
    both: int

    @property
    def dice(self) -> float:
        """2·|A∩B| / (|A| + |B|); NaN if neither image has such a voxel."""
        total = self.image + self.reference
        return 2 * self.both / total if total else math.nan

    @property
    def note(self) -> str:
        """Why there is no coefficient, as a sentence; "" if there is one."""
        return "" if self.image + self.reference else f"Neither image has a voxel below {self.threshold:g}, so there is no overlap."

    def __add__(self, other: Overlap) -> Overlap:
        if self.threshold != other.threshold:
            raise ValueError("Overlaps at different thresholds cannot be added.")
        return Overlap(self.threshold, self.image + other.image, self.reference + other.reference, self.both + other.both)


def threshold_overlap(
    image: np.ndarray, reference: np.ndarray, threshold: float = MENISCUS_THRESHOLD, inside: np.ndarray | None = None
) -> Overlap:
    """Count the voxels below a threshold in two images.

    Args:
        image, reference: of one shape, scaled to 0–1.
        inside: bool, of that shape: the region to count in; None for everywhere.

    Raises:
        InputError: different shapes.
    """
    for other in (reference, inside):
        if other is not None and other.shape != image.shape:
            raise InputError(f"Images of {image.shape} and {other.shape} voxels cannot be compared; resample one onto the other.")
    below_image, below_reference = image < threshold, reference < threshold
    if inside is not None:
        below_image, below_reference = below_image & inside, below_reference & inside
    counts = (int(np.count_nonzero(below)) for below in (below_image, below_reference, below_image & below_reference))
    return Overlap(threshold, *counts)


def overlap_measurement(overlap: Overlap, measured_on: str, region: str) -> Measurement:
    """The Dice coefficient as a row.

    Args:
        measured_on: the pair in words.
        region: the region in words, such as "in the mask".
    """
    return Measurement(
        name="Dice",
        value=overlap.dice,
        unit="1",
        measured_on=measured_on,
        method=f"2·|A∩B| / (|A| + |B|) of the voxels below {overlap.threshold:g} {region}, on scaled images",
        n=overlap.image + overlap.reference - overlap.both,
        note=overlap.note,
    )
