"""Reads a DICOM file's header as frames: how each two-dimensional image was acquired, its position and its scaling."""

from __future__ import annotations

import logging
import math
import os
import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from pydicom import config, dcmread
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, MediaStorageDirectoryStorage

from ccdnn.acquisition import TR, Acquisition
from ccdnn.dicom.acquisition import acquisition_of
from ccdnn.errors import InputError
from ccdnn.formats.payload import MAX_VOXELS
from ccdnn.opening import open_regular
from ccdnn.patient import Patient
from ccdnn.text import shown

PIXEL_DATA = (0x7FE0, 0x0010)
FLOAT_PIXEL_DATA = ((0x7FE0, 0x0008), (0x7FE0, 0x0009))
UNDEFINED_LENGTH = 0xFFFFFFFF
ITEM_TAG = b"\xfe\xff\x00\xe0"

# The most that an image can have. A header that states more is damaged or hostile, and is refused before memory is allocated.
MOST_PIXELS = 1 << 26
MOST_DEFLATED_BYTES = 1 << 28
# How many times larger than the image its pixel data may be, since some writers pad them.
LARGEST_PIXEL_DATA = 4
SPARE_PIXEL_BYTES = 1 << 24

# What pydicom raises when it cannot parse a value, which it does on first access. NotImplementedError means an unknown value
# representation (`pydicom.values.convert_value`), which one damaged byte can cause.
UNPARSABLE = (ValueError, TypeError, OverflowError, NotImplementedError, BytesLengthException)

# Attributes that determine the voxels' values and positions.
VOXEL_NUMBERS = (
    "RescaleSlope",
    "RescaleIntercept",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "NumberOfFrames",
)
VOXEL_VECTORS = {"PixelSpacing": 2, "ImagePositionPatient": 3, "ImageOrientationPatient": 6}

# Dimensions of an Enhanced file that give a frame's position. All others distinguish volumes at the same position.
SPATIAL_DIMENSIONS = {Tag("InStackPositionNumber"), Tag("ImagePositionPatient"), Tag("StackID"), Tag("ImageOrientationPatient")}


@dataclass(frozen=True)
class Frame:
    """One image of a classic file or one frame of a multi-frame file.

    Args:
        path, index: the file, and the frame's index in it (0-based).
        instance_uid, series_uid, study_uid, frame_of_reference_uid: as in the file; "" where absent.
        series_number, instance_number, description, modality: likewise; numbers None where absent.
        shape: rows and columns.
        pixel_spacing: distance between rows and between columns, mm.
        position: centre of the first voxel in LPS, mm. None where the file has none.
        orientation: direction cosines in LPS of a row (first three) and of a column. None where the file has none.
        nominal_spacing: slice spacing or thickness from the header, used only for a single slice.
        slope, intercept: stored value → signal.
        inverted: MONOCHROME1, where the lowest value is the brightest.
        acquisition: how it was acquired.
        stack: Stack ID of an Enhanced file, "" elsewhere.
        labels: what may distinguish frames at the same position, name → value, the most reliable first.
        problem: why its pixels cannot be used, in one sentence; None if they can.
        patient: the patient it shows.
    """

    path: Path
    index: int
    instance_uid: str
    series_uid: str
    study_uid: str
    frame_of_reference_uid: str
    series_number: int | None
    instance_number: int | None
    description: str
    modality: str
    shape: tuple[int, int]
    pixel_spacing: tuple[float, float] | None
    position: tuple[float, float, float] | None
    orientation: tuple[float, ...] | None
    nominal_spacing: float | None
    slope: float
    intercept: float
    inverted: bool
    acquisition: Acquisition
    stack: str
    labels: dict[str, Any]
    derivation: str
    problem: str | None
    patient: Patient


class DamagedFile(InputError):
    """A file whose header is damaged or truncated; `series_uid` is "" if it could not be read."""

    def __init__(self, path: Path, message: str, series_uid: str) -> None:
        super().__init__(message)
        self.path, self.series_uid = path, series_uid


