"""How far a synthetic STIR may be from the acquired one: what a card states about it, and the arithmetic of intervals.

The network's second head gives the logarithm of the error's scale at every voxel. The card has the factors that turn a scale into
half the width of an interval: measured on validation subjects, so that the acquired value lies in the interval as often as stated.

A region's mean is more certain than a voxel, but not as much as independent errors would make it: neighbouring errors are alike,
and a study as a whole may be too bright. With the error of a voxel in units of its scale, the variance of a region's mean is

    floor + (voxel − floor) / (1 + V / V₀),    V the region's volume.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ccdnn.errors import ModelError

INTERVALS = (0.5, 0.8, 0.95)  # shares of the voxels whose acquired value lies in the interval
SHOWN_INTERVAL = 0.95
MAX_MAPS = 256

# Half the width of a normal distribution's interval, in standard deviations.
NORMAL_95 = 1.959964


@dataclass(frozen=True)
class RegionError:
    """The variance of the error of a region's mean, in units of the mean scale of its voxels.

    Args:
        voxel: of a single voxel.
        floor: of a region without end.
        volume_mm3: V₀, the volume of voxels that err alike.

    Raises:
        ModelError: a value is not a positive number, or the floor is above the voxel's variance.

    >>> round(RegionError(voxel=1.0, floor=0.25, volume_mm3=50.0).deviation(scale=0.1, volume_mm3=100.0), 4)
    0.0707
    """

    voxel: float
    floor: float
    volume_mm3: float

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e9:
                raise ModelError(f"{name} of the region's error must be a number from 0, not {value!r}.")
        if self.floor > self.voxel or self.volume_mm3 <= 0:
            raise ModelError("the region's error needs a floor no higher than the voxel's variance, and a volume above 0.")

    def deviation(self, scale: float, volume_mm3: float) -> float:
        """The standard deviation of the error of a region's mean.

        Args:
            scale: mean scale of its voxels' errors.
            volume_mm3: its volume.
        """
        variance = self.floor + (self.voxel - self.floor) / (1 + volume_mm3 / self.volume_mm3)
        return scale * math.sqrt(variance)


@dataclass(frozen=True)
class Uncertainty:
    """What a card states about the network's second head.

    Args:
        maps: of its hidden layer.
        factors: missing inputs, joined by "+" ("" if none) → half the width of each of `INTERVALS`, in scales.
        region: the error of a region's mean.
        measured_on: the subjects that the factors were measured on.
        command: that measured them.

    Raises:
        ModelError: an entry is wrong.
    """

    maps: int
    factors: Mapping[str, tuple[float, ...]]
    region: RegionError
    measured_on: str
    command: str

    def __post_init__(self) -> None:
        if not isinstance(self.maps, int) or isinstance(self.maps, bool) or not 1 <= self.maps <= MAX_MAPS:
            raise ModelError(f"maps of the uncertainty must be a whole number from 1 to {MAX_MAPS}, not {self.maps!r}.")
        if not isinstance(self.factors, Mapping) or "" not in self.factors:
            raise ModelError('the uncertainty needs factors for the case that no input is missing, under "".')
        checked = {}
        for missing, factors in self.factors.items():
            numbers = isinstance(factors, (list, tuple)) and all(
                isinstance(factor, (int, float)) and not isinstance(factor, bool) and 0 < factor < 1e6 for factor in factors
            )
            if not numbers or len(factors) != len(INTERVALS) or list(factors) != sorted(factors):
                raise ModelError(f"the factors of the uncertainty must be {len(INTERVALS)} rising numbers, not {factors!r}.")
            checked[missing] = tuple(factors)
        object.__setattr__(self, "factors", checked)

    @classmethod
    def of_entries(cls, entries: Any) -> Uncertainty:
        """From the card's JSON.

        Raises:
            ModelError: an entry is missing, unknown or wrong.
        """
        try:
            return cls(**{**entries, "region": RegionError(**entries["region"])})
        except (TypeError, KeyError) as error:
            raise ModelError(f"the uncertainty of the card has a missing or unknown entry ({error}).") from error

    def factor(self, missing: Iterable[str] = (), interval: float = SHOWN_INTERVAL) -> float:
        """Half the width of an interval, in scales.

        Args:
            missing: roles of the inputs that the image is made without; the widest of all if they were not measured together.
            interval: one of `INTERVALS`.
        """
        index = INTERVALS.index(interval)
        found = self.factors.get("+".join(missing))
        return found[index] if found else max(factors[index] for factors in self.factors.values())

    def half_width(self, log_scale: np.ndarray, missing: Iterable[str] = (), interval: float = SHOWN_INTERVAL) -> np.ndarray:
        """Half the width of the interval at every voxel, in the network's intensities.

        Args:
            log_scale: the second head's map, any shape.
        """
        return np.exp(log_scale) * np.float32(self.factor(missing, interval))
