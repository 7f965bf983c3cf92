"""NIfTI, NRRD and MetaImage files: read by `ccdnn.formats`, written through SimpleITK.

DICOM is read by `ccdnn.dicom`; `ccdnn.study` determines which of the two a path needs.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import DTypeLike

from ccdnn.conversion import nifti_description, text_entries, to_sitk
from ccdnn.errors import InputError, OutputError
from ccdnn.formats.image import ImageHeader
from ccdnn.formats.metaimage import read_metaimage
from ccdnn.formats.nifti import read_nifti
from ccdnn.formats.nrrd import read_nrrd
from ccdnn.patient import Patient
from ccdnn.roles import Evidence, classify
from ccdnn.series import Series
from ccdnn.sidecar import acquisition_in_header, sidecar_of, sidecar_text
from ccdnn.volume import Grid, Volume
from ccdnn.writing import replacing, require_writable, setting_aside, stem_of, suffix_of, write_text

READERS: Mapping[str, Callable[[Path], ImageHeader]] = {
    ".nii": read_nifti,
    ".nii.gz": read_nifti,
    ".nrrd": read_nrrd,
    ".nhdr": read_nrrd,
    ".mha": read_metaimage,
    ".mhd": read_metaimage,
}
# Suffix → SimpleITK's writer. Only single-file formats: two files cannot be replaced in one step.
WRITERS = {".nrrd": "NrrdImageIO", ".nii.gz": "NiftiImageIO", ".nii": "NiftiImageIO", ".mha": "MetaImageIO"}

# Header entries about the file rather than the volume, and entries that may identify a patient.
NOT_KEPT = ("NRRD_", "ITK_", "DICOM_0010", "Patient", "Modality")

# The entries that describe a volume in words, ours first.
NOTES = ("CCDNN_Image", "CCDNN_Notice", "descrip", "ITK_FileNotes")


def check_voxels(volume: Volume) -> None:
    """Reject voxels that no scanner produces.

    Raises:
        InputError: NaN or infinity, or one value everywhere.
    """
    finite = np.isfinite(volume.array)
    if not finite.all():
        raise InputError(
            f"{volume.name} contains NaN or infinite values in {int((~finite).sum())} voxels; export it again or repair them first."
        )
    lowest, highest = float(volume.array.min()), float(volume.array.max())
    if lowest == highest:
        what = "only zeros" if highest == 0 else f"the value {highest:g} in every voxel"
        raise InputError(f"{volume.name} contains {what}, so it is not an image; choose another series.")


# ---------------------------------------------------------------------------------------------------------------- reading


def read_volume(path: Path) -> Volume:
    """The volume of one NIfTI, NRRD or MetaImage file.

    Raises:
        InputError: it cannot be read, or is not a volume of scalars.
    """
    return read_header(path).load()


def read_header(path: Path) -> Series:
    """The series in one NIfTI, NRRD or MetaImage file, from its header and from a BIDS sidecar beside it.

    A file that is not a scalar volume (4-D, colour, complex), or has an impossible size, is returned with its `problem`.

    Raises:
        InputError: the file cannot be read.
    """
    suffix = suffix_of(path)
    if suffix not in READERS:
        raise InputError(f"{path} is not a supported image file; expected NIfTI, NRRD, MetaImage or DICOM.")
    image = READERS[suffix](path).checked()
    nifti = _is_nifti(path)
    beside = sidecar_of(sidecar_path(path))
    # Only NIfTI needs the sidecar to say that it is synthetic. Beside another format, it is about a NIfTI file of the same name.
    entries = {**image.entries, **beside.provenance} if nifti else image.entries
    acquisition = beside.acquisition or acquisition_in_header(entries)
    role, reason = classify(
        Evidence(
            acquisition=acquisition,
            description=beside.description or stem_of(path),
            notes=" ".join(entries.get(key, "") for key in NOTES) + " " + stem_of(path),
            slices=image.shape[0],
        )
    )
    try:
        grid = None if image.ijk_to_ras is None else Grid(image.shape, image.ijk_to_ras)
    except InputError:  # the header's problem says why
        grid = None
    return Series(
        name=path.name,
        description=beside.description or stem_of(path),
        grid=grid,
        acquisition=acquisition,
        role=role,
        reason=reason,
        source=path,
        read_array=image.read,
        files=image.files,
        # NIfTI's free text can contain anything.
        provenance=beside.provenance if nifti else {key: text for key, text in entries.items() if not key.startswith(NOT_KEPT)},
        problem=image.problem,
        warnings=(*image.warnings, *beside.warnings),
        patient=replace(beside.patient, subject=Patient.stated(file_name=path.name).subject),
    )


# ---------------------------------------------------------------------------------------------------------------- writing


def sidecar_path(path: Path) -> Path:
    """Where the BIDS sidecar of an image file is."""
    return path.with_name(stem_of(path) + ".json")


def check_writable(path: Path) -> None:
    """Check, before the work is done, that a synthetic volume can be written at `path`.

    Raises:
        OutputError: unknown suffix, no such folder, no permission, or a file of another kind where the sidecar would be.
    """
    if suffix_of(path) not in WRITERS:
        raise OutputError(f"{path} has no suffix that says which format to write; use one of {', '.join(WRITERS)}.")
    require_writable(path)
    if _is_nifti(path):
        _require_sidecar(path)


def _is_nifti(path: Path) -> bool:
    return suffix_of(path).startswith(".nii")


def _require_sidecar(path: Path) -> None:
    """Check that the sidecar's place beside a NIfTI file is free, or has a sidecar that we wrote, and about this file alone."""
    sidecar = sidecar_path(path)
    if sidecar.exists() and not sidecar_of(sidecar).provenance:
        raise OutputError(
            f"{sidecar} exists and does not describe a synthetic image; the sidecar of the result belongs there. "
            "Name another output."
        )
    twin = path.with_name(stem_of(path) + (".nii" if suffix_of(path) == ".nii.gz" else ".nii.gz"))
    if twin.exists():
        raise OutputError(f"{path} would share the sidecar {sidecar.name} with {twin.name}. Name another output.")


