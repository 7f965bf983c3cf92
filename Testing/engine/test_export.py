"""DICOM export: what is written reads back everywhere, says what it is, belongs to its study, and is all there or not at all."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import dicom_factory as factory
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.datadict import dictionary_description, dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.pixels import apply_modality_lut
from pydicom.tag import Tag
from small_study import card

import ccdnn.dicom.export
from ccdnn.cli.main import main
from ccdnn.dicom.export import SERIES_DESCRIPTION, export_series
from ccdnn.errors import InputError, OutputError
from ccdnn.files import write_volume
from ccdnn.provenance import MADE_WITHOUT, SYNTHETIC_NAME, synthetic_header
from ccdnn.series import Role
from ccdnn.study import find_series
from ccdnn.volume import Volume

OBLIQUE = (0.0, 0.9950371902, -0.0995037190, 0.1, -0.0990037, -0.9900371)
INPUT = Volume(np.ones((2, 2, 2)), np.eye(4), name="5 knee")
HEADER = synthetic_header(card(), "0" * 64, {Role.T1: INPUT}, {Role.T1: 1.0}, INPUT, 0.0)

# What describes an acquisition and would be a lie here.
ACQUIRED = (
    "RepetitionTime", "EchoTime", "InversionTime", "FlipAngle", "EchoTrainLength", "MagneticFieldStrength", "SequenceName",
    "ProtocolName", "AcquisitionDate", "AcquisitionTime", "AcquisitionNumber", "ImagingFrequency", "ReceiveCoilName",
    "PixelBandwidth", "NumberOfAverages", "DeviceSerialNumber", "StationName", "ScanOptions", "MRAcquisitionType",
)  # fmt: skip


def synthetic(grid_of: Volume, array: np.ndarray | None = None) -> Volume:
    """A volume that says it is synthetic, on the grid of another."""
    if array is None:
        array = np.random.default_rng(0).normal(0.5, 0.3, grid_of.array.shape)
    return Volume(array, grid_of.ijk_to_ras, name=SYNTHETIC_NAME, metadata=HEADER)


def exported(*arguments, **keywords) -> tuple[Path, ...]:
    return export_series(*arguments, **keywords).files


@pytest.fixture
def source(tmp_path) -> list[Path]:
    return factory.write(factory.series(5), tmp_path / "source", order=(3, 1, 4, 0, 2))


@pytest.fixture
def volume(source) -> Volume:
    return synthetic(_volume(source))


@pytest.fixture
def out(tmp_path) -> Path:
    """A folder to be made, in one where anything left beside it is seen."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "series"


def _volume(files: list[Path]) -> Volume:
    (series,) = find_series(files[0].parent)
    return series.load()


def _datasets(files: list[Path]) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(path) for path in files]


# ----------------------------------------------------------------------------------------------------------- reads back


@pytest.mark.parametrize("orientation", [factory.SAGITTAL, factory.CORONAL, factory.AXIAL, OBLIQUE])
@pytest.mark.parametrize("mirrored", [False, True])
def test_voxels_and_grid_read_back_in_three_libraries(tmp_path, out, orientation, mirrored):
    files = factory.write(factory.series(4, orientation=orientation), tmp_path / "source")
    made = synthetic(_volume(files))
    if mirrored:  # slices that run against the normal of rows and columns
        matrix = made.ijk_to_ras @ np.diag([1.0, 1.0, -1.0, 1.0])
        matrix[:3, 3] += made.ijk_to_ras[:3, 2] * 3
        made = Volume(made.array[::-1], matrix, name=made.name, metadata=made.metadata)
    written = exported(made, out, files)
    assert tuple(sorted(out.iterdir())) == written
    quantum = float(np.ptp(made.array)) / 65535

    by_pydicom = np.stack([apply_modality_lut(dataset.pixel_array, dataset) for dataset in _datasets(written)])
    assert np.abs(by_pydicom - made.array).max() <= 0.51 * quantum

    # Both readers order slices along the normal.
    ours = _volume(written)
    image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(out)))
    in_order = made.array[::-1] if mirrored else made.array
    for array in (ours.array, sitk.GetArrayFromImage(image)):
        assert np.abs(array - in_order).max() <= 0.51 * quantum + 1e-6
    corner = made.ijk_to_ras @ [0, 0, 3 if mirrored else 0, 1]
    np.testing.assert_allclose(ours.ijk_to_ras[:3, 3], corner[:3], atol=1e-4)
    np.testing.assert_allclose(image.GetOrigin(), corner[:3] * [-1, -1, 1], atol=1e-4)
    np.testing.assert_allclose(ours.ijk_to_ras[:3, :2], made.ijk_to_ras[:3, :2], atol=1e-5)
    np.testing.assert_allclose(image.GetSpacing(), made.grid.spacing, rtol=1e-5)


