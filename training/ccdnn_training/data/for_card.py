"""A model card's facts about data: a description, the protocol of every contrast, and a check of a cache's normalisation."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ccdnn.acquisition import FLIP_ANGLE, PARAMETERS, TE, TI, TR, Acquisition, Parameter
from ccdnn.errors import InputError
from ccdnn.model.card import NEEDED_PARAMETERS, Contrast, ModelCard
from ccdnn.normalisation import Normalisation
from ccdnn.series import Role
from ccdnn_training.data.cache import SliceCache
from ccdnn_training.data.studies import ANY_TISSUE, HOSPITAL, NORMALISATION, PAPER_LIKE, REGIONS
from ccdnn_training.physics.protocol import CONTRASTS, PAPER_PROTOCOL, PARAMETER_RANGES, WIDE_RANGES, Ranges

# Field of `physics.protocol.Sequence` → the parameter.
_OF_SEQUENCE = {"tr": TR, "te": TE, "ti": TI, "flip_angle": FLIP_ANGLE}
_KINDS = {
    PAPER_LIKE: "knees with a protocol around the paper's at 3 T",
    HOSPITAL: "knees with a hospital's protocol, field (0.3 to 3 T) and faults",
    ANY_TISSUE: "knees whose tissues have any physical T1, T2, T2*, density and fat share",
    REGIONS: "random regions of such tissues",
}


@dataclass(frozen=True)
class DataFacts:
    """A card's facts about the data of a fit.

    Args:
        contrasts: the inputs and, last, the target: nominal parameters and the ranges that training covered.
        description: one paragraph; no subject is named.
        made_by: the command that made the data.
        licence: SPDX identifier of a model fitted on it, unless its maker states another.
    """

    contrasts: tuple[Contrast, ...]
    normalisation: Normalisation
    description: str
    made_by: str
    licence: str


def facts_of_cache(cache: SliceCache) -> DataFacts:
    return DataFacts(
        tuple(_prepared(cache, contrast) for contrast in cache.contrasts),
        cache.normalisation,
        _description(cache),
        cache.made_by,
        "LicenseRef-not-stated" if cache.is_cohort else "Apache-2.0",
    )


def facts_of_simulated_patches(settings: Mapping[str, Any]) -> DataFacts:
    """The facts of a fit on `data.module.SimulatedPatches` with these settings."""
    shares = {kind: share for kind, share in settings["shares"].items() if share}
    ranges = PARAMETER_RANGES if set(shares) == {PAPER_LIKE} else WIDE_RANGES
    total = sum(shares.values())
    parts = ", ".join(f"{share / total:.0%} {_KINDS[kind]}" for kind, share in shares.items())
    return DataFacts(
        tuple(_simulated(contrast, ranges) for contrast in CONTRASTS),
        NORMALISATION,
        f"Images simulated during the fit, none of them twice: {parts}. No patient data.",
        "simulated during the fit",
        "Apache-2.0",
    )


def require_normalisation(cache: SliceCache, card: ModelCard) -> None:
    """
    Raises:
        InputError: the cache is not normalised as the card's model requires.
    """
    if cache.normalisation.to_card() != dict(card.normalisation):
        raise InputError(f"{cache.folder} is not normalised as the model {card.name} requires; make the cache again.")


def _description(cache: SliceCache) -> str:
    train, fold = len(cache.part("train")), cache.fold
    if fold is None:
        return (
            f"{train} simulated knees; protocol, tissue values, anatomy and acquisition effects drawn for each subject. "
            "No patient data."
        )
    text = (
        f"{train} subjects of a cohort of {len(cache.subjects)} that the maker of this model prepared; "
        f"{len(fold.validation)} more for validation and {len(fold.test)} for testing."
    )
    unknown = [Role(contrast).label for contrast in cache.contrasts if not _is_stated(cache, contrast)]
    if unknown:
        text += f" The files did not state how {' and '.join(unknown)} were acquired; the paper's protocol is assumed."
    return text


def _simulated(contrast: str, ranges: Ranges) -> Contrast:
    covered = {_OF_SEQUENCE[name].name: limits for name, limits in ranges[contrast].items()}
    return Contrast(contrast, PAPER_PROTOCOL[contrast].acquisition, covered)


def _prepared(cache: SliceCache, contrast: str) -> Contrast:
    if not cache.is_cohort:
        return _simulated(contrast, PARAMETER_RANGES)
    if not _is_stated(cache, contrast):
        return Contrast(contrast, PAPER_PROTOCOL[contrast].acquisition)
    seen = {parameter.name: _stated(cache, contrast, parameter) for parameter in PARAMETERS}
    nominal: dict[str, Any] = {name: statistics.median(values) for name, values in seen.items() if values}
    ranges = {name: (min(values), max(values)) for name, values in seen.items() if len(set(values)) > 1}
    return Contrast(contrast, Acquisition(**nominal), ranges)


def _is_stated(cache: SliceCache, contrast: str) -> bool:
    return all(_stated(cache, contrast, parameter) for parameter in NEEDED_PARAMETERS)


def _stated(cache: SliceCache, contrast: str, parameter: Parameter) -> list[float]:
    """The values of a parameter in the training subjects whose files state it."""
    protocols = (subject.provenance["series"][contrast]["protocol"] for subject in cache.part("train"))
    return [protocol[parameter.name] for protocol in protocols if protocol[parameter.name]]
