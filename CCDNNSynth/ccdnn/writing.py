"""Writes outputs that replace existing ones only when they are complete, and reports why one cannot be written.

An incomplete output has a hidden name that identifies the process writing it. If that process is killed, the next one that writes
to the same place removes it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import re
import shutil
import stat
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from ccdnn.errors import OutputError

# Modes of a file for its owner only, and of one subject to the umask.
_PRIVATE, _SHARED = 0o600, 0o666
_LONGEST_STEM = 80
_LEFTOVER = re.compile(r"\.ccdnn-([0-9a-f]{8})-(\d+)-[0-9a-f]{8}\.")


@contextmanager
def replacing(path: Path, private: bool = False) -> Iterator[Path]:
    """A temporary file beside `path`, which replaces it if the block succeeds and is removed if it fails.

    A file that is replaced keeps its permissions; a link is kept and its target is replaced.

    Args:
        private: whether a new file is for its owner only.

    Raises:
        OutputError: it cannot be created, flushed to disk or renamed.
    """
    place = _place_of(path)
    temporary = _create_temporary(place, private)
    try:
        yield temporary
        _flush(temporary)
        if place.exists():
            shutil.copymode(place, temporary)
        temporary.replace(place)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {_why(error)}.") from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """An empty folder beside `folder`, which replaces it if the block succeeds and is removed if it fails.

    The previous content of `folder` is deleted: check first that this is wanted.

    Raises:
        OutputError: it cannot be created, filled or renamed; `folder` is unchanged.
    """
    make_folder(folder.parent)
    _remove_leftovers(folder)
    temporary, former = (_hidden(folder, kind) for kind in ("part", "former"))
    try:
        temporary.mkdir()
        yield temporary
        for path in temporary.rglob("*"):
            if path.is_file():
                _flush(path)
        if folder.exists():
            shutil.copymode(folder, temporary)
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


@contextmanager
def setting_aside(path: Path) -> Iterator[None]:
    """A file that is deleted if the block succeeds, and put back if it fails.

    Raises:
        OutputError: it cannot be moved.
    """
    former = _hidden(path, "former")
    try:
        path.rename(former)
    except OSError as error:
        raise OutputError(f"{path} cannot be removed: {_why(error)}.") from error
    try:
        yield
    except BaseException:
        former.replace(path)
        raise
    with suppress(OSError):  # the next output written here removes it
        former.unlink()


def write_text(text: str, path: Path, private: bool = False) -> None:
    """Write a UTF-8 text file.

    Raises:
        OutputError: see `replacing`.
    """
    with replacing(path, private) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_bytes(content: bytes, path: Path) -> None:
    """Write a file.

    Raises:
        OutputError: see `replacing`.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write several files into a folder that may contain others: all of them or none.

    Raises:
        OutputError: see `replacing`; every file of the folder is unchanged.
    """
    existed = folder.exists()
    make_folder(folder)
    waiting: list[tuple[Path, Path, Path]] = []
    placed: list[tuple[Path, Path]] = []
    try:
        for name, content in contents.items():
            place = _place_of(folder / name)
            temporary = _create_temporary(place, private=False)
            waiting.append((temporary, place, _hidden(place, "former")))
            temporary.write_bytes(content)
            _flush(temporary)
        for temporary, place, former in waiting:
            if place.exists():
                shutil.copymode(place, temporary)
                place.rename(former)
            placed.append((place, former))
            temporary.rename(place)
    except BaseException as error:
        for place, former in placed:
            if former.exists():
                former.replace(place)
            else:
                place.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OutputError(f"{folder} cannot be written: {_why(error)}.") from error
        raise
    finally:
        for temporary, _, former in waiting:
            temporary.unlink(missing_ok=True)
            former.unlink(missing_ok=True)
        if not existed and not any(folder.iterdir()):
            folder.rmdir()


def make_folder(path: Path) -> None:
    """Create a folder and its parents if they are missing.

    Raises:
        OutputError: it cannot be created, or a file has its name.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise OutputError(f"The folder {path} cannot be created: {_why(error)}.") from None


def new_folder(parent: Path, name: str) -> Path:
    """A folder of that name, or of that name and a number, that does not exist yet; it is not created."""
    return next(path for number in count(1) if not (path := parent / (name if number == 1 else f"{name}-{number}")).exists())


def require_writable(path: Path) -> None:
    """Check, before the work is done, that a file can be written at `path`.

    Raises:
        OutputError: it cannot; the message says why.
    """
    _create_temporary(_place_of(path), private=False).unlink()


