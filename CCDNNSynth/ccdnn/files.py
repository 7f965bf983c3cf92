"""NIfTI, NRRD and MetaImage files through SimpleITK.

SimpleITK works in LPS and hides what the formats do differently; this module turns that to RAS and refuses what is no volume
of one scalar a voxel. DICOM is read by `ccdnn.dicom`; `ccdnn.study` finds out which of the two a path needs.
"""

from __future__ import annotations

import gzip
import shutil
import zlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import DTypeLike

from ccdnn.errors import InputError, OutputError
from ccdnn.roles import Evidence, classify
from ccdnn.series import Series
from ccdnn.sidecar import protocol_beside, protocol_in_header
from ccdnn.volume import Grid, Volume
from ccdnn.writing import replacing, require_writable, stem_of, suffix_of

# Suffix → SimpleITK's reader and writer, named, so that a file's content cannot choose another one.
IMAGE_IO = {
    ".nii": "NiftiImageIO",
    ".nii.gz": "NiftiImageIO",
    ".nrrd": "NrrdImageIO",
    ".nhdr": "NrrdImageIO",
    ".mha": "MetaImageIO",
    ".mhd": "MetaImageIO",
}
# One file each: a result of two files cannot be put in place in one step.
WRITABLE = (".nrrd", ".nii.gz", ".nii", ".mha")

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

# What headers say of the file rather than of the volume, and what may name a patient or lead to one.
NOT_KEPT = ("NRRD_", "ITK_", "DICOM_0010", "Patient", "Modality")
IDENTIFIER_SUFFIX = "_uid"

# The entries that say in words what a volume is, ours first.
NOTES = ("CCDNN_Image", "CCDNN_Notice", "descrip", "ITK_FileNotes")
NIFTI_DESCRIPTION_LENGTH = 79


def check_voxels(volume: Volume) -> None:
    """Refuse voxels that no scanner delivers.

    Raises:
        InputError: NaN or infinity, or one value everywhere.
    """
    finite = np.isfinite(volume.array)
    if not finite.all():
        raise InputError(
            f"{volume.name} holds NaN or infinite values in {int((~finite).sum())} voxels; export it again or repair them first."
        )
    lowest, highest = float(volume.array.min()), float(volume.array.max())
    if lowest == highest:
        what = "only zeros" if highest == 0 else f"the value {highest:g} in every voxel"
        raise InputError(f"{volume.name} holds {what}; it has no image, choose another series.")


# ---------------------------------------------------------------------------------------------------------------- reading


def read_volume(path: Path) -> Volume:
    """The volume of one NIfTI, NRRD or MetaImage file.

    Raises:
        InputError: it cannot be read, or is no volume of scalars.
    """
    return read_header(path).load()


def read_header(path: Path) -> Series:
    """The series in one NIfTI, NRRD or MetaImage file, from its header and from a BIDS sidecar beside it.

    What is no volume of scalars (4-D, colour, complex) comes with its `problem`.

    Raises:
        InputError: the file cannot be read.
    """
    reader = _open(path)
    entries = {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys()}
    nifti = suffix_of(path).startswith(".nii")
    slices, rows, columns = (*reader.GetSize(), 1, 1)[2::-1]
    problem = _no_scalar_volume(path, reader)
    protocol, called = protocol_beside(path.with_name(stem_of(path) + ".json"))
    role, reason = classify(
        Evidence(
            protocol=protocol or protocol_in_header(entries),
            description=called or stem_of(path),
            notes=" ".join(entries.get(key, "") for key in NOTES) + " " + stem_of(path),
            slices=slices,
        )
    )
    try:
        grid = Grid((slices, rows, columns), _ijk_to_ras(reader))
    except InputError as error:
        grid, problem = None, problem or f"{path.name}: {error}"
    return Series(
        name=path.name,
        description=called or stem_of(path),
        grid=grid,
        protocol=protocol or protocol_in_header(entries),
        role=role,
        reason=reason,
        source=path,
        read_array=partial(_read_array, path),
        files=(path,),
        # NIfTI's entries are the header's numbers; its free text can hold anything.
        provenance={} if nifti else {key: value for key, value in entries.items() if not key.startswith(NOT_KEPT)},
        problem=problem,
    )


