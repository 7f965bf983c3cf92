"""`ccdnn inspect`: the table, its JSON, and what stands below it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import dicom_factory as factory
import pytest
from pydicom.uid import generate_uid

from ccdnn.cli import inspect
from ccdnn.errors import InputError


def run(*arguments: str) -> None:
    parser = argparse.ArgumentParser()
    inspect.add_parser(parser.add_subparsers())
    options = parser.parse_args(["inspect", *arguments])
    options.run(options)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    factory.write(factory.series(SeriesNumber=1, SeriesDescription="SAG T1"), tmp_path, prefix="A")
    uneven = factory.series(8, SeriesNumber=2, SeriesDescription="SAG T2", RepetitionTime=3000, EchoTime=80)
    factory.write([*uneven[:3], *uneven[4:]], tmp_path, prefix="B")
    (tmp_path / "broken.nrrd").write_text("?")
    return tmp_path


def test_table(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(str(study))
    captured = capsys.readouterr()
    t1 = next(line for line in captured.out.splitlines() if "SAG T1" in line)
    for cell in ("8×6×5 sagittal", "600", "12", "150", "T1-w", "spin echo, TR 600 ms, TE 12 ms: short TR and TE"):
        assert cell in t1
    assert "T2-w (unusable)" in captured.out
    assert "row 2: “2 SAG T2” cannot be used: 1 slice is missing" in captured.err
    assert "broken.nrrd is not a NRRD file" in captured.err


def test_json(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(str(study), "--json")
    found = json.loads(capsys.readouterr().out)
    t1, t2 = found["series"]
    assert (t1["row"], t1["name"], t1["role"], t1["problem"], t1["files"]) == (1, "1 SAG T1", "t1", None, 5)
    assert (t1["grid"]["columns"], t1["grid"]["rows"], t1["grid"]["slices"]) == (8, 6, 5)
    assert t1["grid"]["spacing_mm"] == pytest.approx([0.75, 0.5, 3.0])
    assert t1["protocol"]["tr_ms"] == 600 and t1["protocol"]["ti_ms"] is None
    assert t2["grid"] is None and "missing" in t2["problem"]
    assert len(found["problems"]) == 1


def test_time_points_share_a_row_and_keep_their_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uid = generate_uid()
    repeats = [factory.slice_dataset(n, series_uid=uid, AcquisitionNumber=point) for point in range(1, 6) for n in range(3)]
    factory.write(repeats, tmp_path, prefix="A")
    factory.write(factory.series(SeriesNumber=9), tmp_path, prefix="B")
    run(str(tmp_path))
    rows = [line for line in capsys.readouterr().out.splitlines() if "knee" in line and "│" in line]
    assert len(rows) == 2
    assert "1–5" in rows[0] and "time point 1 … 5" in rows[0]
    assert rows[1].split("│")[1].strip() == "6"


def test_no_identity_is_shown(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(str(study))
    run(str(study), "--json")
    captured = capsys.readouterr()
    for secret in ("Doe", "Jane", "SECRET-ID", "19700101"):
        assert secret not in captured.out + captured.err


def test_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="contains no image"):
        run(str(tmp_path))
