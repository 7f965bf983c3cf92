"""Image files that are not what their headers say: never a wrong or a shorter volume without a word."""

from __future__ import annotations

import bz2
import gzip
import json
import os
import struct
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from ccdnn.errors import InputError
from ccdnn.files import read_header, read_volume
from ccdnn.series import Role

SHAPE = (4, 16, 16)
ARRAY = np.random.default_rng(0).integers(1, 4000, SHAPE).astype(np.int16)
GEOMETRY = "NDims = 3\nDimSize = 16 16 4\nElementType = MET_SHORT\nElementSpacing = 1 1 3\n"


def metaimage(path: Path, data: bytes, *lines: str, geometry: str = GEOMETRY, data_file: str = "LOCAL") -> Path:
    header = "ObjectType = Image\n" + geometry + "".join(f"{line}\n" for line in lines) + f"ElementDataFile = {data_file}\n"
    path.write_bytes(header.encode() + data)
    return path


def nrrd(path: Path, data: bytes, *lines: str, encoding: str = "raw", place: str = "") -> Path:
    place = place or "space: left-posterior-superior\nspace directions: (1,0,0) (0,1,0) (0,0,3)\nspace origin: (0,0,0)\n"
    head = f"NRRD0004\ntype: short\ndimension: 3\nsizes: 16 16 4\nendian: little\nencoding: {encoding}\n{place}"
    path.write_bytes((head + "".join(f"{line}\n" for line in lines) + "\n").encode() + data)
    return path


def nifti(path: Path, array: np.ndarray = ARRAY, affine: np.ndarray | None = None, **header) -> Path:
    image = nibabel.Nifti1Image(array.T, np.diag([1.0, 1, 3, 1]) if affine is None else affine)
    image.to_filename(path)
    if header:  # afterwards, because nibabel mends what it is given
        content = path.read_bytes()
        written = nibabel.Nifti1Header(content[:348], check=False)
        for key, value in header.items():
            written[key] = value
        path.write_bytes(written.binaryblock + content[348:])
    return path


def message_of(path: Path) -> str:
    with pytest.raises(InputError) as raised:
        read_volume(path)
    text = str(raised.value)
    assert text.endswith(".") and "\n" not in text
    return text


# ----------------------------------------------------------------------------------------------------------- what is whole


def test_every_way_to_store_an_image_gives_the_same_voxels(tmp_path: Path) -> None:
    raw, big = ARRAY.tobytes(), ARRAY.astype(">i2").tobytes()
    words = " ".join(map(str, ARRAY.ravel())).encode()
    (tmp_path / "d.raw").write_bytes(raw)
    (tmp_path / "d.zraw").write_bytes(zlib.compress(raw))
    (tmp_path / "h.raw").write_bytes(b"\1" * 77 + raw)
    for number in range(4):
        (tmp_path / f"s{number}").write_bytes(ARRAY[number].tobytes())
    names = "\n".join(f"s{number}" for number in range(4)).encode() + b"\n"
    files = [
        metaimage(tmp_path / "1.mha", raw),
        metaimage(tmp_path / "2.mha", big, "BinaryDataByteOrderMSB = True"),
        metaimage(
            tmp_path / "3.mha", zlib.compress(raw), "CompressedData = True", f"CompressedDataSize = {len(zlib.compress(raw))}"
        ),
        metaimage(tmp_path / "4.mha", words, "BinaryData = False"),
        metaimage(tmp_path / "5.mhd", b"", data_file="d.raw"),
        metaimage(tmp_path / "6.mhd", b"", "CompressedData = True", data_file="d.zraw"),
        metaimage(tmp_path / "7.mhd", b"", "HeaderSize = 77", data_file="h.raw"),
        metaimage(tmp_path / "8.mhd", b"", "HeaderSize = -1", data_file="h.raw"),
        metaimage(tmp_path / "9.mhd", names, data_file="LIST"),
        nrrd(tmp_path / "1.nrrd", raw),
        nrrd(tmp_path / "2.nrrd", gzip.compress(raw), encoding="gzip"),
        nrrd(tmp_path / "3.nrrd", bz2.compress(raw), encoding="bzip2"),
        nrrd(tmp_path / "4.nrrd", words, encoding="ascii"),
        nrrd(tmp_path / "5.nrrd", raw.hex().encode(), encoding="hex"),
        nrrd(tmp_path / "6.nhdr", b"", "data file: d.raw"),
        nrrd(tmp_path / "7.nhdr", b"", "data file: h.raw", "byte skip: -1"),
        nrrd(tmp_path / "8.nhdr", b"", "data file: h.raw", "byte skip: 77"),
        nrrd(tmp_path / "9.nhdr", b"", "data file: LIST\n" + names.decode().rstrip()),
        nifti(tmp_path / "1.nii"),
        nifti(tmp_path / "2.nii.gz"),
    ]
    files.append(tmp_path / "3.Nii.Gz")
    files[-1].write_bytes((tmp_path / "2.nii.gz").read_bytes())
    nibabel.Nifti2Image(ARRAY.T, np.diag([1.0, 1, 3, 1])).to_filename(tmp_path / "4.nii")
    (tmp_path / "5.nii").write_bytes((tmp_path / "2.nii.gz").read_bytes())  # gzip under .nii
    (tmp_path / "6.nii.gz").write_bytes((tmp_path / "1.nii").read_bytes())  # not compressed under .nii.gz
    for path in [*files, *(tmp_path / f"{name}" for name in ("4.nii", "5.nii", "6.nii.gz"))]:
        volume = read_volume(path)
        assert np.array_equal(volume.array, ARRAY), path.name
        assert volume.grid.spacing == pytest.approx((1, 1, 3)), path.name
        assert volume.warnings == (), path.name