def require_no_input(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Refuse to overwrite an input: files are compared, not their names, so links and other spellings count too.

    Raises:
        OutputError: an output is an input; the message names it.
    """
    read = {}
    for path in inputs:
        with suppress(OSError, ValueError):
            status = path.stat()
            read[status.st_dev, status.st_ino] = path
    for path in outputs:
        with suppress(OSError, ValueError):
            status = path.stat()
            if (found := read.get((status.st_dev, status.st_ino))) is not None:
                raise OutputError(f"{path} is an input of this run ({found.name}); choose another name for the result.")


def require_outside(path: Path, folder: Path) -> None:
    """Refuse a file inside a folder that is an output of its own.

    Raises:
        OutputError: the file is in the folder or below it.
    """
    if Path(os.path.realpath(folder)) in Path(os.path.realpath(path)).parents:
        raise OutputError(f"{path} lies in {folder}, which is another result; name a file outside it.")


def suffix_of(path: Path) -> str:
    """The image suffix in lower case, ".nii.gz" in one piece."""
    return ".nii.gz" if path.name.lower().endswith(".nii.gz") else path.suffix.lower()


def stem_of(path: Path) -> str:
    """The file's name without its image suffix."""
    return path.name[: len(path.name) - len(suffix_of(path))]


def _place_of(path: Path) -> Path:
    """The file that is written: the target of a link, whether it exists or not.

    Raises:
        OutputError: something other than a file is there.
    """
    try:
        place = Path(os.path.realpath(path)) if path.is_symlink() else path
        if place.is_symlink():
            raise OSError(errno.ELOOP, "")
        mode = place.stat().st_mode if place.exists() else None
    except (OSError, ValueError) as error:
        raise OutputError(f"{path} cannot be written: {_why(error)}.") from None
    if mode is not None and stat.S_ISDIR(mode):
        raise OutputError(f"{path} is a folder; give the name of a file to write.")
    if mode is not None and not stat.S_ISREG(mode):
        raise OutputError(f"{path} is not a regular file (a pipe or a device); give the name of a file to write.")
    if mode is not None and not os.access(place, os.W_OK):
        raise OutputError(f"{path} cannot be written: it is write-protected.")
    return place


def _create_temporary(path: Path, private: bool) -> Path:
    """An empty file in the same folder, so that renaming is one step; it keeps the suffix, by which writers choose a format."""
    _remove_leftovers(path)
    temporary = _hidden(path, "part")
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _PRIVATE if private else _SHARED))
    except (OSError, ValueError) as error:
        reason = "there is no such folder" if isinstance(error, FileNotFoundError) else _why(error)
        raise OutputError(f"{path} cannot be written: {reason}.") from None
    return temporary


def _hidden(path: Path, kind: str) -> Path:
    """A name for an incomplete output beside `path`, which identifies its process."""
    mark = f"ccdnn-{_machine()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    return path.with_name(f".{stem_of(path)[:_LONGEST_STEM]}.{mark}.{kind}{suffix_of(path)[:_LONGEST_STEM]}")


def _machine() -> str:
    """A word that identifies the machine without revealing its name. Folders are often shared between machines."""
    return hashlib.blake2b(platform.node().encode("utf-8", "replace"), digest_size=4).hexdigest()


def _remove_leftovers(path: Path) -> None:
    """Remove what an earlier process of this machine, killed since, was writing at `path`."""
    if sys.platform == "win32":  # there is no harmless way to check whether a process is alive
        return
    start = f".{stem_of(path)[:_LONGEST_STEM]}.ccdnn-{_machine()}-"
    with suppress(OSError, ValueError):
        for leftover in path.parent.iterdir():
            found = _LEFTOVER.search(leftover.name) if leftover.name.startswith(start) else None
            if found is None or _lives(int(found[2])):
                continue
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _flush(path: Path) -> None:
    """Some file systems report a full disk only when the data reach it."""
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def _why(error: OSError | ValueError) -> str:
    if not isinstance(error, OSError):
        return "its name contains a NUL character" if "null" in str(error) else str(error)
    known = {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the disk quota is used up",
        errno.EACCES: "you have no permission to write there",
        errno.EPERM: "you have no permission to write there",
        errno.EROFS: "the disk is read-only",
        errno.EFBIG: "the file would be larger than is allowed there",
        errno.ENOTDIR: "a part of its path is a file",
        errno.EEXIST: "a file has its name",
        errno.ELOOP: "its links form a loop",
    }
    return known.get(error.errno or 0, error.strerror or "the system refused")
