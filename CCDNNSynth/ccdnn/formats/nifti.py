"""NIfTI-1 and NIfTI-2 headers (.nii, .nii.gz), read with nibabel.

The sform takes precedence over the qform, and the qform over the voxel size alone. If they disagree, the series gets a warning.

Format: https://nifti.nimh.nih.gov/nifti-1
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ccdnn.errors import InputError
from ccdnn.formats.image import ImageHeader, not_such_a_file
from ccdnn.formats.payload import Encoding, Payload
from ccdnn.opening import open_regular
from ccdnn.volume import GRID_TOLERANCE

_SIZES = {348: "Nifti1Header", 540: "Nifti2Header"}
_UNITS_MM = {0: 1.0, 1: 1e3, 2: 1.0, 3: 1e-3}  # unknown, metre, millimetre, micrometre
_UNIT_BITS = 0x07


def read_nifti(path: Path) -> ImageHeader:
    """Read the header of a NIfTI file.

    Raises:
        InputError: it is not a NIfTI file, or its header is damaged.
    """
    start, encoding = _start(path)
    header = _header(path, start)
    shape: tuple[int, ...] = tuple(int(size) for size in header.get_data_shape())
    if not 1 <= len(shape) <= 7 or any(size < 1 for size in shape):
        raise InputError(f"{path.name} states the impossible size {shape}; its header is damaged, export it again.")
    dtype, components = _type(path, header)
    if len(shape) == 5 and shape[3] == 1:  # the fifth dimension contains the values of one voxel
        shape, components = shape[:3], components * shape[-1]
    slope, intercept, scaling = _scaling(path, header)
    affine, place = _placed(path, header)
    offset = int(header["vox_offset"]) if np.isfinite(header["vox_offset"]) else -1
    if offset < len(header.binaryblock):
        raise InputError(f"{path.name} states that its voxels begin at byte {offset}, within its header; export it again.")
    return ImageHeader(
        path=path,
        sizes=(*shape, 1, 1)[: max(len(shape), 3)],
        dtype=dtype,
        ijk_to_ras=affine,
        payloads=(
            Payload(path, 0 if encoding is Encoding.DEFLATE else offset, encoding, offset if encoding is Encoding.DEFLATE else 0),
        ),
        components=components,
        slope=slope,
        intercept=intercept,
        entries={"descrip": _text(header["descrip"])},
        warnings=(*scaling, *place),
    )


def _start(path: Path) -> tuple[bytes, Encoding]:
    """The header's bytes and the file's encoding, which is detected from its content."""
    with open_regular(path) as stream:
        magic = stream.read(2)
        stream.seek(0)
        if magic != b"\x1f\x8b":
            return stream.read(544), Encoding.RAW
        try:
            return _first_bytes(stream), Encoding.DEFLATE
        except EOFError:
            raise InputError(f"{path.name} is damaged or truncated: it ends within its header; copy it again.") from None
        except (OSError, zlib.error):
            raise not_such_a_file(path, b"\0", "NIfTI") from None


def _first_bytes(stream: BinaryIO) -> bytes:
    with gzip.GzipFile(fileobj=stream) as inflated:
        return inflated.read(544)


def _header(path: Path, start: bytes) -> Any:
    import nibabel

    for order in ("little", "big"):
        kind = _SIZES.get(int.from_bytes(start[:4], order))
        if kind and len(start) >= int.from_bytes(start[:4], order):
            size = int.from_bytes(start[:4], order)
            header = getattr(nibabel, kind)(start[:size], "<" if order == "little" else ">", check=False)
            if bytes(header["magic"].item())[:3] not in (b"n+1", b"n+2"):
                if bytes(header["magic"].item())[:3] in (b"ni1", b"ni2"):
                    raise InputError(f"{path.name} keeps its voxels in a separate .img file; convert it to one .nii.gz file.")
                break
            return header
    raise not_such_a_file(path, start, "NIfTI")


def _type(path: Path, header: Any) -> tuple[np.dtype[Any], int]:
    import nibabel

    code = int(header["datatype"])
    try:
        dtype = header.get_data_dtype()
    except (nibabel.spatialimages.HeaderDataError, KeyError, ValueError):
        raise InputError(f"{path.name} contains voxels of the type {code}, which is not supported; export it again.") from None
    if dtype.fields:  # RGB
        return np.dtype(np.uint8), len(dtype.fields)
    if dtype.kind not in "iufc" or dtype.itemsize > 16:
        raise InputError(f"{path.name} contains voxels of the type {code}, which is not supported; export it again.")
    return dtype, 1


def _scaling(path: Path, header: Any) -> tuple[float, float, tuple[str, ...]]:
    """Slope, intercept and warnings. In NIfTI, a slope of 0 means no scaling."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0:
        return 1.0, 0.0, ()
    if not np.isfinite(slope):
        # nibabel and others write NaN for "no scaling".
        return 1.0, 0.0, ()
    if not np.isfinite(intercept):
        raise InputError(f"{path.name} states scl_inter = {intercept}, which is not a finite number; export it again.")
    return slope, intercept, ()


