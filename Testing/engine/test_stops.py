"""A command that is told to stop, by whatever means, leaves nothing half-done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dicom_factory as factory
import pytest
import small_study
from dicom_export import synthetic

from ccdnn.files import write_volume
from ccdnn.series import Role
from ccdnn.study import read_volume
from ccdnn.volume import Volume

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")

SIGNALS = [signal.SIGTERM, signal.SIGHUP, signal.SIGINT]
# Stops in the middle of writing: the function named is replaced by one that says so and waits.
SCRIPT = """
import importlib, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests in the background ignores it
signal.signal(signal.SIGHUP, signal.SIG_DFL)
module, name = sys.argv[1].rsplit(".", 1)
owner = importlib.import_module(module)
original, calls = getattr(owner, name), []
def waiting(*arguments, **keywords):
    result = original(*arguments, **keywords)
    calls.append(1)
    if len(calls) == int(sys.argv[2]):
        print("waiting", file=sys.stderr, flush=True)
        time.sleep(60)
    return result
setattr(owner, name, waiting)
from ccdnn.cli.main import main
raise SystemExit(main(sys.argv[3:]))
"""


def stopped(number: signal.Signals, where: str, call: int, *arguments: str | Path) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, where, str(call), *map(str, arguments)], stderr=subprocess.PIPE, text=True
    )
    started = time.monotonic()
    while "waiting" not in (line := process.stderr.readline()):
        assert line or process.poll() is None, "it ended before it was stopped"
        assert time.monotonic() - started < 100
    process.send_signal(number)
    process.wait(30)
    return process


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    """A DICOM series, a synthetic volume on its grid, a study of files with a model, and a list of cases."""
    folder = tmp_path_factory.mktemp("inputs")
    factory.write(factory.series(5), folder / "dicom")
    write_volume(synthetic(read_volume(folder / "dicom")), folder / "synthetic.nrrd")
    (folder / "study").mkdir()
    for role, volume in small_study.volumes().items():
        small_study.write(volume, folder / "study" / f"{role.value}.nrrd")
    small_study.write_model(folder / "tiny.safetensors")
    stir = folder / "study" / f"{Role.STIR.value}.nrrd"
    (folder / "cases.csv").write_text(f"case,stir,A,B\nknee 1,{stir},{stir},{stir}\nknee 2,{stir},{stir},{stir}\n")
    return folder


@pytest.mark.parametrize("number", SIGNALS)
def test_a_stopped_export_leaves_no_folder(inputs: Path, tmp_path: Path, number: signal.Signals) -> None:
    arguments = ("export-dicom", inputs / "synthetic.nrrd", "--reference", inputs / "dicom", "-o", tmp_path / "out")
    process = stopped(number, "ccdnn.dicom.export.dcmwrite", 3, *arguments)
    assert process.returncode == 130
    assert "Stopped" in process.stderr.read()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", SIGNALS)
def test_a_stopped_reader_study_leaves_neither_folder_nor_key(inputs: Path, tmp_path: Path, number: signal.Signals) -> None:
    arguments = ("reader-study", inputs / "cases.csv", "-o", tmp_path / "readers", "--key", tmp_path / "key.json")
    assert stopped(number, "ccdnn.readers.study._write", 4, *arguments).returncode == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", SIGNALS)
def test_a_stopped_synthesis_leaves_the_old_result(inputs: Path, tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "out.nrrd"
    write_volume(Volume(small_study.volumes()[Role.T1].array, small_study.sagittal_matrix()), out)
    before = out.read_bytes()
    arguments = ("synthesize", inputs / "study", "--model", inputs / "tiny.safetensors", "--device", "cpu", "-o", out)
    assert stopped(number, "ccdnn.files._require_written", 1, *arguments).returncode == 130
    assert out.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out.nrrd"]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_stopped_report_leaves_nothing(inputs: Path, tmp_path: Path, number: signal.Signals) -> None:
    stir = inputs / "study" / "stir.nrrd"
    arguments = ("measure", "--acquired", stir, "--synthetic", stir, "--report", tmp_path / "report", "--csv", tmp_path / "csv")
    assert stopped(number, "ccdnn.writing._flush", 2, *arguments).returncode == 130
    assert list(tmp_path.iterdir()) == []


def test_nohup_is_respected(inputs: Path, tmp_path: Path) -> None:
    """A hangup that the caller ignores stays ignored."""
    script = "import signal, os, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); os.execv(sys.executable, sys.argv[1:])"
    code = "import os, signal; from ccdnn.stops import stopping_like_ctrl_c\n"
    code += "with stopping_like_ctrl_c():\n    os.kill(os.getpid(), signal.SIGHUP)\nprint('alive')"
    done = subprocess.run([sys.executable, "-c", script, sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "alive", done.stderr


def test_handlers_are_as_before_when_a_command_has_ended(inputs: Path) -> None:
    from ccdnn.cli.main import main

    before = [signal.getsignal(number) for number in SIGNALS]
    assert main(["inspect", str(inputs / "study")]) == 0
    assert [signal.getsignal(number) for number in SIGNALS] == before
    assert os.getpid()
