"""Stress test: a model on studies unlike its training data, with one change at a time, to its inputs or to the whole scanner.

If only inputs change, the result is compared with the study's original STIR; another scanner has its own STIR.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ccdnn.errors import InputError
from ccdnn.files import read_volume
from ccdnn.inference.synthesizer import Synthesizer
from ccdnn.measure.cnr import tissue_name
from ccdnn.model.card import ModelCard
from ccdnn.normalisation import Normalisation
from ccdnn_training.acquisition.coil_field import CoilField
from ccdnn_training.acquisition.fat_level import FatLevel
from ccdnn_training.acquisition.placement import Placement
from ccdnn_training.acquisition.reslicing import Reslicing
from ccdnn_training.acquisition.saturation_band import SaturationBand
from ccdnn_training.acquisition.series import Scan, draw_study
from ccdnn_training.acquisition.spikes import Spikes
from ccdnn_training.acquisition.truncation import Truncation
from ccdnn_training.data.knees import KneeRecipe
from ccdnn_training.evaluation.checks import (
    body_of,
    brightness_checks,
    correlation,
    crescent,
    edema_contrast_of,
    lesion_checks,
    marrow_checks,
    streaks_in_air,
)
from ccdnn_training.phantom.anatomy import Anatomy
from ccdnn_training.phantom.render import LABELS
from ccdnn_training.physics.noise import add_rician_noise
from ccdnn_training.physics.protocol import CONTRASTS, INPUT_CONTRASTS, PAPER_FAT_T1, PAPER_PROTOCOL, PAPER_TI
from ccdnn_training.physics.tissues import TissueValues, draw_tissue_values
from ccdnn_training.triple import triple

# Distinct from all seeds of training, validation and test (`data.simulated.FIRST_SEED`).
FIRST_STRESS_SEED = 80_000
UNCHANGED = "none"

Images = dict[str, np.ndarray]  # contrast → (slice, row, column); missing inputs are left out


@dataclass(frozen=True, eq=False)
class Subject:
    """A study to change.

    Args:
        images: contrast → (slice, row, column) in any unit, inputs and STIR.
        labels: (slice, row, column), see `phantom.render.LABELS`; all 0 if unknown.
        spacing: mm from voxel to voxel, (slice, row, column).
        anatomy, values, scans: the sources of a simulated study, so that it can be acquired again with a change.
    """

    name: str
    images: Images
    labels: np.ndarray
    spacing: tuple[float, float, float]
    anatomy: Anatomy | None = None
    values: TissueValues | None = None
    scans: Mapping[str, Scan] = field(default_factory=dict)

    @property
    def regions(self) -> dict[str, np.ndarray]:
        found = {tissue_name(name): self.labels == code for code, name in LABELS.items()}
        return {name: mask for name, mask in found.items() if mask.any()}

    def acquired_anew(self, **changes: Callable[[Scan], Scan]) -> Images:
        """The images acquired again, some series with a changed scan.

        Raises:
            NotApplicable: the study was not simulated.
        """
        if self.anatomy is None or self.values is None:
            raise NotApplicable
        anew = {c: change(self.scans[c]).acquire(self.anatomy, self.values) for c, change in changes.items()}
        return {**self.images, **anew}


class NotApplicable(Exception):
    """A change needs what a study does not have."""


@dataclass(frozen=True)
class Change:
    """One row of the table.

    Args:
        name: title of the row.
        apply: returns a subject's changed images.
    """

    name: str
    apply: Callable[[Subject], Images]


def simulated_subject(seed: int, recipe: KneeRecipe) -> Subject:
    """A knee with the paper's protocol on one well-calibrated scanner."""
    anatomy = recipe.anatomy(seed)
    rng = np.random.default_rng((seed, 2))
    values = draw_tissue_values(rng)
    scans = draw_study(PAPER_PROTOCOL, rng)
    images = {contrast: scan.acquire(anatomy, values) for contrast, scan in scans.items()}
    return Subject(f"simulated {seed}", images, anatomy.labels, anatomy.spacing, anatomy, values, scans)


