"""Reads the bytes of an image's voxels, and checks that there are neither too few nor too many."""

from __future__ import annotations

import binascii
import bz2
import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

try:
    from isal import isal_zlib as zlib  # twice as fast as Python's own
except ImportError:  # not available on this platform
    import zlib  # type: ignore[no-redef]

from ccdnn.errors import InputError
from ccdnn.opening import open_regular

# 2 GiB as float32: the largest MR volumes have a fifth of that.
MAX_VOXELS = 1 << 29

_BLOCK = 1 << 20

# What a decompressor raises for a damaged stream; isal's error is not typed.
_BROKEN: Any = (zlib.error, OSError, EOFError, ValueError)
_GZIP_OR_ZLIB = 15 | 32  # the largest window, either header
# The most bytes that one compressed byte can expand to. A header that needs more is wrong, and no memory is allocated for it.
_LARGEST_RATIO = {"deflate": 1040, "bzip2": 60_000}


class Encoding(Enum):
    RAW = "raw"
    DEFLATE = "deflate"  # gzip or zlib
    BZIP2 = "bzip2"
    TEXT = "text"  # numbers separated by white space
    HEX = "hex"


@dataclass(frozen=True)
class Payload:
    """The voxels of an image, or some of its slices, in a file.

    Args:
        path: the file.
        offset: where they begin; None if they are the last bytes of the file.
        encoding: how they are stored.
        skip: bytes to skip after decompression.
    """

    path: Path
    offset: int | None = 0
    encoding: Encoding = Encoding.RAW
    skip: int = 0

    def read(self, count: int, dtype: np.dtype[Any]) -> tuple[np.ndarray, int]:
        """Read `count` values, and count the bytes that follow them in the file.

        Raises:
            InputError: the file is missing or damaged, ends too soon, or is too small for so many values.
        """
        needed = count * dtype.itemsize
        with open_regular(self.path) as stream:
            size = os.fstat(stream.fileno()).st_size
            if self.encoding is Encoding.RAW:
                return self._read_raw(stream, size, needed, dtype)
            stream.seek(self.offset or 0)
            if self.encoding in (Encoding.TEXT, Encoding.HEX):
                return self._read_text(stream, size, count, dtype)
            if needed + self.skip > (size + 1) * _LARGEST_RATIO[self.encoding.value]:
                raise self._cut_short()
            content, extra = self._inflate(stream, needed)
        return np.frombuffer(content, dtype), extra

    def _read_raw(self, stream: BinaryIO, size: int, needed: int, dtype: np.dtype[Any]) -> tuple[np.ndarray, int]:
        offset = size - needed if self.offset is None else self.offset + self.skip
        if offset < 0 or size - offset < needed:
            raise self._cut_short()
        stream.seek(offset)
        values = np.fromfile(stream, dtype, needed // dtype.itemsize)
        if values.nbytes < needed:
            raise self._cut_short()
        return values, 0 if self.offset is None else size - offset - needed

    def _inflate(self, stream: BinaryIO, needed: int) -> tuple[memoryview, int]:
        """The bytes after `skip`, and the number of bytes after them. The stream must be complete."""
        wanted = self.skip + needed
        blocks, total = [], 0
        try:
            for block in _expanded(stream, bz2.BZ2Decompressor if self.encoding is Encoding.BZIP2 else _Inflater, wanted):
                if total < wanted:
                    blocks.append(block)
                total += len(block)
                if total - wanted > _BLOCK:  # far more than expected; the exact number does not matter
                    break
        except _BROKEN:
            raise self._cut_short() from None
        if total < wanted:
            raise self._cut_short()
        content = blocks[0] if len(blocks) == 1 else b"".join(blocks)
        return memoryview(content)[self.skip : wanted], total - wanted

    def _read_text(self, stream: BinaryIO, size: int, count: int, dtype: np.dtype[Any]) -> tuple[np.ndarray, int]:
        if count > size:  # a number has at least one digit
            raise self._cut_short()
        text = stream.read()
        try:
            if self.encoding is Encoding.HEX:
                content = binascii.unhexlify(b"".join(text.split()))
                needed = count * dtype.itemsize
                values, extra = np.frombuffer(content[:needed], dtype), max(len(content) - needed, 0)
            else:
                words = text.split()
                values, extra = np.array(words[:count], np.float64).astype(dtype), max(len(words) - count, 0)
        except (ValueError, binascii.Error):
            raise InputError(f"{self.path.name} is damaged: its voxels cannot be read as numbers; copy it again.") from None
        if len(values) < count:
            raise self._cut_short()
        return values, extra

    def _cut_short(self) -> InputError:
        return InputError(f"{self.path.name} is damaged or truncated: it ends before its last voxel; copy it again.")


class _Inflater:
    """Decompresses gzip and zlib, with the interface of `bz2.BZ2Decompressor`."""

    def __init__(self) -> None:
        self._inflater, self._tail, self._full = zlib.decompressobj(_GZIP_OR_ZLIB), b"", False

    def decompress(self, data: bytes, most: int) -> bytes:
        block = self._inflater.decompress(self._tail + data, most)
        self._tail, self._full = self._inflater.unconsumed_tail, len(block) == most
        return block

    @property
    def needs_input(self) -> bool:
        return not self._tail and not self._full and not self.eof

    @property
    def eof(self) -> bool:
        return self._inflater.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflater.unused_data


def _expanded(stream: BinaryIO, decompressor: type[_Inflater] | type[bz2.BZ2Decompressor], expected: int) -> Iterator[bytes]:
    """Decompress the members of a stream one after another, in blocks of at most the expected size.

    Bytes after the last member that do not begin another one are padding. They are counted, but not decompressed.

    Raises:
        EOFError: a member is incomplete.
        zlib.error, OSError: a member is damaged.
    """
    most = max(expected, _BLOCK)
    current, data = decompressor(), b""
    while True:
        if current.needs_input:
            data = data or stream.read(most)
            if not data:
                raise EOFError
        yield current.decompress(data, most)
        data = b""
        if current.eof:
            data = current.unused_data or stream.read(_BLOCK)
            if data[:2] not in (b"\x1f\x8b", b"BZ"):
                yield bytes(len(data))
                return
            current = decompressor()