def _placed(path: Path, header: Any) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """The IJK→RAS matrix in mm by this module's rule, and a warning where another part of the header disagrees."""
    unit = int(header["xyzt_units"]) & _UNIT_BITS
    if unit not in _UNITS_MM:
        raise InputError(f"{path.name} states distances in the unit {unit}, which is not supported; export it in mm.")
    factor = _UNITS_MM[unit]
    shape = (*header.get_data_shape(), 1, 1)[:3]
    stated: dict[str, np.ndarray] = {}
    if int(header["sform_code"]) > 0:
        stated["sform"] = np.asarray(header.get_sform(), float)
    if int(header["qform_code"]) > 0:
        try:
            stated["qform"] = np.asarray(header.get_qform(), float)
        except Exception:  # nibabel's own error types, for an invalid quaternion
            raise InputError(
                f"{path.name} states a qform that is not a rotation; its header is damaged, export it again."
            ) from None
    sizes = np.abs(np.asarray(header["pixdim"][1:4], float))
    if not stated:
        if not np.isfinite(sizes).all() or not (sizes[: len(header.get_data_shape())] > 0).all():
            return None, ()
        sizes = np.where(sizes > 0, sizes, 1.0)
        affine = np.diag([*sizes, 1.0])
        affine[:3, 3] = -sizes * (np.array(shape) - 1) / 2
        stated["voxel size"] = affine
    name, affine = next(iter(stated.items()))
    affine = affine * np.array([[factor], [factor], [factor], [1.0]])
    if not np.isfinite(affine).all():
        raise InputError(f"{path.name} states a non-finite {name}; its header is damaged, export it again.")
    return affine, tuple(_disagreements(path, name, stated, sizes, shape))


def _disagreements(path: Path, used: str, stated: dict[str, np.ndarray], sizes: np.ndarray, shape: tuple[int, ...]) -> list[str]:
    if used == "voxel size":
        return [
            f"{path.name} states no orientation (sform and qform are unset); its axes are assumed to be right, anterior, superior."
        ]
    found = []
    spacing = np.linalg.norm(stated[used][:3, :3], axis=0)
    allowed = GRID_TOLERANCE * float(spacing.min())
    corners = np.array([(i, j, k, 1) for k in (0, shape[2] - 1) for j in (0, shape[1] - 1) for i in (0, shape[0] - 1)], float)
    for name, other in stated.items():
        if name != used:
            distance = float(np.linalg.norm((corners @ (stated[used] - other).T)[:, :3], axis=1).max())
            if not distance <= allowed:
                found.append(
                    f"{path.name} states two positions, {used} and {name}, up to {distance:.3g} mm apart; the {used} was used."
                )
    if used == "sform" and not np.allclose(sizes, spacing, rtol=GRID_TOLERANCE, atol=0):
        written, meant = ("×".join(f"{value:.4g}" for value in values) for values in (sizes, spacing))
        found.append(f"{path.name} states voxels of {written} mm and an {used} with voxels of {meant} mm; the {used} was used.")
    return found


def _text(field: np.ndarray) -> str:
    return bytes(field.item()).split(b"\0")[0].decode("latin-1")
