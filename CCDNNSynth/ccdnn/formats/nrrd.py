"""NRRD headers (.nrrd, .nhdr): lines of "field: value" or "key:=value" up to an empty line.

Format: http://teem.sourceforge.net/nrrd/format.html
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ccdnn.errors import InputError
from ccdnn.formats.image import ImageHeader, not_such_a_file, plain_neighbour
from ccdnn.formats.numbers import finite_numbers, whole_numbers
from ccdnn.formats.payload import Encoding, Payload
from ccdnn.opening import open_regular
from ccdnn.text import shown
from ccdnn.volume import LPS_TO_RAS

# A segmentation's header contains the terminology of every segment.
MOST_HEADER_BYTES = 1 << 20
_MOST_DATA_FILES = 4096
_MOST_LINES = 4096

_TYPES = {
    name: code
    for code, names in {
        "i1": ("signed char", "int8", "int8_t"),
        "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
        "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
        "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
        "i4": ("int", "signed int", "int32", "int32_t"),
        "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
        "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
        "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
        "f4": ("float",),
        "f8": ("double",),
    }.items()
    for name in names
}
_ENCODINGS = {
    "raw": Encoding.RAW,
    "gz": Encoding.DEFLATE,
    "gzip": Encoding.DEFLATE,
    "bz2": Encoding.BZIP2,
    "bzip2": Encoding.BZIP2,
    "txt": Encoding.TEXT,
    "text": Encoding.TEXT,
    "ascii": Encoding.TEXT,
    "hex": Encoding.HEX,
}
# Signs that convert the axes of a space to RAS. Scanner space is read as LPS, as in ITK.
_SPACES = {
    "right-anterior-superior": (1, 1, 1),
    "ras": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1),
    "las": (-1, 1, 1),
    "left-posterior-superior": (-1, -1, 1),
    "lps": (-1, -1, 1),
    "scanner-xyz": (-1, -1, 1),
    "": (-1, -1, 1),
}
_NO_SPACE = "{} states no orientation (space is unset); its axes are assumed to be left, posterior, superior."
_UNITS_MM = {
    "mm": 1.0, "millimeter": 1.0, "millimeters": 1.0, "millimetre": 1.0, "": 1.0,
    "um": 1e-3, "µm": 1e-3, "μm": 1e-3, "micron": 1e-3, "microns": 1e-3,
    "micrometer": 1e-3, "micrometers": 1e-3, "micrometre": 1e-3,
    "nm": 1e-6, "cm": 10.0, "centimeter": 10.0, "m": 1e3, "meter": 1e3, "meters": 1e3, "metre": 1e3,
}  # fmt: skip
# Kinds of axes that are not spatial.
_NOT_SPATIAL = ("list", "vector", "point", "covariant-vector", "normal", "stub", "time", "complex")
# All fields of the format. Any other name means a damaged header, in which a default could be wrong.
_FIELDS = {
    "dimension", "type", "block size", "encoding", "endian", "content", "min", "max", "old min", "old max", "data file",
    "line skip", "byte skip", "number", "sample units", "space", "space dimension", "space units", "space origin",
    "space directions", "measurement frame", "sizes", "spacings", "thicknesses", "axismins", "axismaxs", "centers",
    "centerings", "labels", "units", "kinds",
}  # fmt: skip
_ALIASES = {
    "blocksize": "block size",
    "datafile": "data file",
    "lineskip": "line skip",
    "byteskip": "byte skip",
    "oldmin": "old min",
    "oldmax": "old max",
    "axis mins": "axismins",
    "axis maxs": "axismaxs",
    "sampleunits": "sample units",
}
_VECTOR = re.compile(r"none|\([^()]*\)")


def read_nrrd(path: Path) -> ImageHeader:
    """Read the header of a NRRD file.

    Raises:
        InputError: it is not a NRRD file, or its header is damaged (the message names the field).
    """
    fields, entries, data_offset, listed = _fields(path)
    (dimension,) = whole_numbers(path, "dimension", fields.get("dimension", ""), 1)
    if not 2 <= dimension <= 4:
        raise InputError(f"{path.name} states dimension: {dimension}; only images of 2 to 4 dimensions are supported.")
    sizes = whole_numbers(path, "sizes", fields.get("sizes", ""), dimension)
    kind, encoding = fields.get("type", "").lower(), fields.get("encoding", "").lower()
    if kind not in _TYPES:
        raise InputError(f"{path.name} contains voxels of the type “{shown(kind)}”, which is not supported; export it again.")
    if encoding not in _ENCODINGS:
        raise InputError(f"{path.name} uses the encoding “{shown(encoding)}”, which is not supported; export it as gzip.")
    dtype = _dtype(path, _TYPES[kind], fields, _ENCODINGS[encoding])
    spatial = _spatial_axes(path, fields, dimension)
    components = int(np.prod([sizes[axis] for axis in range(dimension) if axis not in spatial and axis < min(spatial)], initial=1))
    ordered = tuple(sizes[axis] for axis in spatial)
    trailing = tuple(sizes[axis] for axis in range(dimension) if axis not in spatial and axis > min(spatial))
    return ImageHeader(
        path=path,
        sizes=(*ordered, *trailing),
        dtype=dtype,
        ijk_to_ras=_placed(path, fields, spatial, dimension),
        payloads=_payloads(path, fields, listed, data_offset, _ENCODINGS[encoding]),
        components=components,
        entries=entries,
        warnings=() if "space" in fields else (_NO_SPACE.format(path.name),),
    )


def _fields(path: Path) -> tuple[dict[str, str], dict[str, str], int, list[str]]:
    """The fields by name, the key–value pairs, the offset of the attached voxels, and the data files of a LIST."""
    with open_regular(path) as stream:
        start = stream.read(MOST_HEADER_BYTES)
    damaged = not_such_a_file(path, start, "NRRD")
    if not start.startswith(b"NRRD000"):
        raise damaged
    fields: dict[str, str] = {}
    entries: dict[str, str] = {}
    place = start.find(b"\n") + 1
    while place and place < len(start):
        end = start.find(b"\n", place)
        # A header without voxels may end without an empty line.
        line = start[place : end if end >= 0 else len(start)].decode("utf-8", "replace").rstrip("\r")
        place = end + 1 if end >= 0 else len(start)
        if not line:
            return fields, entries, place, []
        if line.startswith("#"):
            continue
        key, separator, value = line.partition(":=")
        name, colon, content = line.partition(": ")
        if separator and (not colon or len(key) < len(name)):
            entries.setdefault(key, _unescaped(value.strip()))
            continue
        if not colon and not line.endswith(":"):
            raise damaged
        name = name.rstrip(":").lower().strip()
        name = _ALIASES.get(name, name)
        if name not in _FIELDS:
            raise InputError(
                f"{path.name} states “{shown(name)}”, which is not a field of NRRD; its header is damaged, export it again."
            )
        if fields.setdefault(name, content.strip()) != content.strip():
            raise InputError(f"{path.name} states “{name}” twice, with different values; export it again.")
        if name == "data file" and content.split()[:1] == ["LIST"]:
            names = start[place:].decode("utf-8", "replace").splitlines()
            return fields, entries, place, [one.strip() for one in names if one.strip()]
    if len(start) == MOST_HEADER_BYTES:
        raise damaged
    return fields, entries, len(start), []


def _unescaped(text: str) -> str:
    return text.replace("\\n", " ").replace("\\\\", "\\")


def _dtype(path: Path, code: str, fields: dict[str, str], encoding: Encoding) -> np.dtype:
    dtype = np.dtype(code)
    if dtype.itemsize == 1 or encoding is Encoding.TEXT:
        return dtype
    endian = fields.get("endian", "").lower()
    if endian not in ("little", "big"):
        raise InputError(f"{path.name} states endian: “{shown(endian)}”, but little or big is needed; export it again.")
    return dtype.newbyteorder("<" if endian == "little" else ">")


def _spatial_axes(path: Path, fields: dict[str, str], dimension: int) -> list[int]:
    """The spatial axes, the fastest first."""
    if "space directions" in fields:
        vectors = _vectors(path, fields, dimension)
        axes = [axis for axis, vector in enumerate(vectors) if vector != "none"]
    else:
        kinds = fields.get("kinds", "").lower().split()
        named = kinds if len(kinds) == dimension else ["domain"] * dimension
        axes = [axis for axis, kind in enumerate(named) if not kind.startswith(_NOT_SPATIAL) and "color" not in kind]
        axes = axes if len(axes) >= 2 else list(range(dimension))
    return axes[:3] if len(axes) > 3 else axes


def _vectors(path: Path, fields: dict[str, str], dimension: int) -> list[str]:
    found = _VECTOR.findall(fields["space directions"])
    if len(found) != dimension or _VECTOR.sub("", fields["space directions"]).strip():
        raise InputError(
            f"{path.name} states space directions: “{shown(fields['space directions'])}”, but {dimension} vectors are needed; "
            "export it again."
        )
    return found


def _placed(path: Path, fields: dict[str, str], spatial: list[int], dimension: int) -> np.ndarray | None:
    """The IJK→RAS matrix of the spatial axes, mm; None if no voxel size is stated."""
    space = fields.get("space", "").lower().removesuffix("-time")
    if space not in _SPACES:
        raise InputError(f"{path.name} uses the space “{shown(space)}”, which is not supported; export it in LPS or RAS.")
    units = _unit_factors(path, fields)
    used = len(spatial)
    matrix = np.eye(4)
    if "space directions" in fields:
        vectors = _vectors(path, fields, dimension)
        (width,) = (
            (3,) if "space" in fields else whole_numbers(path, "space dimension", fields.get("space dimension", str(used)), 1)
        )
        columns = [_vector(path, "space directions", vectors[axis], width)[:3] for axis in spatial]
        matrix[: len(columns[0]), :used] = np.array(columns).T
        if "space origin" in fields:
            matrix[: len(columns[0]), 3] = _vector(path, "space origin", fields["space origin"], width)[:3]
        matrix[:3, :] *= np.array(units)[:, None]
        signs = np.diag([*_SPACES[space], 1.0])
        return signs @ matrix
    spacings = fields.get("spacings", "").split()
    if len(spacings) != dimension or any(spacings[axis].lower() == "nan" for axis in spatial):
        if spacings and len(spacings) != dimension:
            finite_numbers(path, "spacings", fields["spacings"], dimension)
        return None
    sizes = finite_numbers(path, "spacings", " ".join(spacings[axis] for axis in spatial), used)
    matrix[:used, :used] = np.diag(sizes) * units[0]
    if "space origin" in fields:
        matrix[:used, 3] = np.array(_vector(path, "space origin", fields["space origin"], used)) * units[0]
    return LPS_TO_RAS @ matrix


def _vector(path: Path, field: str, text: str, width: int) -> tuple[float, ...]:
    if not (text.startswith("(") and text.endswith(")")):
        raise InputError(f"{path.name} states {field}: “{shown(text)}”, but a vector such as (1,0,0) is needed; export it again.")
    words = [word.strip() for word in text[1:-1].split(",")]
    if len(words) == 2 * width:  # decimal commas
        raise InputError(f"{path.name} states {field}: “{shown(text)}” with decimal commas; export it again with decimal points.")
    return finite_numbers(path, field, " ".join(words), width)


def _unit_factors(path: Path, fields: dict[str, str]) -> list[float]:
    """Millimetres per unit of each axis of the space."""
    words = re.findall(r'"([^"]*)"', fields.get("space units", "")) or fields.get("space units", "").split()
    if not words:
        words = [word for word in re.findall(r'"([^"]*)"', fields.get("units", "")) if word] or [""]
    factors = []
    for word in (words * 3)[:3] if len(words) < 3 else words[:3]:
        if word.lower() not in _UNITS_MM:
            raise InputError(f"{path.name} states distances in “{shown(word)}”, which is not supported; export it in mm.")
        factors.append(_UNITS_MM[word.lower()])
    return factors


def _payloads(path: Path, fields: dict[str, str], listed: list[str], data_offset: int, encoding: Encoding) -> tuple[Payload, ...]:
    (lines,) = whole_numbers(path, "line skip", fields.get("line skip", "0"), 1, least=0)
    (skip,) = whole_numbers(path, "byte skip", fields.get("byte skip", "0"), 1, least=-1)
    if skip < 0 and encoding is not Encoding.RAW:
        raise InputError(f"{path.name} states byte skip: -1, which is valid only for raw voxels; export it again.")
    if lines > _MOST_LINES:
        raise InputError(f"{path.name} states line skip: {lines}, more than any file needs; export it again.")
    named = fields.get("data file")
    if named is None:
        return (_payload(path, data_offset, lines, skip, encoding),)
    if listed:
        if len(listed) > _MOST_DATA_FILES:
            raise InputError(f"{path.name} lists {len(listed)} data files, which is too many; convert it to one .nrrd file.")
        return tuple(_payload(plain_neighbour(path, one), 0, lines, skip, encoding) for one in listed)
    if "%" in named:
        raise InputError(f"{path.name} names its data files with the pattern “{shown(named)}”; convert it to one .nrrd file.")
    return (_payload(plain_neighbour(path, named), 0, lines, skip, encoding),)


def _payload(path: Path, offset: int, lines: int, skip: int, encoding: Encoding) -> Payload:
    if lines:
        with open_regular(path) as stream:
            stream.seek(offset)
            for _ in range(lines):
                if not stream.readline(MOST_HEADER_BYTES):
                    break
            offset = stream.tell()
    if skip < 0:
        return Payload(path, None, encoding)
    return Payload(path, offset, encoding, skip)
