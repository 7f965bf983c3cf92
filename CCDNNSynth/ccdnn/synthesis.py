"""The main job: MR volumes of one knee in, a synthetic STIR volume out. Nothing is printed or written here.

check → resample to the reference grid → normalise as in the model's card → network → 0 where an input has no voxels
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk

from ccdnn.acquisition import Acquisition
from ccdnn.conversion import to_nibabel, to_sitk
from ccdnn.errors import InputError
from ccdnn.files import check_voxels, check_writable, write_volume
from ccdnn.inference.synthesizer import Synthesizer
from ccdnn.model.card import ModelCard
from ccdnn.normalisation import Normalisation
from ccdnn.patient import difference_of_patients, require_one_patient
from ccdnn.plausibility import (
    acquisition_warnings,
    crossing_warning,
    crossing_words,
    fat_suppression_warning,
    missing_warning,
    repetition_warnings,
    swap_warning,
)
from ccdnn.provenance import synthetic_header, synthetic_name
from ccdnn.resample import Resampled, resample_onto
from ccdnn.series import Role
from ccdnn.trust import UNFAMILIAR_ENTRY, StudyFamiliarity, familiarity_of, typical_half_width, uncertainty_volume
from ccdnn.volume import Volume
from ccdnn.writing import require_no_input

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Image

# Below half, most of the result would be missing or guessed from fewer contrasts.
LEAST_COVERAGE = 0.5


@dataclass(frozen=True)
class SynthesisResult:
    """A synthetic volume and how it was made.

    Args:
        volume: float32 on exactly the reference's grid, or on the requested slices of it, with metadata that describes
            it (`ccdnn.provenance`). Intensities are the network's: 1 is the robust maximum for `volume_percentile`, scanner units
            for `dataset_minmax`. 0 where an input has no voxels.
        coverage: share of the reference grid that each input covers.
        covered: (slice, row, column) bool, where all inputs have voxels, of the whole reference.
        notes: what was done that a reader should know, a sentence each.
        warnings: what may be wrong, a sentence each.
        seconds: wall time by step: resample, normalise, network.
        device, precision, reasons: what the network ran on ("cuda", "fp16"), and why, in words.
        sources: metadata of the inputs, with the UIDs that a derived DICOM series points back to. In memory only.
        files: what the inputs and the model were read from, as far as known; never to be overwritten.
        uncertainty: half the width of the 95 % interval at every voxel, on the grid of `volume`; None if the model does not
            estimate its error.
        familiarity: how much of the study's tissue is unlike the training; None if the model's card does not say what training saw.
    """

    volume: Volume
    coverage: Mapping[Role, float]
    covered: np.ndarray
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    seconds: Mapping[str, float]
    device: str
    precision: str
    reasons: tuple[str, ...]
    sources: Mapping[Role, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    files: tuple[Path, ...] = field(default=(), repr=False)
    uncertainty: Volume | None = field(default=None, repr=False)
    familiarity: StudyFamiliarity | None = field(default=None, repr=False)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the volume, as `ccdnn synthesize` does. An existing file is replaced only once the new one is complete.

        Args:
            path: a file .nrrd, .nii, .nii.gz or .mha. Beside NIfTI, a .json file describes how the volume was made.

        Raises:
            OutputError: it cannot be written, or it is an input.
        """
        self._write(self.volume, Path(path))

    def save_uncertainty(self, path: str | PathLike[str]) -> None:
        """Write the uncertainty, as `ccdnn synthesize --uncertainty` does; see `save`.

        Raises:
            InputError: the model does not estimate its error.
            OutputError: it cannot be written, or it is an input.
        """
        self._write(self.require_uncertainty(), Path(path))

    def require_uncertainty(self) -> Volume:
        """The uncertainty.

        Raises:
            InputError: the model does not estimate its error.
        """
        if self.uncertainty is None:
            raise InputError("The model does not estimate its error; choose one that does, see `ccdnn models`.")
        return self.uncertainty

    @property
    def typical_half_width(self) -> float | None:
        """The median of the uncertainty over voxels that are not dark; None if the model does not estimate its error."""
        return None if self.uncertainty is None else typical_half_width(self.volume.array, self.uncertainty.array)

    def _write(self, volume: Volume, path: Path) -> None:
        check_writable(path)
        require_no_input([path], self.files)
        write_volume(volume, path)

    def to_sitk(self) -> sitk.Image:
        """The volume as a SimpleITK image, whose metadata state that it is synthetic."""
        return to_sitk(self.volume)

    def to_nibabel(self) -> Nifti1Image:
        """The volume as a NIfTI image of nibabel, in RAS, whose description states that it is synthetic."""
        return to_nibabel(self.volume)


