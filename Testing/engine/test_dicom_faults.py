"""DICOM series that are damaged, incomplete or written against the rules: never a wrong or a shorter volume in silence."""

from __future__ import annotations

import gzip
import os
import sys
import tarfile
import zipfile
from pathlib import Path

import dicom_factory as factory
import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from ccdnn.errors import InputError
from ccdnn.study import find_series, read_study, read_volume

SLICES = 5
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 5\n"


def expected(slices: int = SLICES) -> np.ndarray:
    return np.stack([factory.ramp(number) for number in range(slices)]).astype(np.float32)


def write(folder: Path, **tags) -> list[Path]:
    return factory.write(factory.series(SLICES, **tags), folder)


def change(path: Path, **tags) -> None:
    """Set attributes of one file, or delete those whose value is None."""
    dataset = pydicom.dcmread(path)
    for keyword, value in tags.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dataset.save_as(path)


def the_one(folder: Path):
    (found,) = find_series(folder)
    return found


# --------------------------------------------------------------------------------------------------------- a slice is damaged


@pytest.mark.parametrize("place", [0, 2, SLICES - 1])
@pytest.mark.parametrize("content", [b"", "first 100 bytes", "first 131 bytes", "first 200 bytes", POINTER, b"\0" * 4000])
def test_a_damaged_slice_is_never_left_out_in_silence(tmp_path: Path, place: int, content: bytes | str) -> None:
    paths = write(tmp_path)
    if isinstance(content, str):
        content = paths[place].read_bytes()[: int(content.split()[1])]
    paths[place].write_bytes(content)
    study = read_study(tmp_path)
    assert paths[place].name in " ".join(study.problems)
    (series,) = study.series
    assert paths[place].name in series.problem
    with pytest.raises(InputError, match=paths[place].name):
        series.load()


@pytest.mark.parametrize("names", ["slice_{}.dcm", "1.2.840.{}", "{}.IMA", "MR000{}", "{:08x}"])
def test_the_damaged_slice_is_known_by_its_name(tmp_path: Path, names: str) -> None:
    for number, path in enumerate(write(tmp_path)):
        path.rename(tmp_path / names.format(number))
    (tmp_path / names.format(SLICES - 1)).write_bytes(b"")
    assert names.format(SLICES - 1) in the_one(tmp_path).problem


def test_damage_belongs_to_the_series_of_its_neighbours(tmp_path: Path) -> None:
    """Two series in one folder: a slice within one of them is that one's; one at the seam may be of either, and both say so."""
    factory.write(factory.series(5, SeriesNumber=1), tmp_path, prefix="A")
    factory.write(factory.series(5, SeriesNumber=2), tmp_path, prefix="B")
    (tmp_path / "A0002").write_bytes(b"")
    damaged, whole = find_series(tmp_path)
    assert "A0002" in damaged.problem and whole.problem is None and whole.warnings == ()

    (tmp_path / "A0002").unlink()
    (tmp_path / "A0005").write_bytes(b"")
    first, second = find_series(tmp_path)
    assert second.problem is None and "may be missing a slice" in second.warnings[0] and "A0005" in second.warnings[0]
    assert any("A0005" in sentence for sentence in (first.problem, *first.warnings))


def test_other_files_of_a_folder_are_no_damage(tmp_path: Path) -> None:
    write(tmp_path)
    for name in ("README.txt", "notes", "report.pdf", "viewer.exe", "Thumbs.db", "index.html", "autorun.inf"):
        (tmp_path / name).write_bytes(b"<html>" if name.endswith("html") else b"text")
    study = read_study(tmp_path)
    assert study.problems == ()
    assert study.series[0].problem is None


# ------------------------------------------------------------------------------------------------------------ how it is stored


@pytest.mark.parametrize(("dtype", "padding"), [(np.int16, -32768), (np.int16, -2000), (np.uint16, 63536), (np.uint16, 0)])
def test_padding_is_not_signal(tmp_path: Path, dtype: type, padding: int) -> None:
    datasets = []
    uid = generate_uid()
    for number in range(SLICES):
        pixels = factory.ramp(number).astype(dtype) + dtype(1)
        pixels[:2] = padding
        datasets.append(factory.slice_dataset(number, series_uid=uid, pixels=pixels))
        datasets[-1].add_new("PixelPaddingValue", "SS" if dtype is np.int16 else "US", padding)
    factory.write(datasets, tmp_path)
    right = expected() + 1
    right[:, :2] = 0
    assert np.array_equal(read_volume(tmp_path).array, right)


