"""Series of two patients are never put together in silence."""

from __future__ import annotations

import json
from pathlib import Path

import dicom_factory as factory
import nibabel
import numpy as np
import pydicom
import pytest
import small_study
from dicom_export import synthetic

from ccdnn.cli.main import main
from ccdnn.patient import DifferentPatients, Patient, require_one_patient
from ccdnn.series import Role
from ccdnn.study import find_series, read_volume
from ccdnn.synthesis import synthesize
from ccdnn.volume import Volume

DOE = {"identifier": "1", "name": "Doe^Jane", "birth_date": "19700101"}


@pytest.mark.parametrize(
    ("other", "what"),
    [({}, None), ({"name": "DOE^JANE^^^"}, None), ({"name": "Doe Jane"}, None), ({"identifier": " 1 "}, None),
     ({"birth_date": "1970-01-01"}, None), ({"name": "Doe^John"}, "patient names"), ({"identifier": "2"}, "patient IDs"),
     ({"birth_date": "19700102"}, "birth dates"), ({"identifier": "", "name": "", "birth_date": ""}, None),
     ({"identifier": "", "name": "Roe^Jane"}, "patient names")],
)  # fmt: skip
def test_what_tells_two_patients_apart(other: dict, what: str | None) -> None:
    assert Patient.stated(**DOE).differs_from(Patient.stated(**{**DOE, **other})) == what


def test_a_patient_tells_nobody_who_it_is() -> None:
    patient = Patient.stated(**DOE)
    text = repr(patient) + json.dumps(patient.entries())
    assert not any(secret in text for secret in ("Doe", "Jane", "1970"))
    assert Patient.of_entries(patient.entries()) == patient
    for bad in ({"name": "Doe"}, {"age": "aa"}, [], {"name": 1}):
        with pytest.raises(ValueError, match="patient"):
            Patient.of_entries(bad)


def test_series_know_whom_they_are_of(tmp_path: Path) -> None:
    factory.write(factory.series(4, SeriesNumber=1), tmp_path / "a")
    factory.write(factory.series(4, SeriesNumber=2, PatientID="OTHER"), tmp_path / "b")
    array, affine = np.arange(4000, dtype=np.int16).reshape(20, 20, 10), np.diag([1.0, 1, 3, 1])
    for name in ("sub-01_T1w", "sub-02_T2w"):
        nibabel.Nifti1Image(array, affine).to_filename(tmp_path / f"{name}.nii")
    (tmp_path / "sub-02_T2w.json").write_text(json.dumps({"RepetitionTime": 3, "EchoTime": 0.08, "PatientName": "Roe^Jim"}))
    first, second, third, fourth = find_series(tmp_path)
    assert first.patient.differs_from(second.patient) == "patient IDs"
    assert third.patient.differs_from(fourth.patient) == "subjects"
    assert first.patient.differs_from(fourth.patient) == "patient names"
    with pytest.raises(DifferentPatients, match="different patients"):
        require_one_patient([first, second])


def test_one_series_of_two_patients_is_refused(tmp_path: Path) -> None:
    paths = factory.write(factory.series(4), tmp_path)
    dataset = pydicom.dcmread(paths[2])
    dataset.PatientName = "Roe^Jim"
    dataset.save_as(paths[2])
    (found,) = find_series(tmp_path)
    assert "different patients" in found.problem


def test_synthesis_refuses_and_says_it_when_forced(tmp_path: Path) -> None:
    from ccdnn.inference.synthesizer import Synthesizer
    from ccdnn.model.file import load_model

    synthesizer = Synthesizer(load_model(small_study.write_model(tmp_path / "tiny.safetensors")), device="cpu", precision="fp32")
    inputs = small_study.volumes()
    for role, name in ((Role.T1, "Doe^Jane"), (Role.T2, "Roe^Jim")):
        found = inputs[role]
        inputs[role] = Volume(found.array, found.ijk_to_ras, found.name, patient=Patient.stated(name=name))
    with pytest.raises(DifferentPatients, match="leg t1 and leg t2 are of different patients"):
        synthesize(inputs, synthesizer)
    result = synthesize(inputs, synthesizer, force=True)
    assert result.volume.metadata["CCDNN_Forced"] == "inputs of different patients"
    assert "forced" in result.warnings[0] and "different patients" in result.warnings[0]
    # A reference of somebody else counts too.
    other = Volume(inputs[Role.GRE].array, inputs[Role.GRE].ijk_to_ras, "grid", patient=Patient.stated(name="Poe^Ann"))
    inputs[Role.T2] = small_study.volumes()[Role.T2]
    with pytest.raises(DifferentPatients):
        synthesize(inputs, synthesizer, reference=other)


def test_measure_refuses_and_can_be_forced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, patient in (("a", "1"), ("b", "2")):
        datasets = factory.series(5, PatientID=patient, pixels=(factory.ramp(1, 40, 36) + 1))
        factory.write(datasets, tmp_path / name)
    given = ["measure", "--acquired", str(tmp_path / "a"), "--synthetic", str(tmp_path / "b")]
    assert main(given) == 3
    assert "different patients" in capsys.readouterr().err
    assert main([*given, "--force"]) == 0
    captured = capsys.readouterr()
    assert "forced" in captured.err and "Warning" in captured.err


def test_export_of_sources_of_two_patients(tmp_path: Path) -> None:
    from ccdnn.dicom.export import export_series

    source = factory.write(factory.series(5), tmp_path / "source")
    other = factory.write(factory.series(5, PatientBirthDate="19800101"), tmp_path / "other")
    volume = synthetic(read_volume(tmp_path / "source"))
    with pytest.raises(DifferentPatients, match="birth dates"):
        export_series(volume, tmp_path / "out", source, [other])
    assert not (tmp_path / "out").exists()
    exported = export_series(volume, tmp_path / "out", source, [other], force=True)
    assert "inputs of different patients, forced" in pydicom.dcmread(exported.files[0]).DerivationDescription
