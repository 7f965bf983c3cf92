"""A user without PyTorch has every command: each runs in a process in which importing torch fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_study import read_array, write_model, write_study

from ccdnn.cli.main import main

WITHOUT_TORCH = "import sys; sys.modules['torch'] = None; from ccdnn.cli.main import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


def ccdnn(*arguments: object) -> str:
    """Run a command without torch, and return what it prints."""
    command = [sys.executable, "-c", WITHOUT_TORCH, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_synthesis_gives_the_same_image(model: Path, tmp_path: Path) -> None:
    study, expected, found = write_study(tmp_path / "study"), tmp_path / "expected.nrrd", tmp_path / "found.nrrd"
    cpu = ("--device", "cpu", "--precision", "fp32")
    assert main(["synthesize", str(study), "--model", str(model), *cpu, "-o", str(expected)]) == 0
    ccdnn("synthesize", study, "--model", model, "-o", found)
    np.testing.assert_array_equal(read_array(found), read_array(expected))


def test_what_is_around_it_works(model: Path, tmp_path: Path) -> None:
    study = write_study(tmp_path / "study")
    assert "T2-w" in ccdnn("inspect", study)
    assert "small" in ccdnn("models")
    assert "tiny" in ccdnn("models", model)
    assert "PSNR" in ccdnn("measure", "--acquired", study / "t1.nrrd", "--synthetic", study / "t2.nrrd", "--quiet")


@pytest.mark.slow
def test_the_demo_runs(tmp_path: Path) -> None:
    ccdnn("demo", "--output", tmp_path / "demo", "--quiet")
    assert (tmp_path / "demo" / "stir_synthetic.nrrd").exists()
