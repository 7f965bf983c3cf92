"""A DICOM export reads back everywhere, says what it is, and belongs to its study."""

from __future__ import annotations

import dicom_factory as factory
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_export import ACQUIRED, HEADER, OBLIQUE, datasets_of, exported, synthetic, volume_of
from pydicom.pixels import apply_modality_lut

from ccdnn.dicom.export import SERIES_DESCRIPTION
from ccdnn.provenance import MADE_WITHOUT
from ccdnn.series import Role
from ccdnn.study import find_series
from ccdnn.volume import Volume


@pytest.mark.parametrize("orientation", [factory.SAGITTAL, factory.CORONAL, factory.AXIAL, OBLIQUE])
@pytest.mark.parametrize("mirrored", [False, True])
def test_voxels_and_grid_read_back_in_three_libraries(tmp_path, out, orientation, mirrored):
    files = factory.write(factory.series(4, orientation=orientation), tmp_path / "source")
    made = synthetic(volume_of(files))
    if mirrored:  # slices that run against the normal of rows and columns
        matrix = made.ijk_to_ras @ np.diag([1.0, 1.0, -1.0, 1.0])
        matrix[:3, 3] += made.ijk_to_ras[:3, 2] * 3
        made = Volume(made.array[::-1], matrix, name=made.name, metadata=made.metadata)
    written = exported(made, out, files)
    assert tuple(sorted(out.iterdir())) == written
    quantum = float(np.ptp(made.array)) / 65535

    by_pydicom = np.stack([apply_modality_lut(dataset.pixel_array, dataset) for dataset in datasets_of(written)])
    assert np.abs(by_pydicom - made.array).max() <= 0.51 * quantum

    # Both readers order slices along the normal.
    ours = volume_of(written)
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
    written = exported(synthetic(volume_of(source), array), out, source)
    step = max(np.ptp(np.append(array, 0.0)) / 65535, 1e-6)
    assert np.abs(volume_of(written).array - array).max() <= step


def test_own_inspection_calls_it_synthetic(source, volume, out):
    (series,) = find_series(exported(volume, out, source)[0].parent)
    assert series.role is Role.OTHER
    assert "synthetic" in series.reason


def test_window_is_that_of_the_voxels_or_the_one_asked_for(source, volume, out):
    dataset = datasets_of(exported(volume, out, source))[0]
    low, high = np.percentile(volume.array, [1, 99.5])
    assert float(dataset.WindowCenter) == pytest.approx((low + high) / 2)
    assert float(dataset.WindowWidth) == pytest.approx(high - low)
    dataset = datasets_of(exported(volume, out.with_name("other"), source, window=(0.4, 0.7)))[0]
    assert (dataset.WindowCenter, dataset.WindowWidth, dataset.VOILUTFunction) == (0.4, 0.7, "LINEAR_EXACT")


def test_what_it_was_made_without_is_in_the_name_and_the_derivation(source, volume, out):
    header = {**HEADER, MADE_WITHOUT: "GRE"}
    partial = Volume(volume.array, volume.ijk_to_ras, name="synthetic STIR without GRE", metadata=header)
    dataset = datasets_of(exported(partial, out, source))[0]
    assert dataset.SeriesDescription == "Synthetic STIR without GRE (CC-DNN) – not acquired"
    assert ", without GRE." in dataset.DerivationDescription


def test_every_file_says_that_it_is_synthetic_and_by_what(source, volume, out):
    for dataset in datasets_of(exported(volume, out, source)):
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
    for dataset in datasets_of(exported(volume, out, source)):
        assert [keyword for keyword in ACQUIRED if dataset.get(keyword) not in (None, "")] == []
        assert (dataset.ScanningSequence, dataset.SequenceVariant) == ("RM", "NONE")


