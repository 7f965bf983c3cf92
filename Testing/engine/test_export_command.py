"""`ccdnn export-dicom`: what it writes and says, and with real series."""

from __future__ import annotations

import json

import dicom_factory as factory
import numpy as np
import pytest
import SimpleITK as sitk
from dicom_export import complaints, datasets_of, synthetic

from ccdnn.cli.main import main
from ccdnn.errors import OutputError
from ccdnn.files import write_volume
from ccdnn.series import Role
from ccdnn.study import find_series


@pytest.fixture
def run(capsys):
    def export_dicom(*arguments) -> tuple[int, str, str]:
        code = main(["export-dicom", *map(str, arguments)])
        return (code, *capsys.readouterr())

    return export_dicom


def test_command_writes_the_series_and_tells_no_name(run, tmp_path, source, volume, out):
    write_volume(volume, tmp_path / "stir.nrrd")
    code, stdout, stderr = run(
        tmp_path / "stir.nrrd", "--reference", source[0].parent, "--source", f"{source[0].parent}::1", "-o", out
    )
    assert code == 0
    assert "5 DICOM files" in stdout
    assert factory.SECRET not in stdout + stderr
    assert datasets_of(sorted(out.iterdir()))[0].PatientName == factory.SECRET


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_nifti_result_is_exported_by_its_sidecar(run, tmp_path, volume, out, suffix):
    write_volume(volume, tmp_path / f"stir{suffix}")
    sidecar = json.loads((tmp_path / "stir.json").read_text(encoding="utf-8"))
    assert sidecar["Description"] == volume.metadata["CCDNN_Notice"]
    assert sidecar["GeneratedBy"][0]["Name"] == "ccdnn"
    assert {key: text for key, text in sidecar.items() if key.startswith("CCDNN_")} == {
        key: text for key, text in volume.metadata.items() if not key.endswith("_uid")
    }
    code, _, _ = run(tmp_path / f"stir{suffix}", "--no-reference", "-o", out)
    assert code == 0 and len(list(out.iterdir())) == len(volume.array)
    write_volume(volume, tmp_path / f"stir{suffix}")  # its own sidecar is replaced
    (tmp_path / "stir.json").write_text('{"age": 3}')
    with pytest.raises(OutputError, match="does not describe a synthetic image"):
        write_volume(volume, tmp_path / f"stir{suffix}")
    assert (tmp_path / "stir.json").read_text() == '{"age": 3}'


def test_command_says_when_the_patient_is_anonymous(run, tmp_path, volume, out):
    write_volume(volume, tmp_path / "stir.nrrd")
    code, _, stderr = run(tmp_path / "stir.nrrd", "--no-reference", "-o", out)
    assert code == 0
    assert "anonymous patient" in stderr


def test_command_wants_a_dicom_reference_or_a_clear_no(run, tmp_path, source, volume, out):
    write_volume(volume, tmp_path / "stir.nrrd")
    code, _, stderr = run(tmp_path / "stir.nrrd", "--reference", tmp_path / "stir.nrrd", "-o", out)
    assert code == 3
    assert "stir.nrrd is not a DICOM series" in stderr
    code, _, stderr = run(tmp_path / "stir.nrrd", "--no-reference", "--source", source[0].parent, "-o", out)
    assert code == 3
    with pytest.raises(SystemExit) as wrong:
        run(tmp_path / "stir.nrrd", "-o", out)
    assert wrong.value.code == 2
    assert not out.exists()


@pytest.mark.parametrize(
    ("folder", "row", "others", "expected"),
    [
        ("knee_siemens_t1_pdfs", 8, (5, 6), {"Laterality": "R", "BodyPartExamined": "KNEE", "SliceThickness": 3.3}),
        ("phantom_philips_enhanced/DICOM", 2, (1, 4), {"PatientPosition": "HFS", "SliceThickness": 10.0}),
    ],
)
def test_real_sources(shared_data, tmp_path, out, folder, row, others, expected):
    found = find_series(shared_data / folder)
    reference = found[row - 1]
    loaded = reference.load()
    made = synthetic(loaded, loaded.array / loaded.array.max())
    write_volume(made, tmp_path / "stir.nrrd")
    arguments = [str(tmp_path / "stir.nrrd"), "--reference", f"{shared_data / folder}::{row}", "-o", str(out)]
    for other in others:
        arguments += ["--source", f"{shared_data / folder}::{other}"]
    assert main(["export-dicom", *arguments]) == 0

    (series,) = find_series(out)
    assert series.role is Role.OTHER
    assert series.load().grid.same_as(loaded.grid)
    np.testing.assert_allclose(series.load().array, made.array, atol=1 / 65535)
    image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(out)))
    np.testing.assert_allclose(sitk.GetArrayFromImage(image), made.array, atol=1 / 65535)
    datasets = datasets_of(sorted(out.iterdir()))
    for keyword, value in expected.items():
        found = getattr(datasets[0], keyword)
        assert found == (pytest.approx(value) if isinstance(value, float) else value)
    assert all(len(dataset.ReferencedSeriesSequence) >= 2 for dataset in datasets[1:-1])
    for path in (sorted(out.iterdir())[0], sorted(out.iterdir())[-1]):
        assert complaints(path) == []
