"""`ccdnn-train add-uncertainty`: fit the second head, calibrate it, and record which intensities training saw."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ccdnn.errors import InputError
from ccdnn.inference.synthesizer import Synthesizer
from ccdnn.model.card import ModelCard
from ccdnn.model.file import Model
from ccdnn.model.network import CCDNN
from ccdnn.model.saving import save_model, weights_of
from ccdnn.model.uncertainty import INTERVALS, RegionError, Uncertainty
from ccdnn_training.data.cache import CachedSubject, SliceCache
from ccdnn_training.data.for_card import require_normalisation
from ccdnn_training.data.knees import KneeRecipe, Knees
from ccdnn_training.data.missing import MissingInputs
from ccdnn_training.data.simulated import FIRST_SEED
from ccdnn_training.data.studies import ANY_TISSUE, HOSPITAL, NORMALISATION, PAPER_LIKE, REGIONS, SimulatedStudies
from ccdnn_training.fitting.export import stored_type
from ccdnn_training.reporting import Progress, command_line
from ccdnn_training.uncertainty.calibration import factors_of, fit_region_error, region_ratios
from ccdnn_training.uncertainty.cases import case_of, missing_sets
from ccdnn_training.uncertainty.head import error_after, fit_head, refitted_head
from ccdnn_training.uncertainty.samples import Samples, joined, samples_of
from ccdnn_training.uncertainty.training_cells import CellsSeen

SHARES = {PAPER_LIKE: 0.55, HOSPITAL: 0.25, ANY_TISSUE: 0.08, REGIONS: 0.12}
KNEES = (PAPER_LIKE, HOSPITAL)  # what is familiar; tissues that are not a knee's are in no patient
CROPS, MISSING_RATE, LESIONS = 8, 0.35, 0.6


def add_uncertainty(
    model: Model,
    output: Path,
    *,
    validation: Path,
    knees: Path | None,
    studies: int,
    maps: int,
    seed: int,
    version: str | None,
    refit_image: bool,
    progress: Progress,
) -> str:
    """Write `model` with an uncertainty and a familiarity, and return the SHA-256 of the file.

    Args:
        validation: slice cache of simulated knees with validation subjects.
        knees: see `Knees`.
        studies: how many simulated studies the head is fitted on.
        maps: of the head's hidden layer.
        seed: of the studies, the voxels and the head's first weights.
        version: of the new model; None keeps it.
        refit_image: whether the image's last layer is fitted anew too, see `refitted_head`; else the image stays exactly as it is.

    Raises:
        InputError: the cache is missing, or not of simulated knees; the model is normalised in another way.
        OutputError: the file cannot be written.
    """
    card = model.card
    if card.normalisation != NORMALISATION.to_card():
        raise InputError(
            f"The model {card.name} normalises its inputs in another way than the simulated studies it would be fitted on."
        )
    cache = SliceCache(validation)
    if cache.is_cohort:
        raise InputError(f"{validation} is the cache of a cohort; name one of `ccdnn-train simulate`, whose tissues are known.")
    require_normalisation(cache, card)
    samples, seen = _samples(model, knees, studies, seed, progress)
    image_head = model.network.head
    if refit_image:
        image_head = refitted_head(image_head, samples)
        samples = error_after(samples, model.network.head, image_head)
        # The card's results are those of another image.
        card = replace(card, results=(), training={**card.training, "refitted_head": f"{studies} studies, seed {seed}"})
    with progress("steps of the fit") as on_step:
        head = fit_head(samples, maps, seed=seed, on_step=on_step)
    with_head = _with_heads(model, image_head, head, maps)
    provisional = Uncertainty(maps, {"": (1.0,) * len(INTERVALS)}, RegionError(1.0, 1.0, 1.0), "nobody", "none")
    card = replace(card, version=version or card.version, uncertainty=provisional)
    subjects = cache.part("validation")
    uncertainty = _calibrated(card, with_head, subjects, progress)
    familiarity = seen.familiarity(np.asarray(subject.array(), np.float32)[:-1] for subject in subjects)
    card = replace(card, uncertainty=uncertainty, familiarity=familiarity)
    return save_model(output, with_head, card, stored_type(model))


def _samples(model: Model, knees: Path | None, studies: int, seed: int, progress: Progress) -> tuple[Samples, CellsSeen]:
    card = model.card
    network = model.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    source = SimulatedStudies(Knees(knees, KneeRecipe(lesions=LESIONS), FIRST_SEED["train"]), SHARES, seed)
    missing = MissingInputs(dict.fromkeys(card.optional, MISSING_RATE), card.roles)
    seen, parts = CellsSeen(card.roles), []
    with progress("simulated studies") as on_study:
        for number in range(studies):
            study = source.study(number)
            if source.kind(number) in KNEES:
                seen.add(study.contrasts[:-1].astype(np.float32))
            parts.append(samples_of(network, study, missing, CROPS, np.random.default_rng((seed, number))))
            on_study(number + 1, studies)
    return joined(parts), seen


def _with_heads(model: Model, image_head: torch.nn.Module, head: torch.nn.Module, maps: int) -> CCDNN:
    card = model.card
    network = CCDNN(card.branch_width, len(card.contrasts), card.fusion_dilations, maps)
    heads = {"head": image_head, "uncertainty": head}
    of_heads = {f"{part}.{name}": values for part, layer in heads.items() for name, values in layer.state_dict().items()}
    network.load_state_dict({**model.network.state_dict(), **of_heads})
    return network.eval().requires_grad_(False)


def _calibrated(card: ModelCard, network: CCDNN, subjects: tuple[CachedSubject, ...], progress: Progress) -> Uncertainty:
    """The factors and the error of regions, on subjects that neither network nor head was fitted on."""
    synthesizer = Synthesizer(Model(card, weights_of(network), Path(card.name), ""), device="auto")
    assert card.uncertainty is not None
    sets, rng = missing_sets(card.optional), np.random.default_rng(0)
    factors: dict[str, tuple[float, ...]] = {}
    ratios: list[tuple[float, float]] = []
    with progress("validation subjects") as on_subject:
        for number, missing in enumerate(sets):
            found = []
            for done, subject in enumerate(subjects, start=1):
                found.append(case_of(synthesizer, subject, missing))
                ratios += region_ratios(found[-1], rng) if not missing else []
                on_subject(number * len(subjects) + done, len(sets) * len(subjects))
            factors["+".join(missing)] = tuple(round(factor, 4) for factor in factors_of(found))
    region = fit_region_error(ratios)
    measured_on = f"{len(subjects)} validation subjects"
    return Uncertainty(card.uncertainty.maps, factors, region, measured_on, command_line())
