"""The uncertainty as a DICOM Parametric Map: its voxels, its place, what it references, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import dicom_factory as factory
import numpy as np
import pydicom
import pytest
import small_network
from dicom_export import ACQUIRED, ILLEGAL, OBLIQUE, complaints, datasets_of, series_with, synthetic, uncertainty_of, volume_of
from highdicom.pm.sop import pmread
from small_study import write_model

import ccdnn.dicom.export
from ccdnn.cli.main import main
from ccdnn.dicom.export import UNCERTAINTY_FILE, Exported, export_series
from ccdnn.dicom.parametric_map import SERIES_DESCRIPTION, export_uncertainty
from ccdnn.errors import InputError, OutputError
from ccdnn.files import read_volume, write_volume
from ccdnn.series import Role
from ccdnn.study import find_series
from ccdnn.volume import LPS_SIGNS, Volume


@pytest.fixture
def made(source, volume, out) -> Exported:
    return export_series(volume, out, source, uncertainty=uncertainty_of(volume))


@pytest.fixture
def dataset(made) -> pydicom.Dataset:
    return pydicom.dcmread(made.uncertainty)


def backwards(volume: Volume) -> Volume:
    """The same voxels with slices that run against the normal of rows and columns."""
    matrix = volume.ijk_to_ras @ np.diag([1.0, 1.0, -1.0, 1.0])
    matrix[:3, 3] += volume.ijk_to_ras[:3, 2] * (len(volume.array) - 1)
    return Volume(volume.array[::-1], matrix, name=volume.name, metadata=volume.metadata)


def slices_of(volume: Volume, first: int, last: int) -> Volume:
    matrix = volume.ijk_to_ras.copy()
    matrix[:3, 3] += first * matrix[:3, 2]
    return Volume(volume.array[first:last], matrix, name=volume.name, metadata=volume.metadata)


# ---------------------------------------------------------------------------------------------------------------- contents


@pytest.mark.parametrize("orientation", [factory.SAGITTAL, factory.CORONAL, factory.AXIAL, OBLIQUE])
@pytest.mark.parametrize("change", [lambda volume: volume, backwards, lambda volume: slices_of(volume, 1, 4)])
def test_voxels_places_and_references_read_back(tmp_path, out, orientation, change):
    files = factory.write(factory.series(5, orientation=orientation), tmp_path / "source", order=(3, 1, 4, 0, 2))
    volume = change(synthetic(volume_of(files)))
    widths = uncertainty_of(volume)
    made = export_series(volume, out, files, uncertainty=widths)
    dataset = pydicom.dcmread(made.uncertainty)

    # Frame by frame, in the order of the volume and of the files.
    values = np.frombuffer(dataset.FloatPixelData, "<f4").reshape(widths.array.shape)
    np.testing.assert_array_equal(values, widths.array)
    np.testing.assert_array_equal(dataset.pixel_array, widths.array)
    slices = datasets_of(made.files)
    for number, (frame, image) in enumerate(zip(dataset.PerFrameFunctionalGroupsSequence, slices, strict=True), start=1):
        assert frame.PlanePositionSequence[0].ImagePositionPatient == image.ImagePositionPatient
        assert frame.FrameContentSequence[0].DimensionIndexValues == number
        (origin,) = frame.DerivationImageSequence[0].SourceImageSequence
        assert origin.ReferencedSOPInstanceUID == image.SOPInstanceUID
        assert origin.ReferencedSOPClassUID == image.SOPClassUID
    shared = dataset.SharedFunctionalGroupsSequence[0]
    assert shared.PlaneOrientationSequence[0].ImageOrientationPatient == slices[0].ImageOrientationPatient
    assert shared.PixelMeasuresSequence[0].PixelSpacing == slices[0].PixelSpacing
    assert shared.PixelMeasuresSequence[0].SpacingBetweenSlices == pytest.approx(widths.grid.spacing[2])

    # As a volume, by highdicom: every voxel at its place, whichever way its axes run.
    found = pmread(made.uncertainty).get_volume()
    k, j, i = (index.ravel() for index in np.indices(widths.array.shape))
    lps = (widths.ijk_to_ras @ np.array([i, j, k, np.ones_like(i)]))[:3] * LPS_SIGNS[:, None]
    index = np.linalg.inv(found.affine) @ np.vstack([lps, np.ones_like(i)])
    nearest = np.rint(index[:3]).astype(int)
    np.testing.assert_allclose(index[:3], nearest, atol=1e-3)
    np.testing.assert_array_equal(found.array[tuple(nearest)], widths.array.ravel())
    assert complaints(made.uncertainty) == []


def test_it_says_what_its_values_mean(dataset, volume):
    (mapping,) = dataset.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1.0, 0.0)
    assert mapping.LUTLabel == "Uncertainty"
    assert mapping.DoubleFloatRealWorldValueFirstValueMapped == 0.0
    assert mapping.DoubleFloatRealWorldValueLastValueMapped == float(uncertainty_of(volume).array.max())
    (unit,) = mapping.MeasurementUnitsCodeSequence
    assert (unit.CodeValue, unit.CodingSchemeDesignator) == ("[arb'U]", "UCUM")
    (quantity,) = mapping.QuantityDefinitionSequence
    assert quantity.ConceptCodeSequence[0].CodeMeaning == "+/-, range of measurement uncertainty"
    (window,) = dataset.SharedFunctionalGroupsSequence[0].FrameVOILUTSequence
    assert float(window.WindowWidth) == pytest.approx(np.percentile(uncertainty_of(volume).array, 99.5))
    assert float(window.WindowCenter) == pytest.approx(float(window.WindowWidth) / 2)
    assert dataset.ContentLabel == "UNCERTAINTY"
    assert dataset.ContentDescription == "Half the width of the 95% interval of the synthetic STIR"
    assert "With 95% probability the acquired STIR lies within ± this value" in dataset.ImageComments


def test_it_says_that_it_is_synthetic_and_claims_no_acquisition(dataset):
    assert dataset.SeriesDescription == SERIES_DESCRIPTION == "Uncertainty of synthetic STIR (CC-DNN) – not acquired"
    assert dataset.ContentQualification == "RESEARCH"
    assert dataset.ImageType[0] == "DERIVED"
    for text in (dataset.ImageComments, dataset.DerivationDescription):
        assert "SYNTHETIC" in text and "not acquired" in text and "Research use only" in text
    assert "tiny 0.0.1" in dataset.DerivationDescription
    claims = set(ACQUIRED) - {"DeviceSerialNumber"}  # which a Parametric Map must have
    assert [keyword for keyword in claims if dataset.get(keyword) not in (None, "")] == []
    assert dataset.DeviceSerialNumber.startswith("ccdnn")
    assert [item.ManufacturerModelName for item in dataset.ContributingEquipmentSequence] == ["highdicom"]


def test_it_belongs_to_the_study_as_a_series_of_its_own(dataset, made, source):
    stir, first = pydicom.dcmread(made.files[0]), pydicom.dcmread(source[0])
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert dataset[keyword].value == first[keyword].value
    assert dataset.SOPClassUID.name == "Parametric Map Storage"
    assert len({dataset.SeriesInstanceUID, stir.SeriesInstanceUID, first.SeriesInstanceUID}) == 3
    assert (first.SeriesNumber, stir.SeriesNumber, dataset.SeriesNumber) == (5, 9005, 18005)
    (series,) = dataset.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == stir.SeriesInstanceUID
    assert len(series.ReferencedInstanceSequence) == 5


def test_it_is_legal_without_a_source_too(volume, out):
    made = export_series(volume, out, None, uncertainty=uncertainty_of(volume))
    assert complaints(made.uncertainty) == []


@pytest.mark.parametrize("keyword", ILLEGAL)
def test_illegal_values_of_a_source_leave_it_legal(tmp_path, out, keyword):
    files = factory.write(series_with(keyword.strip(), ILLEGAL[keyword][0]), tmp_path / "source")
    volume = synthetic(volume_of(files))
    made = export_series(volume, out, files, uncertainty=uncertainty_of(volume))
    assert complaints(made.uncertainty) == []


def test_inspection_and_other_readers_see_the_series_alone(made, out):
    assert made.uncertainty == out / UNCERTAINTY_FILE
    (series,) = find_series(out)
    assert series.role is Role.OTHER and len(series.files) == 5
    assert main(["inspect", str(out)]) == 0
    with pytest.raises(InputError, match="contains no image that can be read"):
        find_series(made.uncertainty.parent)
    assert {path.name for path in out.iterdir()} == {*(path.name for path in made.files), "uncertainty"}


def test_it_can_be_added_to_a_series_that_was_written_before(source, volume, out):
    files = export_series(volume, out, source).files
    path = out.parent / "map.dcm"
    export_uncertainty(uncertainty_of(volume), path, files[::-1])
    np.testing.assert_array_equal(pydicom.dcmread(path).pixel_array, uncertainty_of(volume).array)


# ------------------------------------------------------------------------------------------------------------------ faults


def other_inputs(volume: Volume) -> Volume:
    about = {**volume.metadata, "CCDNN_Input_T1": "covers 1.0000, voxels 0123456789abcdef"}
    return volume.with_array(volume.array, metadata=about)


def with_nan(volume: Volume) -> Volume:
    array = volume.array.copy()
    array[0, 0, 0] = np.nan
    return volume.with_array(array)


def moved(volume: Volume) -> Volume:
    matrix = volume.ijk_to_ras.copy()
    matrix[:3, 3] += 0.5
    return Volume(volume.array, matrix, name=volume.name, metadata=volume.metadata)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda volume: synthetic(volume), "is not an uncertainty map"),
        (with_nan, "contains NaN or infinite values"),
        (moved, "does not lie on the grid of 9005 Synthetic STIR"),
        (lambda volume: slices_of(volume, 1, 4), "does not lie on the grid of 9005 Synthetic STIR"),
        (other_inputs, "made from other inputs or by another model than 9005 Synthetic STIR"),
        (lambda v: v.with_array(v.array, metadata={**v.metadata, "CCDNN_Model": "small 2"}), "by another model"),
        (lambda v: v.with_array(v.array, metadata={**v.metadata, "CCDNN_Region_Error": "{"}), "is damaged"),
    ],
)
@pytest.mark.parametrize("apart", [False, True])
def test_without_its_map_there_is_no_series(source, volume, out, spoil, message, apart):
    place = out.parent / "map.dcm" if apart else None
    with pytest.raises(InputError, match=message):
        export_series(volume, out, source, uncertainty=spoil(uncertainty_of(volume)), uncertainty_file=place)
    assert list(out.parent.iterdir()) == []


def test_a_series_that_is_not_synthetic_is_refused(source, volume, out):
    with pytest.raises(InputError, match="5 knee is not a synthetic series of this program"):
        export_uncertainty(uncertainty_of(volume), out, source)
    files = export_series(volume, out.with_name("whole"), source).files
    with pytest.raises(InputError, match="are not one whole volume: 1 slice is missing"):
        export_uncertainty(uncertainty_of(volume), out, [*files[:2], *files[3:]])
    with pytest.raises(OutputError, match="is an input of this run"):
        export_uncertainty(uncertainty_of(volume), files[0], files)
    assert not out.exists()


def test_a_map_that_cannot_be_written_takes_the_series_with_it(source, volume, out, monkeypatch):
    place = out.parent / "no" / "map.dcm"
    with pytest.raises(OutputError, match="there is no such folder"):
        export_series(volume, out, source, uncertainty=uncertainty_of(volume), uncertainty_file=place)
    with pytest.raises(OutputError, match="which is another result"):
        export_series(volume, out, source, uncertainty=uncertainty_of(volume), uncertainty_file=out / "IM0001.dcm")

    def full(stream, dataset, **options):
        if dataset.SeriesDescription == SERIES_DESCRIPTION:
            raise OSError(28, "No space left on device")
        pydicom.dcmwrite(stream, dataset, **options)

    for module in (ccdnn.dicom.export, ccdnn.dicom.parametric_map):
        monkeypatch.setattr(module, "dcmwrite", full)
    for place in (None, out.parent / "map.dcm"):
        with pytest.raises(OutputError, match="the disk is full"):
            export_series(volume, out, source, uncertainty=uncertainty_of(volume), uncertainty_file=place)
        assert list(out.parent.iterdir()) == []


def test_without_highdicom_one_sentence_says_so(source, volume, out, monkeypatch):
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(OutputError, match="needs highdicom, a Python package that is not installed here"):
        export_series(volume, out, source, uncertainty=uncertainty_of(volume))
    assert list(out.parent.iterdir()) == []
    assert len(export_series(volume, out, source).files) == 5


# ---------------------------------------------------------------------------------------------------------------- commands


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".mha"])
def test_export_command_writes_both(capsys, tmp_path, source, volume, out, suffix):
    write_volume(volume, tmp_path / "stir.nrrd")
    write_volume(uncertainty_of(volume), tmp_path / f"map{suffix}")
    arguments = ["export-dicom", tmp_path / "stir.nrrd", "--uncertainty", tmp_path / f"map{suffix}", "--reference"]
    assert main([*map(str, arguments), str(source[0].parent), "-o", str(out)]) == 0
    text = "".join(capsys.readouterr())
    assert f"{out / UNCERTAINTY_FILE}: its uncertainty, a DICOM Parametric Map" in text
    assert factory.SECRET not in text
    values = pydicom.dcmread(out / UNCERTAINTY_FILE).pixel_array
    np.testing.assert_array_equal(values, uncertainty_of(volume).array)


def test_export_command_refuses_another_map_and_writes_nothing(capsys, tmp_path, source, volume, out):
    write_volume(volume, tmp_path / "stir.nrrd")
    other = uncertainty_of(volume)
    write_volume(other_inputs(other), tmp_path / "other.nrrd")
    for name, words in (("other.nrrd", "made from other inputs"), ("stir.nrrd", "is not an uncertainty map")):
        arguments = ["export-dicom", tmp_path / "stir.nrrd", "--uncertainty", tmp_path / name, "--reference", source[0].parent]
        assert main([*map(str, arguments), "-o", str(out)]) == InputError.exit_code
        assert words in capsys.readouterr().err
        assert list(out.parent.iterdir()) == []
    with pytest.raises(SystemExit):
        main(["export-dicom", "--help"])
    assert str(UNCERTAINTY_FILE) in "".join(capsys.readouterr().out.split())


@pytest.fixture
def study(tmp_path) -> Path:
    for name, times in (("T1", (500, 10)), ("T2", (3000, 80))):
        made = factory.series(6, SeriesDescription=f"SAG {name}", RepetitionTime=times[0], EchoTime=times[1])
        for number, dataset in enumerate(made):
            factory.set_pixels(dataset, factory.ramp(number) + number)
        factory.write(made, tmp_path / "study" / name)
    return tmp_path / "study"


@pytest.fixture
def synthesize(study, tmp_path, capsys):
    model = write_model(tmp_path / "tiny.safetensors", uncertainty=small_network.uncertainty(), optional=("gre",))

    def run(*arguments) -> tuple[int, str]:
        given = [
            "--t1",
            study / "T1",
            "--t2",
            study / "T2",
            "--gre",
            "none",
            "--model",
            model,
            "--device",
            "cpu",
            "--precision",
            "fp32",
            *arguments,
        ]
        return main(["synthesize", *map(str, given)]), capsys.readouterr().err

    return run


def test_synthesis_writes_series_and_map_in_one_run(synthesize, out):
    for name in ("map.dcm", "map.nrrd"):
        code, errors = synthesize("--format", "dicom", "-o", out.with_name(name[4:]), "--uncertainty", out.with_name(name))
        assert code == 0, errors
    # An image file stays one, also beside a DICOM series.
    dataset, image = pydicom.dcmread(out.with_name("map.dcm")), read_volume(out.with_name("map.nrrd"))
    np.testing.assert_array_equal(dataset.pixel_array, image.array)
    references = {item.ReferencedSOPInstanceUID for item in dataset.SourceImageSequence}
    assert references == {slice_.SOPInstanceUID for slice_ in datasets_of(sorted(out.with_name("dcm").iterdir()))}


def test_synthesis_refuses_a_map_that_has_no_place(synthesize, study, out):
    taken = study / "T1" / "IM0000.dcm"
    (study / "T1" / "IM0000").rename(taken)
    content = taken.read_bytes()
    dicom = ("--format", "dicom", "-o", out)
    for arguments, words in (
        (("-o", out.with_suffix(".nrrd"), "--uncertainty", out.with_name("map.dcm")), "add --format dicom"),
        ((*dicom, "--uncertainty", out / "map.dcm"), "lies in"),
        ((*dicom, "--uncertainty", out.with_name("no") / "map.dcm"), "there is no such folder"),
        ((*dicom, "--uncertainty", taken), "is an input of this run"),
    ):
        code, errors = synthesize(*arguments)
        assert code == OutputError.exit_code
        assert words in errors
        assert not out.exists()
    assert taken.read_bytes() == content
