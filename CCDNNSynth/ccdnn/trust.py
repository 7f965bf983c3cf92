"""How far to trust a result: half the width of an interval at every voxel, and how unlike the training the study is.

Neither knows what no input shows: a lesion that is as dark as its surroundings in every series has a narrow interval.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ccdnn.errors import InputError, ModelError
from ccdnn.model.card import ModelCard
from ccdnn.model.uncertainty import INTERVALS, NORMAL_95, SHOWN_INTERVAL, RegionError
from ccdnn.normalisation import Normalisation
from ccdnn.provenance import NOTICE
from ccdnn.volume import Volume

# A smaller share of unlike tissue is no reason to warn: simulated knees vary less from one to the next than hospitals do.
LEAST_LIMIT = 0.05

UNCERTAINTY_NAME, UNFAMILIAR_NAME = "uncertainty of the synthetic STIR", "tissue unlike the training"
INTERVAL_ENTRY, REGION_ENTRY, UNFAMILIAR_ENTRY = "CCDNN_Interval", "CCDNN_Region_Error", "CCDNN_Unfamiliar"

# Share of the 99th percentile above which a voxel of a synthetic STIR is not air or cortical bone.
BRIGHT = 0.1

MEANING = (
    "With {shown:.0%} probability the acquired STIR lies within ± this value of the synthetic one{others}. "
    "Measured on simulated knees; it does not know what no input shows."
)


@dataclass(frozen=True, eq=False)
class StudyFamiliarity:
    """How much of a study's tissue is unlike the training.

    Args:
        share: of its tissue.
        limit: above which the study is unlike the training: the card's, or `LEAST_LIMIT`.
        by_slice: the share in every slice; NaN without tissue.
        where: 1 at unlike tissue, 0 elsewhere.
    """

    share: float
    limit: float
    by_slice: tuple[float, ...]
    where: Volume

    @property
    def doubtful(self) -> bool:
        return self.share > self.limit

    @property
    def sentence(self) -> str:
        usual = f"up to {self.limit:.0%} is usual" if not self.doubtful else f"usual is up to {self.limit:.0%}"
        return f"{self.share:.1%} of the tissue looks unlike the images that the model learned from ({usual})."

    def entries(self) -> dict[str, Any]:
        """For JSON, without the map."""
        by_slice = [None if math.isnan(share) else share for share in self.by_slice]
        return {"share": self.share, "limit": self.limit, "by_slice": by_slice, "text": self.sentence}


def familiarity_of(
    card: ModelCard, contrasts: np.ndarray, missing: Sequence[str], covered: np.ndarray, place: Volume
) -> StudyFamiliarity | None:
    """Compare a study's inputs with what the model's training saw.

    Args:
        contrasts: (contrast, slice, row, column), normalised, in the card's order.
        missing: roles of the inputs that the study lacks.
        covered: (slice, row, column) bool, where all inputs have voxels.
        place: a volume on the grid of the inputs.

    Returns:
        None if the card does not say what training saw, or the study shows no tissue.
    """
    if card.familiarity is None:
        return None
    strange, tissue = card.familiarity.unfamiliar(contrasts, [role not in missing for role in card.roles])
    strange &= covered
    counts = np.count_nonzero(tissue & covered, axis=(1, 2))
    if not counts.any():
        return None
    strange_counts = np.count_nonzero(strange, axis=(1, 2))
    share = float(strange_counts.sum() / counts.sum())
    by_slice = tuple(float(some / all_) if all_ else float("nan") for some, all_ in zip(strange_counts, counts, strict=True))
    header = {"CCDNN_Notice": NOTICE, "CCDNN_Image": UNFAMILIAR_NAME, "CCDNN_Model": f"{card.name} {card.version}"}
    where = place.with_array(strange.astype(np.float32), name=UNFAMILIAR_NAME, metadata=header)
    return StudyFamiliarity(share, max(card.familiarity.limit, LEAST_LIMIT), by_slice, where)


def uncertainty_volume(
    card: ModelCard, log_scale: np.ndarray, missing: Sequence[str], covered: np.ndarray, result: Volume
) -> Volume:
    """Half the width of the interval at every voxel, in the units of the result; 0 where an input has no voxels.

    Args:
        log_scale: see `Prediction`.
        missing: roles of the inputs that the result was made without.
        covered: (slice, row, column) bool.
        result: the synthetic volume.

    Raises:
        ModelError: the model has no uncertainty.
    """
    uncertainty = card.uncertainty
    if uncertainty is None:
        raise ModelError(f"The model {card.name} does not estimate its error.")
    zero, one = Normalisation.from_card(card.normalisation).to_intensity(np.array([0.0, 1.0], np.float32))
    factor = uncertainty.factor(missing)
    widths = np.where(covered, uncertainty.half_width(log_scale, missing) * (one - zero), np.float32(0))
    others = "".join(f"; × {uncertainty.factor(missing, i) / factor:.2f} for {i:.0%}" for i in INTERVALS if i != SHOWN_INTERVAL)
    region = replace(uncertainty.region, voxel=uncertainty.region.voxel / factor**2, floor=uncertainty.region.floor / factor**2)
    header = {
        **result.metadata,
        "CCDNN_Image": UNCERTAINTY_NAME,
        INTERVAL_ENTRY: MEANING.format(shown=SHOWN_INTERVAL, others=others),
        REGION_ENTRY: json.dumps(asdict(region)),
    }
    return result.with_array(widths, name=UNCERTAINTY_NAME, metadata=header)


def typical_half_width(synthetic: np.ndarray, half_widths: np.ndarray) -> float:
    """The median of the uncertainty over voxels that are not dark.

    Args:
        synthetic, half_widths: of the same shape.
    """
    bright = synthetic > BRIGHT * float(np.percentile(synthetic, 99))
    return float(np.median(half_widths[bright])) if bright.any() else 0.0


def region_error_of(header: Mapping[str, str], name: str) -> RegionError:
    """The error of a region's mean, in units of the mean of the uncertainty map whose `header` is given.

    Args:
        name: of the map, for messages.

    Raises:
        InputError: the volume is not an uncertainty map of this extension.
    """
    if header.get("CCDNN_Image") != UNCERTAINTY_NAME or REGION_ENTRY not in header:
        raise InputError(f"{name} is not an uncertainty map; make one with `ccdnn synthesize --uncertainty FILE`.")
    try:
        return RegionError(**json.loads(header[REGION_ENTRY]))
    except (ValueError, TypeError, ModelError) as error:
        raise InputError(f"The entry {REGION_ENTRY} of {name} is damaged ({error}); make the map again.") from error


@dataclass(frozen=True)
class RegionDifference:
    """How much brighter one region is than another, with the interval that holds the acquired difference.

    Args:
        difference: of the means in the synthetic image.
        deviation: standard deviation of the error of the difference.
        brighter: probability that the first region is brighter in the acquired image.

    >>> low, high = RegionDifference(0.2, 0.1).interval
    >>> f"{low:.3f} to {high:.3f}"
    '0.004 to 0.396'
    >>> round(RegionDifference(0.2, 0.1).brighter, 3)
    0.977
    """

    difference: float
    deviation: float

    @classmethod
    def of(cls, means: Sequence[float], deviations: Sequence[float]) -> RegionDifference:
        """The first mean minus the second, with the errors of both."""
        first, second = means
        return cls(first - second, math.hypot(*deviations))

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval."""
        half = NORMAL_95 * self.deviation
        return self.difference - half, self.difference + half

    @property
    def brighter(self) -> float:
        if self.deviation == 0:
            return float(self.difference > 0)
        return 0.5 * (1 + math.erf(self.difference / self.deviation / math.sqrt(2)))


def compare_regions(
    synthetic: np.ndarray, scale: np.ndarray, first: np.ndarray, second: np.ndarray, error: RegionError, voxel_mm3: float
) -> RegionDifference:
    """Compare the means of two regions, such as a suspected lesion and normal marrow.

    Args:
        synthetic: (slice, row, column).
        scale: the same shape: the scale of its error, or an uncertainty map with the `error` that belongs to it.
        first, second: masks of that shape, or flat indices of voxels.
        error: of a region's mean, in units of `scale`.
        voxel_mm3: volume of a voxel.

    Raises:
        InputError: a region without voxels.
    """
    means, deviations = [], []
    for region in (first, second):
        values, scales = synthetic.ravel()[_flat(region)], scale.ravel()[_flat(region)]
        if not values.size:
            raise InputError("A region contains no voxel; draw or choose another.")
        means.append(float(values.mean(dtype=np.float64)))
        deviations.append(error.deviation(float(scales.mean(dtype=np.float64)), values.size * voxel_mm3))
    return RegionDifference.of(means, deviations)


def _flat(region: np.ndarray) -> np.ndarray:
    return np.flatnonzero(region) if region.dtype == bool else region