@pytest.mark.parametrize("suffix", [".mha", ".nrrd", ".nii.gz"])
def test_what_simpleitk_writes_lies_where_simpleitk_says(tmp_path: Path, suffix: str) -> None:
    image = sitk.GetImageFromArray(ARRAY)
    image.SetSpacing((0.7, 0.8, 3.1))
    image.SetOrigin((-30.5, 12.25, 7.0))
    angle = np.radians(20)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    image.SetDirection(turn.ravel().tolist())
    sitk.WriteImage(image, tmp_path / f"x{suffix}")
    volume = read_volume(tmp_path / f"x{suffix}")
    for index in ((0, 0, 0), (15, 3, 2)):
        expected = np.array(image.TransformIndexToPhysicalPoint(index)) * (-1, -1, 1)
        assert (volume.ijk_to_ras @ (*index, 1))[:3] == pytest.approx(expected, abs=1e-4)
    assert np.array_equal(volume.array, ARRAY)


# --------------------------------------------------------------------------------------------------------- what is not whole


@pytest.mark.parametrize("cut", [1, 40, 400, 2000])
def test_data_that_end_too_soon_are_refused(tmp_path: Path, cut: int) -> None:
    raw, packed = ARRAY.tobytes(), zlib.compress(ARRAY.tobytes())
    size = f"CompressedDataSize = {len(packed)}"
    files = [
        metaimage(tmp_path / "1.mha", raw[:-cut]),
        metaimage(tmp_path / "2.mha", packed[:-cut], "CompressedData = True", size),
        metaimage(tmp_path / "3.mha", packed[:-cut], "CompressedData = True"),
        nrrd(tmp_path / "1.nrrd", raw[:-cut]),
        nrrd(tmp_path / "2.nrrd", gzip.compress(raw)[:-cut], encoding="gzip"),
        nrrd(tmp_path / "3.nrrd", bz2.compress(raw)[:-cut], encoding="bzip2"),
    ]
    for name in ("1.nii", "2.nii.gz"):
        path = nifti(tmp_path / name)
        path.write_bytes(path.read_bytes()[:-cut])
        files.append(path)
    for path in files:
        assert any(said in message_of(path) for said in ("truncated", "is empty")), path.name


def test_a_stream_that_is_whole_but_too_short_is_refused(tmp_path: Path) -> None:
    """The header promises four slices, and the compressed stream ends well after three."""
    packed = zlib.compress(ARRAY[:3].tobytes())
    lines = ("CompressedData = True", f"CompressedDataSize = {len(packed)}")
    assert "truncated" in message_of(metaimage(tmp_path / "x.mha", packed, *lines))
    assert "truncated" in message_of(nrrd(tmp_path / "x.nrrd", gzip.compress(ARRAY[:3].tobytes()), encoding="gzip"))


def test_a_wrong_size_of_the_compressed_data_is_told(tmp_path: Path) -> None:
    packed = zlib.compress(ARRAY.tobytes())
    path = metaimage(tmp_path / "x.mha", packed, "CompressedData = True", "CompressedDataSize = 100")
    volume = read_volume(path)
    assert np.array_equal(volume.array, ARRAY)
    assert "100 bytes" in volume.warnings[0] and str(len(packed)) in volume.warnings[0]


