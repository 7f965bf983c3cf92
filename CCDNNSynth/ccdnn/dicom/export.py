"""A synthetic volume as a DICOM series in the study of its source images, clearly marked as not acquired.

Classic MR Image Storage with one file per slice, whatever the source is: every archive and viewer reads it, and an Enhanced MR
image would have to describe an acquisition that never took place. Acquisition attributes are left empty or say "none"
(Scanning Sequence RM, research mode). There is no Derivation Code: context group 7203 has none for an image computed by a network.
Synthetic Data (0008,001C) is left out too: the attribute is so new that current validators report it as an error.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from pydicom.valuerep import format_number_as_ds

from ccdnn import __version__
from ccdnn.dicom.headers import lenient
from ccdnn.dicom.legal import LONGEST, make_legal
from ccdnn.dicom.parametric_map import uncertainty_map, write_map
from ccdnn.dicom.sources import Source, derived_series_number, read_source
from ccdnn.errors import InputError, OutputError
from ccdnn.patient import difference_of_patients, require_one_patient
from ccdnn.provenance import FORCED, MADE_WITHOUT, NOTICE, SYNTHETIC_NAME
from ccdnn.volume import LPS_SIGNS, Volume
from ccdnn.writing import replacing_folder, require_outside

SERIES_DESCRIPTION = "Synthetic STIR (CC-DNN) – not acquired"
# In the folder of the series. A folder of its own, since many programs take all files of one folder for slices.
UNCERTAINTY_FILE = Path("uncertainty", "uncertainty.dcm")

LARGEST_STORED = 65535
# The window shows all but the brightest voxels: fluid at the skin, vessels.
WINDOW_PERCENTILES = (1.0, 99.5)


@dataclass(frozen=True)
class Exported:
    """What was written.

    Args:
        files: in slice order.
        changes: source values changed to conform to DICOM, a sentence each.
        uncertainty: the file of the uncertainty map; None without one.
    """

    files: tuple[Path, ...]
    changes: tuple[str, ...] = ()
    uncertainty: Path | None = None


def export_series(
    volume: Volume,
    folder: Path,
    reference: Sequence[Path] | None,
    sources: Sequence[Sequence[Path]] = (),
    window: tuple[float, float] | None = None,
    force: bool = False,
    uncertainty: Volume | None = None,
    uncertainty_file: Path | None = None,
) -> Exported:
    """Write a synthetic volume as a new series of the study it was made from, with its uncertainty map if one is given.

    Stored values are 16 bits over the volume's range: Rescale Slope and Intercept restore every voxel to within half a step.

    Args:
        volume: from `ccdnn.synthesis.synthesize`, with its metadata.
        folder: to create; it may exist if it is empty.
        reference: the DICOM files of the series whose patient, study and frame of reference the new one shares; it is referenced
            as a source. None creates a new study of an anonymous patient.
        sources: the DICOM files of each further series the volume was made from.
        window: display centre and width; None derives them from the voxels.
        force: continue even if the sources are of different patients; the new series has the reference's patient and says so.
        uncertainty: the map of the same run, to write as a Parametric Map that references the new series.
        uncertainty_file: where to write it, outside the folder; None for `UNCERTAINTY_FILE` in it. An existing file is replaced.

    Raises:
        InputError: the volume is not synthetic or not an image, the files are not DICOM images, or none has the grid of the volume;
            `uncertainty` is not the map of this volume.
        DifferentPatients: the sources are of different patients.
        OutputError: the folder or the map cannot be written; nothing is left of either.
    """
    _require_exportable(volume)
    _require_free(folder)
    if uncertainty_file is not None:
        require_outside(uncertainty_file, folder)
    series = [] if reference is None else [reference, *sources]
    used = [read_source(files) for files in dict.fromkeys(map(tuple, series))]
    difference = difference_of_patients(used)
    if not force:
        require_one_patient(used)
    _require_grid(volume, used)
    meeting = [source.meeting(volume.grid) for source in used]
    with lenient():  # values copied from a source may already be non-conforming
        common, changes = _common(volume, used[0] if used else None, mixed=difference is not None)
        common.update(_lossy_compression(used))
        changes += make_legal(common)
        slope, intercept = _rescale(volume.array)
        common.update(_pixels_module(volume, slope, intercept, window))
        images = [_image(common, volume, index, slope, intercept) for index in range(len(volume.array))]
        for index, image in enumerate(images):
            image.update(
                _references([(source, source.references(meets[:, index])) for source, meets in zip(used, meeting, strict=True)])
            )
        changes += [sentence for image in images for sentence in make_legal(image)]
        place = uncertainty_file or folder / UNCERTAINTY_FILE
        files = _write(images, folder, uncertainty, place)
        return Exported(tuple(files), tuple(dict.fromkeys(changes)), None if uncertainty is None else place)


# ------------------------------------------------------------------------------------------------------------------ checks


def _require_exportable(volume: Volume) -> None:
    if volume.metadata.get("CCDNN_Image") != SYNTHETIC_NAME or "CCDNN_Model" not in volume.metadata:
        raise InputError(
            f"{volume.name} does not say that it is a synthetic STIR and which model made it; "
            "export the .nrrd or .mha file that was written by the synthesis."
        )
    if not np.isfinite(volume.array).all():
        raise InputError(f"{volume.name} contains NaN or infinite values, which DICOM cannot store; synthesize it again.")
    if volume.grid.sheared:
        raise InputError(f"{volume.name} lies on a sheared grid, which DICOM cannot store; resample it to a rectangular one.")


def _require_free(folder: Path) -> None:
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise OutputError(f"{folder} exists and is not empty; give the name of a new folder; nothing is overwritten.")
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}.") from None


def _require_grid(volume: Volume, used: Sequence[Source]) -> None:
    """A synthetic volume lies on the grid of one of its inputs, which no other patient's series has."""
    if used and not any(source.has_grid(volume.grid) for source in used):
        names = " and ".join(source.name for source in used)
        raise InputError(
            f"{volume.name} does not lie on the grid of {names}, so it may be of another patient; give the series it was made from."
        )