def read_subject(folder: Path) -> Subject:
    """Read a study folder that `ccdnn-train semi-real` or `simulate-study` wrote.

    Raises:
        InputError: a file is missing or has another grid.
    """
    volumes = {name: read_volume(folder / f"{name}.nrrd") for name in (*CONTRASTS, "labels")}
    first = volumes["t1"]
    for name, volume in volumes.items():
        if not volume.grid.same_as(first.grid):
            raise InputError(f"{folder / name}.nrrd is not on the grid of t1.nrrd; the stress test needs one grid.")
    images = {contrast: volumes[contrast].array for contrast in CONTRASTS}
    return Subject(folder.name, images, volumes["labels"].array.astype(np.uint8), first.grid.spacing[::-1])


# ---------------------------------------------------------------------------------------------------------------- changes


def _on(contrast: str, function: Callable[[np.ndarray, Subject], np.ndarray]) -> Callable[[Subject], Images]:
    return lambda subject: {**subject.images, contrast: function(subject.images[contrast], subject)}


def _on_inputs(function: Callable[[np.ndarray, Subject], np.ndarray]) -> Callable[[Subject], Images]:
    return lambda subject: {
        **subject.images,
        **{contrast: function(subject.images[contrast], subject) for contrast in INPUT_CONTRASTS},
    }


def _without(contrast: str) -> Callable[[Subject], Images]:
    return lambda subject: {name: image for name, image in subject.images.items() if name != contrast}


def _half_matrix(image: np.ndarray, subject: Subject) -> np.ndarray:
    return np.abs(Truncation(0.5, 0.5, -1).apply(image))


def _noisier(percent: float) -> Callable[[np.ndarray, Subject], np.ndarray]:
    return lambda image, subject: add_rician_noise(
        image, percent / 100 * float(np.percentile(image, 99.5)), np.random.default_rng(image.size)
    )


def _moved(*pixels: float) -> Callable[[np.ndarray, Subject], np.ndarray]:
    """Move by `pixels` (slice, row, column)."""

    def apply(image: np.ndarray, subject: Subject) -> np.ndarray:
        shift = triple(p * s for p, s in zip(pixels, subject.spacing, strict=True))
        return Placement(shift, (0.0, 0.0, 0.0)).apply(image, subject.spacing)

    return apply


def _ramp(image: np.ndarray, subject: Subject) -> np.ndarray:
    """From 1.4 at the first column to 0.6 at the last."""
    return image * np.linspace(1.4, 0.6, image.shape[2], dtype=np.float32)


def _surface_coil(image: np.ndarray, subject: Subject) -> np.ndarray:
    return CoilField(((0.5, 0.5, -0.1),), 0.4, 3.0).apply(image)


def _resliced(axis: int, spacing_mm: float) -> Callable[[np.ndarray, Subject], np.ndarray]:
    def apply(image: np.ndarray, subject: Subject) -> np.ndarray:
        slices = Reslicing(axis, spacing_mm, 0.9 * spacing_mm, 0.3)
        return slices.interpolate(slices.sample(image, subject.spacing), image.shape[axis], subject.spacing)

    return apply


def _band(image: np.ndarray, subject: Subject) -> np.ndarray:
    return SaturationBand(120.0, 0.15, 0.03, 0.2).apply(image)


def _spiked(image: np.ndarray, subject: Subject) -> np.ndarray:
    return Spikes(5e-4, 1).apply(image)


def _anew(contrast: str, change: Callable[[Scan], Scan]) -> Callable[[Subject], Images]:
    return lambda subject: subject.acquired_anew(**{contrast: change})


def _with_fat(contrast: str, level: float) -> Callable[[Subject], Images]:
    return _anew(contrast, lambda scan: replace(scan, fat_level=FatLevel(level)))


def _with_sequence(contrast: str, **parameters: float) -> Callable[[Subject], Images]:
    sequence = PAPER_PROTOCOL[contrast].with_parameters(**parameters)
    return _anew(contrast, lambda scan: replace(scan, sequence=sequence))