def test_padding_of_a_range_and_of_the_wrong_sign(tmp_path: Path) -> None:
    for path in write(tmp_path / "range"):
        dataset = pydicom.dcmread(path)
        dataset.add_new("PixelPaddingValue", "US", 0)
        dataset.add_new("PixelPaddingRangeLimit", "US", 3)
        dataset.save_as(path)
    right = expected()
    right[0, 0, :4] = 0
    assert np.array_equal(read_volume(tmp_path / "range").array, right)

    pixels = factory.ramp(0).astype(np.int16)
    pixels[0] = -2000
    datasets = factory.series(SLICES, pixels=pixels)
    for dataset in datasets:
        dataset.add_new("PixelPaddingValue", "US", 63536)  # the same 16 bits
    factory.write(datasets, tmp_path / "sign")
    assert (read_volume(tmp_path / "sign").array[:, 0] == 0).all()


def test_a_slope_of_0_is_refused(tmp_path: Path) -> None:
    paths = write(tmp_path, RescaleSlope=2, RescaleIntercept=0)
    change(paths[3], RescaleSlope=0)
    assert "IM0003 states Rescale Slope 0" in the_one(tmp_path).problem


@pytest.mark.parametrize(
    ("keyword", "text"),
    [("RescaleSlope", "1,5"), ("RescaleSlope", "abc"), ("RescaleIntercept", "--2"), ("PixelSpacing", "0,5\\0,5"),
     ("PixelSpacing", "0.5"), ("ImagePositionPatient", "1\\2"), ("ImagePositionPatient", "1,0\\2,0\\3,0"),
     ("ImageOrientationPatient", "1\\0\\0\\0\\1"), ("RescaleSlope", "1e999")],
)  # fmt: skip
def test_a_number_that_cannot_be_read_is_quoted(tmp_path: Path, keyword: str, text: str) -> None:
    path = write(tmp_path, RescaleSlope=2, RescaleIntercept=0)[1]
    dataset = pydicom.dcmread(path)
    written = text.encode() + b" " * (len(text) % 2)
    tag = dataset.data_element(keyword).tag
    dataset._dict[tag] = pydicom.dataelem.RawDataElement(tag, "DS", len(written), written, 0, False, True)
    dataset.save_as(path)
    problem = the_one(tmp_path).problem
    assert keyword in problem and text in problem


def test_bits_that_bits_stored_leaves_out_are_announced(tmp_path: Path) -> None:
    uid = generate_uid()
    datasets = []
    for number in range(SLICES):
        dataset = factory.slice_dataset(number, series_uid=uid, pixels=factory.ramp(number) + np.uint16(4096 * (number == 2)))
        dataset.BitsStored, dataset.HighBit = 12, 11
        datasets.append(dataset)
    factory.write(datasets, tmp_path)
    volume = read_volume(tmp_path)
    assert any("bits outside the 12" in warning for warning in volume.warnings)


def test_a_high_bit_that_the_values_contradict(tmp_path: Path) -> None:
    for path in write(tmp_path):
        change(path, BitsStored=12, HighBit=15)
    volume = read_volume(tmp_path)
    # 4004 at most, so twelve bits hold every value of the ramp.
    assert np.array_equal(volume.array, expected())
    assert any("High Bit" in warning and f"{SLICES} of {SLICES} slices" in warning for warning in volume.warnings)


def test_floating_point_pixel_data_are_called_so(tmp_path: Path) -> None:
    for path in write(tmp_path):
        dataset = pydicom.dcmread(path)
        del dataset.PixelData
        dataset.BitsAllocated = 32
        dataset.FloatPixelData = np.zeros((6, 8), np.float32).tobytes()
        dataset.save_as(path)
    assert "floating-point pixel data" in the_one(tmp_path).problem


# ------------------------------------------------------------------------------------------- one regular stack, one odd header


@pytest.mark.parametrize(
    ("keyword", "value", "said"),
    [("ImageType", ["ORIGINAL", "PRIMARY", "M", "SE", "NORM"], "image type"), ("FlipAngle", 90, "flip angle"),
     ("EchoTime", 20, "echo time"), ("InversionTime", 150, "inversion time"), ("ImageType", None, "image type"),
     ("EchoTime", None, "echo time")],
)  # fmt: skip
@pytest.mark.parametrize("place", [0, 2, SLICES - 1])
def test_a_stack_with_one_odd_header_stays_whole_and_says_so(tmp_path: Path, place: int, keyword: str, value, said: str) -> None:
    change(write(tmp_path)[place], **{keyword: value})
    series = the_one(tmp_path)
    assert series.problem is None
    assert any(f"the {said} of 1 of its {SLICES} slices" in warning for warning in series.warnings)
    assert np.array_equal(series.load().array, expected())


def test_an_echo_time_that_drifts_from_slice_to_slice(tmp_path: Path) -> None:
    for number, path in enumerate(write(tmp_path)):
        change(path, EchoTime=12 + 0.3 * number)
    series = the_one(tmp_path)
    assert np.array_equal(series.load().array, expected())
    assert "echo time" in series.warnings[0]


@pytest.mark.parametrize("keyword", ["Modality", "FrameOfReferenceUID"])
@pytest.mark.parametrize("place", [0, 3])
def test_a_slice_that_lacks_a_tag_stays_in_its_series(tmp_path: Path, keyword: str, place: int) -> None:
    change(write(tmp_path)[place], **{keyword: None})
    series = the_one(tmp_path)
    assert series.problem is None and series.role.value == "t1"
    assert np.array_equal(series.load().array, expected())


