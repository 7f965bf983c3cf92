"""What regressors see of a lesion: all of it with marrow for comparison, less without, on knees made for this test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ccdnn.errors import InputError
from ccdnn_training.cli.main import main
from ccdnn_training.data.cache import SliceCache, write_index, write_regions, write_subject
from ccdnn_training.data.studies import NORMALISATION
from ccdnn_training.evaluation.lesions import contrast_kept
from ccdnn_training.physics.protocol import CONTRASTS
from ccdnn_training.studies.limits.lesion_limit import ABSOLUTE, RELATIVE, contrast_by_view


def write_knees(folder: Path, count: int) -> Path:
    """Knees of one slice with marrow of any level; in the inputs a lesion is 0.8 of it, STIR is 1 in marrow and 2 in the lesion."""
    rng = np.random.default_rng(5)
    subjects = []
    for number in range(count):
        labels = np.ones((1, 40, 40), int)
        labels[0, :, 20:] = 2
        level = np.where(labels == 2, 0.8, 1.0) * rng.uniform(0.4, 1.0)
        write_subject(folder, f"k{number}", np.stack([level, level, level, labels]))
        write_regions(folder, f"k{number}", labels)
        provenance = {"regions": {"bone marrow": [1], "bone-marrow edema": [2]}}
        subjects.append({"name": f"k{number}", "part": "train", "provenance": provenance})
    write_index(folder, subjects, contrasts=CONTRASTS, normalisation=NORMALISATION, made_by="test")
    return folder


def test_a_lesion_that_only_the_marrow_reveals(tmp_path: Path) -> None:
    kept = contrast_by_view(SliceCache(write_knees(tmp_path, 20)).part("train"), "bone-marrow edema")
    assert len(kept[ABSOLUTE]) == len(kept[RELATIVE]) == 20
    assert np.mean(kept[RELATIVE]) > 0.95
    assert np.mean(kept[ABSOLUTE]) < 0.6


def test_the_command_writes_what_it_prints(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    page = tmp_path / "limit.md"
    assert main(["study", "lesion-limit", str(write_knees(tmp_path, 6)), "-o", str(page)]) == 0
    assert capsys.readouterr().out.strip() in page.read_text()
    assert main(["study", "lesion-limit", str(tmp_path), "--lesion", "ganglion"]) == InputError.exit_code
    assert "0 subjects show ganglion" in capsys.readouterr().err


def test_contrast_kept_is_a_ratio_of_means() -> None:
    acquired, lesion = np.array([[[1.0, 3.0, 5.0, 5.0]]]), np.array([[[False, False, True, True]]])
    assert contrast_kept(acquired, acquired, lesion, ~lesion) == 1
    assert contrast_kept(7 - acquired, acquired, lesion, ~lesion) == -1
    assert np.isnan(contrast_kept(acquired, np.ones_like(acquired), lesion, ~lesion))
