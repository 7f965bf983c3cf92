"""A cohort's own studies, checked and resampled onto one grid per subject, as a slice cache with its folds.

The reference grid is the STIR's, so the label is never interpolated; T1-w, T2-w and GRE are, as in `ccdnn synthesize`. Where an
input has no voxels all four are 0, like a synthetic volume.

Everything is checked first: the cache is written next to its destination, and renamed only if there are no problems.
"""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ccdnn.acquisition import PARAMETERS
from ccdnn.errors import InputError, OutputError
from ccdnn.files import check_voxels
from ccdnn.measure.labels import Labels, read_labels
from ccdnn.normalisation import DatasetMinMax, VolumePercentile, robust_maximum
from ccdnn.plausibility import fat_suppression_warning, swap_warning
from ccdnn.resample import resample_onto
from ccdnn.series import Role
from ccdnn.synthesis import LEAST_COVERAGE
from ccdnn.volume import Grid, Volume
from ccdnn.writing import stem_of
from ccdnn_training.data.cache import write_cohort_index, write_regions, write_subject
from ccdnn_training.data.folds import Folds, make_folds, write_folds
from ccdnn_training.data.manifest import SubjectSource, read_source
from ccdnn_training.physics.protocol import CONTRASTS

STRATEGIES = (DatasetMinMax.strategy, VolumePercentile.strategy)
LABEL = CONTRASTS[-1]

# As for the simulated knees: the 90th percentile of the foreground is muscle or fat in every contrast.
PERCENTILE = VolumePercentile(percentile=90.0, foreground_fraction=0.2)

# A scanner's filters and resampling undershoot a little; a subtraction, a phase image or a CT goes far below zero.
_LOWEST_SHARE = -0.05

# Knees on one scale differ by their fat and fluid; a scanner that scales every series separately differs by far more.
_LARGEST_SCALE_RATIO = 2.0


@dataclass(frozen=True)
class Prepared:
    """Summary of a prepared cohort.

    Args:
        shapes: (slices, rows, columns) by subject.
        apart: subjects with a lesion, which are in no fold.
        warnings: one sentence for each thing to check.
    """

    folds: Folds
    shapes: Mapping[str, tuple[int, int, int]]
    apart: tuple[str, ...]
    warnings: tuple[str, ...]