def _open(path: Path) -> sitk.ImageFileReader:
    suffix = suffix_of(path)
    if suffix not in IMAGE_IO:
        raise InputError(f"{path} is no image file known here; NIfTI, NRRD, MetaImage and DICOM are.")
    try:
        with path.open("rb") as stream:
            start = stream.read(4096)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    damaged = f"{path.name} is no {suffix} image, or its header is damaged; export it again."
    # MetaIO reports a foreign file on the terminal instead of in its error.
    if IMAGE_IO[suffix] == "MetaImageIO" and b"NDims" not in start:
        raise InputError(damaged)
    reader = sitk.ImageFileReader()
    reader.SetImageIO(IMAGE_IO[suffix])
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        if "orthonormal" in str(error):
            raise InputError(
                f"{path.name} has a sheared or singular orientation matrix; resample it to a rectangular grid."
            ) from None
        raise InputError(damaged) from None
    return reader


def _no_scalar_volume(path: Path, reader: sitk.ImageFileReader) -> str | None:
    size = reader.GetSize()
    if any(extent > 1 for extent in size[3:]):
        return f"{path.name} has {len(size)} dimensions ({'×'.join(map(str, size))}); extract the one volume that is wanted."
    if "complex" in sitk.GetPixelIDValueAsString(reader.GetPixelID()):
        return f"{path.name} holds complex values; export its magnitude."
    if (components := reader.GetNumberOfComponents()) > 1:
        return f"{path.name} holds {components} values a voxel (colour or vectors); a volume of single values is needed."
    return None


def _ijk_to_ras(reader: sitk.ImageFileReader) -> np.ndarray:
    """From the first three axes; a 2-D image is one slice of 1 mm across the third."""
    dimension = reader.GetDimension()
    used = min(dimension, 3)
    lps = np.eye(4)
    direction = np.array(reader.GetDirection()).reshape(dimension, dimension)
    lps[:used, :used] = direction[:used, :used] * np.array(reader.GetSpacing())[:used]
    lps[:used, 3] = np.array(reader.GetOrigin())[:used]
    return LPS_TO_RAS @ lps


def _read_array(path: Path) -> np.ndarray:
    reader = _open(path)
    _require_whole_nifti(path, reader)
    try:
        image = reader.Execute()
    except RuntimeError:
        raise InputError(f"The voxels of {path.name} cannot be read: the file is damaged or cut short; copy it again.") from None
    array = sitk.GetArrayFromImage(image)
    return array.reshape((1, 1, *array.shape)[-3:] if array.ndim < 3 else array.shape[-3:])


def _require_whole_nifti(path: Path, reader: sitk.ImageFileReader) -> None:
    """The NIfTI library fills a file that was cut short with zeros and says nothing."""
    if IMAGE_IO[suffix_of(path)] != "NiftiImageIO":
        return
    bytes_a_voxel = int(reader.GetMetaData("bitpix")) // 8
    needed = int(float(reader.GetMetaData("vox_offset"))) + int(np.prod(reader.GetSize())) * bytes_a_voxel
    try:
        with path.open("rb") as stream:
            zipped = stream.read(2) == b"\x1f\x8b"
        if zipped:
            with gzip.open(path) as stream:
                size = sum(len(block) for block in iter(partial(stream.read, 1 << 20), b""))
        else:
            size = path.stat().st_size
    except (OSError, EOFError, zlib.error):
        size = 0
    if size < needed:
        raise InputError(f"{path.name} is damaged or cut short: it ends before its last voxel; copy it again.")


# ---------------------------------------------------------------------------------------------------------------- writing


