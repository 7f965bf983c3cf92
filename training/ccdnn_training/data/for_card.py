"""A model card's facts about data: a description, the protocol of every contrast, and a check of a cache's normalisation."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ccdnn.errors import InputError
from ccdnn.model.card import PROTOCOL_PARAMETERS, Contrast, ModelCard, Protocol
from ccdnn.normalisation import Normalisation
from ccdnn.series import Role
from ccdnn_training.data.cache import SliceCache
from ccdnn_training.data.studies import ANY_TISSUE, HOSPITAL, NORMALISATION, PAPER_LIKE, REGIONS
from ccdnn_training.physics.protocol import CONTRASTS, PAPER_PROTOCOL, PARAMETER_RANGES, WIDE_RANGES, Ranges

_CARD_NAMES = {"tr": "tr_ms", "te": "te_ms", "ti": "ti_ms", "flip_angle": "flip_angle_deg"}
_NEEDED = ("tr_ms", "te_ms")
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
        tuple(Contrast(contrast, _protocol(cache, contrast)) for contrast in cache.contrasts),
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
        tuple(Contrast(contrast, _simulated_protocol(contrast, ranges)) for contrast in CONTRASTS),
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


def _simulated_protocol(contrast: str, ranges: Ranges) -> Protocol:
    return replace(_paper(contrast), ranges={_CARD_NAMES[name]: limits for name, limits in ranges[contrast].items()})


def _paper(contrast: str) -> Protocol:
    sequence = PAPER_PROTOCOL[contrast]
    return Protocol(tr_ms=sequence.tr, te_ms=sequence.te, ti_ms=sequence.ti, flip_angle_deg=sequence.flip_angle)


def _protocol(cache: SliceCache, contrast: str) -> Protocol:
    if not cache.is_cohort:
        return _simulated_protocol(contrast, PARAMETER_RANGES)
    if not _is_stated(cache, contrast):
        return _paper(contrast)
    seen = {name: _stated(cache, contrast, name) for name in PROTOCOL_PARAMETERS}
    return Protocol(
        tr_ms=statistics.median(seen["tr_ms"]),
        te_ms=statistics.median(seen["te_ms"]),
        ti_ms=statistics.median(seen["ti_ms"]) if seen["ti_ms"] else None,
        flip_angle_deg=statistics.median(seen["flip_angle_deg"]) if seen["flip_angle_deg"] else None,
        ranges={name: (min(values), max(values)) for name, values in seen.items() if len(set(values)) > 1},
    )


def _is_stated(cache: SliceCache, contrast: str) -> bool:
    return all(_stated(cache, contrast, name) for name in _NEEDED)


def _stated(cache: SliceCache, contrast: str, name: str) -> list[float]:
    """The values of a parameter in the training subjects whose files state it."""
    protocols = (subject.provenance["series"][contrast]["protocol"] for subject in cache.part("train"))
    return [protocol[name] for protocol in protocols if protocol[name]]