# ---------------------------------------------------------------------------------------------------------------- contents


def _common(volume: Volume, reference: Source | None, mixed: bool) -> tuple[Dataset, list[str]]:
    """The attributes common to the series, by module (PS3.3, MR Image IOD), and what could not be copied from the reference."""
    now = datetime.now()
    date, time = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    header, lost = reference.identity() if reference else (_anonymous(date, time), [])
    about = volume.metadata

    # SOP Common, General Series, General Equipment: the equipment that made these images is this program.
    header.SpecificCharacterSet = "ISO_IR 192"
    header.SOPClassUID = MRImageStorage
    header.InstanceCreationDate, header.InstanceCreationTime = date, time
    header.Modality = "MR"
    header.SeriesInstanceUID = generate_uid(prefix=None)
    header.SeriesDescription = _description(about)
    header.SeriesNumber = derived_series_number(reference.series_number if reference else 0)
    header.SeriesDate, header.SeriesTime = date, time
    header.Manufacturer, header.ManufacturerModelName = "CCDNNSynth contributors", "CCDNNSynth (CC-DNN)"
    header.SoftwareVersions = [f"ccdnn {__version__}", f"model {about['CCDNN_Model']}".replace("\\", "/")[: LONGEST["LO"]]]

    # General Image, General Reference, Contrast/Bolus absent
    header.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    header.ContentDate, header.ContentTime = date, time
    header.BurnedInAnnotation = "NO"
    header.ContentQualification = "RESEARCH"
    header.ImageComments = NOTICE
    header.DerivationDescription = _derivation(volume, mixed)

    # MR Image: no acquisition took place, so there is no sequence, and its times are empty.
    header.ScanningSequence, header.SequenceVariant = "RM", "NONE"
    for keyword in ("ScanOptions", "MRAcquisitionType", "RepetitionTime", "EchoTime", "EchoTrainLength"):
        setattr(header, keyword, None)

    # Image Plane
    j, i = volume.grid.spacing[1::-1]
    header.PixelSpacing = [format_number_as_ds(j), format_number_as_ds(i)]
    header.SpacingBetweenSlices = format_number_as_ds(volume.grid.spacing[2])
    header.SliceThickness = format_number_as_ds((reference and reference.slice_thickness) or volume.grid.spacing[2])
    cosines = (volume.ijk_to_ras[:3, :2] / volume.grid.spacing[:2]) * LPS_SIGNS[:, None]
    header.ImageOrientationPatient = [format_number_as_ds(float(cosine)) for cosine in cosines.T.ravel()]
    return header, lost