def check_writable(path: Path) -> None:
    """Find out before the work, not after it, that a volume cannot be written at `path`.

    Raises:
        OutputError: unknown suffix, no such folder, or no permission.
    """
    if suffix_of(path) not in WRITABLE:
        raise OutputError(f"{path} has no suffix that says which format to write; use one of {', '.join(WRITABLE)}.")
    require_writable(path)


def write_volume(volume: Volume, path: Path, dtype: DTypeLike = np.float32) -> None:
    """Write a volume in the format of the suffix, with its metadata where the header has room.

    Args:
        dtype: of the stored voxels; whole numbers, as scanners and label maps have them, need less room as np.int16 or np.uint8.

    NRRD and MHA keep every entry of text; NIfTI has one line of 79 letters and gets the notice (or the name). UIDs are not written.

    Raises:
        OutputError: it cannot be written, or not as `dtype` without loss; whatever stood at `path` is untouched and nothing
            partial is left.
    """
    if suffix_of(path) not in WRITABLE:
        raise OutputError(f"{path} has no suffix that says which format to write; use one of {', '.join(WRITABLE)}.")
    image = _to_image(volume, path, np.dtype(dtype))
    with replacing(path) as temporary:
        writer = sitk.ImageFileWriter()
        writer.SetImageIO(IMAGE_IO[suffix_of(path)])
        writer.SetFileName(str(temporary))
        writer.SetUseCompression(suffix_of(path) != ".nii")
        try:
            writer.Execute(image)
        except RuntimeError as error:
            raise _write_error(path, volume.array.nbytes) from error
        _require_written(temporary, path, volume)


def _write_error(path: Path, size: int) -> OutputError:
    """SimpleITK does not say why; the disk does."""
    free = shutil.disk_usage(path.parent).free
    if free < size:
        return OutputError(f"{path} cannot be written: the disk is full ({free / 2**20:.0f} MiB left).")
    return OutputError(f"{path} cannot be written; the disk may be full or no longer there.")


def _require_written(temporary: Path, path: Path, volume: Volume) -> None:
    """Read back what was written: SimpleITK does not notice every short write."""
    try:
        intact = np.array_equal(read_volume(temporary).array, volume.array, equal_nan=True)
    except InputError:
        intact = False
    if not intact:
        raise _write_error(path, volume.array.nbytes)


def _to_image(volume: Volume, path: Path, dtype: np.dtype) -> sitk.Image:
    with np.errstate(invalid="ignore"):
        stored = volume.array.astype(dtype)
    if not np.array_equal(stored.astype(np.float32), volume.array, equal_nan=True):
        raise OutputError(f"{path} cannot hold the voxels of {volume.name} as {dtype}; write them as float32.")
    image = sitk.GetImageFromArray(stored)
    lps = LPS_TO_RAS @ volume.ijk_to_ras
    spacing = volume.grid.spacing
    image.SetSpacing(spacing)
    image.SetOrigin(lps[:3, 3].tolist())
    try:
        image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    except RuntimeError as error:
        raise OutputError(f"{path} cannot hold the sheared grid of {volume.name}.") from error
    entries = _text_entries(volume.metadata)
    if suffix_of(path).startswith(".nii"):
        image.SetMetaData("ITK_FileNotes", _shortened(entries.get("CCDNN_Notice", volume.name)))
    else:
        for key, value in entries.items():
            image.SetMetaData(key, value)
    return image


def _text_entries(metadata: Mapping[str, object]) -> dict[str, str]:
    """One line each, keys without what separates them from values; nothing that links to a patient's record."""
    return {
        "".join(letter if letter.isalnum() or letter in "_-." else "_" for letter in key): " ".join(str(value).split())
        for key, value in metadata.items()
        if not key.endswith(IDENTIFIER_SUFFIX) and str(value).strip()
    }


def _shortened(text: str) -> str:
    ascii_text = text.encode("ascii", "replace").decode()
    if len(ascii_text) <= NIFTI_DESCRIPTION_LENGTH:
        return ascii_text
    return ascii_text[: NIFTI_DESCRIPTION_LENGTH + 1].rsplit(" ", 1)[0]
