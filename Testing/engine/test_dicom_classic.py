"""Classic MR images: where slices lie, what splits a series, what is refused, and how values are read."""

from __future__ import annotations

from pathlib import Path

import dicom_factory as factory
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from ccdnn.errors import InputError
from ccdnn.series import Role
from ccdnn.study import find_series, read_study, read_volume

OBLIQUE = (0.98, 0.15, -0.1306, -0.1564, 0.9869, -0.0402)


def expected(count: int = 5) -> np.ndarray:
    return np.stack([factory.ramp(number) for number in range(count)]).astype(np.float32)


def as_sitk_reads(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """(array, IJK→RAS) as GDCM's series reader has them."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    lps = np.eye(4)
    lps[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    lps[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image), np.diag([-1, -1, 1, 1]) @ lps


@pytest.mark.parametrize(
    "orientation", [factory.SAGITTAL, factory.CORONAL, factory.AXIAL, OBLIQUE], ids=["sag", "cor", "ax", "oblique"]
)
def test_geometry_is_that_of_gdcm(tmp_path: Path, orientation: tuple[float, ...]) -> None:
    axes = np.array(orientation).reshape(2, 3)
    axes[0] /= np.linalg.norm(axes[0])
    axes[1] -= axes[0] * (axes[0] @ axes[1])
    axes[1] /= np.linalg.norm(axes[1])
    factory.write(factory.series(orientation=axes.ravel()), tmp_path, order=[3, 0, 4, 1, 2])
    volume = read_volume(tmp_path)
    array, ijk_to_ras = as_sitk_reads(tmp_path)
    np.testing.assert_allclose(volume.ijk_to_ras, ijk_to_ras, atol=2e-5)
    np.testing.assert_array_equal(volume.array, array)
    assert volume.grid.spacing == pytest.approx((0.75, 0.5, 3.0), abs=1e-5)


def test_descending_instances_are_sorted_by_position(tmp_path: Path) -> None:
    factory.write(factory.series(spacing=-3.0), tmp_path)
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.array, expected()[::-1])
    # The first slice is now the one furthest against the normal, four slices of 3 mm from instance 1.
    assert volume.ijk_to_ras[:3, 3] == pytest.approx(
        -np.array([-20, 10, -30]) + np.array([4 * 3 * factory.normal(factory.SAGITTAL)[0], 0, 0])
    )


def test_spacing_comes_from_positions_alone(tmp_path: Path) -> None:
    factory.write(factory.series(SliceThickness=None, SpacingBetweenSlices=None), tmp_path)
    assert read_volume(tmp_path).grid.spacing[2] == pytest.approx(3.0)


def test_positions_rounded_to_a_twentieth_of_a_millimetre_are_even(tmp_path: Path) -> None:
    slices = factory.series(10, spacing=3.33)
    for dataset in slices:
        dataset.ImagePositionPatient = [f"{round(float(value) * 20) / 20:.2f}" for value in dataset.ImagePositionPatient]
    factory.write(slices, tmp_path)
    assert read_volume(tmp_path).grid.spacing[2] == pytest.approx(3.33, abs=0.01)


def test_missing_slice_is_refused(tmp_path: Path) -> None:
    slices = factory.series(8)
    factory.write([*slices[:3], *slices[4:]], tmp_path)
    (found,) = find_series(tmp_path)
    assert "1 slice is missing" in found.problem
    with pytest.raises(InputError, match="missing"):
        found.load()


def test_uneven_spacing_is_refused(tmp_path: Path) -> None:
    slices = factory.series(6)
    slices[2].ImagePositionPatient[0] = float(slices[2].ImagePositionPatient[0]) + 0.8
    factory.write(slices, tmp_path)
    (found,) = find_series(tmp_path)
    assert "unevenly spaced" in found.problem


def test_sheared_stack_is_refused(tmp_path: Path) -> None:
    slices = factory.series(6)
    for number, dataset in enumerate(slices):
        dataset.ImagePositionPatient[1] = float(dataset.ImagePositionPatient[1]) + 0.2 * number
    factory.write(slices, tmp_path)
    (found,) = find_series(tmp_path)
    assert "shifted sideways" in found.problem and found.grid is None


def test_repeated_place_that_nothing_tells_apart_is_refused(tmp_path: Path) -> None:
    slices = factory.series(5)
    again = factory.slice_dataset(2, series_uid=slices[0].SeriesInstanceUID)
    factory.write([*slices, again], tmp_path)
    (found,) = find_series(tmp_path)
    assert "nothing distinguishes them" in found.problem


def test_the_same_file_twice_counts_once(tmp_path: Path) -> None:
    slices = factory.series()
    factory.write(slices, tmp_path / "a")
    factory.write(slices, tmp_path / "b")
    np.testing.assert_array_equal(read_volume(tmp_path).array, expected())


def test_several_series_in_one_folder_and_files_that_are_not_dicom(tmp_path: Path) -> None:
    factory.write(factory.series(SeriesNumber=3), tmp_path, prefix="A")
    factory.write(factory.series(4, SeriesNumber=2, orientation=factory.AXIAL), tmp_path / "deep" / "er", prefix="B")
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "binary").write_bytes(bytes(range(256)) * 3)
    found = find_series(tmp_path)
    assert [(series.name, series.grid.shape) for series in found] == [("2 knee", (4, 6, 8)), ("3 knee", (5, 6, 8))]


@pytest.mark.parametrize(
    ("differs", "first", "second", "words"),
    [
        ("EchoTime", 12, 60, ("TE 12 ms", "TE 60 ms")),
        ("InversionTime", 150, 400, ("TI 150 ms", "TI 400 ms")),
        ("FlipAngle", 5, 25, ("FA 5°", "FA 25°")),
        ("ImageType", ["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"], ("magnitude", "phase")),
        ("ImageType", ["ORIGINAL", "PRIMARY", "M"], ["DERIVED", "SECONDARY", "M"], ("ORIGINAL PRIMARY", "DERIVED SECONDARY")),
        ("TemporalPositionIdentifier", 1, 2, ("time point 1", "time point 2")),
        ("AcquisitionNumber", 1, 2, ("time point 1", "time point 2")),
        ("TriggerTime", 0, 350, ("time point 1", "time point 2")),
        ("DiffusionBValue", 0, 800, ("b 0", "b 800")),
        ("EchoNumbers", 1, 2, ("echo 1", "echo 2")),
        ("PixelSpacing", [0.5, 0.75], [1.0, 0.75], ("pixel spacing 1", "pixel spacing 2")),
    ],
)  # fmt: skip
def test_one_series_with_two_volumes_is_split(tmp_path: Path, differs: str, first, second, words: tuple[str, str]) -> None:
    uid = generate_uid()
    a = factory.series(series_uid=uid, **{differs: first})
    b = [factory.slice_dataset(n, series_uid=uid, pixels=factory.ramp(n) + 7, **{differs: second}) for n in range(5)]
    for number, dataset in enumerate(b):
        dataset.InstanceNumber = 6 + number
    interleaved = [dataset for pair in zip(a, b, strict=True) for dataset in pair]
    factory.write(interleaved, tmp_path)
    found = find_series(tmp_path)
    assert [series.name for series in found] == [f"5 knee, {word}" for word in words]
    np.testing.assert_array_equal(found[0].load().array, expected())
    np.testing.assert_array_equal(found[1].load().array, expected() + 7)


def test_time_points_that_differ_in_instance_number_only(tmp_path: Path) -> None:
    uid = generate_uid()
    points = [factory.slice_dataset(n % 4, series_uid=uid, pixels=factory.ramp(n), InstanceNumber=n + 1) for n in range(12)]
    factory.write(points, tmp_path)
    found = find_series(tmp_path)
    assert [series.time_point for series in found] == [1, 2, 3]
    np.testing.assert_array_equal(found[1].load().array, np.stack([factory.ramp(n) for n in range(4, 8)]))


def test_trigger_times_that_differ_by_slice_do_not_split(tmp_path: Path) -> None:
    slices = factory.series()
    for number, dataset in enumerate(slices):
        dataset.TriggerTime, dataset.AcquisitionNumber, dataset.RepetitionTime = 700 + 11 * number, number, 600 + number
    factory.write(slices, tmp_path)
    assert read_volume(tmp_path).grid.shape == (5, 6, 8)


def test_b_values_with_directions_are_split_by_both(tmp_path: Path) -> None:
    uid = generate_uid()
    volumes = [(0, None), (800, [1.0, 0.0, 0.0]), (800, [0.0, 1.0, 0.0]), (1000, [1.0, 0.0, 0.0])]
    datasets = []
    for volume, (b_value, direction) in enumerate(volumes):
        for number in range(4):
            tags = {"DiffusionBValue": b_value} | ({} if direction is None else {"DiffusionGradientOrientation": direction})
            datasets.append(factory.slice_dataset(number, series_uid=uid, pixels=factory.ramp(volume), **tags))
    factory.write(datasets, tmp_path)
    found = find_series(tmp_path)
    assert len(found) == 4
    assert sorted(series.acquisition.b_value for series in found) == [0, 800, 800, 1000]
    assert {series.role for series in found} == {Role.OTHER}


def test_three_plane_localizer_is_split_by_plane(tmp_path: Path) -> None:
    uid = generate_uid()
    gradient = {"ScanningSequence": "GR", "RepetitionTime": 8, "EchoTime": 3.5, "FlipAngle": 20, "SeriesDescription": "3plan"}
    datasets = [
        factory.slice_dataset(n, series_uid=uid, orientation=orientation, spacing=10, **gradient)
        for orientation in (factory.SAGITTAL, factory.CORONAL, factory.AXIAL)
        for n in range(3)
    ]
    factory.write(datasets, tmp_path)
    found = find_series(tmp_path)
    assert [series.plane for series in found] == ["sagittal", "coronal", "axial"]
    assert {series.role for series in found} == {Role.LOCALIZER}
    assert all(series.grid.shape == (3, 6, 8) and series.problem is None for series in found)


def test_both_knees_in_one_series_are_two_stacks(tmp_path: Path) -> None:
    uid = generate_uid()
    left = [factory.slice_dataset(n, series_uid=uid) for n in range(6)]
    right = [factory.slice_dataset(n, series_uid=uid, origin=(150.0, 10.0, 30.0)) for n in range(6)]
    factory.write([*left, *right], tmp_path)
    found = find_series(tmp_path)
    assert [(series.name, series.grid.shape[0], series.problem) for series in found] == [
        ("5 knee, stack 1", 6, None),
        ("5 knee, stack 2", 6, None),
    ]


def test_stations_beside_each_other_are_two_stacks(tmp_path: Path) -> None:
    uid = generate_uid()
    upper = [factory.slice_dataset(n, series_uid=uid, orientation=factory.CORONAL) for n in range(4)]
    lower = [factory.slice_dataset(n, series_uid=uid, orientation=factory.CORONAL, origin=(-20.0, 10.0, -200.0)) for n in range(4)]
    factory.write([*upper, *lower], tmp_path)
    assert [series.grid.shape[0] for series in find_series(tmp_path)] == [4, 4]


def test_single_file(tmp_path: Path) -> None:
    (path,) = factory.write(factory.series(1), tmp_path)
    (found,) = find_series(path)
    assert found.grid.shape == (1, 6, 8) and found.role is Role.OTHER and "single slice" in found.reason
    np.testing.assert_array_equal(found.load().array, expected(1))


@pytest.mark.parametrize("missing", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
def test_no_place_in_the_patient_is_refused(tmp_path: Path, missing: str) -> None:
    factory.write(factory.series(**{missing: None}), tmp_path)
    (found,) = find_series(tmp_path)
    assert found.grid is None and "so it cannot be placed in a volume" in found.problem


def test_runs_of_one_series_that_count_from_one_again_are_refused(tmp_path: Path) -> None:
    """By number the third slice of one run could be paired with the third of the other, which lies elsewhere."""
    uid = generate_uid()
    there = [factory.slice_dataset(n, series_uid=uid) for n in range(4)]
    back = [factory.slice_dataset(n, series_uid=uid, InstanceNumber=4 - n) for n in range(4)]
    factory.write([*there, *back], tmp_path)
    (found,) = find_series(tmp_path)
    assert "nothing distinguishes them" in found.problem


def test_numbers_against_the_rules_are_taken_as_absent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    paths = factory.write(factory.series(EchoTime="12.3456"), tmp_path)
    for path in paths:
        path.write_bytes(path.read_bytes().replace(b"12.3456", b"1x.3y56"))
    volume = find_series(tmp_path)[0]
    assert volume.acquisition.te_ms is None and volume.load().array.shape == (5, 6, 8)
    assert capfd.readouterr().err == ""


def test_description_of_control_characters_and_letters_beyond_ascii(tmp_path: Path) -> None:
    description = "Fenêtre\x1b[31m  sagittale"
    factory.write(factory.series(SpecificCharacterSet="ISO_IR 192", SeriesDescription=description), tmp_path)
    assert find_series(tmp_path)[0].name == "5 Fenêtre [31m sagittale"


def test_private_and_malformed_elements_do_not_hinder(tmp_path: Path) -> None:
    slices = factory.series()
    for dataset in slices:
        dataset.private_block(0x0029, "SOMEONE'S HEADER", create=True).add_new(0x10, "OB", bytes(range(256)) * 8)
        dataset.add(pydicom.DataElement(0x00180082, "LO", "not a number"))
        dataset.add(pydicom.DataElement(0x00200012, "LO", ""))
    factory.write(slices, tmp_path)
    volume = read_volume(tmp_path)
    assert volume.grid.shape == (5, 6, 8)


# ------------------------------------------------------------------------------------------------------------------ values


@pytest.mark.parametrize(
    "syntax",
    [JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, JPEG2000, ImplicitVRLittleEndian],
    ids=lambda uid: uid.keyword,
)
def test_transfer_syntaxes_written_by_gdcm(tmp_path: Path, syntax) -> None:
    rng = np.random.default_rng(0)
    images = [np.cumsum(rng.integers(0, 40, (32, 40)), axis=1).astype(np.uint16) for _ in range(3)]
    uid = generate_uid()
    paths = factory.write([factory.slice_dataset(n, series_uid=uid, pixels=image) for n, image in enumerate(images)], tmp_path)
    for path in paths:
        factory.transcode(path, syntax)
        assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == syntax
    volume = read_volume(tmp_path)
    np.testing.assert_allclose(volume.array, np.stack(images), atol=0 if syntax != JPEG2000 else 3)


@pytest.mark.parametrize("syntax", [ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless], ids=lambda uid: uid.keyword)
@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.uint8])
def test_transfer_syntaxes_written_by_pydicom(tmp_path: Path, syntax, dtype) -> None:
    uid = generate_uid()
    low = -3000 if dtype is np.int16 else 0
    images = [np.random.default_rng(n).integers(low, 250, (6, 8)).astype(dtype) for n in range(3)]
    datasets = [factory.slice_dataset(n, series_uid=uid, pixels=image) for n, image in enumerate(images)]
    for dataset in datasets:
        if syntax == RLELossless:
            factory.compress_rle(dataset)
        else:
            dataset.file_meta.TransferSyntaxUID = syntax
            if syntax == ExplicitVRBigEndian and dtype is not np.uint8:
                dataset.PixelData = np.frombuffer(dataset.PixelData, dtype).byteswap().tobytes()
                dataset["PixelData"].VR = "OW"
    (tmp_path / "d").mkdir()
    for number, dataset in enumerate(datasets):
        little = syntax != ExplicitVRBigEndian
        pydicom.dcmwrite(tmp_path / "d" / f"{number}", dataset, implicit_vr=False, little_endian=little, enforce_file_format=True)
    np.testing.assert_array_equal(read_volume(tmp_path).array, np.stack(images).astype(np.float32))


def test_signed_jpeg_lossless(tmp_path: Path) -> None:
    uid = generate_uid()
    images = [np.random.default_rng(n).integers(-2000, 2000, (16, 16)).astype(np.int16) for n in range(2)]
    for path in factory.write([factory.slice_dataset(n, series_uid=uid, pixels=image) for n, image in enumerate(images)], tmp_path):
        factory.transcode(path, JPEGLosslessSV1)
    np.testing.assert_array_equal(read_volume(tmp_path).array, np.stack(images))


def test_rescale_is_applied_slice_by_slice(tmp_path: Path) -> None:
    slices = factory.series(3)
    for number, dataset in enumerate(slices):
        dataset.RescaleSlope, dataset.RescaleIntercept = 1.5 + number, -10 * number
    factory.write(slices, tmp_path)
    wanted = [factory.ramp(n).astype(np.float64) * (1.5 + n) - 10 * n for n in range(3)]
    np.testing.assert_allclose(read_volume(tmp_path).array, wanted, rtol=1e-6)


@pytest.mark.parametrize(("dtype", "values"), [(np.uint16, (0, 7, 4095)), (np.int16, (-2048, -1, 2047))])
def test_overlay_bits_above_the_stored_ones_are_cut_off(tmp_path: Path, dtype, values: tuple[int, ...]) -> None:
    dataset = factory.slice_dataset(0, series_uid=generate_uid())
    image = np.resize(np.array(values, dtype=dtype), (6, 8))
    factory.set_pixels(dataset, image, bits_stored=12)
    with_overlay = (image.view(np.uint16) & 0x0FFF) | 0x5000
    dataset.PixelData = with_overlay.tobytes()
    factory.write([dataset], tmp_path)
    np.testing.assert_array_equal(read_volume(tmp_path).array[0], image)


def test_monochrome1_is_mirrored_so_that_signal_is_bright(tmp_path: Path) -> None:
    slices = factory.series(2)
    for number, dataset in enumerate(slices):
        factory.set_pixels(dataset, 4095 - factory.ramp(number), bits_stored=12)
        dataset.PhotometricInterpretation = "MONOCHROME1"
    factory.write(slices, tmp_path)
    np.testing.assert_array_equal(read_volume(tmp_path).array, expected(2))


def test_file_without_preamble_and_meta_information(tmp_path: Path) -> None:
    for number, dataset in enumerate(factory.series(3)):
        bare = pydicom.Dataset({element.tag: element for element in dataset})
        pydicom.dcmwrite(tmp_path / f"{number}.ima", bare, implicit_vr=True, little_endian=True)
    np.testing.assert_array_equal(read_volume(tmp_path).array, expected(3))


# ---------------------------------------------------------------------------------------------------------- damaged, foreign


def test_slice_cut_short_refuses_its_series_and_leaves_the_others(tmp_path: Path) -> None:
    paths = factory.write(factory.series(5, SeriesNumber=1), tmp_path, prefix="A")
    factory.write(factory.series(4, SeriesNumber=2), tmp_path, prefix="B")
    paths[-1].write_bytes(paths[-1].read_bytes()[:-20])
    broken, whole = find_series(tmp_path)
    assert "A0004 is truncated" in broken.problem
    assert whole.problem is None
    with pytest.raises(InputError, match="truncated"):
        broken.load()


def test_compressed_slice_cut_short(tmp_path: Path) -> None:
    paths = factory.write(factory.series(3), tmp_path)
    for path in paths:
        factory.transcode(path, JPEGLosslessSV1)
    paths[0].write_bytes(paths[0].read_bytes()[:-30])
    (found,) = find_series(tmp_path)
    assert "truncated" in found.problem


def test_header_cut_short_refuses_its_series_though_it_was_an_end_slice(tmp_path: Path) -> None:
    paths = factory.write(factory.series(5), tmp_path)
    content = paths[-1].read_bytes()
    # Cut behind the Series Instance UID (0020,000E), before Rows (0028,0010).
    paths[-1].write_bytes(content[: content.index(b"\x20\x00\x32\x00DS") + 4])
    study = read_study(tmp_path)
    assert len(study.problems) == 1 and "IM0004 is damaged" in study.problems[0]
    assert [series.problem is None for series in study.series] == [False]


@pytest.mark.parametrize("keep", [140, 200, 400])
def test_stump_of_a_file_is_named_and_the_rest_is_read(tmp_path: Path, keep: int) -> None:
    paths = factory.write(factory.series(5), tmp_path)
    stump = tmp_path / "Z"
    stump.write_bytes(paths[0].read_bytes()[:keep])
    study = read_study(tmp_path)
    assert len(study.problems) == 1 and "Z " in study.problems[0]
    assert study.series[0].grid.shape == (5, 6, 8)


def test_damaged_pixels_are_reported_when_loaded(tmp_path: Path) -> None:
    paths = factory.write(factory.series(3), tmp_path)
    for path in paths:
        factory.transcode(path, JPEGLosslessSV1)
    content = bytearray(paths[1].read_bytes())
    start = content.index(b"\xff\xd8\xff")
    content[start + 2 : start + 20] = b"\0" * 18
    paths[1].write_bytes(content)
    (found,) = find_series(tmp_path)
    with pytest.raises(InputError, match="IM0001"):
        found.load()


def test_colour_is_refused(tmp_path: Path) -> None:
    dataset = factory.slice_dataset(0, series_uid=generate_uid())
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelData = 7, bytes(6 * 8 * 3)
    factory.write([dataset], tmp_path)
    (found,) = find_series(tmp_path)
    assert "colour" in found.problem


def test_mosaic_is_refused(tmp_path: Path) -> None:
    factory.write(factory.series(ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"]), tmp_path)
    assert "mosaic" in find_series(tmp_path)[0].problem


def test_dicomdir_and_reports_are_no_images(tmp_path: Path) -> None:
    factory.write(factory.series(), tmp_path)
    directory = factory.slice_dataset(0, series_uid=generate_uid())
    report = factory.slice_dataset(0, series_uid=generate_uid())
    spectrum = factory.slice_dataset(0, series_uid=generate_uid())
    for dataset, sop_class, name in (
        (directory, "1.2.840.10008.1.3.10", "DICOMDIR"),
        (report, "1.2.840.10008.5.1.4.1.1.88.11", "report"),
        (spectrum, "1.2.840.10008.5.1.4.1.1.4.2", "spectrum"),
    ):
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
        for keyword in ("PixelData",) if dataset is spectrum else ("Rows", "Columns", "PixelData"):
            delattr(dataset, keyword)
        dataset.save_as(tmp_path / name, enforce_file_format=True)
    study = read_study(tmp_path)
    assert len(study.series) == 1 and study.problems == ()


def test_other_modality_plays_no_role(tmp_path: Path) -> None:
    factory.write(factory.series(Modality="CT"), tmp_path)
    (found,) = find_series(tmp_path)
    assert found.role is Role.OTHER and "CT" in found.reason


def test_nothing_tells_who_the_patient_is(tmp_path: Path) -> None:
    factory.write(factory.series(), tmp_path)
    (found,) = find_series(tmp_path)
    shown = f"{found!r} {dict(found.provenance)} {dict(found.load().metadata)}"
    for secret in ("Doe", "Jane", "SECRET-ID", "19700101"):
        assert secret not in shown
