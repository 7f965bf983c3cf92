"""MetaImage headers (.mha, .mhd): lines of "Key = Value", `ElementDataFile` last. Coordinates are LPS, as ITK writes them.

Format: https://docs.itk.org/en/latest/learn/metaio.html
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ccdnn.errors import InputError
from ccdnn.formats.image import ImageHeader, not_such_a_file, plain_neighbour
from ccdnn.formats.numbers import finite_numbers, whole_numbers
from ccdnn.formats.payload import Encoding, Payload
from ccdnn.opening import exists, open_regular
from ccdnn.text import shown
from ccdnn.volume import LPS_TO_RAS

MOST_HEADER_BYTES = 1 << 16
_MOST_LIST_FILES = 4096

_TYPES = {
    "MET_CHAR": "i1",
    "MET_ASCII_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    # The size on today's 64-bit systems.
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
# Keys that describe storage or position. All others are kept as text.
_STRUCTURE = {
    "objecttype", "objectsubtype", "ndims", "dimsize", "elementtype", "elementnumberofchannels", "elementspacing", "elementsize",
    "offset", "position", "origin", "transformmatrix", "rotation", "orientation", "centerofrotation", "anatomicalorientation",
    "binarydata", "binarydatabyteordermsb", "elementbyteordermsb", "compresseddata", "compresseddatasize", "compressionlevel",
    "headersize", "elementdatafile", "elementtointensityfunctionslope", "elementtointensityfunctionoffset", "elementnbits",
    "elementmin", "elementmax", "modality", "id", "parentid", "distanceunits",
}  # fmt: skip
_UNITS_MM = {"mm": 1.0, "millimeter": 1.0, "um": 1e-3, "cm": 10.0, "centimeter": 10.0, "m": 1e3, "meter": 1e3, "?": 1.0, "": 1.0}


def read_metaimage(path: Path) -> ImageHeader:
    """Read the header of a MetaImage.

    Raises:
        InputError: it is not a MetaImage, or its header is damaged (the message names the entry).
    """
    fields, entries, data_offset = _fields(path)
    dimension = _dimension(path, fields)
    sizes = whole_numbers(path, "DimSize", fields.get("dimsize", ""), dimension)
    element = fields.get("elementtype", "").upper()
    if element not in _TYPES:
        raise InputError(f"{path.name} contains voxels of the type “{shown(element)}”, which is not supported; export it again.")
    big = _truth(path, fields, "BinaryDataByteOrderMSB", "ElementByteOrderMSB")
    compressed = _truth(path, fields, "CompressedData")
    encoding = Encoding.DEFLATE if compressed else Encoding.RAW
    if not _truth(path, fields, "BinaryData", default=True):
        encoding = Encoding.TEXT
    dtype = np.dtype(_TYPES[element]).newbyteorder(">" if big else "<")
    (channels,) = whole_numbers(path, "ElementNumberOfChannels", fields.get("elementnumberofchannels", "1"), 1)
    payloads = _payloads(path, fields, sizes, data_offset, encoding)
    slope = finite_numbers(path, "ElementToIntensityFunctionSlope", fields.get("elementtointensityfunctionslope", "1"), 1)[0]
    offset = finite_numbers(path, "ElementToIntensityFunctionOffset", fields.get("elementtointensityfunctionoffset", "0"), 1)[0]
    if slope == 0:
        raise InputError(
            f"{path.name} states ElementToIntensityFunctionSlope = 0, which would make all voxels equal; export it again."
        )
    return ImageHeader(
        path=path,
        sizes=sizes,
        dtype=dtype,
        ijk_to_ras=_placed(path, fields, dimension),
        payloads=payloads,
        components=channels,
        slope=slope,
        intercept=offset,
        entries=entries,
        warnings=_size_warning(path, fields, payloads),
    )


def _fields(path: Path) -> tuple[dict[str, str], dict[str, str], int]:
    """The `_STRUCTURE` entries by lower-case key, the other entries as written, and the offset where the header ends."""
    with open_regular(path) as stream:
        start = stream.read(MOST_HEADER_BYTES)
    damaged = not_such_a_file(path, start, "MetaImage")
    if b"NDims" not in start[:8192]:
        raise damaged
    fields: dict[str, str] = {}
    entries: dict[str, str] = {}
    place = 0
    while True:
        end = start.find(b"\n", place)
        if end < 0:
            raise damaged
        line = start[place:end].decode("utf-8", "replace").rstrip("\r")
        place = end + 1
        if not line.strip():
            continue
        key, separator, value = line.partition("=")
        key, value = key.strip(), value.strip()
        if not separator or not key:
            raise damaged
        if key.lower() not in _STRUCTURE:
            entries.setdefault(key, value)
        elif fields.setdefault(key.lower(), value) != value:
            raise InputError(f"{path.name} states {shown(key)} twice, with different values; export it again.")
        if key.lower() == "elementdatafile":
            return fields, entries, place


def _dimension(path: Path, fields: dict[str, str]) -> int:
    (dimension,) = whole_numbers(path, "NDims", fields.get("ndims", ""), 1)
    if not 2 <= dimension <= 4:
        raise InputError(f"{path.name} states NDims = {dimension}; only images of 2 to 4 dimensions are supported.")
    return dimension


def _truth(path: Path, fields: dict[str, str], *keys: str, default: bool = False) -> bool:
    for key in keys:
        if (text := fields.get(key.lower())) is not None:
            if text.lower() in ("true", "1", "t"):
                return True
            if text.lower() in ("false", "0", "f"):
                return False
            raise InputError(f"{path.name} states {key} = “{shown(text)}”, which is neither True nor False; export it again.")
    return default


def _placed(path: Path, fields: dict[str, str], dimension: int) -> np.ndarray | None:
    """The IJK→RAS matrix of the first three axes, mm; None if no voxel size is stated."""

    def of(names: tuple[str, ...], count: int, default: np.ndarray) -> np.ndarray:
        name = next((name for name in names if name.lower() in fields), None)
        return default if name is None else np.array(finite_numbers(path, name, fields[name.lower()], count))

    if "elementspacing" not in fields and "elementsize" not in fields:
        return None
    unit = fields.get("distanceunits", "").lower()
    if unit not in _UNITS_MM:
        raise InputError(f"{path.name} states distances in “{shown(unit)}”, which is not supported; export it in mm.")
    spacing = of(("ElementSpacing", "ElementSize"), dimension, np.ones(dimension)) * _UNITS_MM[unit]
    origin = of(("Offset", "Position", "Origin"), dimension, np.zeros(dimension)) * _UNITS_MM[unit]
    # Each row of the matrix is the direction of one axis.
    directions = of(("TransformMatrix", "Rotation", "Orientation"), dimension**2, np.eye(dimension).ravel())
    used = min(dimension, 3)
    lps = np.eye(4)
    lps[:used, :used] = directions.reshape(dimension, dimension)[:used, :used].T * spacing[:used]
    lps[:used, 3] = origin[:used]
    return LPS_TO_RAS @ lps


def _payloads(
    path: Path, fields: dict[str, str], sizes: tuple[int, ...], data_offset: int, encoding: Encoding
) -> tuple[Payload, ...]:
    name = fields["elementdatafile"]
    (header_size,) = whole_numbers(path, "HeaderSize", fields.get("headersize", "0"), 1, least=-1)
    skip: int | None = None if header_size < 0 else header_size
    if skip is None and encoding is not Encoding.RAW:
        raise InputError(f"{path.name} states HeaderSize = -1, which is valid only for uncompressed voxels; export it again.")
    if name.upper() in ("LOCAL", "LOCAL "):
        return (Payload(path, None if skip is None else data_offset + skip, encoding),)
    if name.split()[:1] == ["LIST"]:
        return _listed(path, name, sizes, data_offset, skip, encoding)
    if "%" in name or (len(name.split()) > 1 and not exists(path.parent / name)):
        raise InputError(f"{path.name} names its data files with the pattern “{shown(name)}”; convert it to one .mha file.")
    return (Payload(plain_neighbour(path, name), skip, encoding),)


def _listed(
    path: Path, name: str, sizes: tuple[int, ...], data_offset: int, skip: int | None, encoding: Encoding
) -> tuple[Payload, ...]:
    """The data files of a LIST: one per slice, or, with LIST 3, one per volume."""
    with open_regular(path) as stream:
        stream.seek(data_offset)
        lines = stream.read(MOST_HEADER_BYTES * 8).decode("utf-8", "replace").splitlines()
    names = [line.strip() for line in lines if line.strip()]
    words = name.split()
    within = whole_numbers(path, "ElementDataFile = LIST", words[1], 1)[0] if len(words) > 1 else len(sizes) - 1
    needed = int(np.prod(sizes[within:])) if 1 <= within < len(sizes) else 0
    if len(names) != needed or needed > _MOST_LIST_FILES:
        raise InputError(f"{path.name} lists {len(names)} data files, but its sizes need {needed}; copy all of its files.")
    return tuple(Payload(plain_neighbour(path, one), skip, encoding) for one in names)


def _size_warning(path: Path, fields: dict[str, str], payloads: tuple[Payload, ...]) -> tuple[str, ...]:
    """Check the size of the compressed voxels. It is not needed to read them, but a wrong size shows that the file was changed."""
    if "compresseddatasize" not in fields or len(payloads) > 1 or payloads[0].encoding is not Encoding.DEFLATE:
        return ()
    (stated,) = whole_numbers(path, "CompressedDataSize", fields["compresseddatasize"], 1)
    payload = payloads[0]
    try:
        found = payload.path.stat().st_size - (payload.offset or 0)
    except OSError:
        return ()
    if stated == found:
        return ()
    return (f"{path.name} states {stated} bytes of compressed voxels but contains {found}; check that it is complete.",)
