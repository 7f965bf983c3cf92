"""`ccdnn-train simulate-study`: a folder that the engine can read, that is labelled as simulated, and that is reproducible."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ccdnn.files import read_volume
from ccdnn.series import Role
from ccdnn.study import choose_roles, find_series
from ccdnn_training.cli.main import main

SMALL = ["--slices", "4", "--matrix", "96"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    assert main(["simulate-study", str(folder), "--seed", "5", "--edema", *SMALL]) == 0
    return folder


def test_the_engine_finds_every_role(folder: Path) -> None:
    roles = choose_roles(find_series(folder))
    assert {Role.T1, Role.T2, Role.GRE, Role.STIR} <= set(roles)
    assert roles[Role.STIR].load().array.shape == (4, 96, 96)


def test_the_same_seed_gives_the_same_study(folder: Path, tmp_path: Path) -> None:
    assert main(["simulate-study", str(tmp_path), "--seed", "5", "--edema", *SMALL]) == 0
    for name in ("t1", "t2", "gre", "stir", "labels"):
        assert np.array_equal(read_volume(tmp_path / f"{name}.nrrd").array, read_volume(folder / f"{name}.nrrd").array)


def test_the_record_lists_lesion_and_effects(folder: Path) -> None:
    record = json.loads((folder / "simulation.json").read_text())
    assert record["seed"] == 5
    assert record["edema"]
    assert "thermal_noise" in record["effects"]
    assert set(record["acquisitions"]) == {"t1", "t2", "gre", "stir"}


def test_effects_can_be_left_out(folder: Path, tmp_path: Path) -> None:
    arguments = ["simulate-study", str(tmp_path), "--seed", "5", "--edema", *SMALL]
    assert main([*arguments, "--without", "thermal_noise", "scanner_scale"]) == 0
    clean, noisy = (read_volume(path / "t1.nrrd").array for path in (tmp_path, folder))
    assert clean.max() < 2  # in units of S0, not of a scanner
    assert np.count_nonzero(clean[0, :8, :8] > 1e-3) < np.count_nonzero(noisy[0, :8, :8])
    assert "thermal_noise" not in json.loads((tmp_path / "simulation.json").read_text())["effects"]
