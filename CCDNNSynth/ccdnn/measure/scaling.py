"""Scaling images to 0–1 before they are compared, with a record of what was done.

The paper compares images "normalized to the intensity range 0–1" without saying how. The choice moves every number, so each
result names it:

- `percentile`: 0 stays 0 and the robust maximum of the image becomes 1, the model's own normalisation. A few voxels of fluid or
  vessel lie above 1 and stay there: clipping would hide errors in the very structures STIR is made to show.
- `minmax`: lowest voxel 0, highest 1. One bright vessel sets the scale.
- `none`: the images are on one scale already, such as those of a simulation.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from ccdnn.errors import InputError
from ccdnn.normalisation import require_image, robust_maximum


class Scaling(str, Enum):
    """How an image comes to 0–1."""

    PERCENTILE = "percentile"
    MINMAX = "minmax"
    NONE = "none"


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
    """Scale one whole volume (never slice by slice).

    Raises:
        InputError: naming the image; empty, not finite, or, unless it stays unscaled, constant or nowhere positive.
    """
    image = np.asarray(image)
    if scaling is Scaling.NONE:
        if image.size == 0 or not np.isfinite(image).all():
            raise InputError(f"{name} is empty or holds NaN or infinite voxels and cannot be measured.")
        return Scaled(image.astype(np.float32), scaling, 0.0, 1.0)
    try:
        require_image(image)
    except InputError as error:
        raise InputError(f"{name} cannot be scaled: {error}") from error
    low, high = (0.0, robust_maximum(image)) if scaling is Scaling.PERCENTILE else (float(image.min()), float(image.max()))
    return Scaled(((image - low) / (high - low)).astype(np.float32), scaling, low, high)
