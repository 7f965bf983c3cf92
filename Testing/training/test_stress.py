"""The stress test, what it measures, and semi-real studies."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import small_study
from scipy import ndimage

from ccdnn.files import read_volume, write_volume
from ccdnn.volume import Volume
from ccdnn_training.cli.main import main
from ccdnn_training.data.knees import KneeRecipe
from ccdnn_training.evaluation import checks
from ccdnn_training.evaluation.semi_real import fit_tissue, semi_real_study
from ccdnn_training.evaluation.stress import CHANGES, UNCHANGED, simulated_subject
from ccdnn_training.physics.protocol import PAPER_PROTOCOL

TIMES = np.arange(1, 11) * 10.0  # ms


def echoes(water: np.ndarray, t2: np.ndarray, fat: np.ndarray, noise: float = 0.0) -> np.ndarray:
    decay = water * np.exp(-TIMES[:, None, None, None] / t2) + fat * np.exp(-TIMES[:, None, None, None] / 130.0)
    return (decay + np.random.default_rng(0).normal(0, noise, decay.shape)).astype(np.float32)


@pytest.fixture
def body() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Water, its T2 and fat: a body of muscle, fat, a mixture of both and fluid, in air."""
    water, t2, fat = np.zeros((3, 64, 64)), np.full((3, 64, 64), 35.0), np.zeros((3, 64, 64))
    water[:, 4:34, 4:34] = 900
    fat[:, 34:60, 4:60] = 1000
    water[:, 4:34, 34:50], fat[:, 4:34, 34:50] = 400, 500
    water[:, 4:34, 50:60], t2[:, 4:34, 50:60] = 1000, 500
    return water, t2, fat


# --------------------------------------------------------------------------------------------------------------- semi-real


def test_the_fit_recovers_the_tissue_behind_the_echoes(body) -> None:
    water, _, fat = body
    tissue = fit_tissue(TIMES, echoes(*body))
    inside = ndimage.binary_erosion(water + fat > 0, np.ones((1, 7, 7)))
    muscle = (slice(None), slice(10, 28), slice(10, 28))
    assert tissue.fat_t2 == pytest.approx(130, rel=0.03)
    assert tissue.water[muscle].mean() == pytest.approx(900, rel=0.05)
    assert tissue.water_t2[muscle].mean() == pytest.approx(35, rel=0.1)
    share = tissue.fat / np.maximum(tissue.water + tissue.fat, 1)
    assert share[:, 40:56, 10:54].mean() > 0.95
    assert share[:, 10:28, 39:45].mean() == pytest.approx(500 / 900, abs=0.06)
    assert tissue.water_t2[:, 10:28, 53:57].mean() > 300 and share[:, 10:28, 53:57].max() < 0.01
    assert (tissue.water + tissue.fat)[inside].min() > 300
    assert not (tissue.water + tissue.fat)[:, :2].any()  # air


def test_the_contrasts_follow_the_signal_equations(body) -> None:
    grid = Volume(np.zeros((3, 64, 64)), small_study.sagittal_matrix())
    study = semi_real_study(TIMES, echoes(*body, noise=1.0), grid, noise_percent=0.0)
    muscle, fat = (slice(None), slice(10, 28), slice(10, 28)), (slice(None), slice(40, 56), slice(10, 54))
    for contrast in ("t1", "t2", "stir"):
        sequence = PAPER_PROTOCOL[contrast]
        image = study.volumes[contrast].array
        expected = abs(sequence.signal(900.0, 1400.0, 35.0, 20.0)) / abs(sequence.signal(1000.0, 370.0, 130.0, 20.0))
        assert image[muscle].mean() / image[fat].mean() == pytest.approx(float(expected), rel=0.15)
    assert set(np.unique(study.labels.array)) == {0, 2, 3, 10}
    assert "not acquired" in study.volumes["t1"].metadata["SimulatedImage"]


def write_echoes(folder: Path, images: np.ndarray) -> Path:
    folder.mkdir()
    for number, (time, image) in enumerate(zip(TIMES, images, strict=False), start=1):
        volume = Volume(np.abs(image), small_study.sagittal_matrix(), metadata={"EchoTime_ms": f"{time:g}"})
        write_volume(volume, folder / f"echo-{number}.nrrd")
    return folder