class Header:
    """Looks up one frame's attributes in its own functional groups, then in the shared ones, then at the top level.

    A classic file has only the top level, as does a mapping of keywords to values, such as a BIDS sidecar. Values that cannot be
    parsed count as absent.
    """

    def __init__(self, dataset: Dataset | Mapping[str, Any], frame: Dataset | None = None, shared: Dataset | None = None) -> None:
        own, common = list(_group_items(frame)), list(_group_items(shared))
        self.layers = [*own, *common, dataset]
        self._values: dict[str, Any] = {}

    def value(self, keyword: str) -> Any:
        """The attribute's value, or None where it is absent, empty or malformed."""
        if keyword not in self._values:
            self._values[keyword] = self._find(keyword)
        return self._values[keyword]

    def _find(self, keyword: str) -> Any:
        for layer in self.layers:
            try:
                value = layer.get(keyword)
            except UNPARSABLE:
                continue
            if value is not None and value != "" and not (hasattr(value, "__len__") and len(value) == 0):
                return value
        return None

    def text(self, keyword: str) -> str:
        """The value as one line of printable text; "" where it is absent. Multiple values are joined by backslashes."""
        value = self.value(keyword)
        if isinstance(value, (list, tuple, MultiValue)):
            value = "\\".join(map(str, value))
        return "" if value is None else " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())

    def words(self, keyword: str) -> tuple[str, ...]:
        """A multi-valued code string, upper case."""
        value = self.value(keyword)
        values = () if value is None else tuple(value) if isinstance(value, (list, tuple, MultiValue)) else (value,)
        return tuple(str(word).strip().upper() for word in values if str(word).strip())

    def numbers(self, keyword: str, count: int) -> tuple[float, ...] | None:
        """Exactly `count` finite numbers, or None."""
        value = self.value(keyword)
        if value is None:
            return None
        try:
            numbers = tuple(float(number) for number in np.atleast_1d(np.asarray(value, dtype=float)))
        except (ValueError, TypeError, OverflowError):
            return None
        return numbers if len(numbers) == count and np.isfinite(numbers).all() else None

    def number(self, keyword: str) -> float | None:
        """The first of one or more numbers, or None."""
        value = self.value(keyword)
        if value is None:
            return None
        try:
            number = float(next(iter(value)) if isinstance(value, (list, tuple, MultiValue, np.ndarray)) else value)
        except (ValueError, TypeError, OverflowError, StopIteration):
            return None
        return number if np.isfinite(number) else None

    def unreadable_number(self, keyword: str) -> str | None:
        """The text of an attribute that is present but not a finite number; None where it is absent, empty or readable."""
        return self.stated(keyword) or None if self.number(keyword) is None else None

    def stated(self, keyword: str) -> str:
        """The text of an attribute, whether or not it can be parsed; "" where it is absent or empty."""
        return next((text for layer in self.layers if (text := _stated(layer, keyword))), "")

    def integer(self, keyword: str) -> int | None:
        number = self.number(keyword)
        return None if number is None else round(number)

    def items(self, keyword: str) -> list[Dataset]:
        """The items of a sequence; none where it is absent or not a sequence."""
        value = self.value(keyword)
        return list(value) if isinstance(value, Sequence) else []


def _stated(layer: Dataset | Mapping[str, Any], keyword: str) -> str:
    """A layer's value of an attribute as text, whether or not it can be parsed; "" where it is absent."""
    if not isinstance(layer, Dataset):
        value: Any = layer.get(keyword)
    else:
        tag = Tag(keyword)
        if tag not in layer:
            return ""
        value = layer.get_item(tag).value
    if isinstance(value, bytes):
        value = value.decode("latin-1").strip(" \0")
    if isinstance(value, (list, tuple, MultiValue)):
        value = "\\".join(map(str, value))
    return "" if value is None else shown(str(value))


