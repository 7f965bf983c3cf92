"""What leaves the machine and what reaches the terminal: no control characters, no names of folders, no formulas."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import small_study

from ccdnn.cli.main import main
from ccdnn.csv_file import guarded, read_csv
from ccdnn.errors import InputError
from ccdnn.files import read_volume, write_volume
from ccdnn.measure.table import Column, Table
from ccdnn.series import Role
from ccdnn.text import shown
from ccdnn.volume import Volume

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither such names nor such devices")
EVIL = "evil\x1b[31m\x07\u202ename"


def test_what_does_not_print_is_escaped() -> None:
    assert shown("a\x1b[0m\nb\u202ec\udcff\xa0d") == "a\\x1b[0m\\nb\\u202ec\\udcff d"
    assert shown("x" * 100, 10) == "x" * 9 + "…"
    assert str(InputError(f"{EVIL} is bad\nand more.")).isprintable()


@POSIX
def test_names_do_not_reach_the_terminal_raw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / EVIL
    folder.mkdir()
    image = nibabel.Nifti1Image(np.arange(2000, dtype=np.int16).reshape(20, 10, 10), np.diag([1.0, 1, 3, 1]))
    image.to_filename(folder / f"{EVIL}.nii")
    (folder / f"{EVIL}.mha").write_text("nonsense")
    for arguments in (["inspect", str(folder)], ["inspect", str(folder), "--json"], ["measure", "--acquired", f"{folder}/none"]):
        main(arguments)
        captured = capsys.readouterr()
        assert all(line.isprintable() for line in (captured.out + captured.err).splitlines())
        assert "evil" in captured.out + captured.err
        if "--json" in arguments:
            assert json.loads(captured.out)["series"][0]["name"] == "evil\x1b[31m\x07\u202ename.nii"


def test_names_of_folders_and_files_stay_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "Doe_Jane"
    folder.mkdir()
    for role, volume in small_study.volumes().items():
        small_study.write(volume, folder / f"DoeJane_{role.value}.nrrd")
    model = small_study.write_model(tmp_path / "tiny.safetensors")
    given = ["synthesize", "--model", str(model), "--device", "cpu"]
    given += [word for role in ("t1", "t2", "gre") for word in (f"--{role}", str(folder / f"DoeJane_{role}.nrrd"))]
    assert main([*given, "-o", str(tmp_path / "out.nrrd")]) == 0
    header = (tmp_path / "out.nrrd").read_bytes()[:4000]
    assert b"Doe" not in header and b"Jane" not in header
    report = tmp_path / "report"
    stir = str(folder / "DoeJane_stir.nrrd")
    assert main(["measure", "--acquired", stir, "--synthetic", str(tmp_path / "out.nrrd"), "--report", str(report)]) == 0
    assert main(["export-dicom", str(tmp_path / "out.nrrd"), "--no-reference", "-o", str(tmp_path / "dicom")]) == 0
    for path in (*report.iterdir(), *(tmp_path / "dicom").iterdir()):
        assert b"Doe" not in path.read_bytes(), path.name
    assert main([*given, "--with-names", "-o", str(tmp_path / "named.nrrd")]) == 0
    assert b"DoeJane_t1.nrrd" in (tmp_path / "named.nrrd").read_bytes()[:4000]


def test_control_characters_do_not_enter_headers(tmp_path: Path) -> None:
    volume = Volume(
        np.arange(2000.0).reshape(10, 20, 10), np.diag([1.0, 1, 3, 1]), metadata={"note": f"a{EVIL}\r\nb:=c", "x\ny": "z"}
    )
    for suffix in (".nrrd", ".mha"):
        write_volume(volume, tmp_path / f"x{suffix}")
        end = {".nrrd": b"\n\n", ".mha": b"ElementDataFile"}[suffix]
        header = (tmp_path / f"x{suffix}").read_bytes().partition(end)[0]
        assert b"\x1b" not in header and b"\x07" not in header
        assert "evil" in read_volume(tmp_path / f"x{suffix}").metadata["note"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-12 mm", "@SUM(A1)", "\tx", "plain", "'quoted"])
def test_cells_are_no_formulas(tmp_path: Path, text: str) -> None:
    table = Table("T", (Column("name"), Column("value")), ((text, -1.5),))
    (cells,) = list(csv.reader(table.to_csv().splitlines()))[1:]
    assert not cells[0].startswith(("=", "+", "-", "@", "\t")) and cells[1] == "-1.5"
    (tmp_path / "t.csv").write_text(table.to_csv())
    assert read_csv(tmp_path / "t.csv")[1][0]["name"] == text.strip()
    assert guarded(-1.5) == -1.5


def run(*arguments: str, stdout: str) -> subprocess.CompletedProcess:
    command = f"exec {sys.executable} -m ccdnn.cli.main " + " ".join(arguments) + f" {stdout}"
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)


@POSIX
@pytest.mark.parametrize("stdout", ["> /dev/full", ">&-"])
@pytest.mark.parametrize("command", [("inspect", "STUDY"), ("inspect", "STUDY", "--json"), ("models",)])
def test_output_that_cannot_be_printed_is_an_error(tmp_path: Path, stdout: str, command: tuple[str, ...]) -> None:
    small_study.write(small_study.volumes()[Role.T1], tmp_path / "t1.nrrd")
    done = run(*(str(tmp_path) if word == "STUDY" else word for word in command), stdout=stdout)
    assert done.returncode == 5
    assert done.stderr.startswith("Error: The result cannot be printed") and len(done.stderr.splitlines()) == 1


@POSIX
def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    small_study.write(small_study.volumes()[Role.T1], tmp_path / "t1.nrrd")
    done = run("inspect", str(tmp_path), "--json", stdout="| true")
    assert done.stderr == ""


@pytest.mark.parametrize("value", ["0", "-1", "1e3", "two", "99999999999999999999", "1.5", ""])
@pytest.mark.parametrize("option", ["--threads", "--batch"])
def test_counts_out_of_range_are_refused_at_once(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["synthesize", "study", option, value, "-o", "x.nrrd"])
    assert ended.value.code == 2
    assert option in capsys.readouterr().err