def test_a_folder_of_echoes_becomes_a_study(body, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    series = write_echoes(tmp_path / "series", echoes(*body, noise=2.0))
    assert main(["semi-real", str(series), "-o", str(tmp_path / "study")]) == 0
    assert read_volume(tmp_path / "study" / "stir.nrrd").array.shape == (3, 64, 64)
    assert main(["semi-real", str(series), "-o", str(tmp_path / "study")]) == 5  # an existing folder is not overwritten
    few = write_echoes(tmp_path / "few", echoes(*body)[:3])
    assert main(["semi-real", str(few), "-o", str(tmp_path / "none")]) == 3
    assert "Found 3 echoes on one grid, but 4 are needed" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


# ------------------------------------------------------------------------------------------------------------------ checks


def test_streaks_are_found_only_in_air() -> None:
    body = np.zeros((2, 100, 100), bool)
    body[:, 30:70, 30:70] = True
    image = np.where(body, 1.0, 0.01)
    assert checks.streaks_in_air(image, body) == 0
    image[:, 30:70, 24:30] = 0.5  # the blur of the edge
    assert checks.streaks_in_air(image, body) == 0
    image[:, 15:20, 30:70] = 0.06
    assert checks.streaks_in_air(image, body) == pytest.approx(0.05, abs=0.002)


def test_false_marrow_and_crescents_are_counted() -> None:
    marrow = np.zeros((1, 40, 40), bool)
    marrow[:, 5:35, 5:35] = True
    acquired = np.where(marrow, 0.2, 0.0) + np.random.default_rng(0).normal(0, 0.01, marrow.shape)
    synthetic = acquired.copy()
    synthetic[:, 10:13, 10:20] += 0.4  # 30 of 900 voxels
    found = checks.marrow_checks(synthetic, acquired, {"bone": marrow}, edema_contrast=0.6)
    assert found["false bright marrow"] == pytest.approx(30 / 900, abs=1e-3)
    assert found["marrow SD"] > 5
    crescent = acquired.copy()
    crescent[:, 5:9, 5:35] += 0.3
    assert checks.crescent(crescent, acquired, {"bone": marrow}, 0.6) == pytest.approx(0.5, abs=0.05)
    crescent = acquired.copy()
    crescent[:, 18:22, 15:25] += 0.3  # in the middle of the bone
    assert checks.crescent(crescent, acquired, {"bone": marrow}, 0.6) < 0.05


def test_the_body_has_no_holes_and_no_specks() -> None:
    t1 = np.zeros((1, 60, 60))
    t1[:, 10:50, 10:50] = 1
    t1[:, 25:30, 25:30] = 0
    t1[:, 55:58, 2:5] = 1
    body = checks.body_of(t1[None])
    assert body[0, 27, 27] and not body[0, 56, 3]
    assert body.sum() == pytest.approx(1600, abs=20)


# ------------------------------------------------------------------------------------------------------------------- table


def test_every_change_affects_only_its_inputs() -> None:
    subject = simulated_subject(80_001, KneeRecipe(slices=4, matrix=(96,), lesions=1.0))
    before = {name: image.copy() for name, image in subject.images.items()}
    names = [change.name for change in CHANGES]
    assert len(names) == len(set(names)) and names[0] == UNCHANGED
    for change in CHANGES:
        images = change.apply(subject)
        assert all(np.array_equal(subject.images[name], image) for name, image in before.items()), change.name
        assert all(np.isfinite(image).all() and image.shape == before["t1"].shape for image in images.values()), change.name
        same = {name for name, image in images.items() if np.array_equal(image, before[name])}
        for words, role in (("T1-w", "t1"), ("T2-w", "t2"), ("GRE", "gre")):
            if words in change.name and " := " not in change.name:
                assert role not in same, change.name
        if change.name not in ("1.5 T", "0.3 T"):
            assert "stir" in same, change.name
        if change.name != UNCHANGED:
            assert len(same) < 4, change.name


def test_the_command_writes_table_scores_and_picture(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    needs_all = small_study.write_model(tmp_path / "all.safetensors")
    without = small_study.write_model(tmp_path / "without.safetensors", name="free", optional=("gre",))
    output = tmp_path / "stress"
    arguments = ["--studies", "1", "--slices", "2", "--matrix", "96"]
    assert main(["stress", str(needs_all), str(without), "-o", str(output), *arguments]) == 0
    text = (output / "stress.md").read_text()
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in text.splitlines() if line.startswith("| ")}
    assert set(rows) == {"change", *(change.name for change in CHANGES if change.name not in ("no T1-w", "no T2-w"))}
    assert "tiny 0.0.1, free 0.0.1" in text
    assert rows["no GRE"].split(" | ")[1].startswith("– / ")  # one requires it, the other does not
    assert (output / "stress.png").stat().st_size > 10_000
    with (output / "scores.csv").open() as file:
        scores = list(csv.DictReader(file))
    assert {score["model"] for score in scores if score["change"] == "no GRE"} == {"free 0.0.1"}
    assert {"r", "streaks in air", "crescent"} <= {score["measure"] for score in scores}
