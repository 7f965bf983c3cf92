"""A simulated cohort like the paper's (section 2.3): studies of healthy knees, others with a lesion, and the manifest of both.

FOLDER/
  manifest.csv                subject, t1, t2, gre, stir, regions, lesion: the input of `ccdnn-train prepare` and `compare`
  knee-01/ … knee-12/         t1, t2, gre, stir, labels .nrrd and how they were made
  edema-1/ … ganglion-1/ …    the same with a lesion; the manifest names it, so no fold trains on them
  trained-edema-1/ …          the same with a lesion that the manifest does not name, so the folds train on them
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ccdnn.errors import InputError
from ccdnn.volume import Grid
from ccdnn.writing import make_folder, replacing, replacing_folder
from ccdnn_training.data.manifest import MANIFEST_COLUMNS
from ccdnn_training.parallel import processes
from ccdnn_training.phantom.render import LABELS, sagittal_grid
from ccdnn_training.physics.protocol import CONTRASTS
from ccdnn_training.simulate import Study, simulate_study, write_study

MANIFEST = "manifest.csv"

# Seeds far from those of all other simulated subjects, and from each other.
FIRST_HEALTHY_SEED, FIRST_LESION_SEED, FIRST_TRAINED_LESION_SEED = 50_000, 60_000, 70_000

LESIONS = {"edema": LABELS[13], "ganglion": LABELS[14]}
# A lesion can lie outside a small field of view; the knee is then replaced by the one whose seed is this much higher.
NEXT_DRAW, DRAWS = 100, 9


@dataclass(frozen=True)
class CohortSubject:
    """A subject of the cohort; `lesion` is a key of `LESIONS`, or "". If it is trained on, the manifest does not name it."""

    name: str
    seed: int
    lesion: str = ""
    trained: bool = False

    @property
    def row(self) -> dict[str, str]:
        """Its line of the manifest."""
        files = {contrast: f"{self.name}/{contrast}.nrrd" for contrast in CONTRASTS}
        lesion = "" if self.trained else LESIONS.get(self.lesion, "")
        return {"subject": self.name, **files, "regions": f"{self.name}/labels.nrrd", "lesion": lesion}


def cohort_subjects(healthy: int = 12, lesions: int = 4, trained_lesions: int = 0) -> list[CohortSubject]:
    """`healthy` knees (twelve in the paper), `lesions` of each kind in no fold, and `trained_lesions` of each kind in the folds."""
    subjects = [CohortSubject(f"knee-{n + 1:02d}", FIRST_HEALTHY_SEED + n) for n in range(healthy)]
    for trained, count, first in ((True, trained_lesions, FIRST_TRAINED_LESION_SEED), (False, lesions, FIRST_LESION_SEED)):
        for kind, lesion in enumerate(LESIONS):
            prefix = f"trained-{lesion}" if trained else lesion
            subjects += [CohortSubject(f"{prefix}-{n + 1}", first + 1000 * kind + n, lesion, trained) for n in range(count)]
    return subjects


def simulate_cohort(
    folder: Path,
    subjects: list[CohortSubject],
    *,
    slices: int = 24,
    matrix: int = 384,
    fov: float = 160.0,
    jobs: int = 1,
    on_subject: Callable[[int, int], None] | None = None,
) -> Path:
    """Make the missing subjects of the cohort, with the paper's protocol and all acquisition effects. Returns the manifest.

    Args:
        slices: slices from side to side, over 86 mm.
        matrix: rows and columns over the field of view, `fov` in mm, centred on the joint.
        jobs: processes.
        on_subject: called with (subjects done, subjects).

    Raises:
        InputError: the field of view shows no lesion.
    """
    make_folder(folder)
    missing = [subject for subject in subjects if not (folder / subject.name).exists()]
    done = len(subjects) - len(missing)
    with processes(jobs) as pool:
        for _ in pool.map(partial(_make, folder, slices, matrix, fov), missing):
            done += 1
            if on_subject:
                on_subject(done, len(subjects))
    manifest = folder / MANIFEST
    with replacing(manifest) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, MANIFEST_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(subject.row for subject in subjects)
    return manifest


def _make(folder: Path, slices: int, matrix: int, fov: float, subject: CohortSubject) -> None:
    grid = sagittal_grid(matrix=matrix, slices=slices, fov=fov, slice_spacing=86.4 / slices)
    with replacing_folder(folder / subject.name) as temporary:
        write_study(_with_its_lesion(subject, grid), temporary)


def _with_its_lesion(subject: CohortSubject, grid: Grid) -> Study:
    """
    Raises:
        InputError: the field of view is so small that no draw shows the lesion.
    """
    for draw in range(DRAWS):
        seed = subject.seed + draw * NEXT_DRAW
        study = simulate_study(seed, grid=grid, edema=subject.lesion == "edema", ganglion=subject.lesion == "ganglion")
        if not subject.lesion or LESIONS[subject.lesion] in {LABELS.get(value) for value in np.unique(study.labels.array)}:
            return study
    raise InputError(f"None of {DRAWS} knees shows its {subject.lesion} in such a small field of view; use a larger --fov.")
