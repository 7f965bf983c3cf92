"""What the slice adds to a network's window: everything on knees whose level shows far away, otherwise nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ccdnn.errors import InputError
from ccdnn.model.catalog import resolve_model
from ccdnn_training.cli.main import main
from ccdnn_training.data.cache import CachedSubject, SliceCache, write_index, write_subject
from ccdnn_training.data.studies import NORMALISATION
from ccdnn_training.physics.protocol import CONTRASTS
from ccdnn_training.studies.limits import beyond_window
from ccdnn_training.studies.limits.beyond_window import SMOOTHED, WITH_SLICE, WITH_WINDOW, correction_tables, score_corrections

WINDOW = 9


@pytest.fixture(autouse=True)
def few_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beyond_window, "PIXELS", 2000)


def write_knees(folder: Path, count: int, *, level_shows: bool) -> Path:
    """STIR is the T1-w texture times a level of the slice; if it shows, a strip at the border is as bright as that level."""
    rng = np.random.default_rng(2)
    for number in range(count):
        texture = rng.uniform(0.5, 1.0, (4, 64, 64))
        level = rng.uniform(0.5, 1.5, (4, 1, 1))
        inputs = texture.copy()
        inputs[:, :, :6] = level if level_shows else 1.0
        write_subject(folder, f"k{number}", np.stack([inputs, inputs, inputs, texture * level]))
    subjects = [{"name": f"k{number}", "part": "test", "provenance": {}} for number in range(count)]
    write_index(folder, subjects, contrasts=CONTRASTS, normalisation=NORMALISATION, made_by="test")
    return folder


def mean_psnr(scores: list, method: str) -> float:
    return float(np.mean([score.value for score in scores if score.method == method and score.metric == "PSNR"]))


def network(subject: CachedSubject) -> np.ndarray:
    """A network that sees the texture but not the level."""
    return np.asarray(subject.array()[0], np.float32)


@pytest.mark.parametrize("level_shows", [True, False])
def test_the_slice_helps_where_its_level_shows(tmp_path: Path, level_shows: bool) -> None:
    subjects = SliceCache(write_knees(tmp_path, 8, level_shows=level_shows)).part("test")
    scores = score_corrections("network", [network(subject) for subject in subjects], subjects, WINDOW)
    gain = mean_psnr(scores, WITH_SLICE) - mean_psnr(scores, WITH_WINDOW)
    assert gain > 6 if level_shows else gain < 0.5
    assert mean_psnr(scores, SMOOTHED) < mean_psnr(scores, "network")
    table = correction_tables(scores)
    assert f"| {WITH_SLICE} − {WITH_WINDOW} | {gain:+.2f} ± " in table


def test_the_command_corrects_the_bundled_model(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    page = tmp_path / "beyond.md"
    cache = write_knees(tmp_path, 4, level_shows=True)
    assert main(["study", "beyond-window", str(cache), "-o", str(page)]) == 0
    written = page.read_text(encoding="utf-8")
    side = 2 * resolve_model().architecture.receptive_radius + 1
    assert f"{side} × {side} pixels" in written
    assert written[written.index("| image |") :] in capsys.readouterr().out


def test_too_few_subjects_are_reported_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["study", "beyond-window", str(write_knees(tmp_path, 3, level_shows=True))]) == InputError.exit_code
    assert "3 test subjects are too few" in capsys.readouterr().err