def _at(tesla: float) -> Callable[[Subject], Images]:
    """The whole study on a scanner with another field; its STIR nulls the same share of fat."""

    def apply(subject: Subject) -> Images:
        if subject.values is None:
            raise NotApplicable
        values = subject.values.at_field(tesla)
        ti = PAPER_TI * float(np.median(values.fat_t1)) / PAPER_FAT_T1

        def at_field(scan: Scan) -> Scan:
            assert scan.chemical_shift is not None  # `draw_study` has all effects
            return replace(scan, tesla=tesla, chemical_shift=replace(scan.chemical_shift, tesla=tesla))

        def stir_at_field(scan: Scan) -> Scan:
            return replace(at_field(scan), sequence=replace(PAPER_PROTOCOL["stir"], ti=ti))

        changes = {**dict.fromkeys(subject.scans, at_field), "stir": stir_at_field}
        return replace(subject, values=values).acquired_anew(**changes)

    return apply


CHANGES = (
    Change(UNCHANGED, lambda subject: subject.images),
    Change("half the matrix, zero-filled", _on_inputs(_half_matrix)),
    Change("T2-w moved by 1 pixel", _on("t2", _moved(0, 0, 1))),
    Change("T2-w moved by 4 pixels", _on("t2", _moved(0, 0, 4))),
    Change(
        "T2-w and GRE moved by 3 mm and a slice",
        lambda s: {**_on("t2", _moved(0.8, 0, 7))(s), "gre": _moved(0, 7, 0)(s.images["gre"], s)},
    ),
    Change("5 % noise on the inputs", _on_inputs(_noisier(5))),
    Change("10 % noise on the inputs", _on_inputs(_noisier(10))),
    Change("saturation band in T2-w", _on("t2", _band)),
    Change("saturation band in T1-w", _on("t1", _band)),
    Change("shading shared by the inputs, 1.4 to 0.6", _on_inputs(_ramp)),
    Change("surface coil, shared by the inputs, 3 : 1", _on_inputs(_surface_coil)),
    Change("shading of T2-w alone, 1.4 to 0.6", _on("t2", _ramp)),
    Change("fat in T2-w × 0.3", _with_fat("t2", 0.3)),
    Change("fat in T1-w × 0.75", _with_fat("t1", 0.75)),
    Change("fat in T1-w × 0.5", _with_fat("t1", 0.5)),
    Change("fat-suppressed T2-w", _with_fat("t2", 0.05)),
    Change("T1-w with TR 1200 ms", _with_sequence("t1", tr=1200.0)),
    Change("T2-w with TE 120 ms", _with_sequence("t2", te=120.0)),
    Change("GRE with TR 30 ms and 30°", _with_sequence("gre", tr=30.0, flip_angle=30.0)),
    Change("coronal T1-w, 3.5 mm slices", _on("t1", _resliced(-1, 3.5))),
    Change("axial T2-w, 4 mm slices", _on("t2", _resliced(-2, 4.0))),
    Change("T2-w of 8 mm slices", _on("t2", _resliced(-3, 8.0))),
    Change("outlying voxels in T2-w", _on("t2", _spiked)),
    Change("1.5 T", _at(1.5)),
    Change("0.3 T", _at(0.3)),
    Change("GRE := T2-w", lambda subject: {**subject.images, "gre": subject.images["t2"]}),
    Change("GRE := T1-w", lambda subject: {**subject.images, "gre": subject.images["t1"]}),
    Change("GRE := zeros", lambda subject: {**subject.images, "gre": np.zeros_like(subject.images["gre"])}),
    Change("no GRE", _without("gre")),
    Change("no T2-w", _without("t2")),
    Change("no T1-w", _without("t1")),
)


# ----------------------------------------------------------------------------------------------------------------- scoring


@dataclass(frozen=True)
class StressScore:
    """One measure of one model on one changed study."""

    change: str
    subject: str
    model: str
    measure: str
    value: float


@dataclass(frozen=True, eq=False)
class Shown:
    """Images for the picture, one slice each: the changed inputs, the STIR, and every model's result."""

    change: str
    inputs: Images
    stir: np.ndarray
    results: Mapping[str, np.ndarray]


def title_of(card: ModelCard) -> str:
    return f"{card.name} {card.version}"


