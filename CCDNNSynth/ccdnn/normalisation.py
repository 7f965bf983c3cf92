"""Intensity normalisation: the same function for training and inference, named with its constants in the model's card.

`dataset_minmax` is the paper's (section 2.6): one minimum and one maximum over all contrasts of the whole data set, so the
ratios between the contrasts are preserved. It needs series that share one intensity scale.

`volume_percentile` divides each series by its own robust maximum, for scanners that scale every series independently.

Both treat a series as a whole. Scaling slices one by one would make the same tissue change from slice to slice.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import numpy as np

from ccdnn.errors import InputError

# Air around the knee stays below a tenth of the robust maximum up to about 4 % noise.
DEFAULT_FOREGROUND_FRACTION = 0.1
DEFAULT_PERCENTILE = 99.5


def robust_maximum(
    array: np.ndarray, percentile: float = DEFAULT_PERCENTILE, foreground_fraction: float = DEFAULT_FOREGROUND_FRACTION
) -> float:
    """The intensity that `percentile` per cent of the foreground lie below, where the foreground exceeds
    `foreground_fraction` of that same intensity.

    A percentile over all voxels falls as the field of view includes more air; one over the foreground does not. The definition
    is self-referential and solved by iteration from the percentile over all voxels: a higher threshold can only raise the
    percentile, so the iteration is monotonic and ends.

    Args:
        array: intensities of one whole series, any shape.

    Raises:
        InputError: empty, not finite, constant, or nowhere positive.
    """
    values = np.asarray(array).ravel()
    require_image(values)
    maximum = float(np.percentile(values, percentile))
    if maximum <= 0:  # nearly all air: use the little signal there is
        maximum = float(np.percentile(values[values > 0], percentile))
    for _ in range(50):
        foreground = values[values > foreground_fraction * maximum]
        updated = float(np.percentile(foreground, percentile))
        if math.isclose(updated, maximum, rel_tol=1e-6):
            break
        maximum = updated
    return maximum


def require_image(array: np.ndarray) -> None:
    """Reject a series without an image.

    Raises:
        InputError: empty, not finite, constant, or nowhere positive.
    """
    if array.size == 0:
        raise InputError("An empty series cannot be normalised.")
    lowest, highest = float(array.min()), float(array.max())  # NaN and Inf show in these
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        raise InputError("A series with values that are not finite (NaN or Inf) cannot be normalised.")
    if lowest == highest:
        raise InputError(f"A series that is {lowest:g} everywhere does not contain an image and cannot be normalised.")
    if highest <= 0:
        raise InputError("A series without any positive intensity cannot be normalised.")


class Normalisation(ABC):
    """A strategy with its constants. `from_card` and `to_card` are inverses."""

    strategy: ClassVar[str]

    @staticmethod
    def from_card(entry: Mapping[str, Any]) -> Normalisation:
        """The normalisation named by a card's `normalisation` entry, {"strategy": name, "constants": {...}}.

        Raises:
            InputError: an unknown strategy, or constants that are missing, unknown or out of range.
        """
        name, constants = (entry.get("strategy"), entry.get("constants")) if isinstance(entry, Mapping) else (None, None)
        kind = next((kind for kind in (DatasetMinMax, VolumePercentile) if kind.strategy == name), None)
        if kind is None or not isinstance(constants, Mapping):
            raise InputError(
                "normalisation must name a strategy (dataset_minmax or volume_percentile) and its constants, "
                f"not strategy {name!r} and constants {constants!r}."
            )
        expected = [f.name for f in fields(kind)]
        if set(constants) != set(expected):
            raise InputError(
                f"The normalisation {kind.strategy} takes the constants {', '.join(expected)}, "
                f"not {', '.join(map(str, constants)) or 'none'}."
            )
        return kind(**constants)

    def to_card(self) -> dict[str, Any]:
        """The entry of a model card.

        >>> VolumePercentile(percentile=90.0, foreground_fraction=0.2).to_card()
        {'strategy': 'volume_percentile', 'constants': {'percentile': 90.0, 'foreground_fraction': 0.2}}
        """
        return {"strategy": self.strategy, "constants": dict(vars(self))}

    @abstractmethod
    def apply(self, array: np.ndarray) -> np.ndarray:
        """The whole series `array`, (slice, row, column) in scanner units, as float32 for the network.

        Raises:
            InputError: the series cannot be normalised (empty, constant, not finite).
        """

    @property
    @abstractmethod
    def background(self) -> float:
        """The normalised value of zero intensity."""

    @abstractmethod
    def to_intensity(self, output: np.ndarray) -> np.ndarray:
        """The network's output in the units of the inputs, if these share one scale; else unchanged (1 = robust maximum)."""


@dataclass(frozen=True)
class DatasetMinMax(Normalisation):
    """One `min` and `max` over all contrasts of the training data become 0 and 1 (paper, section 2.6)."""

    strategy: ClassVar[str] = "dataset_minmax"

    min: float
    max: float

    def __post_init__(self) -> None:
        _require_numbers(self)
        if not self.min < self.max:
            raise InputError(f"dataset_minmax needs min below max, not {self.min} and {self.max}.")

    def apply(self, array: np.ndarray) -> np.ndarray:
        array = np.asarray(array, dtype=np.float32)
        require_image(array)
        return (array - np.float32(self.min)) / np.float32(self.max - self.min)

    @property
    def background(self) -> float:
        return float(np.float32(-self.min) / np.float32(self.max - self.min))

    def to_intensity(self, output: np.ndarray) -> np.ndarray:
        return output * np.float32(self.max - self.min) + np.float32(self.min)


@dataclass(frozen=True)
class VolumePercentile(Normalisation):
    """Each series divided by its own `robust_maximum`."""

    strategy: ClassVar[str] = "volume_percentile"

    percentile: float = DEFAULT_PERCENTILE
    foreground_fraction: float = DEFAULT_FOREGROUND_FRACTION

    def __post_init__(self) -> None:
        _require_numbers(self)
        if not 0 < self.percentile <= 100 or not 0 <= self.foreground_fraction < 1:
            raise InputError(
                f"volume_percentile needs a percentile up to 100 and a foreground_fraction below 1, "
                f"not {self.percentile} and {self.foreground_fraction}."
            )

    def apply(self, array: np.ndarray) -> np.ndarray:
        maximum = robust_maximum(array, self.percentile, self.foreground_fraction)
        return np.asarray(array, dtype=np.float32) / np.float32(maximum)

    @property
    def background(self) -> float:
        return 0.0

    def to_intensity(self, output: np.ndarray) -> np.ndarray:
        return output


def _require_numbers(normalisation: DatasetMinMax | VolumePercentile) -> None:
    for name, value in asdict(normalisation).items():
        # A comparison, since JSON can hold integers too large for a float.
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not -1e30 < value < 1e30:
            raise InputError(f"The constant {name} of {normalisation.strategy} must be a number, not {value!r}.")
