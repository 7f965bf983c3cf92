"""What a model's card says of data: in words, the protocol of every contrast, and whether a cache is normalised as it says."""

from __future__ import annotations

import statistics

from ccdnn.errors import InputError
from ccdnn.model.card import PROTOCOL_PARAMETERS, Contrast, ModelCard, Protocol
from ccdnn.series import Role
from ccdnn_training.data.cache import SliceCache
from ccdnn_training.physics.protocol import PAPER_PROTOCOL, PARAMETER_RANGES

_CARD_NAMES = {"tr": "tr_ms", "te": "te_ms", "ti": "ti_ms", "flip_angle": "flip_angle_deg"}
_NEEDED = ("tr_ms", "te_ms")


def training_data_of(cache: SliceCache) -> str:
    """One paragraph; no subject is named."""
    train = len(cache.part("train"))
    if not cache.is_cohort:
        return (
            f"{train} simulated knees; protocol, tissue values, anatomy and acquisition effects drawn for each subject. "
            "No patient data."
        )
    fold = cache.fold
    text = (
        f"{train} subjects of a cohort of {len(cache.subjects)} that the maker of this model prepared; "
        f"{len(fold.validation)} more to validate on and {len(fold.test)} left for testing."
    )
    unknown = [Role(contrast).label for contrast in cache.contrasts if not _is_stated(cache, contrast)]
    if unknown:
        text += f" The files did not say how {' and '.join(unknown)} were acquired; the paper's protocol stands in its place."
    return text


def contrasts_of(cache: SliceCache) -> tuple[Contrast, ...]:
    """The inputs and, last, the target: nominal parameters and the ranges that training covered."""
    return tuple(Contrast(contrast, _protocol(cache, contrast)) for contrast in cache.contrasts)


def require_normalisation(cache: SliceCache, card: ModelCard) -> None:
    """
    Raises:
        InputError: the cache is not normalised as the card's model needs it.
    """
    if cache.normalisation.to_card() != dict(card.normalisation):
        raise InputError(f"{cache.folder} is normalised otherwise than the model {card.name}; make the cache again.")


def _protocol(cache: SliceCache, contrast: str) -> Protocol:
    paper = {card: getattr(PAPER_PROTOCOL[contrast], name) for name, card in _CARD_NAMES.items()}
    if not cache.is_cohort:
        return Protocol(**paper, ranges={_CARD_NAMES[name]: limits for name, limits in PARAMETER_RANGES[contrast].items()})
    if not _is_stated(cache, contrast):
        return Protocol(**paper)
    seen = {name: _stated(cache, contrast, name) for name in PROTOCOL_PARAMETERS}
    nominal = {name: statistics.median(values) if values else None for name, values in seen.items()}
    return Protocol(**nominal, ranges={name: (min(values), max(values)) for name, values in seen.items() if len(set(values)) > 1})


def _is_stated(cache: SliceCache, contrast: str) -> bool:
    return all(_stated(cache, contrast, name) for name in _NEEDED)


def _stated(cache: SliceCache, contrast: str, name: str) -> list[float]:
    """The values of a parameter in the training subjects whose files say it."""
    protocols = (subject.provenance["series"][contrast]["protocol"] for subject in cache.part("train"))
    return [protocol[name] for protocol in protocols if protocol[name]]