class StressTest:
    """Runs models over changed studies.

    Args:
        models: models to compare, all with the same normalisation.
        slices: number of slices computed per study, including those with a lesion.
        changes: rows of the table.
    """

    def __init__(self, models: Sequence[Synthesizer], slices: int = 6, changes: Sequence[Change] = CHANGES) -> None:
        normalisations = {str(model.model.card.normalisation) for model in models}
        if len(normalisations) > 1:
            raise InputError(
                "The models normalise their inputs in different ways, so their results cannot be compared; run them separately."
            )
        self._models = {title_of(model.model.card): model for model in models}
        self._normalisation = Normalisation.from_card(models[0].model.card.normalisation)
        self._slices, self._changes = slices, changes

    def run(self, subject: Subject, on_change: Callable[[str], None] | None = None) -> tuple[list[StressScore], list[Shown]]:
        """All changes of one subject; the middle slice of those computed is kept for the picture."""
        chosen = _chosen_slices(subject, self._slices)
        body = body_of(np.stack([self._normalised(subject.images[contrast])[chosen] for contrast in INPUT_CONTRASTS]))
        regions = {name: mask[chosen] for name, mask in subject.regions.items() if mask[chosen].any()}
        scores, shown = [], []
        unchanged: Images = {}
        for change in self._changes:
            if on_change:
                on_change(change.name)
            try:
                images = change.apply(subject)
            except NotApplicable:
                continue
            normalised = {name: self._normalised(image)[chosen] for name, image in images.items()}
            found = {title: self._result(model, normalised) for title, model in self._models.items()}
            results = {title: result for title, result in found.items() if result is not None}
            if change.name == UNCHANGED:
                unchanged = results
            for title, result in results.items():
                of_model = _measures(result, normalised["stir"], body, regions, unchanged.get(title))
                scores += [StressScore(change.name, subject.name, title, name, value) for name, value in of_model]
            middle = len(chosen) // 2
            inputs = {name: normalised[name][middle] for name in INPUT_CONTRASTS if name in normalised}
            pictures = {title: result[middle] for title, result in results.items()}
            shown.append(Shown(change.name, inputs, normalised["stir"][middle], pictures))
        return scores, shown

    def _normalised(self, image: np.ndarray) -> np.ndarray:
        return normalised(image, self._normalisation)

    def _result(self, model: Synthesizer, images: Images) -> np.ndarray | None:
        """(slice, row, column), or None if the model requires an input that is missing."""
        inputs = inputs_of(model.model.card, images)
        return None if inputs is None else model.run(inputs)


def normalised(image: np.ndarray, normalisation: Normalisation) -> np.ndarray:
    """As for a model. An image of zeros stays zero, as the row "GRE := zeros" needs it."""
    return normalisation.apply(image) if image.any() else np.zeros_like(image, np.float32)


def inputs_of(card: ModelCard, images: Images) -> np.ndarray | None:
    """A model's inputs (contrast, slice, row, column) of normalised images, with background for the missing ones.

    Returns:
        None if the model requires an input that is missing.
    """
    if any(role not in images for role in card.required):
        return None
    background = np.full_like(images["stir"], Normalisation.from_card(card.normalisation).background)
    return np.stack([images.get(role, background) for role in card.roles])


def _measures(
    result: np.ndarray, acquired: np.ndarray, body: np.ndarray, regions: Mapping[str, np.ndarray], unchanged: np.ndarray | None
) -> Iterator[tuple[str, float]]:
    contrast = edema_contrast_of(acquired, regions)
    yield "r", correlation(result, acquired, body)
    yield from lesion_checks(result, acquired, regions).items()
    yield from brightness_checks(result, acquired, regions).items()
    if math.isfinite(contrast):
        yield from marrow_checks(result, acquired, regions, contrast).items()
        if unchanged is not None:
            yield "crescent", crescent(result, unchanged, regions, contrast)
    yield "streaks in air", streaks_in_air(result, body)


def _chosen_slices(subject: Subject, count: int) -> np.ndarray:
    """`count` slices: those with most of a lesion, and others spread over the rest."""
    total = len(subject.labels)
    codes = [code for code, name in LABELS.items() if name in ("bone-marrow edema", "ganglion")]
    lesion = np.isin(subject.labels, codes).sum(axis=(1, 2))
    with_lesion = [int(index) for index in np.argsort(lesion)[::-1][: count // 2] if lesion[index]]
    spread = np.linspace(0.15, 0.85, max(count - len(with_lesion), 1)) * (total - 1)
    return np.unique([*with_lesion, *np.round(spread).astype(int)])