@pytest.mark.parametrize("array", [np.zeros((5, 6, 8)), np.full((5, 6, 8), -3.0), np.linspace(-1e6, 1e6, 240).reshape(5, 6, 8)])
def test_any_range_of_values_is_kept_to_a_step(source, out, array):
    written = exported(synthetic(_volume(source), array), out, source)
    step = max(np.ptp(np.append(array, 0.0)) / 65535, 1e-6)
    assert np.abs(_volume(written).array - array).max() <= step


def test_own_inspection_calls_it_synthetic(source, volume, out):
    (series,) = find_series(exported(volume, out, source)[0].parent)
    assert series.role is Role.OTHER
    assert "synthetic" in series.reason


def test_window_is_that_of_the_voxels_or_the_one_asked_for(source, volume, out):
    dataset = _datasets(exported(volume, out, source))[0]
    low, high = np.percentile(volume.array, [1, 99.5])
    assert float(dataset.WindowCenter) == pytest.approx((low + high) / 2)
    assert float(dataset.WindowWidth) == pytest.approx(high - low)
    dataset = _datasets(exported(volume, out.with_name("other"), source, window=(0.4, 0.7)))[0]
    assert (dataset.WindowCenter, dataset.WindowWidth, dataset.VOILUTFunction) == (0.4, 0.7, "LINEAR_EXACT")


# ---------------------------------------------------------------------------------------------------------- what it says


def test_what_it_was_made_without_is_in_the_name_and_the_derivation(source, volume, out):
    header = {**HEADER, MADE_WITHOUT: "GRE"}
    partial = Volume(volume.array, volume.ijk_to_ras, name="synthetic STIR without GRE", metadata=header)
    dataset = _datasets(exported(partial, out, source))[0]
    assert dataset.SeriesDescription == "Synthetic STIR without GRE (CC-DNN) – not acquired"
    assert ", without GRE." in dataset.DerivationDescription


def test_every_file_says_that_it_is_synthetic_and_by_what(source, volume, out):
    for dataset in _datasets(exported(volume, out, source)):
        assert list(dataset.ImageType) == ["DERIVED", "SECONDARY", "OTHER"]
        assert dataset.SeriesDescription == SERIES_DESCRIPTION == "Synthetic STIR (CC-DNN) – not acquired"
        assert dataset.ContentQualification == "RESEARCH"
        assert dataset.BurnedInAnnotation == "NO"
        assert "SYNTHETIC" in dataset.ImageComments
        for word in ("SYNTHETIC", "not acquired", "Research use only", "tiny 0.0.1", "T1: covers 1.0000"):
            assert word in dataset.DerivationDescription
        assert dataset.Modality == "MR"
        assert "CCDNNSynth" in dataset.Manufacturer
        assert dataset.SoftwareVersions[1] == "model tiny 0.0.1"


def test_nothing_claims_an_acquisition(source, volume, out):
    for dataset in _datasets(exported(volume, out, source)):
        assert [keyword for keyword in ACQUIRED if dataset.get(keyword) not in (None, "")] == []
        assert (dataset.ScanningSequence, dataset.SequenceVariant) == ("RM", "NONE")


def test_belongs_to_the_study_of_its_source_as_a_series_of_its_own(source, volume, out):
    first = pydicom.dcmread(source[0])
    made = _datasets(exported(volume, out, source))
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert {getattr(dataset, keyword) for dataset in made} == {getattr(first, keyword)}
    assert {dataset.SeriesNumber for dataset in made} == {9005}
    assert len({dataset.SeriesInstanceUID for dataset in made} - {first.SeriesInstanceUID}) == 1
    uids = {dataset.SOPInstanceUID for dataset in made}
    assert len(uids) == 5
    assert not uids & {dataset.SOPInstanceUID for dataset in _datasets(source)}
    assert [dataset.file_meta.MediaStorageSOPInstanceUID for dataset in made] == [dataset.SOPInstanceUID for dataset in made]
    again = _datasets(exported(volume, out.with_name("again"), source))
    assert again[0].SeriesInstanceUID != made[0].SeriesInstanceUID


