"""Ways to damage a file at random. Each takes the content, the length of the header and a random generator."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import numpy as np
import pydicom
from pydicom.dataelem import RawDataElement

# Replacements for a header field: implausible numbers, other kinds of text, and values that break careless parsers.
NASTY = (
    b"", b"0", b"-1", b"1", b"2", b"3", b"4", b"5", b"17", b"nan", b"inf", b"-inf", b"1e400", b"1e-400", b"1e9",
    b"9" * 30, b"9" * 400, b"1000000000000", b"2147483648", b"-2147483649", b"0x10", b"1,5", b"1.5", b"1 1 1 1 1 1 1 1 1",
    b"%s%s%n", b"%d.raw", b"../x.raw", b"/etc/passwd", b"LIST", b"LOCAL", b"true", b"none", b"((((",
    b"\0", b"\xe9", b"\xff\xfe", b"\x1b[31m", b"=1+1", b"\t", b"\\n" * 50,
)  # fmt: skip


NASTY_JSON = (
    b"null", b"true", b"0", b"-1", b"1.5", b"1e400", b"-0.0", b"NaN", b"Infinity", b"9" * 400, b"9" * 5000, b'""', b'"\\u0000"',
    b'"\\ud800"', b'"\\u001b[31m"', b'"../../etc/passwd"', b'"/etc/passwd"', b'"' + b"a" * 100_000 + b'"', b"[]", b"{}", b"[[]]",
    b'{"a": {"b": []}}', b"[" * 3000 + b"]" * 3000, b"[" * 100_000, b'{"__proto__": 1}', b"[1, 2, 3, 4, 5, 6, 7, 8, 9]",
)  # fmt: skip


def flip_header_bits(content: bytes, header: int, rng: np.random.Generator) -> bytes:
    return _flipped(content, 0, header, rng)


def flip_voxel_bits(content: bytes, header: int, rng: np.random.Generator) -> bytes:
    return _flipped(content, header, len(content), rng)


def cut(content: bytes, header: int, rng: np.random.Generator) -> bytes:
    """Truncate the file anywhere, like an interrupted copy."""
    return content[: int(rng.integers(0, len(content)))]


def zero_a_block(content: bytes, header: int, rng: np.random.Generator) -> bytes:
    """Imitate a lost disk block."""
    start = int(rng.integers(0, len(content)))
    length = int(rng.integers(1, 512))
    return content[:start] + b"\0" * min(length, len(content) - start) + content[start + length :]


def remove_some_bytes(content: bytes, header: int, rng: np.random.Generator) -> bytes:
    start = int(rng.integers(0, len(content)))
    return content[:start] + content[start + int(rng.integers(1, 64)) :]


def insert_some_bytes(content: bytes, header: int, rng: np.random.Generator) -> bytes:
    start = int(rng.integers(0, len(content)))
    return content[:start] + rng.bytes(int(rng.integers(1, 64))) + content[start:]


def append_bytes(content: bytes, header: int, rng: np.random.Generator) -> bytes:
    return content + rng.bytes(int(rng.integers(1, 4096)))


def replace_by_noise(content: bytes, header: int, rng: np.random.Generator) -> bytes:
    return rng.bytes(int(rng.integers(0, 4096)))


def replace_a_word(content: bytes, header: int, rng: np.random.Generator) -> bytes:
    """Replace a word or number of a text header."""
    words = list(re.finditer(rb"[^\s=:(),]+", content[:header]))
    if not words:
        return content
    word = words[int(rng.integers(len(words)))]
    return content[: word.start()] + NASTY[int(rng.integers(len(NASTY)))] + content[word.end() :]


def replace_a_value(content: bytes, header: int, rng: np.random.Generator) -> bytes:
    """Replace everything after a key."""
    lines = list(re.finditer(rb"(?<=[=:] )[^\n]*", content[:header]))
    if not lines:
        return content
    line = lines[int(rng.integers(len(lines)))]
    return content[: line.start()] + NASTY[int(rng.integers(len(NASTY)))] + content[line.end() :]


def drop_a_line(content: bytes, header: int, rng: np.random.Generator) -> bytes:
    lines = content[:header].splitlines(keepends=True)
    del lines[int(rng.integers(len(lines)))]
    return b"".join(lines) + content[header:]


def repeat_a_line(content: bytes, header: int, rng: np.random.Generator) -> bytes:
    lines = content[:header].splitlines(keepends=True)
    which = int(rng.integers(len(lines)))
    return b"".join([*lines[:which], *[lines[which]] * int(rng.integers(2, 2000)), *lines[which + 1 :]]) + content[header:]


def write_a_number(content: bytes, header: int, rng: np.random.Generator) -> bytes:
    """Overwrite a binary number of the header with an extreme one."""
    width = int(rng.choice([1, 2, 4, 8]))
    place = int(rng.integers(0, max(header - width, 1)))
    extremes = (0, 1, -1, 2 ** (8 * width - 1) - 1, 2 ** (8 * width - 1), 100)
    if width == 8 and rng.random() < 0.5:
        value = np.float64(rng.choice([np.nan, np.inf, -1e300, 1e300, 0, 1e-300])).tobytes()
    elif width == 4 and rng.random() < 0.5:
        value = np.float32(rng.choice([np.nan, np.inf, -1e30, 1e30, 0, 1e-30])).tobytes()
    else:
        value = (extremes[int(rng.integers(len(extremes)))] % 2 ** (8 * width)).to_bytes(width, "little")
    return content[:place] + value + content[place + width :]


def replace_a_dicom_value(content: bytes, header: int, rng: np.random.Generator) -> bytes:
    """Replace the value of one element; everything around it stays well-formed."""
    dataset = pydicom.dcmread(io.BytesIO(content), force=True)
    tags = [tag for tag in dataset.keys() if tag.group < 0x7FE0]  # noqa: SIM118
    tag = tags[int(rng.integers(len(tags)))]
    raw = dataset.get_item(tag)
    value = NASTY[int(rng.integers(len(NASTY)))]
    value += b" " * (len(value) % 2)
    if not isinstance(raw, RawDataElement):
        return replace_a_dicom_value(content, header, rng)
    dataset._dict[tag] = raw._replace(value=value, length=len(value))
    return _saved(dataset, content)


def remove_a_dicom_element(content: bytes, header: int, rng: np.random.Generator) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(content), force=True)
    tags = list(dataset.keys())
    del dataset[tags[int(rng.integers(len(tags)))]]
    return _saved(dataset, content)


def replace_a_json_value(content: bytes, header: int, rng: np.random.Generator) -> bytes:
    """Replace a JSON value by one of another type, or by one that is too long, too deep or too large."""
    values = list(re.finditer(rb'(?<=: )("[^"]*"|-?[\d.]+|true|false|null|\[|\{)', content))
    if not values:
        return content
    value = values[int(rng.integers(len(values)))]
    if value[0] in (b"[", b"{"):
        return content[: value.start()] + NASTY_JSON[int(rng.integers(len(NASTY_JSON)))] + b"," + content[value.end() :]
    return content[: value.start()] + NASTY_JSON[int(rng.integers(len(NASTY_JSON)))] + content[value.end() :]


def replace_all_by_json(content: bytes, header: int, rng: np.random.Generator) -> bytes:
    return NASTY_JSON[int(rng.integers(len(NASTY_JSON)))]


def repeat_a_key(content: bytes, header: int, rng: np.random.Generator) -> bytes:
    keys = list(re.finditer(rb'"[^"]*": ', content))
    if not keys:
        return content
    key = keys[int(rng.integers(len(keys)))]
    return content[: key.start()] + key[0] + NASTY_JSON[int(rng.integers(len(NASTY_JSON)))] + b", " + content[key.start() :]


def _saved(dataset: pydicom.Dataset, otherwise: bytes) -> bytes:
    target = io.BytesIO()
    try:
        with pydicom.config.disable_value_validation():
            dataset.save_as(target)
    except Exception:  # pydicom refuses to write it; other kinds of damage cover such values
        return otherwise
    return target.getvalue()


def _flipped(content: bytes, start: int, end: int, rng: np.random.Generator) -> bytes:
    if end <= start:
        return content
    damaged = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        damaged[int(rng.integers(start, end))] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


Damage = Callable[[bytes, int, np.random.Generator], bytes]

ANYWHERE: tuple[Damage, ...] = (
    flip_header_bits, flip_voxel_bits, cut, zero_a_block, remove_some_bytes, insert_some_bytes, append_bytes, replace_by_noise,
)  # fmt: skip
OF_TEXT: tuple[Damage, ...] = (replace_a_word, replace_a_value, drop_a_line, repeat_a_line)
OF_BINARY: tuple[Damage, ...] = (write_a_number,)
OF_DICOM: tuple[Damage, ...] = (write_a_number, replace_a_dicom_value, replace_a_dicom_value, remove_a_dicom_element)
OF_JSON: tuple[Damage, ...] = (replace_a_json_value, replace_all_by_json, repeat_a_key)
# Damage that changes a few bytes of the voxels and none of the header.
OF_VOXELS: tuple[Damage, ...] = (flip_voxel_bits,)
