"""The DICOM series a derived image comes from: its patient, and the images that each new slice must reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from ccdnn.dicom import stack
from ccdnn.dicom.headers import Frame, Header, read_header
from ccdnn.dicom.legal import put
from ccdnn.errors import InputError
from ccdnn.patient import Patient
from ccdnn.volume import LPS_SIGNS, Grid

# Type 2 attributes of the Patient, General Study and Frame of Reference modules: present in every image, empty where unknown.
REQUIRED = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex",
    "StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber",
    "PositionReferenceIndicator", "PatientPosition",
)  # fmt: skip
# Copied if the source has them.
OPTIONAL = (
    "IssuerOfPatientID", "PatientBirthTime",
    "PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence",
    "PatientAge", "PatientSize", "PatientWeight", "StudyDescription", "BodyPartExamined",
)  # fmt: skip
LOSSY = ("LossyImageCompressionRatio", "LossyImageCompressionMethod")

# Keeps the source's own number visible and exceeds the numbers that scanners use.
SERIES_NUMBER_OFFSET = 9000
LARGEST_SERIES_NUMBER = 2**31 - 1 - SERIES_NUMBER_OFFSET  # of a source, so that the new number fits an Integer String

# How close a frame's corners must be to those of a grid's slice, in voxels along (i, j, k), to be that slice. Positions are
# rounded, and a stack may be slightly uneven.
SAME_SLICE = np.array([0.25, 0.25, 0.1])

# Neighbouring slices touch. To meet, slices must overlap by at least this share of a slice.
LEAST_OVERLAP = 0.02


@dataclass(frozen=True)
class Source:
    """The images of one series, from their headers alone.

    Args:
        name: number and description of the series; safe to show.
        header: of the first file and its first frame.
        frames: all frames that have a position.
        sop_classes: instance UID → SOP Class UID.
    """

    name: str
    header: Header
    frames: tuple[Frame, ...]
    sop_classes: dict[str, str]

    @property
    def patient(self) -> Patient:
        return self.frames[0].patient

    @property
    def slice_thickness(self) -> float | None:
        """In mm; None where unknown."""
        return self.header.number("SliceThickness") or None

    @property
    def study_uid(self) -> str:
        return self.frames[0].study_uid

    @property
    def series_uid(self) -> str:
        return self.frames[0].series_uid

    @property
    def series_number(self) -> int:
        return self.frames[0].series_number or 0

    def identity(self) -> tuple[Dataset, list[str]]:
        """The patient, study, frame of reference and body part for a derived image, and what could not be copied."""
        copy, lost = Dataset(), []
        for keyword in (*REQUIRED, *OPTIONAL):
            value = self.header.value(keyword)
            if value is not None or keyword in REQUIRED:
                # Copy names as text, so that they are written in the new file's character set.
                lost += put(copy, keyword, str(value) if value is not None and keyword.endswith("Name") else value)
        copy.StudyInstanceUID = self.study_uid
        copy.FrameOfReferenceUID = self.frames[0].frame_of_reference_uid or generate_uid(prefix=None)
        sides = (self.header.text(keyword) for keyword in ("Laterality", "ImageLaterality", "FrameLaterality"))
        # Laterality is required for a paired body part such as the knee; empty means unknown.
        copy.Laterality = next((side for side in sides if side in ("L", "R")), None)
        return copy, lost

    def lossy_compression(self) -> Dataset | None:
        """The attributes that record lossy compression; None if there was none."""
        if self.header.text("LossyImageCompression") != "01":
            return None
        copy = Dataset()
        copy.LossyImageCompression = "01"
        for keyword in LOSSY:
            if (value := self.header.value(keyword)) is not None:
                put(copy, keyword, value)
        return copy

    def has_grid(self, grid: Grid) -> bool:
        """Whether the first and the last slice of a grid are images of this series."""
        slices, rows, columns = grid.shape
        extents = [_extent(frame, 0.0, grid) for frame in self.frames]
        return all(
            any(
                (np.abs(lowest - [0, 0, k]) <= SAME_SLICE).all()
                and (np.abs(highest - [columns - 1, rows - 1, k]) <= SAME_SLICE).all()
                for lowest, highest in extents
            )
            for k in (0, slices - 1)
        )

    def meeting(self, grid: Grid) -> np.ndarray:
        """Which frames meet which slices of a grid, (frame, slice) bool. Slices reach halfway to their neighbours."""
        slices, rows, columns = grid.shape
        depth = _distance_between(self.frames)
        meets = np.zeros((len(self.frames), slices), dtype=bool)
        for number, frame in enumerate(self.frames):
            lowest, highest = _extent(frame, depth, grid)
            lowest, highest = lowest + LEAST_OVERLAP, highest - LEAST_OVERLAP
            if (highest[:2] > -0.5).all() and (lowest[:2] < np.array([columns, rows]) - 0.5).all():
                meets[number] = (np.arange(slices) + 0.5 > lowest[2]) & (np.arange(slices) - 0.5 < highest[2])
        return meets

    def references(self, chosen: np.ndarray) -> list[Dataset]:
        """Items of a Source Image Sequence for the `chosen` frames: instances, with frame numbers if they are multi-frame."""
        found: dict[str, list[int]] = {}
        for frame, wanted in zip(self.frames, chosen, strict=True):
            if wanted:
                found.setdefault(frame.instance_uid, []).append(frame.index + 1)
        multi_frame = (self.header.integer("NumberOfFrames") or 1) > 1
        items = []
        for uid, numbers in found.items():
            item = Dataset()
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = self.sop_classes[uid], uid
            if multi_frame:
                item.ReferencedFrameNumber = numbers
            items.append(item)
        return items


def derived_series_number(number: int) -> int:
    """The number of a series that is derived from series `number`.

    >>> derived_series_number(5)
    9005
    """
    return SERIES_NUMBER_OFFSET + (number if 0 <= number <= LARGEST_SERIES_NUMBER else 0)


def read_source(files: Sequence[Path]) -> Source:
    """Read the series in these files.

    Raises:
        InputError: a file cannot be read, none is an image with a position, or they belong to several series.
    """
    frames: list[Frame] = []
    sop_classes: dict[str, str] = {}
    header = None
    for path in files:
        dataset, read = read_header(path)
        placed = [frame for frame in read if None not in (frame.position, frame.orientation, frame.pixel_spacing)]
        if placed and header is None:
            header = _first_header(dataset)
        frames += placed
        top = Header(dataset)
        sop_classes[top.text("SOPInstanceUID")] = top.text("SOPClassUID")
    if header is None or not all(frame.instance_uid and frame.study_uid and frame.series_uid for frame in frames):
        raise InputError(
            f"{files[0].name if files else 'The series'} contains no DICOM image with a position and UIDs; give a DICOM series."
        )
    if len({frame.series_uid for frame in frames}) > 1:
        raise InputError(f"{files[0].name} and the files with it belong to several DICOM series; give only one.")
    name = " ".join(filter(None, (str(frames[0].series_number or ""), frames[0].description))) or files[0].name
    return Source(name, header, tuple(frames), sop_classes)


def _first_header(dataset: Dataset) -> Header:
    top = Header(dataset)
    groups = (top.items(f"{whose}FunctionalGroupsSequence") for whose in ("PerFrame", "Shared"))
    return Header(dataset, *(next(iter(items), None) for items in groups))


def _distance_between(frames: Sequence[Frame]) -> float:
    """The median distance between neighbouring slices, mm; the nominal one for a single slice."""
    gaps = np.diff(np.sort(stack.along_normal(frames)))
    gaps = gaps[gaps > stack.SAME_PLACE_MM]
    return float(np.median(gaps)) if len(gaps) else frames[0].nominal_spacing or 0.0


def _extent(frame: Frame, depth: float, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and highest (i, j, k) in a grid of a frame's corners, as a slab of `depth` mm."""
    axes = stack.axes(frame)
    assert frame.pixel_spacing is not None  # `stack.axes` refuses such a frame
    (rows, columns), (row_spacing, column_spacing) = frame.shape, frame.pixel_spacing
    edges = axes * [(columns - 1) * column_spacing, (rows - 1) * row_spacing, depth]
    corners = frame.position + np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (-0.5, 0.5)]) @ edges.T
    to_ijk = np.linalg.inv(grid.ijk_to_ras)
    ijk = (corners * LPS_SIGNS) @ to_ijk[:3, :3].T + to_ijk[:3, 3]
    return ijk.min(axis=0), ijk.max(axis=0)
