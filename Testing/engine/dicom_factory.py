"""Small DICOM series for tests, written as scanners write them: classic and Enhanced MR, any order, any transfer syntax."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import UID, ExplicitVRLittleEndian, RLELossless, generate_uid

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4.1"

SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)

ROWS, COLUMNS = 6, 8
SECRET = "Doe^Jane"

SPIN_ECHO_T1 = {"ScanningSequence": "SE", "SequenceVariant": "SK", "RepetitionTime": 600, "EchoTime": 12, "FlipAngle": 150}


def normal(orientation: Sequence[float]) -> np.ndarray:
    return np.cross(orientation[:3], orientation[3:])


def ramp(slice_number: int, rows: int = ROWS, columns: int = COLUMNS) -> np.ndarray:
    """An image whose every pixel and slice differs: 1000·slice + 10·row + column."""
    return (1000 * slice_number + 10 * np.arange(rows)[:, None] + np.arange(columns)).astype(np.uint16)


def slice_dataset(
    number: int,
    *,
    series_uid: str,
    spacing: float = 3.0,
    orientation: Sequence[float] = SAGITTAL,
    origin: Sequence[float] = (-20.0, 10.0, 30.0),
    position: Sequence[float] | None = None,
    pixels: np.ndarray | None = None,
    **tags: Any,
) -> FileDataset:
    """Slice `number` (0, 1, …) of a classic MR series, `spacing` mm further along the normal each."""
    pixels = ramp(number) if pixels is None else pixels
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MR_IMAGE
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = MR_IMAGE, meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", series_uid
    dataset.FrameOfReferenceUID = "1.2.3.4"
    dataset.Modality, dataset.SeriesNumber, dataset.InstanceNumber = "MR", 5, number + 1
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = SECRET, "SECRET-ID", "19700101"
    dataset.SeriesDescription = "knee"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "SE"]
    dataset.ImageOrientationPatient = [float(cosine) for cosine in orientation]
    place = np.asarray(origin) + number * spacing * normal(orientation) if position is None else np.asarray(position)
    dataset.ImagePositionPatient = [f"{value:.6f}" for value in place]
    dataset.PixelSpacing = [0.5, 0.75]
    dataset.SliceThickness = 9.9  # wrong on purpose: nothing may place a slice by it
    dataset.SpacingBetweenSlices = 8.8
    for keyword, value in SPIN_ECHO_T1.items():
        setattr(dataset, keyword, value)
    set_pixels(dataset, pixels)
    for keyword, value in tags.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def set_pixels(dataset: Dataset, pixels: np.ndarray, bits_stored: int | None = None) -> None:
    """Native pixel data of one image or of (frames, rows, columns)."""
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.BitsAllocated = pixels.dtype.itemsize * 8
    dataset.BitsStored = bits_stored or dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(np.issubdtype(pixels.dtype, np.signedinteger))
    dataset.PixelData = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    dataset["PixelData"].VR = "OB" if dataset.BitsAllocated == 8 else "OW"


def series(count: int = 5, **arguments: Any) -> list[FileDataset]:
    """`count` even slices of one classic series."""
    uid = arguments.pop("series_uid", None) or generate_uid()
    return [slice_dataset(number, series_uid=uid, **arguments) for number in range(count)]


def write(datasets: Sequence[FileDataset], folder: Path, order: Sequence[int] | None = None, prefix: str = "IM") -> list[Path]:
    """Write files without extension, named in another order than the slices lie where `order` says so."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for place, index in enumerate(order if order is not None else range(len(datasets))):
        path = folder / f"{prefix}{place:04d}"
        datasets[index].save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def transcode(path: Path, syntax: UID) -> None:
    """Rewrite a file in another transfer syntax with GDCM."""
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(syntax))))
    change.SetInput(reader.GetImage())
    assert change.Change(), f"GDCM cannot write {syntax.name}"
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


def compress_rle(dataset: FileDataset) -> FileDataset:
    """Run-length encoded with pydicom's own encoder."""
    dataset.compress(RLELossless)
    return dataset


def enhanced(frames: Sequence[dict[str, Any]], *, shared: dict[str, Any] | None = None, **tags: Any) -> FileDataset:
    """An Enhanced MR file; each frame says what differs: position, orientation, te, slope, intercept, stack, temporal, b_value…

    `pixels` of a frame defaults to a ramp by its place in the file.
    """
    shared = {"orientation": SAGITTAL, "spacing": (0.5, 0.75), "tr": 600.0, "te": 12.0, "flip": 150.0, **(shared or {})}
    dataset = slice_dataset(0, series_uid=generate_uid())
    for keyword in (
        "ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices",
        "ScanningSequence", "SequenceVariant", "RepetitionTime", "EchoTime", "FlipAngle",
    ):  # fmt: skip
        delattr(dataset, keyword)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = ENHANCED_MR_IMAGE
    dataset.EchoPulseSequence, dataset.AcquisitionContrast = "SPIN", "T1"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "T1", "NONE"]
    dataset.NumberOfFrames = len(frames)
    set_pixels(dataset, np.stack([frame.get("pixels", ramp(index)) for index, frame in enumerate(frames)]))
    groups = _groups({key: value for key, value in shared.items() if all(key not in frame for frame in frames)})
    dataset.SharedFunctionalGroupsSequence = DicomSequence([groups])
    dataset.PerFrameFunctionalGroupsSequence = DicomSequence([_groups(frame) for frame in frames])
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    return dataset


def _groups(values: dict[str, Any]) -> Dataset:
    """Functional groups (PS3.3 C.7.6.16.2, C.8.13.5) of the values given."""
    groups = Dataset()

    def put(sequence: str, **tags: Any) -> None:
        item = Dataset()
        for keyword, value in tags.items():
            if value is not None:
                setattr(item, keyword, value)
        if len(item):
            setattr(groups, sequence, DicomSequence([item]))

    get = values.get
    position = get("position")
    put("PlanePositionSequence", ImagePositionPatient=None if position is None else [f"{value:.6f}" for value in position])
    put("PlaneOrientationSequence", ImageOrientationPatient=get("orientation") and list(get("orientation")))
    put(
        "PixelMeasuresSequence",
        PixelSpacing=get("spacing") and list(get("spacing")),
        SliceThickness=9.9 if get("spacing") else None,
    )
    put("MREchoSequence", EffectiveEchoTime=get("te"))
    put("MRTimingAndRelatedParametersSequence", RepetitionTime=get("tr"), FlipAngle=get("flip"))
    put(
        "MRModifierSequence",
        InversionRecovery=get("inversion"),
        InversionTimes=get("ti"),
        SpectrallySelectedSuppression=get("suppression"),
    )
    put("PixelValueTransformationSequence", RescaleSlope=get("slope"), RescaleIntercept=0 if get("slope") else None)
    put("MRImageFrameTypeSequence", FrameType=get("frame_type"), ComplexImageComponent=get("component"))
    put("MRDiffusionSequence", DiffusionBValue=get("b_value"))
    put("FrameContentSequence", StackID=get("stack"), TemporalPositionIndex=get("temporal"), InStackPositionNumber=get("in_stack"))
    return groups