@pytest.mark.parametrize(
    ("charset", "name"),
    [("ISO_IR 100", "Müller^Jörg"), (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"), ("GB18030", "Wang^XiaoDong=王^小东")],
)
def test_names_in_other_character_sets_survive(tmp_path, out, charset, name):
    files = factory.write(factory.series(3, SpecificCharacterSet=charset, PatientName=name), tmp_path / "source")
    dataset = _datasets(exported(synthetic(_volume(files)), out, files))[0]
    assert dataset.SpecificCharacterSet == "ISO_IR 192"
    assert str(dataset.PatientName) == name


def test_refers_to_the_very_slice_it_was_made_from(source, volume, out):
    places = {dataset.SOPInstanceUID: np.array(dataset.ImagePositionPatient, float) for dataset in _datasets(source)}
    for dataset in _datasets(exported(volume, out, source)):
        (item,) = dataset.SourceImageSequence
        np.testing.assert_allclose(places[item.ReferencedSOPInstanceUID], np.array(dataset.ImagePositionPatient, float), atol=1e-6)
        assert item.ReferencedSOPClassUID == factory.MR_IMAGE
        assert item.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
        (series,) = dataset.ReferencedSeriesSequence
        (instance,) = series.ReferencedInstanceSequence
        assert instance.ReferencedSOPInstanceUID == item.ReferencedSOPInstanceUID


def test_refers_to_slices_of_another_plane_that_cross_it_once_each(tmp_path, source, volume, out):
    axial = factory.write(factory.series(3, orientation=factory.AXIAL, origin=(-20.0, 10.0, 27.0), spacing=2.0), tmp_path / "axial")
    far = factory.write(factory.series(3, origin=(400.0, 10.0, 30.0)), tmp_path / "far")
    dataset = _datasets(exported(volume, out, source, [axial, far, source]))[0]
    expected = {other.SOPInstanceUID for other in _datasets(axial)}
    referred = [item.ReferencedSOPInstanceUID for item in dataset.SourceImageSequence]
    assert len(referred) == len(set(referred)) == 1 + len(axial)
    assert expected < set(referred)
    assert len(dataset.ReferencedSeriesSequence) == 2


def test_refers_to_frames_of_an_enhanced_source(tmp_path, out):
    places = [np.array((-20.0, 10.0, 30.0)) + number * 3 * factory.normal(factory.SAGITTAL) for number in (2, 0, 1)]
    files = factory.write([factory.enhanced([{"position": place} for place in places])], tmp_path / "source")
    made = _datasets(exported(synthetic(_volume(files)), out, files))
    assert [dataset.SOPClassUID for dataset in made] == [factory.MR_IMAGE] * 3
    numbers = []
    for dataset in made:
        (item,) = dataset.SourceImageSequence
        assert item.ReferencedSOPClassUID == factory.ENHANCED_MR_IMAGE
        numbers.append(item.ReferencedFrameNumber)
        np.testing.assert_allclose(places[item.ReferencedFrameNumber - 1], np.array(dataset.ImagePositionPatient, float), atol=1e-6)
    assert sorted(numbers) == [1, 2, 3]


def test_other_examination_of_the_same_patient_is_referred_to_by_study(tmp_path, source, volume, out):
    earlier = factory.write(factory.series(5, StudyInstanceUID="1.2.99"), tmp_path / "earlier")
    dataset = _datasets(exported(volume, out, source, [earlier]))[0]
    assert dataset.StudyInstanceUID == "1.2.3"
    (study,) = dataset.StudiesContainingOtherReferencedInstancesSequence
    assert study.StudyInstanceUID == "1.2.99"
    assert len(dataset.ReferencedSeriesSequence) == 1


def test_lossy_compression_of_a_source_stays_said(tmp_path, source, volume, out):
    tags = {"LossyImageCompression": "01", "LossyImageCompressionRatio": 12.5, "LossyImageCompressionMethod": "ISO_10918_1"}
    lossy = factory.write(factory.series(5, **tags), tmp_path / "lossy")
    dataset = _datasets(exported(volume, out, source, [lossy]))[0]
    assert (dataset.LossyImageCompression, dataset.LossyImageCompressionRatio) == ("01", 12.5)
    assert _datasets(exported(volume, out.with_name("clean"), source))[0].LossyImageCompression == "00"


def test_without_a_source_it_is_an_anonymous_study_of_its_own(volume, out):
    made = [_datasets(exported(volume, out.with_name(name), None))[0] for name in ("one", "two")]
    assert str(made[0].PatientName) == "Anonymous^Patient"
    assert made[0].PatientIdentityRemoved == "YES"
    assert "SourceImageSequence" not in made[0]
    for keyword in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID", "SeriesInstanceUID"):
        assert made[0].get(keyword) != made[1].get(keyword)


# ------------------------------------------------------------------------------------------------------------- validator


def _complaints(path: Path) -> list[str]:
    """Errors of dciodvfy, David Clunie's validator."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed (Debian: apt-get install dicom3tools)")
    run = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True, check=False)
    return [line for line in (run.stdout + run.stderr).splitlines() if line.startswith(("Error", "Abort"))]


def test_validator_finds_errors_where_there_are_some(source):
    assert _complaints(source[0])


def test_validator_is_content(tmp_path, source, volume, out):
    assert _complaints(exported(volume, out, source)[2]) == []
    assert _complaints(exported(volume, out.with_name("anonymous"), None)[2]) == []
    places = [{"position": (-20.0 + 3 * number, 10.0, 30.0)} for number in range(3)]
    enhanced = factory.write([factory.enhanced(places)], tmp_path / "enhanced")
    made = exported(synthetic(_volume(enhanced)), out.with_name("of enhanced"), enhanced, [source])
    assert _complaints(made[1]) == []


# --------------------------------------------------------------------------------------------------------------- refused


ILLEGAL = {
    "PatientID": ("x" * 90, "x" * 64),
    "PatientName": ("Doe^John\x1b[31m^^^^^", "Doe^John [31m"),
    "PatientAge": ("45Y", "045Y"),
    "PatientSex": ("FEMALE", ""),
    "PatientBirthDate": ("1961-05-30", "19610530"),
    "StudyDate": ("tomorrow", ""),
    "StudyTime": ("25:00", ""),
    "StudyID": ("a number longer than sixteen letters", "a number longer"),
    "AccessionNumber": ("A\tB", "A B"),
    "StudyInstanceUID": ("1.02.a", None),
    "FrameOfReferenceUID": ("1." * 40 + "1", None),
    "StudyInstanceUID ": ("9999", None),
    "PatientWeight": ("heavy", None),
    "SeriesNumber": (str(2**31 - 1), None),
}


@pytest.mark.parametrize("keyword", ILLEGAL)
def test_illegal_values_of_a_source_are_made_legal_and_told(tmp_path, out, keyword):
    value, expected = ILLEGAL[keyword]
    keyword = keyword.strip()
    datasets = factory.series(5)
    for dataset in datasets:
        tag = Tag(keyword)
        content = value.encode() + b" " * (len(value) % 2)
        dataset._dict[tag] = RawDataElement(tag, dictionary_VR(tag), len(content), content, 0, False, True)  # as it is
    files = factory.write(datasets, tmp_path / "source")
    made = export_series(synthetic(_volume(files)), out, files)
    written = pydicom.dcmread(made.files[0])
    if expected is not None:
        assert str(written[keyword].value or "") == expected
    if keyword in written and keyword != "SeriesNumber":
        assert written[keyword].value != value
        assert any(dictionary_description(keyword) in sentence for sentence in made.changes)
        assert value not in " ".join(made.changes)
    assert _complaints(made.files[0]) == []


def _without_mark(volume: Volume) -> Volume:
    return Volume(volume.array, volume.ijk_to_ras, name="t1.nrrd", metadata={})


def _with_nan(volume: Volume) -> Volume:
    array = volume.array.copy()
    array[0, 0, 0] = np.nan
    return volume.with_array(array)


def _sheared(volume: Volume) -> Volume:
    matrix = volume.ijk_to_ras.copy()
    matrix[:3, 2] += 0.3 * matrix[:3, 0]
    return Volume(volume.array, matrix, metadata=volume.metadata)


def _elsewhere(volume: Volume) -> Volume:
    """Another knee lies a little differently in the same scanner."""
    matrix = volume.ijk_to_ras.copy()
    matrix[:3, 3] += 1.5
    return Volume(volume.array, matrix, metadata=volume.metadata)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_without_mark, "t1.nrrd does not say that it is a synthetic STIR"),
        (_with_nan, "NaN"),
        (_sheared, "sheared"),
        (_elsewhere, "does not lie on the grid of 5 knee, so it may be of another patient"),
    ],
)
def test_volumes_that_must_not_be_exported_are_refused(source, volume, out, spoil, message):
    with pytest.raises(InputError, match=message):
        exported(spoil(volume), out, source)
    assert list(out.parent.iterdir()) == []


def test_sources_that_cannot_be_are_refused(tmp_path, source, volume, out):
    other = factory.write(factory.series(5, PatientID="OTHER-ID"), tmp_path / "other")
    with pytest.raises(InputError, match="different patients") as refused:
        exported(volume, out, source, [other])
    assert "OTHER-ID" not in str(refused.value)
    assert "patient IDs differ" in str(refused.value)
    with pytest.raises(InputError, match="several DICOM series"):
        exported(volume, out, [*source, *other])
    text = tmp_path / "notes.txt"
    text.write_text("no image")
    with pytest.raises(InputError, match=r"notes\.txt"):
        exported(volume, out, [text])
    with pytest.raises(InputError, match=r"gone\.dcm cannot be read"):
        exported(volume, out, [tmp_path / "gone.dcm"])
    placeless = factory.write(factory.series(2, ImagePositionPatient=None), tmp_path / "placeless")
    with pytest.raises(InputError, match="no DICOM image with a position"):
        exported(volume, out, placeless)
    assert list(out.parent.iterdir()) == []


def test_study_may_be_named_by_any_input_if_one_has_the_grid(tmp_path, source, volume, out):
    axial = factory.write(factory.series(4, orientation=factory.AXIAL, FrameOfReferenceUID="1.2.3.4"), tmp_path / "axial")
    with pytest.raises(InputError, match="another patient"):
        exported(volume, out, axial)
    assert len(exported(volume, out, axial, [source])) == 5


def test_nothing_is_overwritten(source, volume, out):
    written = exported(volume, out, source)
    before = written[0].read_bytes()
    for taken in (out, written[0]):
        with pytest.raises(OutputError, match="exists and is not empty"):
            exported(volume, taken, source)
    assert written[0].read_bytes() == before
    (out.parent / "empty").mkdir()
    assert len(exported(volume, out.parent / "empty", source)) == 5


def test_a_failure_leaves_nothing_behind(source, volume, out, monkeypatch):
    def full(stream, dataset, **options):
        if dataset.InstanceNumber == 3:
            raise OSError(28, "No space left on device")
        pydicom.dcmwrite(stream, dataset, **options)

    monkeypatch.setattr(ccdnn.dicom.export, "dcmwrite", full)
    with pytest.raises(OutputError, match="the disk is full"):
        exported(volume, out, source)
    assert list(out.parent.iterdir()) == []
    out.write_text("a file")
    with pytest.raises(OutputError, match="cannot be created"):
        exported(volume, out / "below" / "it", source)


# ------------------------------------------------------------------------------------------------------- command line


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
    assert _datasets(sorted(out.iterdir()))[0].PatientName == factory.SECRET


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


# ------------------------------------------------------------------------------------------------------------- real data


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
    datasets = _datasets(sorted(out.iterdir()))
    for keyword, value in expected.items():
        found = getattr(datasets[0], keyword)
        assert found == (pytest.approx(value) if isinstance(value, float) else value)
    assert all(len(dataset.ReferencedSeriesSequence) >= 2 for dataset in datasets[1:-1])
    for path in (sorted(out.iterdir())[0], sorted(out.iterdir())[-1]):
        assert _complaints(path) == []
