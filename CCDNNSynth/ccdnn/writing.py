"""Outputs that take the place of what stood there only when they are complete, and why one cannot be written."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from ccdnn.errors import OutputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` to write to, which takes its place when the block ends well and vanishes when it does not.

    Raises:
        OutputError: it cannot be created, flushed to disk or renamed.
    """
    temporary = _create_temporary(path)
    try:
        yield temporary
        # Some file systems report a full disk only when the data reach it.
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {_why(error)}.") from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """An empty folder beside `folder` to fill, which takes its place when the block ends well and vanishes when it does not.

    Whatever `folder` held before is then gone: ask first whether that is wanted.

    Raises:
        OutputError: it cannot be made, filled or renamed; `folder` is as it was.
    """
    make_folder(folder.parent)
    mark = uuid.uuid4().hex[:8]
    temporary, former = (folder.with_name(f".{folder.name}.{mark}.{kind}") for kind in ("part", "former"))
    try:
        temporary.mkdir()
        yield temporary
        if folder.exists():
            folder.rename(former)
        temporary.rename(folder)
    except OSError as error:
        if former.exists() and not folder.exists():
            former.rename(folder)
        raise OutputError(f"{folder} cannot be written: {_why(error)}.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if folder.exists():
            shutil.rmtree(former, ignore_errors=True)


def write_text(text: str, path: Path) -> None:
    """Write a UTF-8 text file.

    Raises:
        OutputError: see `replacing`.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(content: bytes, path: Path) -> None:
    """Write a file.

    Raises:
        OutputError: see `replacing`.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def make_folder(path: Path) -> None:
    """Create a folder and its parents where they are missing.

    Raises:
        OutputError: it cannot be created, or a file has its name.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {path} cannot be made: {_why(error)}.") from None


def new_folder(parent: Path, name: str) -> Path:
    """A folder of that name, or of that name and a number, that does not exist yet; it is not made."""
    return next(path for number in count(1) if not (path := parent / (name if number == 1 else f"{name}-{number}")).exists())


def require_writable(path: Path) -> None:
    """Find out before the work, not after it, that no file can be written at `path`.

    Raises:
        OutputError: saying why.
    """
    _create_temporary(path).unlink()


def suffix_of(path: Path) -> str:
    """The image suffix in lower case, ".nii.gz" in one piece."""
    return ".nii.gz" if path.name.lower().endswith(".nii.gz") else path.suffix.lower()


def stem_of(path: Path) -> str:
    """The file's name without its image suffix."""
    return path.name[: len(path.name) - len(suffix_of(path))]


def _create_temporary(path: Path) -> Path:
    """An empty file in the same folder, so that renaming is one step; it keeps the suffix, by which writers choose a format."""
    if path.is_dir():
        raise OutputError(f"{path} is a folder; give the name of a file to write.")
    if path.exists() and not os.access(path, os.W_OK):
        raise OutputError(f"{path} cannot be written: it is protected against writing.")
    temporary = path.with_name(f".{stem_of(path)}.{uuid.uuid4().hex[:8]}.part{suffix_of(path)}")
    try:
        temporary.touch(exist_ok=False)
    except OSError as error:
        reason = "there is no such folder" if isinstance(error, FileNotFoundError) else _why(error)
        raise OutputError(f"{path} cannot be written: {reason}.") from None
    return temporary


def _why(error: OSError) -> str:
    known = {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the disk quota is used up",
        errno.EACCES: "you have no permission to write there",
        errno.EPERM: "you have no permission to write there",
        errno.EROFS: "the disk is read-only",
        errno.EFBIG: "the file would be larger than is allowed there",
        errno.ENOTDIR: "a part of its path is a file",
        errno.EEXIST: "a file has its name",
    }
    return known.get(error.errno or 0, error.strerror or "the system refused")