def write_volume(volume: Volume, path: Path, dtype: DTypeLike = np.float32) -> None:
    """Write a volume in the format of the suffix, with its metadata if the header has room.

    Args:
        dtype: of the stored voxels; whole numbers from scanners and label maps take less space as np.int16 or np.uint8.

    NRRD and MHA keep every text entry. NIfTI has one line of 79 characters and gets the notice (or the name); a synthetic volume's
    entries are in a JSON sidecar beside it. UIDs are not written. A volume that is not synthetic removes the sidecar of a synthetic
    one that it replaces, and no other JSON file.

    Raises:
        OutputError: it cannot be written, or not as `dtype` without loss, or the sidecar is also that of another file; any
            existing file at `path` is untouched and no partial file is left.
    """
    if suffix_of(path) not in WRITERS:
        raise OutputError(f"{path} has no suffix that says which format to write; use one of {', '.join(WRITERS)}.")
    image = _to_image(volume, path, np.dtype(dtype))
    entries = text_entries(volume.metadata)
    sidecar, synthetic = sidecar_path(path), "CCDNN_Notice" in entries
    has_stale_sidecar = _is_nifti(path) and not synthetic and bool(sidecar_of(sidecar).provenance)
    if _is_nifti(path) and (synthetic or has_stale_sidecar):
        _require_sidecar(path)
    with ExitStack() as once_replaced, replacing(path) as temporary:
        writer = sitk.ImageFileWriter()
        writer.SetImageIO(WRITERS[suffix_of(path)])
        writer.SetFileName(str(temporary))
        writer.SetUseCompression(suffix_of(path) != ".nii")
        try:
            writer.Execute(image)
        except RuntimeError as error:
            raise _write_error(path, volume.array.nbytes) from error
        _require_written(temporary, path, volume)
        if _is_nifti(path) and synthetic:
            write_text(sidecar_text(entries), sidecar)
        if has_stale_sidecar:
            once_replaced.enter_context(setting_aside(sidecar))


def _write_error(path: Path, size: int) -> OutputError:
    """The reason for a failed write, which SimpleITK does not report."""
    free = shutil.disk_usage(path.parent).free
    if free < size:
        return OutputError(f"{path} cannot be written: the disk is full ({free / 2**20:.0f} MiB left).")
    return OutputError(f"{path} cannot be written; the disk may be full or no longer there.")


def _require_written(temporary: Path, path: Path, volume: Volume) -> None:
    """Read back what was written: SimpleITK does not notice every short write."""
    try:
        stored, _ = READERS[suffix_of(path)](temporary).values()
        intact = np.array_equal(stored, volume.array, equal_nan=True)
    except InputError:
        intact = False
    if not intact:
        raise _write_error(path, volume.array.nbytes)


def _to_image(volume: Volume, path: Path, dtype: np.dtype) -> sitk.Image:
    with np.errstate(invalid="ignore"):
        stored = volume.array.astype(dtype)
    if not np.array_equal(stored.astype(np.float32), volume.array, equal_nan=True):
        raise OutputError(f"{path} cannot store the voxels of {volume.name} as {dtype}; write them as float32.")
    try:
        return to_sitk(volume, dtype, {"ITK_FileNotes": nifti_description(volume)} if _is_nifti(path) else None)
    except InputError as error:
        raise OutputError(f"{path} cannot store the sheared grid of {volume.name}.") from error
