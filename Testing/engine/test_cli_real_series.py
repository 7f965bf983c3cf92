"""`ccdnn synthesize` on real series: one knee from a Siemens scanner, one phantom from a Philips, both outside the project."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from small_study import read_array, write_model

from ccdnn.cli.main import main
from ccdnn.series import Series
from ccdnn.study import find_series


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture
def report(model, tmp_path, capsys):
    """Run with --json; gives (what the command reports, the path it wrote)."""

    def synthesize(*arguments):
        out = tmp_path / "stir.nrrd"
        code = main(["synthesize", *map(str, arguments), "-o", str(out), "--model", str(model), "--device", "cpu", "--json"])
        stdout, stderr = capsys.readouterr()
        assert code == 0, stderr
        return json.loads(stdout), out

    return synthesize


def _row(series: list[Series], *words: str) -> str:
    """The row, as `ccdnn inspect` counts, of the one series whose name has all the words."""
    (row,) = [n for n, found in enumerate(series, start=1) if all(word in found.name for word in words)]
    return str(row)


def _require_exactly_on(path: Path, series: Series) -> None:
    image = sitk.ReadImage(path)
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ series.grid.ijk_to_ras
    assert image.GetSize() == series.grid.shape[::-1]
    np.testing.assert_allclose(image.GetOrigin(), lps[:3, 3], atol=1e-4)
    directions = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    np.testing.assert_allclose(directions, lps[:3, :3], atol=1e-6)


def test_knee_with_fat_suppressed_pd_for_t2_and_a_localizer_for_gre(shared_data, report):
    folder = shared_data / "knee_siemens_t1_pdfs"
    series = find_series(folder)
    t1, pd, localizer = _row(series, "SAG T1"), _row(series, "SAG DP FS"), _row(series, "3 PLANS", "axial")
    made, path = report(folder, "--t2", pd, "--gre", localizer)
    _require_exactly_on(path, series[int(t1) - 1])
    assert made["inputs"]["t1"] == {"series": "6 SAG T1", "role_found": "t1", "coverage": 1.0}
    assert made["inputs"]["t2"]["coverage"] == 1.0
    # Five 18 mm slices reach over 90 mm of the leg, and 384 rows of 0.443 mm over 170 mm.
    assert made["inputs"]["gre"]["coverage"] == pytest.approx(90 / 170, abs=0.02)
    assert any("localizer" in note and "covers 53.0% of it" in note for note in made["notes"])
    assert any("fat-suppressed" in warning for warning in made["warnings"])
    array = read_array(path)
    assert array.std() > 0
    assert (array != 0).mean() == pytest.approx(made["covered_by_all"], abs=0.01)


def test_knee_with_a_localizer_that_covers_too_little_needs_force(shared_data, model, report, tmp_path, capsys):
    folder = shared_data / "knee_siemens_t1_pdfs"
    series = find_series(folder)
    choice = [folder, "--t2", _row(series, "SAG DP FS"), "--gre", _row(series, "localizer_tra")]
    refused = ["synthesize", *map(str, choice), "-o", str(tmp_path / "stir.nrrd"), "--model", str(model), "-q"]
    assert main(refused) == 3
    assert "covers only 16%" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    made, path = report(*choice, "--force")
    _require_exactly_on(path, series[int(_row(series, "SAG T1")) - 1])
    assert made["inputs"]["gre"]["coverage"] == pytest.approx(0.16, abs=0.01)


def test_knee_does_not_choose_series_it_has_not(shared_data, model, tmp_path, capsys):
    folder = shared_data / "knee_siemens_t1_pdfs"
    assert main(["synthesize", str(folder), "-o", str(tmp_path / "stir.nrrd"), "--model", str(model)]) == 3
    stderr = capsys.readouterr().err
    assert "no T2-w and no GRE series" in stderr
    assert "--t2 ROW --gre ROW" in stderr


@pytest.mark.parametrize("reference", ["t1", "t2"])
def test_phantom_t1_t2_and_t2_star_from_enhanced_dicom(shared_data, report, reference):
    folder = shared_data / "phantom_philips_enhanced" / "DICOM"
    series = find_series(folder)
    rows = {"t1": _row(series, "601 T1"), "t2": _row(series, "701 T2"), "gre": _row(series, "901 T2*", "time point 1")}
    options = [argument for role, row in rows.items() for argument in (f"--{role}", row)]
    made, path = report(folder, *options, "--reference", reference)
    _require_exactly_on(path, series[int(rows[reference]) - 1])
    coverage = {role: entry["coverage"] for role, entry in made["inputs"].items()}
    if reference == "t2":
        # The T1 slices are 10 mm apart where the T2 slices are 12.33 mm apart: the T1 stack is shorter.
        assert coverage["gre"] == 1.0
        assert coverage["t1"] == pytest.approx(0.8, abs=0.01)
    else:
        assert coverage == {"t1": 1.0, "t2": 1.0, "gre": 1.0}
    assert any("resampled" in note for note in made["notes"])