def _description(about: Mapping[str, str]) -> str:
    if MADE_WITHOUT not in about:
        return SERIES_DESCRIPTION
    return SERIES_DESCRIPTION.replace("STIR", f"STIR without {about[MADE_WITHOUT]}")[: LONGEST["LO"]]


def _anonymous(date: str, time: str) -> Dataset:
    """Patient and study if no source provides them. The ID is new, so that no archive merges two such patients."""
    header = Dataset()
    header.PatientName, header.PatientID = "Anonymous^Patient", f"ANONYMOUS-{uuid.uuid4().hex[:8].upper()}"
    header.PatientBirthDate = header.PatientSex = None
    header.PatientIdentityRemoved, header.DeidentificationMethod = "YES", "Exported from a file without patient data"
    header.StudyInstanceUID, header.FrameOfReferenceUID = generate_uid(prefix=None), generate_uid(prefix=None)
    header.StudyDate, header.StudyTime = date, time
    header.ReferringPhysicianName = header.StudyID = header.AccessionNumber = None
    header.PositionReferenceIndicator = header.PatientPosition = header.Laterality = None
    return header


def _derivation(volume: Volume, mixed: bool) -> str:
    about = volume.metadata
    inputs = [f"{key.rpartition('_')[2]}: {value}" for key, value in about.items() if key.startswith("CCDNN_Input_")]
    made = f"Computed by {about.get('CCDNN_Engine', 'ccdnn')} with the model {about['CCDNN_Model']}"
    without = f", without {about[MADE_WITHOUT]}" if MADE_WITHOUT in about else ""
    forced = "; inputs of different patients, forced by the user" if mixed or FORCED in about else ""
    return f"{NOTICE} {made} from {'; '.join(inputs) or 'other series'}{without}{forced}."[: LONGEST["ST"]]


def _lossy_compression(used: Sequence[Source]) -> Dataset:
    """An image that was once compressed with loss stays marked so, as does everything computed from it (PS3.3 C.7.6.1.1.5)."""
    lossy = (source.lossy_compression() for source in used)
    return next((header for header in lossy if header), _item(LossyImageCompression="00"))


def _rescale(array: np.ndarray) -> tuple[float, float]:
    """Slope and intercept, exact as decimal strings, that map the range of the volume to the stored values."""
    lowest, highest = min(float(array.min()), 0.0), float(array.max())
    slope = (highest - lowest) / LARGEST_STORED or 1.0
    return float(format_number_as_ds(slope)), float(format_number_as_ds(lowest))


def _pixels_module(volume: Volume, slope: float, intercept: float, window: tuple[float, float] | None) -> Dataset:
    header = Dataset()
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.Rows, header.Columns = volume.array.shape[1:]
    header.BitsAllocated = header.BitsStored = 16
    header.HighBit, header.PixelRepresentation = 15, 0
    header.RescaleSlope, header.RescaleIntercept = format_number_as_ds(slope), format_number_as_ds(intercept)
    header.RescaleType = "US"  # unspecified
    if window is None:
        low, high = np.percentile(volume.array, WINDOW_PERCENTILES)
        window = (float(low + high) / 2, float(high - low) or 1.0)
    header.WindowCenter, header.WindowWidth = (format_number_as_ds(float(value)) for value in window)
    # The usual LINEAR function is defined for widths above 1 only, and intensities here are about 1 at most.
    header.VOILUTFunction = "LINEAR_EXACT"
    return header