def test_belongs_to_the_study_of_its_source_as_a_series_of_its_own(source, volume, out):
    first = pydicom.dcmread(source[0])
    made = datasets_of(exported(volume, out, source))
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert {getattr(dataset, keyword) for dataset in made} == {getattr(first, keyword)}
    assert {dataset.SeriesNumber for dataset in made} == {9005}
    assert len({dataset.SeriesInstanceUID for dataset in made} - {first.SeriesInstanceUID}) == 1
    uids = {dataset.SOPInstanceUID for dataset in made}
    assert len(uids) == 5
    assert not uids & {dataset.SOPInstanceUID for dataset in datasets_of(source)}
    assert [dataset.file_meta.MediaStorageSOPInstanceUID for dataset in made] == [dataset.SOPInstanceUID for dataset in made]
    again = datasets_of(exported(volume, out.with_name("again"), source))
    assert again[0].SeriesInstanceUID != made[0].SeriesInstanceUID


@pytest.mark.parametrize(
    ("charset", "name"),
    [("ISO_IR 100", "Müller^Jörg"), (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"), ("GB18030", "Wang^XiaoDong=王^小东")],
)
def test_names_in_other_character_sets_survive(tmp_path, out, charset, name):
    files = factory.write(factory.series(3, SpecificCharacterSet=charset, PatientName=name), tmp_path / "source")
    dataset = datasets_of(exported(synthetic(volume_of(files)), out, files))[0]
    assert dataset.SpecificCharacterSet == "ISO_IR 192"
    assert str(dataset.PatientName) == name


def test_refers_to_the_very_slice_it_was_made_from(source, volume, out):
    places = {dataset.SOPInstanceUID: np.array(dataset.ImagePositionPatient, float) for dataset in datasets_of(source)}
    for dataset in datasets_of(exported(volume, out, source)):
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
    dataset = datasets_of(exported(volume, out, source, [axial, far, source]))[0]
    expected = {other.SOPInstanceUID for other in datasets_of(axial)}
    referred = [item.ReferencedSOPInstanceUID for item in dataset.SourceImageSequence]
    assert len(referred) == len(set(referred)) == 1 + len(axial)
    assert expected < set(referred)
    assert len(dataset.ReferencedSeriesSequence) == 2


def test_refers_to_frames_of_an_enhanced_source(tmp_path, out):
    places = [np.array((-20.0, 10.0, 30.0)) + number * 3 * factory.normal(factory.SAGITTAL) for number in (2, 0, 1)]
    files = factory.write([factory.enhanced([{"position": place} for place in places])], tmp_path / "source")
    made = datasets_of(exported(synthetic(volume_of(files)), out, files))
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
    dataset = datasets_of(exported(volume, out, source, [earlier]))[0]
    assert dataset.StudyInstanceUID == "1.2.3"
    (study,) = dataset.StudiesContainingOtherReferencedInstancesSequence
    assert study.StudyInstanceUID == "1.2.99"
    assert len(dataset.ReferencedSeriesSequence) == 1


def test_lossy_compression_of_a_source_stays_said(tmp_path, source, volume, out):
    tags = {"LossyImageCompression": "01", "LossyImageCompressionRatio": 12.5, "LossyImageCompressionMethod": "ISO_10918_1"}
    lossy = factory.write(factory.series(5, **tags), tmp_path / "lossy")
    dataset = datasets_of(exported(volume, out, source, [lossy]))[0]
    assert (dataset.LossyImageCompression, dataset.LossyImageCompressionRatio) == ("01", 12.5)
    assert datasets_of(exported(volume, out.with_name("clean"), source))[0].LossyImageCompression == "00"


def test_without_a_source_it_is_an_anonymous_study_of_its_own(volume, out):
    made = [datasets_of(exported(volume, out.with_name(name), None))[0] for name in ("one", "two")]
    assert str(made[0].PatientName) == "Anonymous^Patient"
    assert made[0].PatientIdentityRemoved == "YES"
    assert "SourceImageSequence" not in made[0]
    for keyword in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID", "SeriesInstanceUID"):
        assert made[0].get(keyword) != made[1].get(keyword)
