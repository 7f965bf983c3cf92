"""A cohort small enough for every test: legs of `small_study`, each with its own anatomy and voxels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import small_study

from ccdnn.series import Role
from ccdnn.volume import Volume
from ccdnn_training.physics.protocol import CONTRASTS


def volumes(seed: int) -> dict[str, Volume]:
    """The four contrasts of one leg, with the subject's own brightness and noise."""
    rng = np.random.default_rng(seed)
    made = small_study.volumes(scale=float(rng.uniform(600, 900)))
    return {
        contrast: made[Role(contrast)].with_array(np.abs(made[Role(contrast)].array + rng.normal(0, 4, small_study.SHAPE)))
        for contrast in CONTRASTS
    }


def write_subject(folder: Path, seed: int, **replaced: Volume) -> Path:
    """`t1.nrrd`, …, `stir.nrrd` of a subject in `folder`, some of them `replaced`."""
    folder.mkdir(parents=True)
    for contrast, volume in {**volumes(seed), **replaced}.items():
        small_study.write(volume, folder / f"{contrast}.nrrd")
    return folder


def write_cohort(folder: Path, subjects: int) -> Path:
    """A folder of studies, knee-1, knee-2, …"""
    for number in range(1, subjects + 1):
        write_subject(folder / f"knee-{number}", number)
    return folder


def write_regions(folder: Path, *, lesion: str = "", matrix: np.ndarray | None = None) -> None:
    """`regions.nrrd` and the names of its labels; the fluid is called `lesion` if one is given."""
    labels = Volume(small_study.label_map(), small_study.sagittal_matrix() if matrix is None else matrix, name="regions")
    small_study.write(labels, folder / "regions.nrrd")
    names = {**small_study.LABELS, **({4: lesion} if lesion else {})}
    (folder / "regions.json").write_text(json.dumps(names), encoding="utf-8")


def write_manifest(path: Path, rows: list[list[str]], header: str = "subject,t1,t2,gre,stir") -> Path:
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n", encoding="utf-8")
    return path


def row(subject: str, folder: str) -> list[str]:
    return [subject, *(f"{folder}/{contrast}.nrrd" for contrast in CONTRASTS)]