def synthesize(
    inputs: Mapping[Role, Volume],
    synthesizer: Synthesizer,
    *,
    reference: Role | Volume = Role.T1,
    acquisitions: Mapping[Role, Acquisition] | None = None,
    force: bool = False,
    with_names: bool = False,
    slices: range | None = None,
    on_message: Callable[[str, str], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    on_slice: Callable[[int, np.ndarray], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> SynthesisResult:
    """Make the STIR volume that the model of `synthesizer` predicts from the `inputs`.

    Args:
        inputs: a volume for each role in the model's card, except those that are optional; other roles are ignored.
        synthesizer: the model on its device; it can be reused for the next study.
        reference: the input, or any volume, whose grid the result has.
        acquisitions: how the inputs were acquired, where known; used only for warnings.
        force: continue even if an input covers less than half of the reference, or the volumes are of different patients.
        with_names: whether the header of the result includes the names of the inputs, which may contain a patient's name.
        slices: neighbouring slices of the reference to compute; None is all. Their voxels equal those of the whole result, up to
            rounding, since the volumes are normalised as a whole.
        on_message: called with ("note" or "warning", sentence) before the network starts, so that it can still be stopped.
        on_progress: called with (slices done, total slices).
        on_slice: called with (slice index in the reference, (row, column) finished slice of the result).
        cancelled: called between batches; True stops the run.

    Raises:
        InputError: a role without a series, a series that is not a usable volume, no overlap, or too little of it; volumes of
            different patients; `slices` that the reference does not have.
        DeviceError, ModelError: the computation failed, see `Synthesizer.run`.
        Cancelled: `cancelled` returned True.
    """
    card = synthesizer.model.card
    volumes = _wanted(inputs, card)
    missing = tuple(Role(role) for role in card.roles if Role(role) not in volumes)
    for role, volume in volumes.items():
        check_voxels(volume)
        if min(volume.grid.shape) < 2:
            raise InputError(f"{volume.name}, used as {role.label}, is a single slice; a volume of several slices is needed.")
    target = _reference_volume(reference, volumes)
    computed = _slices_of(target, slices)
    patients = difference_of_patients([*volumes.values(), target])
    if not force:
        require_one_patient([*volumes.values(), target])
    started = time.perf_counter()
    resampled = {role: resample_onto(volume, target.grid) for role, volume in volumes.items()}
    covered = _covered_by_all(resampled, target, force)
    resample_seconds = time.perf_counter() - started

    zeroed_share = 1 - float(covered.mean())
    notes = tuple(_notes(resampled, volumes, target, zeroed_share))
    forced = [patients] if patients else []
    warnings = tuple(_warnings(resampled, volumes, target, missing, acquisitions or {}, card))
    warnings = (*(f"The run was forced: {clause}." for clause in forced), *warnings)

    started = time.perf_counter()
    normalisation = Normalisation.from_card(card.normalisation)
    # A missing input is replaced as in training: by background everywhere.
    contrasts = np.full((len(card.roles), *target.grid.shape), normalisation.background, np.float32)
    for role, moved in resampled.items():
        contrasts[card.roles.index(role.value)] = _normalised(moved, normalisation, role)
    place = Volume(covered, target.ijk_to_ras)
    familiarity = familiarity_of(card, contrasts, [role.value for role in missing], covered, place)
    if familiarity is not None and familiarity.doubtful:
        warnings = (*warnings, f"{familiarity.sentence} The result may be wrong there.")
    normalise_seconds = time.perf_counter() - started
    if on_message is not None:
        for kind, sentences in (("note", notes), ("warning", warnings)):
            for sentence in sentences:
                on_message(kind, sentence)

    def finished(index: int | slice, output: np.ndarray) -> np.ndarray:
        # The network computes values there too, but with an input missing they would be invented.
        return np.where(covered[index], normalisation.to_intensity(output), np.float32(0))

    if on_progress is not None:
        on_progress(0, len(computed))
    started = time.perf_counter()
    prediction = synthesizer.predict(
        contrasts,
        on_progress=on_progress,
        on_slice=None if on_slice is None else lambda index, image: on_slice(index, finished(index, image)),
        cancelled=cancelled,
        slices=computed,
    )
    network_seconds = time.perf_counter() - started
    coverage = {role: moved.coverage for role, moved in resampled.items()}
    crossing = {role: words for role, volume in volumes.items() if (words := crossing_words(volume.grid, target.grid))}
    header = synthetic_header(
        card,
        synthesizer.model.sha256,
        volumes,
        coverage,
        target,
        zeroed_share,
        missing,
        crossing,
        forced=["inputs of different patients"] if patients else (),
        with_names=with_names,
    )
    if familiarity is not None:
        header[UNFAMILIAR_ENTRY] = f"{familiarity.share:.4f} of the tissue (limit {familiarity.limit:.4f})"
    part = slice(computed.start, computed.stop)
    result = Volume(
        finished(part, prediction.image),
        target.ijk_to_ras @ _to_slice(computed.start),
        name=synthetic_name(header),
        metadata=header,
    )
    uncertainty = None
    if prediction.log_scale is not None:
        uncertainty = uncertainty_volume(card, prediction.log_scale, [role.value for role in missing], covered[part], result)
    return SynthesisResult(
        volume=result,
        coverage=coverage,
        covered=covered,
        notes=notes,
        warnings=warnings,
        seconds={"resample": resample_seconds, "normalise": normalise_seconds, "network": network_seconds},
        device=synthesizer.device,
        precision=synthesizer.precision,
        reasons=tuple(synthesizer.reasons),
        sources={role: volume.metadata for role, volume in volumes.items()},
        uncertainty=uncertainty,
        familiarity=familiarity,
    )


def _wanted(inputs: Mapping[Role, Volume], card: ModelCard) -> dict[Role, Volume]:
    """The inputs the model reads, in its order."""
    missing = [Role(role).label for role in card.required if Role(role) not in inputs]
    if missing:
        raise InputError(f"The model {card.name} needs a {' and a '.join(missing)} series, but none was given.")
    return {Role(role): inputs[Role(role)] for role in card.roles if Role(role) in inputs}


def _reference_volume(reference: Role | Volume, volumes: Mapping[Role, Volume]) -> Volume:
    if isinstance(reference, Volume):
        return reference
    if reference not in volumes:
        raise InputError(f"The reference {reference.label} is not among the inputs of the model; choose one of them.")
    return volumes[reference]


def _slices_of(target: Volume, slices: range | None) -> range:
    total = target.grid.shape[0]
    if slices is None:
        return range(total)
    if slices.step != 1 or not 0 <= slices.start < slices.stop <= total:
        raise InputError(
            f"The reference {target.name} has slices 0 to {total - 1}; slices {slices.start} to {slices.stop - 1} were requested."
        )
    return slices


def _to_slice(index: int) -> np.ndarray:
    """4×4 matrix of a grid that begins at this slice."""
    matrix = np.eye(4)
    matrix[2, 3] = index
    return matrix


def _covered_by_all(resampled: Mapping[Role, Resampled], target: Volume, force: bool) -> np.ndarray:
    for role, moved in resampled.items():
        if moved.coverage < LEAST_COVERAGE and not force:
            raise InputError(
                f"{moved.volume.name}, used as {role.label}, covers only {moved.coverage:.0%} of the reference {target.name}; "
                "choose another series or reference, or force the run to get the part that is covered."
            )
    covered = np.logical_and.reduce([moved.covered for moved in resampled.values()])
    if not covered.any():
        raise InputError(f"The inputs share no voxel of the reference {target.name}; choose series of the same region.")
    return covered


def _normalised(moved: Resampled, normalisation: Normalisation, role: Role) -> np.ndarray:
    try:
        array = normalisation.apply(moved.volume.array)
    except InputError as error:
        raise InputError(f"{moved.volume.name}, used as {role.label}: {error}") from error
    return np.where(moved.covered, array, np.float32(normalisation.background))


def _notes(
    resampled: Mapping[Role, Resampled], volumes: Mapping[Role, Volume], target: Volume, zeroed_share: float
) -> Iterator[str]:
    for role, moved in resampled.items():
        if not moved.changed:
            continue
        smoothed = " after smoothing to its voxel size" if any(moved.smoothed_mm) else ""
        yield (
            f"{role.label} {moved.volume.name} ({volumes[role].grid}) was resampled onto {target.name} ({target.grid}){smoothed}; "
            f"it covers {moved.coverage:.1%} of it."
        )
    if zeroed_share > 0:
        yield f"{zeroed_share:.1%} of the result lies outside an input and was set to 0."


def _warnings(
    resampled: Mapping[Role, Resampled],
    volumes: Mapping[Role, Volume],
    target: Volume,
    missing: Iterable[Role],
    acquisitions: Mapping[Role, Acquisition],
    card: ModelCard,
) -> Iterator[str]:
    if without := missing_warning(missing, card):
        yield without
    for role, volume in volumes.items():
        yield from volume.warnings
        if crossing := crossing_warning(role, volume.name, volume.grid, target.grid):
            yield crossing
    yield from repetition_warnings({role: moved.volume for role, moved in resampled.items()})
    if Role.T1 in resampled and Role.T2 in resampled:
        swap = swap_warning(resampled[Role.T1].volume, resampled[Role.T2].volume, acquisitions)
        if swap:
            yield swap
    for role in resampled:
        suppressed = fat_suppression_warning(acquisitions.get(role), role)
        if suppressed:
            yield suppressed
    yield from acquisition_warnings(acquisitions, card)