def prepare_cohort(
    source: Path,
    folder: Path,
    *,
    strategy: str = DatasetMinMax.strategy,
    folds: int = 4,
    seed: int = 0,
    made_by: str,
    on_subject: Callable[[int, int], None] | None = None,
) -> Prepared:
    """Make the slice cache `folder` of the studies in `source` (see `ccdnn_training.data.manifest`).

    Args:
        strategy: of normalisation, `dataset_minmax` (the paper; constants from each fold's training part) or
            `volume_percentile` (for scanners that scale every series separately).
        folds, seed: see `make_folds`.
        made_by: the command, kept in the index and later on the model's card; it should name no path.
        on_subject: called with (subjects done, subjects).

    Raises:
        InputError: there are problems; one sentence for each. Nothing is written.
        OutputError: `folder` is not empty, or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} exists and is not empty; name a new folder for the cache, or remove it first.")
    found = read_source(source)
    problems = [*found.problems, *_shared_files(found.subjects), *_lesions_trained_on(found.subjects)]
    drawn: Folds | None = None
    try:
        drawn = make_folds({subject.name: subject.person for subject in found.subjects if not subject.lesion}, folds, seed)
    except InputError as error:
        if not found.problems:  # otherwise some subjects are missing only because of their own problems
            problems.append(str(error))
    partial = _beside(folder)
    try:
        partial.mkdir()
        preparation = _Preparation(partial, problems)
        for done, subject in enumerate(found.subjects, start=1):
            preparation.add(subject)
            if on_subject:
                on_subject(done, len(found.subjects))
        problems += preparation.same_voxels()
        if problems:
            count = f"{len(problems)} problems" if len(problems) > 1 else "a problem"
            raise InputError(f"{source} has {count}; nothing was written:", problems)
        assert drawn is not None  # otherwise there is a problem
        if strategy == DatasetMinMax.strategy:
            preparation.warnings += scales_that_differ(preparation.entries)
        minmax = {"strategy": DatasetMinMax.strategy, "constants": None}  # each fold has its own
        normalisation = minmax if strategy == DatasetMinMax.strategy else PERCENTILE.to_card()
        write_cohort_index(partial, preparation.entries, contrasts=CONTRASTS, normalisation=normalisation, made_by=made_by)
        write_folds(drawn, partial)
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists():
            folder.rmdir()  # empty; not every system can rename onto a folder
        partial.rename(folder)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    apart = tuple(subject.name for subject in found.subjects if subject.lesion)
    return Prepared(drawn, preparation.shapes, apart, tuple(preparation.warnings))


def _beside(folder: Path) -> Path:
    """A name to write under, on the same disk as `folder`, whose parents need not exist yet."""
    existing = next(parent for parent in folder.absolute().parents if parent.is_dir())
    return existing / f".{folder.name}.{uuid.uuid4().hex[:8]}.partial"


def _lesions_trained_on(subjects: Iterable[SubjectSource]) -> Iterator[str]:
    """One sentence for every subject with a lesion whose other knee or other visit a fold would train on."""
    healthy = {subject.person: subject.name for subject in subjects if not subject.lesion}
    for subject in subjects:
        if subject.lesion and subject.person in healthy:
            yield f"{subject.name} has a lesion and is the same person as {healthy[subject.person]}; leave one of them out."


def _shared_files(subjects: Iterable[SubjectSource]) -> Iterator[str]:
    """One sentence for every series that is given twice."""
    uses = defaultdict(list)
    for subject in subjects:
        for contrast, series in subject.series.items():
            key = (tuple(file.resolve() for file in series.files), series.name, series.time_point)
            uses[key].append(f"{subject.name} {Role(contrast).label}")
    for places in uses.values():
        if len(places) > 1:
            yield f"{' and '.join(places)} are the same files; every series belongs to one subject and one contrast."


def scales_that_differ(entries: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """One sentence for each contrast whose scale differs too much between subjects for one minimum and maximum."""
    entries = list(entries)
    for contrast in CONTRASTS:
        scales = {entry["name"]: entry["series"][contrast]["robust_maximum"] for entry in entries}
        dark, bright = min(scales, key=scales.__getitem__), max(scales, key=scales.__getitem__)
        if scales[bright] > _LARGEST_SCALE_RATIO * scales[dark]:
            yield (
                f"the {Role(contrast).label} of {bright} is {scales[bright] / scales[dark]:.1f} times as bright as that of {dark}; "
                "if the scanner scales every series separately, use --normalisation volume_percentile."
            )


class _Preparation:
    """Subjects checked one after another; those without problems are written while `problems` is empty."""

    def __init__(self, folder: Path, problems: list[str]) -> None:
        self._folder, self._problems = folder, problems
        self._digests: dict[str, list[str]] = defaultdict(list)
        self.entries: list[dict[str, Any]] = []
        self.shapes: dict[str, tuple[int, int, int]] = {}
        self.warnings: list[str] = []

    def add(self, subject: SubjectSource) -> None:
        volumes = {}
        for contrast in CONTRASTS:
            where = f"{subject.name}, {Role(contrast).label} ({subject.series[contrast].name})"
            try:
                volumes[contrast] = self._checked(subject.series[contrast].load(), where)
            except InputError as error:
                self._problems.append(f"{where}: {error}")
                continue
            digest = hashlib.sha256(volumes[contrast].array.tobytes()).hexdigest()
            self._digests[digest].append(f"{subject.name} {Role(contrast).label}")
        if len(volumes) == len(CONTRASTS):
            self._write(subject, volumes)

    def same_voxels(self) -> Iterator[str]:
        for places in self._digests.values():
            if len(places) > 1:
                yield (
                    f"{' and '.join(places)} have the same voxels: a copy under another name would leak from training to test; "
                    "remove it."
                )

    def _checked(self, volume: Volume, where: str) -> Volume:
        check_voxels(volume)
        lowest, highest = float(volume.array.min()), float(volume.array.max())
        if highest <= 0 or lowest < _LOWEST_SHARE * highest:
            raise InputError(
                f"its intensities range from {lowest:g} to {highest:g}; a magnitude image has none below zero "
                "(is this a phase, subtraction or CT image?)."
            )
        if lowest < 0:
            self.warnings.append(f"{where} has a few negative voxels (lowest {lowest:g}, highest {highest:g}).")
        return volume

    def _write(self, subject: SubjectSource, volumes: Mapping[str, Volume]) -> None:
        reference = volumes[LABEL]
        acquisitions = {Role(contrast): series.acquisition for contrast, series in subject.series.items()}
        moved, covered = {}, np.ones(reference.grid.shape, dtype=bool)
        for contrast in CONTRASTS:
            where = f"{subject.name}, {Role(contrast).label} ({subject.series[contrast].name})"
            try:
                resampled = resample_onto(volumes[contrast], reference.grid)
            except InputError as error:
                self._problems.append(f"{where}: {error}")
                continue
            if resampled.coverage < LEAST_COVERAGE:
                self._problems.append(
                    f"{where}: it covers only {resampled.coverage:.0%} of the STIR ({reference.grid}); choose series of the same "
                    "knee and place."
                )
            moved[contrast] = resampled
            covered &= resampled.covered
            if warning := fat_suppression_warning(acquisitions[Role(contrast)], Role(contrast)):
                self.warnings.append(f"{where}: {warning}")
        if len(moved) < len(CONTRASTS):
            return
        if warning := swap_warning(moved["t1"].volume, moved["t2"].volume, acquisitions):
            self.warnings.append(f"{subject.name}: {warning}")
        array = np.stack([np.where(covered, moved[contrast].volume.array, np.float32(0)) for contrast in CONTRASTS])
        try:
            series = {
                contrast: {
                    "minimum": float(image.min()),
                    "maximum": float(image.max()),
                    # Over the whole series, as in the engine.
                    "robust_maximum": robust_maximum(
                        moved[contrast].volume.array, PERCENTILE.percentile, PERCENTILE.foreground_fraction
                    ),
                    "coverage": moved[contrast].coverage,
                    "resampled": moved[contrast].changed,
                    "protocol": {parameter.name: parameter.of(acquisitions[Role(contrast)]) for parameter in PARAMETERS},
                }
                for contrast, image in zip(CONTRASTS, array, strict=True)
            }
        except InputError as error:
            self._problems.append(f"{subject.name}: the overlap of all four series contains no image ({error})")
            return
        labels = self._labels(subject, reference.grid)
        if not self._problems:
            write_subject(self._folder, subject.name, array, np.float32)
            if labels:
                write_regions(self._folder, subject.name, labels.volume.array)
        entry = {"name": subject.name, "spacing_mm": [round(step, 6) for step in reference.grid.spacing], "series": series}
        if labels:
            entry["regions"] = labels.values
        if subject.lesion:
            entry["lesion"] = subject.lesion
        self.entries.append(entry)
        self.shapes[subject.name] = reference.grid.shape

    def _labels(self, subject: SubjectSource, grid: Grid) -> Labels | None:
        """The subject's tissues, None if there are none or they cannot be used."""
        if subject.regions is None:
            return None
        names = subject.regions.with_name(f"{stem_of(subject.regions)}.json")
        try:
            labels = read_labels(subject.regions, names if names.exists() else None, grid)
            if subject.lesion:
                labels.mask(subject.lesion)
        except InputError as error:
            self._problems.append(f"{subject.name}, regions ({subject.regions.name}): {error}")
            return None
        return labels
