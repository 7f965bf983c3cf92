"""Opens untrusted files: only regular files, with limits on what is read."""

from __future__ import annotations

import io
import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

from ccdnn.errors import InputError
from ccdnn.text import shown

# A parser that reads a gibibyte of zeros eight bytes at a time would be busy for hours.
MOST_READS = 4_000_000
# More than any header value, or any image of a body, has.
MOST_BYTES_AT_ONCE = 4 << 30


class _RegularFile(io.BufferedReader):
    """A file that stops a misled parser: at a length beyond its end, or at endless content."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(io.FileIO(descriptor, "rb"))
        self._size = os.fstat(descriptor).st_size
        self._reads = 0

    def read(self, size: int | None = -1) -> bytes:
        self._reads += 1
        if self._reads > MOST_READS:
            raise EOFError("it has more entries than can be read")
        if size is None or size < 0 or size > io.DEFAULT_BUFFER_SIZE:
            # Python would first allocate as much as a damaged length requests.
            left = max(self._size - self.tell(), 0)
            size = left if size is None or size < 0 else min(size, left)
            if size > MOST_BYTES_AT_ONCE:
                raise EOFError("it is larger than any image")
        return super().read(size) or b""  # some system files have nothing to read yet


def open_regular(path: Path) -> BinaryIO:
    """Open the file at `path` for reading. A pipe or a device could hang or never end, so it is refused without waiting for it.

    Raises:
        InputError: there is no such file, it cannot be read, or it is not a regular one.
    """
    try:
        # Without O_NONBLOCK, opening a pipe waits for its other end. Windows has neither the flag nor such files.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{path} cannot be read: {reason}.") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InputError(f"{path} is not a regular file, so it cannot be read.")
        return _RegularFile(descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def exists(path: Path) -> bool:
    """Whether the path exists; False, instead of an error, for an impossible path."""
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, or with a NUL
        return False


def is_file(path: Path) -> bool:
    """Whether the path is a regular file, under the same rule."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def read_text(path: Path, limit: int) -> str:
    """A small text file: UTF-8 or UTF-16 with or without a byte-order mark.

    Args:
        limit: maximum size in bytes.

    Raises:
        InputError: see `open_regular`; or it is larger than `limit`, or not text.
    """
    with open_regular(path) as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise InputError(f"{path} is larger than {limit // 1024} KiB, which is more than such a file can contain.")
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file in UTF-8; save it again with that encoding.") from None


def read_json(path: Path, limit: int) -> Any:
    """The content of a small JSON file, in which no object repeats a key.

    Raises:
        InputError: see `read_text`; or it is not valid JSON.
    """
    text = read_text(path, limit)
    try:
        return json.loads(text, object_pairs_hook=_without_repeats)
    except _RepeatedKey as error:
        raise InputError(f"{path} states “{shown(error)}” twice; keep one of them.") from None
    except (ValueError, RecursionError):
        raise InputError(f"{path} is not valid JSON; repair it or fetch it again.") from None


class _RepeatedKey(Exception):
    pass


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _RepeatedKey(next(key for key in keys if keys.count(key) > 1))
    return found


_KINDS = {
    b"PK\x03\x04": "an archive (zip); unpack it and give the folder",
    b"Rar!": "an archive (rar); unpack it and give the folder",
    b"7z\xbc\xaf": "an archive (7z); unpack it and give the folder",
    b"\x1f\x8b": "an archive (gzip); unpack it and give the file or folder",
    b"BZh": "an archive (bzip2); unpack it and give the file or folder",
    b"\xfd7zXZ": "an archive (xz); unpack it and give the file or folder",
    b"version https://git-lfs": "a Git LFS pointer instead of the file itself; fetch it with `git lfs pull`",
    b"/annex/objects": "a git-annex pointer instead of the file itself; fetch it with `git annex get`",
    b"<!DOCTYPE": "a web page instead of the file itself; download it again",
    b"<html": "a web page instead of the file itself; download it again",
}


def what_instead(start: bytes) -> str | None:
    """What a file is, by its first bytes, if it is not an image, and what to do; None if unknown."""
    if not start:
        return "empty"
    if start[257:262] == b"ustar":
        return "an archive (tar); unpack it and give the folder"
    return next((kind for magic, kind in _KINDS.items() if start.startswith(magic)), None)