def test_a_damaged_stream_is_refused(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(ARRAY.tobytes()))
    packed[len(packed) // 2] ^= 0xFF
    assert "damaged" in message_of(nrrd(tmp_path / "x.nrrd", bytes(packed), encoding="gzip"))
    packed = bytearray(gzip.compress(ARRAY.tobytes()))
    packed[-6] ^= 1  # the check sum
    assert "damaged" in message_of(nrrd(tmp_path / "y.nrrd", bytes(packed), encoding="gzip"))


def test_a_header_that_announces_fewer_slices_than_there_are_is_refused(tmp_path: Path) -> None:
    raw = np.concatenate([ARRAY, ARRAY]).tobytes()
    for path in (metaimage(tmp_path / "x.mha", raw), nrrd(tmp_path / "x.nrrd", gzip.compress(raw), encoding="gzip")):
        assert "more voxels than" in message_of(path)


def test_some_bytes_behind_the_voxels_are_left_out_and_told(tmp_path: Path) -> None:
    path = nifti(tmp_path / "x.nii")
    path.write_bytes(path.read_bytes() + b"padding")
    volume = read_volume(path)
    assert np.array_equal(volume.array, ARRAY)
    assert "continues after its last voxel" in volume.warnings[0]


@pytest.mark.parametrize("count", [0, 3, 5])
def test_a_list_of_another_length_than_the_volume_is_refused(tmp_path: Path, count: int) -> None:
    for number in range(count):
        (tmp_path / f"s{number}").write_bytes(ARRAY[0].tobytes())
    names = "".join(f"s{number}\n" for number in range(count)).encode()
    assert f"lists {count} data files, but its sizes need 4" in message_of(metaimage(tmp_path / "x.mhd", names, data_file="LIST"))


@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
def test_a_missing_data_file_is_named(tmp_path: Path, suffix: str) -> None:
    write = metaimage if suffix == ".mhd" else nrrd
    extra = {"data_file": "gone.raw"} if suffix == ".mhd" else {}
    lines = () if suffix == ".mhd" else ("data file: gone.raw",)
    assert "gone.raw of x" in message_of(write(tmp_path / f"x{suffix}", b"", *lines, **extra))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_values_that_are_not_numbers_are_seen(tmp_path: Path, suffix: str, bad: float) -> None:
    """The NIfTI library makes them 0."""
    array = ARRAY.astype(np.float32)
    array[1, 2, 3] = bad
    if suffix.startswith(".nii"):
        nifti(tmp_path / f"x{suffix}", array)
    else:
        sitk.WriteImage(sitk.GetImageFromArray(array), tmp_path / f"x{suffix}")
    found = read_volume(tmp_path / f"x{suffix}").array
    assert not np.isfinite(found[1, 2, 3])
    assert np.isfinite(found).sum() == found.size - 1


# ------------------------------------------------------------------------------------------------------------- where it lies


def qform(**changes) -> dict:
    return {"qform_code": 1, "sform_code": 0, **changes}


def test_nifti_that_agrees_with_itself_is_read_without_a_word(tmp_path: Path) -> None:
    for name, header in {"both": {"qform_code": 1, "sform_code": 1}, "sform": {"qform_code": 0}, "qform": qform()}.items():
        image = nibabel.Nifti1Image(ARRAY.T, np.diag([1.0, 1, 3, 1]))
        image.set_qform(image.affine, 1)
        for key, value in header.items():
            image.header[key] = value
        image.to_filename(tmp_path / f"{name}.nii")
        series = read_header(tmp_path / f"{name}.nii")
        assert series.warnings == ()
        assert series.grid.spacing == pytest.approx((1, 1, 3))


def test_nifti_whose_places_differ_has_the_sform_and_says_so(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(ARRAY.T, np.diag([1.0, 1, 3, 1]))
    other = np.diag([1.0, 1, 3, 1])
    other[0, 3] = 7.5
    image.set_sform(np.diag([1.0, 1, 3, 1]), 1)
    image.set_qform(other, 1)
    image.to_filename(tmp_path / "x.nii")
    series = read_header(tmp_path / "x.nii")
    assert np.allclose(series.grid.ijk_to_ras, np.diag([1.0, 1, 3, 1]))
    assert "sform and qform, up to 7.5 mm apart; the sform was used" in series.warnings[0]


def test_nifti_whose_voxel_size_differs_from_its_sform_says_so(tmp_path: Path) -> None:
    path = nifti(tmp_path / "x.nii")
    content = bytearray(path.read_bytes())
    content[80:92] = struct.pack("<3f", 2.0, 2.0, 5.0)  # pixdim
    path.write_bytes(content)
    series = read_header(path)
    assert series.grid.spacing == pytest.approx((1, 1, 3))
    assert any("voxels of 2×2×5 mm" in warning and "1×1×3 mm" in warning for warning in series.warnings)


def test_nifti_without_orientation_says_so(tmp_path: Path) -> None:
    series = read_header(nifti(tmp_path / "x.nii", sform_code=0, qform_code=0))
    assert series.grid.spacing == pytest.approx((1, 1, 3))
    assert "states no orientation" in series.warnings[0]


@pytest.mark.parametrize(("code", "factor"), [(1, 1e-3), (3, 1e3), (2, 1.0), (0, 1.0)])
def test_units_of_nifti_are_applied(tmp_path: Path, code: int, factor: float) -> None:
    path = nifti(tmp_path / "x.nii", affine=np.diag([factor, factor, 3 * factor, 1]), xyzt_units=code)
    assert read_volume(path).grid.spacing == pytest.approx((1, 1, 3), rel=1e-5)


def test_units_of_nrrd_are_applied(tmp_path: Path) -> None:
    directions = "space directions: (1000,0,0) (0,1000,0) (0,0,3000)\nspace origin: (5000,0,0)"
    place = f'space: LPS\n{directions}\nspace units: "um" "um" "um"\n'
    volume = read_volume(nrrd(tmp_path / "x.nrrd", ARRAY.tobytes(), place=place))
    assert volume.grid.spacing == pytest.approx((1, 1, 3))
    assert volume.ijk_to_ras[0, 3] == pytest.approx(-5)


def test_an_unknown_unit_is_quoted(tmp_path: Path) -> None:
    place = 'space: LPS\nspace directions: (1,0,0) (0,1,0) (0,0,3)\nspace units: "furlong" "furlong" "furlong"\n'
    assert "“furlong”" in message_of(nrrd(tmp_path / "x.nrrd", ARRAY.tobytes(), place=place))


@pytest.mark.parametrize("factor", [1e3, 1e-3])
def test_a_size_that_no_body_has_is_refused(tmp_path: Path, factor: float) -> None:
    place = f"space: LPS\nspace directions: ({factor},0,0) (0,{factor},0) (0,0,{3 * factor})\n"
    geometry = f"NDims = 3\nDimSize = 16 16 4\nElementType = MET_SHORT\nElementSpacing = {factor} {factor} {3 * factor}\n"
    for path in (
        nrrd(tmp_path / "x.nrrd", ARRAY.tobytes(), place=place),
        metaimage(tmp_path / "x.mha", ARRAY.tobytes(), geometry=geometry),
        nifti(tmp_path / "x.nii", affine=np.diag([factor, factor, 3 * factor, 1])),
    ):
        assert "which no part of a body does" in message_of(path)


def test_a_missing_voxel_size_is_not_1_mm(tmp_path: Path) -> None:
    geometry = GEOMETRY.replace("ElementSpacing = 1 1 3\n", "")
    for path in (
        metaimage(tmp_path / "x.mha", ARRAY.tobytes(), geometry=geometry),
        nrrd(tmp_path / "x.nrrd", ARRAY.tobytes(), place="space: LPS\n"),
        nrrd(tmp_path / "y.nrrd", ARRAY.tobytes(), place="spacings: nan nan nan\n"),
    ):
        assert "states no voxel size" in message_of(path)


def test_nrrd_without_orientation_says_so(tmp_path: Path) -> None:
    volume = read_volume(nrrd(tmp_path / "x.nrrd", ARRAY.tobytes(), place="spacings: 1 1 3\n"))
    assert volume.grid.spacing == pytest.approx((1, 1, 3))
    assert "states no orientation" in volume.warnings[0]


def test_a_damaged_name_of_a_field_is_not_taken_for_its_absence(tmp_path: Path) -> None:
    """Without its space, an image in RAS would be read in LPS: turned by 180 degrees."""
    place = "spacd: right-anterior-superior\nspace directions: (1,0,0) (0,1,0) (0,0,3)\n"
    assert "“spacd”, which is not a field" in message_of(nrrd(tmp_path / "x.nrrd", ARRAY.tobytes(), place=place))


@pytest.mark.parametrize(
    ("key", "text"),
    [("ElementSpacing", "0,5 0,5 3"), ("ElementSpacing", "1 1"), ("ElementSpacing", "nan 1 3"), ("DimSize", "16 16 4.0"),
     ("DimSize", "16 16 -4"), ("NDims", "three"), ("NDims", "99999999999999999999"), ("Offset", "a b c"), ("DimSize", "1e9 16 4")],
)  # fmt: skip
def test_entries_that_cannot_be_read_are_quoted(tmp_path: Path, key: str, text: str) -> None:
    geometry = "".join(line + "\n" for line in GEOMETRY.splitlines() if not line.startswith(key)) + f"{key} = {text}\n"
    message = message_of(metaimage(tmp_path / "x.mha", ARRAY.tobytes(), geometry=geometry))
    assert f"{key} = “{text}”" in message or "NDims" in message
    if "," in text:
        assert "decimal points" in message


def test_a_zero_slope_is_refused_and_none_is_not(tmp_path: Path) -> None:
    message = message_of(metaimage(tmp_path / "x.mha", ARRAY.tobytes(), "ElementToIntensityFunctionSlope = 0"))
    assert "ElementToIntensityFunctionSlope" in message
    scaled = read_volume(metaimage(tmp_path / "y.mha", ARRAY.tobytes(), "ElementToIntensityFunctionSlope = 0.5"))
    assert np.allclose(scaled.array, ARRAY * 0.5)


# ------------------------------------------------------------------------------------------------------------ wrong diagnosis


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "empty"), (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
     (b"<!DOCTYPE html><html>", "web page"), (b"PK\x03\x04rest", "archive (zip)")],
)  # fmt: skip
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_what_stands_in_the_place_of_an_image_is_named(tmp_path: Path, suffix: str, content: bytes, said: str) -> None:
    (tmp_path / f"x{suffix}").write_bytes(content)
    assert said in message_of(tmp_path / f"x{suffix}")