def _image(common: Dataset, volume: Volume, index: int, slope: float, intercept: float) -> Dataset:
    image = Dataset()
    image.update(common)
    image.SOPInstanceUID = generate_uid(prefix=None)
    image.InstanceNumber = index + 1
    position = (volume.ijk_to_ras @ [0, 0, index, 1])[:3] * LPS_SIGNS
    image.ImagePositionPatient = [format_number_as_ds(float(value)) for value in position]
    stored = np.rint((volume.array[index].astype(np.float64) - intercept) / slope).clip(0, LARGEST_STORED)
    image.PixelData = stored.astype("<u2").tobytes()
    image["PixelData"].VR = "OW"
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MRImageStorage, image.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta = meta
    return image


def _references(references: Sequence[tuple[Source, list[Dataset]]]) -> Dataset:
    """The images a slice was made from: Source Image Sequence, and the Common Instance Reference Module (PS3.3 C.12.2) where the
    same instances stand by series, those of other examinations than the first source's by study."""
    header = Dataset()
    if items := [_with_purpose(item) for _, images in references for item in images]:
        header.SourceImageSequence = items
    studies: dict[str, dict[str, list[Dataset]]] = {}
    for source, images in references:
        if images:
            studies.setdefault(source.study_uid, {}).setdefault(source.series_uid, []).extend(map(_without_frames, images))
    own = studies.pop(references[0][0].study_uid, None) if references else None
    if own:
        header.ReferencedSeriesSequence = _series_items(own)
    if studies:
        header.StudiesContainingOtherReferencedInstancesSequence = [
            _item(StudyInstanceUID=uid, ReferencedSeriesSequence=_series_items(series)) for uid, series in studies.items()
        ]
    return header


def _with_purpose(image: Dataset) -> Dataset:
    code = codes.DCM.SourceImageForImageProcessingOperation
    purpose = _item(CodeValue=code.value, CodingSchemeDesignator=code.scheme_designator, CodeMeaning=code.meaning)
    source = _item(PurposeOfReferenceCodeSequence=[purpose])
    source.update(image)
    return source


def _series_items(series: dict[str, list[Dataset]]) -> list[Dataset]:
    return [_item(ReferencedInstanceSequence=instances, SeriesInstanceUID=uid) for uid, instances in series.items()]


def _without_frames(image: Dataset) -> Dataset:
    return _item(ReferencedSOPClassUID=image.ReferencedSOPClassUID, ReferencedSOPInstanceUID=image.ReferencedSOPInstanceUID)


def _item(**values: Any) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


# ----------------------------------------------------------------------------------------------------------------- writing


def _write(images: Sequence[Dataset], folder: Path, uncertainty: Volume | None, place: Path) -> list[Path]:
    """All files in a new folder, which gets its name when it is complete. Without the map at its `place`, there is no series."""
    names = [f"IM{number:04d}.dcm" for number in range(1, len(images) + 1)]
    with replacing_folder(folder) as temporary:
        for image, name in zip(images, names, strict=True):
            dcmwrite(temporary / name, image, enforce_file_format=True)
        if uncertainty is not None:
            dataset = uncertainty_map(uncertainty, [temporary / name for name in names])
            if place == folder / UNCERTAINTY_FILE:
                inside = temporary / UNCERTAINTY_FILE
                inside.parent.mkdir()
                dcmwrite(inside, dataset, enforce_file_format=True)
        _require_free(folder)  # it may have been filled meanwhile
    if uncertainty is not None and place != folder / UNCERTAINTY_FILE:
        try:
            write_map(dataset, place)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return [folder / name for name in names]
