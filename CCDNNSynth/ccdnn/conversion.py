"""Volumes to and from the images of SimpleITK and nibabel, and arrays with an affine, in memory.

A SimpleITK image places its voxels in LPS, a nibabel image in RAS with the axes in the order i, j, k. A synthetic volume says so in
both: in the metadata of a SimpleITK image, in the description of a NIfTI header.

nibabel is imported only to make one of its images.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import DTypeLike

from ccdnn.errors import InputError
from ccdnn.patient import Patient
from ccdnn.text import shown
from ccdnn.volume import LPS_TO_RAS, Grid, Volume

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Image

IDENTIFIER_SUFFIX = "_uid"
NIFTI_DESCRIPTION_LENGTH = 79

# The entries of a synthetic volume (`ccdnn.provenance`), and the names in a label map of Slicer. Others may identify a patient.
_KEPT_ENTRIES = ("CCDNN_", "Segment")


def volume_of(image: Any, name: str) -> Volume:
    """The volume that an image in memory shows.

    Args:
        image: a `Volume`, a SimpleITK image, a nibabel image, or a pair (array, affine) in nibabel's order: array[i, j, k], affine
            4×4 to RAS in mm.
        name: what to call it in messages; a `Volume`, and a nibabel image with a file, have their own names.

    Raises:
        InputError: it is something else, not a volume of scalars, or so placed that no part of a body can be there.

    >>> volume_of((np.zeros((320, 384, 24)), np.diag([-0.5, -0.5, 3.0, 1.0])), "t1").array.shape
    (24, 384, 320)
    """
    nibabel = sys.modules.get("nibabel")  # where it is not loaded, there is no image of it
    if isinstance(image, Volume):
        volume = image
    elif isinstance(image, sitk.Image):
        volume = _of_sitk(image, name)
    elif nibabel is not None and isinstance(image, nibabel.spatialimages.SpatialImage):
        volume = _of_nibabel(image, name)
    elif isinstance(image, tuple) and len(image) == 2:
        volume = _placed(*image, name)
    else:
        raise InputError(
            f"{name} is of the type {type(image).__name__}; give a path, a ccdnn.Volume, an image of SimpleITK or nibabel, or a "
            "pair (array, affine)."
        )
    if reason := volume.grid.implausible:
        raise InputError(f"{volume.name} {reason}.")
    return volume


def _of_sitk(image: sitk.Image, name: str) -> Volume:
    if image.GetDimension() != 3:
        raise InputError(f"{name} has {image.GetDimension()} dimensions; a volume of slices, rows and columns is needed.")
    if (components := image.GetNumberOfComponentsPerPixel()) > 1:
        raise InputError(f"{name} contains {components} values per voxel (colour or vectors); a scalar volume is needed.")
    to_lps = np.eye(4)
    to_lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    to_lps[:3, 3] = image.GetOrigin()
    entries = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys() if key.startswith(_KEPT_ENTRIES)}
    return Volume(_numbers(sitk.GetArrayFromImage(image), name), LPS_TO_RAS @ to_lps, name, entries)


def _of_nibabel(image: Any, name: str) -> Volume:
    file = image.get_filename()
    name = Path(file).name if file else name
    if image.affine is None:
        raise InputError(f"{name} has no affine, so the place of its voxels is unknown; set one, in mm.")
    try:
        array = np.asanyarray(image.dataobj)  # a proxy reads the file only now
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"The voxels of {name} cannot be read: {error}.") from None
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    volume = _placed(array, image.affine, name)
    return volume.with_array(volume.array, patient=Patient.stated(file_name=name))


def _placed(array: Any, affine: Any, name: str) -> Volume:
    """The volume of an array (i, j, k) with an affine to RAS."""
    try:
        matrix = np.asarray(affine, np.float64)
    except (TypeError, ValueError):
        raise InputError(f"The affine of {name} is not a 4×4 matrix of numbers.") from None
    return Volume(_numbers(array, name).T, matrix, name)


def _numbers(array: Any, name: str) -> np.ndarray:
    try:
        numbers = np.asarray(array)
    except ValueError:
        raise InputError(f"{name} has rows of unequal length; a volume of slices, rows and columns is needed.") from None
    if numbers.dtype.kind == "c":
        raise InputError(f"{name} contains complex values; give its magnitude.")
    if numbers.dtype.kind not in "biuf":
        raise InputError(f"{name} does not contain one number per voxel, but {numbers.dtype}; a scalar volume is needed.")
    return numbers


def to_sitk(volume: Volume, dtype: DTypeLike = np.float32, entries: Mapping[str, str] | None = None) -> sitk.Image:
    """The volume as a SimpleITK image, in LPS.

    Args:
        dtype: of the voxels.
        entries: the metadata of the image; None for that of the volume, see `text_entries`.

    Raises:
        InputError: the volume has a sheared grid, which SimpleITK cannot represent.

    >>> to_sitk(Volume(np.zeros((24, 384, 320)), np.diag([-0.5, -0.5, 3.0, 1.0]))).GetSize()
    (320, 384, 24)
    """
    image = sitk.GetImageFromArray(volume.array.astype(dtype, copy=False))
    try:
        place(image, volume.grid)
    except RuntimeError:
        raise InputError(f"{volume.name} has a sheared grid, which SimpleITK cannot represent.") from None
    for key, value in (text_entries(volume.metadata) if entries is None else entries).items():
        image.SetMetaData(key, value)
    return image


def place(image: sitk.Image, grid: Grid) -> None:
    """Put the voxels of an image of SimpleITK where those of `grid` are."""
    to_lps = LPS_TO_RAS @ grid.ijk_to_ras
    image.SetSpacing(grid.spacing)
    image.SetDirection((to_lps[:3, :3] / grid.spacing).ravel().tolist())
    image.SetOrigin(to_lps[:3, 3].tolist())


def to_nibabel(volume: Volume) -> Nifti1Image:
    """The volume as a NIfTI image of nibabel: float32 (i, j, k), in RAS and mm."""
    import nibabel

    image = nibabel.Nifti1Image(volume.array.T, volume.ijk_to_ras)
    image.header.set_xyzt_units("mm")
    image.set_sform(volume.ijk_to_ras, code="scanner")
    image.set_qform(volume.ijk_to_ras, code="scanner")
    image.header["descrip"] = nifti_description(volume)
    return image


def text_entries(metadata: Mapping[str, object]) -> dict[str, str]:
    """Metadata for a header: one line each, keys without separators; nothing that links to a patient's record."""
    return {
        "".join(letter if letter.isalnum() or letter in "_-." else "_" for letter in key): shown(
            " ".join(str(value).split()), longest=None
        )
        for key, value in metadata.items()
        if not key.endswith(IDENTIFIER_SUFFIX) and str(value).strip()
    }


def nifti_description(volume: Volume) -> str:
    """The one line of text in a NIfTI header: the notice of a synthetic volume, or the name."""
    text = text_entries(volume.metadata).get("CCDNN_Notice", volume.name).encode("ascii", "replace").decode()
    if len(text) <= NIFTI_DESCRIPTION_LENGTH:
        return text
    return text[: NIFTI_DESCRIPTION_LENGTH + 1].rsplit(" ", 1)[0]
