"""Scaling images to 0–1 before they are compared, with a record of what was done.

The paper compares images "normalized to the intensity range 0–1" without saying how. The choice affects every number, so each
result names it:

- `percentile`: 0 stays 0 and the robust maximum of the image becomes 1. A few voxels of fluid or
  vessel lie above 1 and are not clipped, which would hide errors in the structures that STIR is meant to show.
- `tissue`, for a pair: each is divided by the 90th percentile of its foreground, which is muscle or fat in every contrast of the
  knee, and both by the factor that makes the reference's maximum 1. The pair shares one scale whatever its units, and an error in
  the few voxels of fluid and vessel does not change the scale of all others, as it does with the robust maximum.
- `minmax`: lowest voxel 0, highest 1. One bright vessel sets the scale.
- `none`: the images are on one scale already, such as those of a simulation.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from ccdnn.errors import InputError
from ccdnn.normalisation import DEFAULT_PERCENTILE, require_image, robust_maximum

# Muscle or fat in every contrast; a higher percentile would depend on how much fluid a knee contains.
TISSUE_PERCENTILE = 90.0
TISSUE_FOREGROUND = 0.2


class Scaling(str, Enum):
    """How an image is scaled to 0–1."""

    PERCENTILE = "percentile"
    TISSUE = "tissue"
    MINMAX = "minmax"
    NONE = "none"

    def label(self) -> str:
        """The name shown in a list of choices."""
        return _LABELS[self]

    @property
    def meaning(self) -> str:
        """One sentence that explains the scaling to a reader."""
        return _MEANINGS[self]


_LABELS = {
    Scaling.PERCENTILE: "Each by its own robust maximum",
    Scaling.TISSUE: "Both by their tissue",
    Scaling.MINMAX: "Each from its lowest to its highest voxel",
    Scaling.NONE: "None",
}
_MEANINGS = {
    Scaling.PERCENTILE: (
        f"0 stays 0, and in each image the intensity that {DEFAULT_PERCENTILE:g} % of the foreground lie below becomes 1; "
        "brighter voxels lie above 1."
    ),
    Scaling.TISSUE: (
        f"Each image is divided by the {TISSUE_PERCENTILE:g}th percentile of its foreground (muscle or fat), and both by the "
        "factor that makes the maximum of the acquired image 1."
    ),
    Scaling.MINMAX: "In each image the lowest voxel becomes 0 and the highest 1.",
    Scaling.NONE: "The intensities are compared as they are, 1 being the full range.",
}


@dataclass(frozen=True)
class Scaled:
    """(intensity − low) / (high − low) of an image.

    Args:
        array: float32, the shape of the image.
        low, high: the intensities that became 0 and 1.
    """

    array: np.ndarray
    scaling: Scaling
    low: float
    high: float


def scale(image: np.ndarray, scaling: Scaling = Scaling.PERCENTILE, *, name: str = "image") -> Scaled:
    """Scale one whole volume (never slice by slice); `TISSUE` needs a pair, see `scale_pair`.

    Raises:
        InputError: the image is empty, not finite or, unless it stays unscaled, constant or nowhere positive.
    """
    image = np.asarray(image)
    if scaling is Scaling.NONE:
        if image.size == 0 or not np.isfinite(image).all():
            raise InputError(f"{name} is empty or contains NaN or infinite voxels and cannot be measured.")
        return Scaled(image.astype(np.float32), scaling, 0.0, 1.0)
    try:
        require_image(image)
    except InputError as error:
        raise InputError(f"{name} cannot be scaled: {error}") from error
    low, high = (0.0, robust_maximum(image)) if scaling is Scaling.PERCENTILE else (float(image.min()), float(image.max()))
    return Scaled(((image - low) / (high - low)).astype(np.float32), scaling, low, high)


def scale_pair(image: np.ndarray, reference: np.ndarray, scaling: Scaling, *, names: tuple[str, str]) -> tuple[Scaled, Scaled]:
    """Scale two whole volumes for comparison.

    Args:
        names: of the image and the reference, for messages.

    Raises:
        InputError: see `scale`.
    """
    if scaling is not Scaling.TISSUE:
        return scale(image, scaling, name=names[0]), scale(reference, scaling, name=names[1])
    tissue_image, tissue_reference = (_tissue(array, name) for array, name in zip((image, reference), names, strict=True))
    top = float(np.max(reference))
    tops = (top * tissue_image / tissue_reference, top)
    first, second = (
        Scaled((np.asarray(array) / high).astype(np.float32), scaling, 0.0, high)
        for array, high in zip((image, reference), tops, strict=True)
    )
    return first, second


def _tissue(array: np.ndarray, name: str) -> float:
    try:
        return robust_maximum(array, TISSUE_PERCENTILE, TISSUE_FOREGROUND)
    except InputError as error:
        raise InputError(f"{name} cannot be scaled: {error}") from error