def _group_items(groups: Dataset | None) -> Iterator[Dataset]:
    """The items of the standard functional groups and the sequences inside them. Private groups may contradict them."""
    if groups is None:
        return
    for tag in groups.keys():  # noqa: SIM118 - a Dataset yields elements, each parsed before it can be caught
        try:
            element = groups[tag]
        except UNPARSABLE:
            continue
        if element.VR == "SQ" and not element.tag.is_private and len(element.value) > 0:
            item = element.value[0]
            yield item
            if "DiffusionGradientDirectionSequence" in item and len(item.DiffusionGradientDirectionSequence) > 0:
                yield item.DiffusionGradientDirectionSequence[0]


def read_frames(path: Path) -> list[Frame]:
    """The frames of a DICOM file; none where it contains no image (a DICOMDIR, a report).

    Raises:
        DamagedFile: its header is damaged or truncated.
    """
    return read_header(path)[1]


def read_header(path: Path) -> tuple[Dataset, list[Frame]]:
    """The header of a DICOM file as it is, and its frames.

    Raises:
        DamagedFile: its header is damaged or truncated.
    """
    with lenient(), open_regular(path) as stream:
        try:
            _require_deflated_size(stream)
            dataset = dcmread(stream, stop_before_pixels=True, force=True)
            sop_class = str(dataset.get("SOPClassUID", ""))
        except Exception as error:  # pydicom raises nearly anything on damaged data
            message = f"{path.name} cannot be read as DICOM ({_first_words(error)}); copy it again from its source."
            raise DamagedFile(path, message, "") from None
        if Header(dataset.file_meta).text("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage or _is_not_an_image(sop_class):
            return dataset, []
        header = Header(dataset)
        if header.integer("Rows") is None or header.integer("Columns") is None:
            message = f"{path.name} is damaged: its header ends before it describes the image; copy it again from its source."
            raise DamagedFile(path, message, header.text("SeriesInstanceUID"))
        return dataset, _frames_of(path, dataset, stream)


def _require_deflated_size(stream: BinaryIO) -> None:
    """Check the expanded size of a deflated file, since pydicom inflates it in one step, whatever its size.

    Raises:
        ValueError: the size is larger than any image, or the stream is damaged.
    """
    start = stream.read(4096)
    if start[128:132] == b"DICM" and DeflatedExplicitVRLittleEndian.encode() in start:
        stream.seek(_end_of_meta(start))
        inflater, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
        while not inflater.eof and (block := inflater.unconsumed_tail or stream.read(1 << 20)):
            total += len(inflater.decompress(block, 1 << 22))
            if total > MOST_DEFLATED_BYTES:
                raise ValueError("it expands to more data than any image has")
    stream.seek(0)


def _end_of_meta(start: bytes) -> int:
    """The offset at which group 2 ends. Its elements are always explicit little endian."""
    place = 132
    while start[place : place + 2] == b"\x02\x00":
        long = start[place + 4 : place + 6] in (b"OB", b"OW", b"UN", b"UT", b"SQ")
        width = slice(place + 8, place + 12) if long else slice(place + 6, place + 8)
        place = width.stop + int.from_bytes(start[width], "little")
    return place


@contextmanager
def lenient() -> Iterator[None]:
    """Read leniently: non-conforming values are common and mostly harmless, and pydicom would warn about each one."""
    log = logging.getLogger("pydicom")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with config.disable_value_validation(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def _is_not_an_image(sop_class: str) -> bool:
    """True for reports, presentation states, segmentations, spectra and raw data. An unknown class may be an image."""
    name = UID(sop_class).name
    return name not in ("", sop_class) and "Image Storage" not in name


def _first_words(error: Exception) -> str:
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__


def _frames_of(path: Path, dataset: Dataset, stream: BinaryIO) -> list[Frame]:
    header = Header(dataset)
    count = header.integer("NumberOfFrames") or 1
    per_frame = header.items("PerFrameFunctionalGroupsSequence")
    shared = next(iter(header.items("SharedFunctionalGroupsSequence")), None)
    problem = _unusable(path, header, count, len(per_frame)) or _incomplete(path, dataset, stream, count)
    if not per_frame:
        # A multi-frame file without functional groups does not state the positions of its frames. One entry represents them all.
        return [_frame(path, 0, header, problem)]
    pointers = [Header(item).value("DimensionIndexPointer") for item in header.items("DimensionIndexSequence")]
    return [_frame(path, index, Header(dataset, groups, shared), problem, pointers) for index, groups in enumerate(per_frame)]


def _frame(path: Path, index: int, header: Header, problem: str | None, dimension_pointers: Iterable[Any] = ()) -> Frame:
    spacing, place = header.numbers("PixelSpacing", 2), header.numbers("ImagePositionPatient", 3)
    problem = problem or _unreadable(path, header)
    return Frame(
        path=path,
        index=index,
        instance_uid=header.text("SOPInstanceUID"),
        series_uid=header.text("SeriesInstanceUID"),
        study_uid=header.text("StudyInstanceUID"),
        frame_of_reference_uid=header.text("FrameOfReferenceUID"),
        series_number=header.integer("SeriesNumber"),
        instance_number=header.integer("InstanceNumber"),
        description=header.text("SeriesDescription") or header.text("ProtocolName"),
        modality=header.text("Modality").upper(),
        shape=_shape(header),
        pixel_spacing=(spacing[0], spacing[1]) if spacing and min(spacing) > 0 else None,
        position=(place[0], place[1], place[2]) if place else None,
        orientation=header.numbers("ImageOrientationPatient", 6),
        nominal_spacing=header.number("SpacingBetweenSlices") or header.number("SliceThickness"),
        slope=_default(header.number("RescaleSlope"), 1.0),
        intercept=_default(header.number("RescaleIntercept"), 0.0),
        inverted=header.text("PhotometricInterpretation").upper() == "MONOCHROME1",
        acquisition=acquisition_of(header),
        stack=header.text("StackID"),
        labels=_labels(header, dimension_pointers),
        derivation=" ".join(filter(None, (header.text("DerivationDescription"), header.text("ImageComments")))),
        problem=problem,
        patient=Patient.stated(*map(header.text, ("PatientID", "PatientName", "PatientBirthDate"))),
    )


def _unreadable(path: Path, header: Header) -> str | None:
    """Report an attribute of scaling, storage or position that is present but unreadable. A default would give wrong voxels."""
    for keyword in VOXEL_NUMBERS:
        if text := header.unreadable_number(keyword):
            return f"{path.name} states {keyword} “{text}”, which is not a number; export the series again."
    for keyword, count in VOXEL_VECTORS.items():
        if header.numbers(keyword, count) is None and (text := header.stated(keyword)):
            return f"{path.name} states {keyword} “{text}”, but {count} numbers are needed; export the series again."
    if header.number("RescaleSlope") == 0:
        return f"{path.name} states Rescale Slope 0, which would make its slice black; export the series again."
    return None


def _shape(header: Header) -> tuple[int, int]:
    """Rows and columns, which `read_header` requires."""
    return header.integer("Rows") or 0, header.integer("Columns") or 0


def _default(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _labels(header: Header, dimension_pointers: Iterable[Any]) -> dict[str, Any]:
    """Everything that may distinguish two frames at the same position, in the order in which it is tried."""
    direction = header.numbers("DiffusionGradientOrientation", 3)
    labels = {
        "time point": _first_known(header.integer("TemporalPositionIdentifier"), header.integer("TemporalPositionIndex")),
        "b-value": header.number("DiffusionBValue"),
        "gradient direction": direction and tuple(round(cosine, 4) for cosine in direction),
        "echo": header.integer("EchoNumbers"),
        "acquisition": header.integer("AcquisitionNumber"),
        "trigger time": _first_known(header.number("TriggerTime"), header.number("NominalCardiacTriggerDelayTime")),
        TR.label: header.number("RepetitionTime"),
        "acquisition time": header.text("AcquisitionDateTime") or header.text("AcquisitionTime") or None,
    }
    values = header.value("DimensionIndexValues")
    if values is not None:
        values = [int(value) for value in np.atleast_1d(np.asarray(values))]
        others = tuple(
            value for pointer, value in zip(dimension_pointers, values, strict=False) if pointer not in SPATIAL_DIMENSIONS
        )
        labels["dimension"] = others or None
    return {name: value for name, value in labels.items() if value is not None}


def _first_known(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _unusable(path: Path, header: Header, count: int, groups: int) -> str | None:
    """Why a file's pixels cannot be slices of a volume, from its header alone; None if they can."""
    if (header.integer("SamplesPerPixel") or 1) != 1 or "COLOR" in header.text("PhotometricInterpretation").upper():
        return f"{path.name} is a colour image; a grey-scale MR image is needed."
    if math.prod(_shape(header)) * max(count, 1) > MAX_VOXELS or math.prod(_shape(header)) > MOST_PIXELS or min(_shape(header)) < 1:
        return f"{path.name} states an impossible size: {count} × {'×'.join(map(str, _shape(header)))} pixels; copy it again."
    if "MOSAIC" in header.words("ImageType"):
        return f"{path.name} is a mosaic of slices in one image; export the series as single slices or as Enhanced DICOM."
    if groups and groups != count:
        return f"{path.name} has {count} frames but describes {groups}; copy or export it again."
    if not groups and count > 1:
        return f"{path.name} contains {count} frames without positions; export the series as single slices or as Enhanced DICOM."
    return None


def _incomplete(path: Path, dataset: Dataset, stream: BinaryIO, count: int) -> str | None:
    """Why the pixel data are incomplete, without decoding them; `stream` is at the end of the header. None if complete."""
    syntax = Header(dataset.file_meta).text("TransferSyntaxUID")
    if syntax == DeflatedExplicitVRLittleEndian:
        return None  # it was inflated with the header, so it is complete
    implicit, little = dataset.original_encoding
    order: Literal["little", "big"] = "big" if little is False else "little"
    group, element = (int.from_bytes(stream.read(2), order) for _ in range(2))
    if (group, element) in FLOAT_PIXEL_DATA:
        return f"{path.name} contains floating-point pixel data, so it is a parametric map; choose a series of MR images."
    if (group, element) != PIXEL_DATA:
        return f"{path.name} has no pixel data; copy it again from its source."
    stream.seek(0 if implicit else 4, os.SEEK_CUR)  # in explicit VR, skip the VR and two reserved bytes
    length = int.from_bytes(stream.read(4), order)
    start = stream.tell()
    size = stream.seek(0, os.SEEK_END)
    header = Header(dataset)
    image_bytes = (header.integer("BitsAllocated") or 16) * math.prod(_shape(header)) * count // 8
    if size - start > LARGEST_PIXEL_DATA * image_bytes + SPARE_PIXEL_BYTES:
        return f"{path.name} is many times larger than its image requires; copy or export it again."
    if length == UNDEFINED_LENGTH:
        whole = _whole_fragments(stream, start, size) > count  # the first item is the offset table
    else:
        whole = min(length, size - start) >= image_bytes
    return None if whole else f"{path.name} is truncated: its pixel data end before the image does; copy it again from its source."


def _whole_fragments(stream: BinaryIO, start: int, size: int) -> int:
    """The number of items of compressed pixel data in the file; 0 if the last one is truncated."""
    items, place = 0, start
    while place + 8 <= size:
        stream.seek(place)
        tag, length = stream.read(4), int.from_bytes(stream.read(4), "little")
        if tag != ITEM_TAG:
            break
        place += 8 + length
        items += 1
    return items if place <= size else 0
