"""The files at a path, by kind: DICOM, other images, and files that should be one of these but are not."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ccdnn.errors import InputError
from ccdnn.files import READERS
from ccdnn.opening import exists, open_regular, what_instead
from ccdnn.text import shown
from ccdnn.writing import suffix_of

# Suffixes of DICOM files; most have none.
DICOM_SUFFIXES = (".dcm", ".dicom", ".dic", ".ima", ".acr")
# Suffixes of archives; office documents are zip files too.
_ARCHIVE_SUFFIXES = ("", ".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
# Enough to recognise a file by.
_START = 512
# Explicit value representations that can follow the first tag of a file without a preamble.
_REPRESENTATIONS = frozenset(
    b"AE AS AT CS DA DS DT FL FD IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV".split()
)
_FIRST_GROUPS = (0x0002, 0x0004, 0x0008, 0x0010)


@dataclass
class Found:
    """What a path contains.

    Args:
        dicom, images: files to read, in order of name, folder by folder.
        strays: files named like the DICOM files beside them that are not DICOM → what is wrong with each, a sentence.
        problems: a sentence for everything else that was not read and that a user should know about.
    """

    dicom: list[Path] = field(default_factory=list)
    images: list[Path] = field(default_factory=list)
    strays: dict[Path, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def search(path: Path) -> Found:
    """Search a file, or a folder with its subfolders, including links to folders; hidden files are skipped.

    Raises:
        InputError: there is no such path, or it is a single file of a kind that does not contain an image.
    """
    if not os.path.lexists(path):
        raise InputError(f"{path} does not exist.")
    if not exists(path):
        raise InputError(f"{path} is a link to something that does not exist.")
    found = Found()
    others: dict[Path, list[tuple[Path, bytes]]] = {}
    par_rec = 0
    for file in _files_in(path, found.problems):
        suffix = suffix_of(file)
        if suffix in READERS:
            found.images.append(file)
        elif suffix in (".par", ".rec"):
            par_rec += 1
        else:
            try:
                with open_regular(file) as stream:
                    start = stream.read(_START)
            except InputError as error:
                found.problems.append(str(error))
                continue
            if looks_like_dicom(start):
                found.dicom.append(file)
            else:
                others.setdefault(file.parent, []).append((file, start))
    if par_rec:
        found.problems.append(f"{par_rec} Philips PAR/REC files are not read; export the series as DICOM or NIfTI.")
    siblings: dict[Path, list[Path]] = {}
    for file in found.dicom:
        siblings.setdefault(file.parent, []).append(file)
    for folder, files in others.items():
        names = _Names(siblings.get(folder, []))
        for file, start in files:
            _place(file, start, names, found, alone=file == path)
    return found


def looks_like_dicom(start: bytes) -> bool:
    """Whether a file starts as DICOM does: "DICM" after a preamble, or, kept without one, a plausible first element."""
    if start[128:132] == b"DICM":
        return True
    if len(start) < 16:
        return False
    if start[:2] == b"\x00\x08":  # big endian
        return start[4:6] in _REPRESENTATIONS
    group, element = (int.from_bytes(start[n : n + 2], "little") for n in (0, 2))
    if group not in _FIRST_GROUPS or element > 0x1000:
        return False
    # An implicit element's length in place of the two letters: short, and followed by another element of the first groups.
    length = int.from_bytes(start[4:8], "little")
    if start[4:6] in _REPRESENTATIONS:
        return True
    if length % 2 or length > 256:
        return False
    following = start[8 + length : 10 + length]
    return len(following) == 2 and int.from_bytes(following, "little") in (*_FIRST_GROUPS, 0x0018, 0x0020, 0x0028)


class _Names:
    """The naming pattern of a folder's DICOM files."""

    def __init__(self, files: list[Path]) -> None:
        self._patterns = {_pattern(file) for file in files}
        self._usual = Counter(suffix_of(file) for file in files).most_common(1)[0][0] if files else ""

    def include(self, file: Path) -> bool:
        """Whether a file is named like them; False if there are none."""
        suffix = suffix_of(file)
        return bool(self._patterns) and (
            suffix in DICOM_SUFFIXES
            or _pattern(file) in self._patterns
            or (suffix == self._usual != "" and not suffix[1:].isalpha())
        )


def _place(file: Path, start: bytes, names: _Names, found: Found, alone: bool) -> None:
    """A file that is neither an image nor DICOM: damaged if its name suggests that it is one, else ignored or reported."""
    instead = what_instead(start)
    if names.include(file):
        why = instead or ("truncated" if len(start) < 132 else "not a DICOM file")
        found.strays[file] = f"{file.name}, which is named like a slice, is {why}; copy it again from its source."
    elif instead and (alone or suffix_of(file) in DICOM_SUFFIXES or _is_named_archive(file, instead)):
        found.problems.append(f"{file.name} is {instead}.")
    elif alone:
        found.problems.append(f"{file.name} is not a supported image file; expected NIfTI, NRRD, MetaImage or DICOM.")


def _is_named_archive(file: Path, instead: str) -> bool:
    return instead.startswith("an archive") and file.suffix.lower() in _ARCHIVE_SUFFIXES


def _pattern(path: Path) -> str:
    """The name with each run of digits, or of hexadecimal digits, as one character."""
    return re.sub(r"\b[0-9a-f]{8,}\b|\d+", "#", path.name.lower())


def _files_in(path: Path, problems: list[str]) -> Iterator[Path]:
    """`path` itself, or the regular files below it in order of name. A folder reached through a link is not entered again."""
    if not path.is_dir():
        yield path
        return
    seen: set[tuple[int, int]] = set()

    def unreadable(error: OSError) -> None:
        problems.append(f"The folder {shown(error.filename or path, longest=None)} cannot be read: {error.strerror}.")

    for folder, subfolders, names in os.walk(path, followlinks=True, onerror=unreadable):
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in seen:
            subfolders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            file = Path(folder, name)
            if not name.startswith(".") and _is_regular(file):
                yield file


def _is_regular(file: Path) -> bool:
    """Pipes, sockets and devices are not images. A dangling link is reported when it is opened."""
    try:
        return stat.S_ISREG(file.stat().st_mode)
    except OSError:
        return True
