"""Patches that show rare regions, such as a lesion, more often than by chance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ccdnn.errors import InputError
from ccdnn_training.data.cache import CachedSubject, SliceCache, write_index, write_regions, write_subject
from ccdnn_training.data.patches import PatchDataset
from ccdnn_training.data.studies import NORMALISATION
from ccdnn_training.physics.protocol import CONTRASTS


@pytest.fixture
def marked(tmp_path: Path) -> tuple[CachedSubject, ...]:
    """Two subjects of ones, of whom the second has a rare region, one voxel in a corner, and is 2 there."""
    for name, value in (("plain", 1), ("rare", 2)):
        array, labels = np.ones((4, 3, 40, 40)), np.ones((3, 40, 40))
        array[:, 2, 39, 0], labels[2, 39, 0] = value, value
        write_subject(tmp_path, name, array)
        write_regions(tmp_path, name, labels)
    regions = {"regions": {"bone marrow": [1], "ganglion": [2]}}
    subjects = [{"name": name, "part": "train", "provenance": regions} for name in ("plain", "rare")]
    write_index(tmp_path, subjects, contrasts=CONTRASTS, normalisation=NORMALISATION, made_by="test")
    return SliceCache(tmp_path).part("train")


def test_patches_focus_on_rare_regions(marked: tuple[CachedSubject, ...]) -> None:
    def seen(focus: dict[str, float] | None) -> float:
        """Share of the patches that contain the voxel."""
        dataset = PatchDataset(marked, 16, 400, seed=3, focus=focus)
        return sum(bool(dataset[0, item][1].max() > 1.5) for item in range(len(dataset))) / len(dataset)

    assert seen(None) < 0.02
    assert seen({"ganglion": 0.3}) == pytest.approx(0.3, abs=0.07)
    assert seen({"bone": 0.5, "ganglion": 0.2}) == pytest.approx(0.2, abs=0.06)


def test_a_focus_without_subjects_is_reported_in_one_sentence(marked: tuple[CachedSubject, ...]) -> None:
    with pytest.raises(InputError, match="No training subject has the region 'nerve'"):
        PatchDataset(marked, 16, 4, seed=1, focus={"nerve": 0.1})