def test_two_images_a_place_stay_two_volumes(tmp_path: Path) -> None:
    uid = generate_uid()
    for number, te in enumerate((12, 80)):
        factory.write(factory.series(SLICES, series_uid=uid, EchoTime=te), tmp_path, prefix=f"E{number}")
    found = find_series(tmp_path)
    assert [series.grid.shape[0] for series in found] == [SLICES, SLICES]
    assert all(series.warnings == () for series in found)


# ---------------------------------------------------------------------------------------------------------- folders and names


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
def test_pipes_and_links_that_lead_in_circles(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere" / "series")
    study = tmp_path / "study"
    study.mkdir()
    os.mkfifo(study / "pipe")
    os.mkfifo(study / "pipe.dcm")
    (study / "T1").symlink_to(tmp_path / "elsewhere" / "series")
    (study / "circle").symlink_to(study)
    (study / "gone").symlink_to(tmp_path / "nothing")
    assert np.array_equal(read_volume(study).array, expected())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
def test_a_pipe_as_the_argument_is_refused(tmp_path: Path) -> None:
    for name in ("pipe", "pipe.nii", "pipe.nii.gz", "pipe.mha", "pipe.nrrd", "pipe.dcm"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(InputError, match="not a regular file"):
            read_study(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the system lets this user read everything")
def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    write(tmp_path / "open")
    (tmp_path / "closed").mkdir(mode=0)
    try:
        assert any("closed cannot be read" in problem for problem in read_study(tmp_path).problems)
    finally:
        (tmp_path / "closed").chmod(0o700)


def test_a_folder_that_may_not_be_read_is_named_whoever_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same where the system is asked by somebody who may read everything."""
    write(tmp_path / "open")
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def refusing(path):
        if Path(os.fsdecode(path)).name == "closed":
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    study = read_study(tmp_path)
    assert len(study.series) == 1
    assert any("closed cannot be read: Permission denied" in problem for problem in study.problems)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the file system takes Unicode names alone")
def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/kn\xe9e"))
    write(folder)
    (folder / os.fsdecode(b"IM\xff0009")).write_bytes(b"")
    study = read_study(tmp_path)
    assert study.series[0].grid.shape[0] == SLICES
    for text in (*study.problems, study.series[0].name, *study.series[0].warnings, study.series[0].problem or ""):
        text.encode("utf-8")


@pytest.mark.parametrize(
    "first", [(0x00080005, "CS", "ISO_IR 100"), (0x00080012, "DA", "20200101"), (0x00080020, "DA", "20200101")]
)
@pytest.mark.parametrize("implicit", [True, False])
def test_a_file_without_preamble_may_begin_with_any_element(tmp_path: Path, first: tuple, implicit: bool) -> None:
    for number, dataset in enumerate(factory.series(SLICES)):
        bare = pydicom.Dataset(dataset)
        for tag in [tag for tag in bare.keys() if tag < first[0]]:  # noqa: SIM118
            del bare[tag]
        bare.add_new(*first)
        pydicom.dcmwrite(tmp_path / f"{number}", bare, implicit_vr=implicit, little_endian=True)
    assert np.array_equal(read_volume(tmp_path).array, expected())


# ------------------------------------------------------------------------------------------------------- what is not a series


def test_archives_are_called_so(tmp_path: Path) -> None:
    path = write(tmp_path / "series")[0]
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as archive:
        archive.write(path, "IM0")
    with tarfile.open(tmp_path / "study.tar", "w") as archive:
        archive.add(path, "IM0")
    with tarfile.open(tmp_path / "study.tar.gz", "w:gz") as archive:
        archive.add(path, "IM0")
    (tmp_path / "IM0.dcm.gz").write_bytes(gzip.compress(path.read_bytes()))
    for name in ("study.zip", "study.tar", "study.tar.gz", "IM0.dcm.gz"):
        with pytest.raises(InputError, match="an archive"):
            read_study(tmp_path / name)


def test_a_dicomdir_as_the_argument_is_explained(tmp_path: Path) -> None:
    from pydicom.fileset import FileSet

    write(tmp_path / "series")
    media = FileSet()
    for path in (tmp_path / "series").iterdir():
        change(path, StudyDate="20200101", StudyTime="120000", StudyID="1")
        media.add(path)
    media.write(tmp_path / "disc")
    with pytest.raises(InputError, match="DICOMDIR"):
        read_study(tmp_path / "disc" / "DICOMDIR")
    assert np.array_equal(read_volume(tmp_path / "disc").array, expected())


def test_a_backslash_in_a_description_is_shown_as_one(tmp_path: Path) -> None:
    write(tmp_path, SeriesDescription="SAG T1\\PD")
    assert the_one(tmp_path).description == "SAG T1\\PD"