def test_detached_nifti_is_explained(tmp_path: Path) -> None:
    nibabel.Nifti1Pair(ARRAY.T, np.eye(4)).to_filename(tmp_path / "x.hdr")
    (tmp_path / "x.nii").write_bytes((tmp_path / "x.hdr").read_bytes())
    assert "separate .img file" in message_of(tmp_path / "x.nii")


# ------------------------------------------------------------------------------------------------------------------- sidecars


def with_sidecar(tmp_path: Path, content: str | bytes) -> Path:
    path = nifti(tmp_path / "scan.nii")
    (tmp_path / "scan.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


T2 = {"RepetitionTime": 3.0, "EchoTime": 0.08}


@pytest.mark.parametrize(
    "content",
    [json.dumps(T2), json.dumps({key: str(value) for key, value in T2.items()}), b"\xef\xbb\xbf" + json.dumps(T2).encode(),
     json.dumps(T2).encode("utf-16")],
    ids=["numbers", "text", "byte-order mark", "utf-16"],
)  # fmt: skip
def test_a_sidecar_gives_the_role_however_it_is_written(tmp_path: Path, content: str | bytes) -> None:
    series = read_header(with_sidecar(tmp_path, content))
    assert series.role is Role.T2
    assert (series.acquisition.tr_ms, series.acquisition.te_ms) == (3000, 80)
    assert series.warnings == ()


def test_times_in_milliseconds_are_known_as_such_and_told(tmp_path: Path) -> None:
    series = read_header(with_sidecar(tmp_path, json.dumps({"RepetitionTime": 522, "EchoTime": 11})))
    assert series.role is Role.T1
    assert (series.acquisition.tr_ms, series.acquisition.te_ms) == (522, 11)
    assert any("RepetitionTime 522, which cannot be in seconds" in warning for warning in series.warnings)


@pytest.mark.parametrize("value", ["0,08", "eighty", [0.08], {"s": 0.08}, True, 10**400])
def test_a_time_that_cannot_be_read_leaves_no_role(tmp_path: Path, value) -> None:
    series = read_header(with_sidecar(tmp_path, json.dumps({"RepetitionTime": 3.0, "EchoTime": value})))
    assert series.role is Role.OTHER and "EchoTime" in series.reason and "cannot be read" in series.reason


@pytest.mark.parametrize("content", ["{", "[" * 100_000, b"\xff\xfe\x00", "\0" * 50, '{"RepetitionTime": NaN'])
def test_a_sidecar_that_is_not_json_is_told(tmp_path: Path, content: str | bytes) -> None:
    series = read_header(with_sidecar(tmp_path, content))
    assert series.load().array.shape == SHAPE
    assert "scan.json" in series.warnings[0]


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.nrrd")
    assert "not a regular file" in message_of(tmp_path / "x.nrrd")
