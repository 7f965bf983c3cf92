"""One small volume in every supported format, as the starting point of the attacks."""

from __future__ import annotations

import bz2
import gzip
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pydicom
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))
import dicom_factory

SHAPE = (4, 16, 16)
ARRAY = np.random.default_rng(20).integers(0, 900, SHAPE).astype(np.int16)
SPACING = (1.0, 1.0, 3.0)

_METAIMAGE = "ObjectType = Image\nNDims = 3\nDimSize = 16 16 4\nElementType = MET_SHORT\nElementSpacing = 1 1 3\nOffset = 0 0 0\n"
_NRRD = (
    "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 16 16 4\n"
    "space directions: (1,0,0) (0,1,0) (0,0,3)\nspace origin: (0,0,0)\nendian: little\n"
)


@dataclass(frozen=True)
class Kind:
    """A way to store `ARRAY`.

    Args:
        write: writes its files into a folder and returns the one to attack.
        header: the length of that file's header in bytes, from its content.
        text: whether the header is lines of text.
        checked: whether damage to its voxels is always detectable.
    """

    write: Callable[[Path], Path]
    header: Callable[[bytes], int]
    text: bool = False
    checked: bool = False


def _file(name: str, content: Callable[[], bytes], **beside: Callable[[], bytes]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        for other, its in beside.items():
            (folder / other).write_bytes(its())
        path = folder / name
        path.write_bytes(content())
        return path

    return write


def _metaimage(*lines: str, data_file: str = "LOCAL") -> bytes:
    return "".join((_METAIMAGE, *(line + "\n" for line in lines), f"ElementDataFile = {data_file}\n")).encode()


def _nrrd(*lines: str, encoding: str = "raw") -> bytes:
    return "".join((_NRRD, f"encoding: {encoding}\n", *(line + "\n" for line in lines), "\n")).encode()


def _raw() -> bytes:
    return ARRAY.tobytes()


def _deflated() -> bytes:
    return zlib.compress(_raw())


def _words() -> bytes:
    return " ".join(map(str, ARRAY.ravel())).encode()


def _nifti(kind: type = nibabel.Nifti1Image) -> bytes:
    return kind(ARRAY.T, np.diag([-1.0, -1.0, 3.0, 1.0])).to_bytes()


def _metaimage_header(content: bytes) -> int:
    start = content.find(b"ElementDataFile")
    return content.find(b"\n", start) + 1 if start >= 0 else len(content)


def _nrrd_header(content: bytes) -> int:
    end = content.find(b"\n\n")
    return end + 2 if end >= 0 else len(content)


def _dicom_header(content: bytes) -> int:
    place = max(content.find(b"\xe0\x7f\x10\x00"), content.find(b"\x7f\xe0\x00\x10"))
    return place + 12 if place >= 0 else len(content)


def dicom_datasets() -> list[pydicom.Dataset]:
    return dicom_factory.series(SHAPE[0], orientation=dicom_factory.AXIAL, origin=(0, 0, 0), spacing=3.0, series_uid="1.2.3.5")


def _with_voxels(datasets: list[pydicom.Dataset]) -> list[pydicom.Dataset]:
    for number, dataset in enumerate(datasets):
        dicom_factory.set_pixels(dataset, ARRAY[number])
        dataset.PixelSpacing = [1, 1]
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.5.{number + 1}"
    return datasets


def _dicom(syntax: str = "") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        datasets = _with_voxels(dicom_datasets())
        for number, dataset in enumerate(datasets):
            path = folder / f"IM{number:04d}"
            if syntax == RLELossless:
                dataset.compress(RLELossless, generate_instance_uid=False)
                dataset.save_as(path, enforce_file_format=True)
            elif syntax:
                dataset.file_meta.TransferSyntaxUID = syntax
                pixels = ARRAY[number]
                dataset.PixelData = (pixels.astype(">i2") if syntax == ExplicitVRBigEndian else pixels).tobytes()
                little, implicit = syntax != ExplicitVRBigEndian, syntax == ImplicitVRLittleEndian
                fresh = pydicom.Dataset({tag: dataset[tag] for tag in dataset.keys()})  # noqa: SIM118
                fresh.file_meta = dataset.file_meta
                pydicom.dcmwrite(path, fresh, implicit_vr=implicit, little_endian=little, enforce_file_format=True)
            else:
                dataset.save_as(path, enforce_file_format=True)
        return folder / "IM0003"

    return write


def _enhanced(folder: Path) -> Path:
    frames = [{"position": np.array([0.0, 0.0, 3.0 * n]), "in_stack": n + 1, "pixels": ARRAY[n]} for n in range(SHAPE[0])]
    shared = {"orientation": dicom_factory.AXIAL, "spacing": (1.0, 1.0)}
    (path,) = dicom_factory.write([dicom_factory.enhanced(frames, shared=shared)], folder)
    return path


KINDS = {
    "MetaImage": Kind(_file("x.mha", lambda: _metaimage() + _raw()), _metaimage_header, text=True),
    "MetaImage, compressed": Kind(
        _file("x.mha", lambda: _metaimage("CompressedData = True", f"CompressedDataSize = {len(_deflated())}") + _deflated()),
        _metaimage_header,
        text=True,
        checked=True,
    ),
    "MetaImage, text": Kind(_file("x.mha", lambda: _metaimage("BinaryData = False") + _words()), _metaimage_header, text=True),
    "MetaImage, detached": Kind(
        _file("x.mhd", lambda: _metaimage(data_file="x.raw"), **{"x.raw": _raw}), _metaimage_header, text=True
    ),
    "NRRD": Kind(_file("x.nrrd", lambda: _nrrd() + _raw()), _nrrd_header, text=True),
    "NRRD, gzip": Kind(
        _file("x.nrrd", lambda: _nrrd(encoding="gzip") + gzip.compress(_raw(), mtime=0)), _nrrd_header, text=True, checked=True
    ),
    "NRRD, bzip2": Kind(
        _file("x.nrrd", lambda: _nrrd(encoding="bzip2") + bz2.compress(_raw())), _nrrd_header, text=True, checked=True
    ),
    "NRRD, text": Kind(_file("x.nrrd", lambda: _nrrd(encoding="ascii") + _words()), _nrrd_header, text=True),
    "NRRD, detached": Kind(_file("x.nhdr", lambda: _nrrd("data file: x.raw"), **{"x.raw": _raw}), _nrrd_header, text=True),
    "NIfTI-1": Kind(_file("x.nii", _nifti), lambda _: 352),
    "NIfTI-2": Kind(_file("x.nii", lambda: _nifti(nibabel.Nifti2Image)), lambda _: 544),
    "NIfTI-1, gzip": Kind(_file("x.nii.gz", lambda: gzip.compress(_nifti(), mtime=0)), lambda _: 10, checked=True),
    "DICOM": Kind(_dicom(), _dicom_header),
    "DICOM, implicit": Kind(_dicom(ImplicitVRLittleEndian), _dicom_header),
    "DICOM, big-endian": Kind(_dicom(ExplicitVRBigEndian), _dicom_header),
    "DICOM, deflated": Kind(_dicom(DeflatedExplicitVRLittleEndian), lambda _: 400, checked=False),
    "DICOM, RLE": Kind(_dicom(RLELossless), _dicom_header),
    "DICOM, Enhanced": Kind(_enhanced, _dicom_header),
}  # fmt: skip
