"""Which studies to process: one per subfolder of a folder, or one per row of a CSV file.

    study,folder,t1,t2,gre,reference,acquired,labels
    left-07,scans/07,,,,,,
    right-07,,dicom/7b::2,dicom/7b::3,none,,dicom/7b::5,labels/7b.nrrd

`study` names the result. `folder` is searched for the series that are not named; paths are relative to the CSV file. The other
columns mean what the options of `ccdnn synthesize` and `ccdnn measure` mean, so that one list serves both, and may be empty or
absent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ccdnn.csv_file import read_csv
from ccdnn.errors import InputError
from ccdnn.selection import NONE
from ccdnn.series import INPUT_ROLES, Role
from ccdnn.study_synthesis import StudyChoice

NAME, FOLDER, REFERENCE = "study", "folder", "reference"
COMPARED = ("acquired", "synthetic", "labels")
COLUMNS = (NAME, FOLDER, *(role.value for role in INPUT_ROLES), REFERENCE, *COMPARED)
_RESERVED = re.compile(r'[<>:"/\\|?*\x00-\x1f]')


@dataclass(frozen=True)
class NamedStudy:
    """A study and the name of its result.

    Args:
        choice: what to synthesise from.
        compared: "acquired", "synthetic", "labels" → the series to measure on, as `ccdnn.selection` reads it; those that are named.
    """

    name: str
    choice: StudyChoice
    compared: Mapping[str, str] = field(default_factory=dict)


def find_studies(source: Path, output: Path | None = None) -> list[NamedStudy]:
    """The studies in a folder or CSV file, in order of name or row.

    Args:
        output: where the results will be.

    Raises:
        InputError: `output` lies in the folder, where it would be taken for a study; or there is no such path,
            it contains no study, or a row cannot be used.
    """
    if source.is_dir():
        if output is not None and output.resolve().is_relative_to(source.resolve()):
            raise InputError(f"{output} lies in {source}, where a later run would take it for a study; name a folder elsewhere.")
        folders = sorted(path for path in source.iterdir() if path.is_dir() and not path.name.startswith("."))
        if not folders:
            raise InputError(f"{source} has no subfolders; --each expects one for each study, or a CSV file.")
        return [NamedStudy(path.name, StudyChoice(path)) for path in folders]
    columns, rows = read_csv(source)
    if NAME not in columns or not set(columns) <= set(COLUMNS):
        raise InputError(f"{source} needs the column {NAME!r}, and may have {', '.join(COLUMNS[1:])}; it has {', '.join(columns)}.")
    if not rows:
        raise InputError(f"{source} lists no study.")
    studies = [_study(row, number, source) for number, row in enumerate(rows, start=2)]
    seen: set[str] = set()
    for study in studies:
        if study.name.lower() in seen:  # the results would overwrite each other on systems that ignore case
            raise InputError(f"{source} names the study {study.name!r} twice; give each its own name.")
        seen.add(study.name.lower())
    return studies


def _study(row: dict[str, str], number: int, source: Path) -> NamedStudy:
    name, folder = row[NAME], row.get(FOLDER, "")
    if not name or _RESERVED.search(name) or name in (".", ".."):
        raise InputError(f"Row {number} of {source} needs a study name that can name a file, not {name!r}.")
    series = {role: _series(text, folder, source) for role in INPUT_ROLES if (text := row.get(role.value, ""))}
    compared = {what: _series(text, folder, source) for what in COMPARED if (text := row.get(what, ""))}
    if not folder and not series and not compared:
        raise InputError(f"Row {number} of {source} names neither a folder nor a series.")
    reference = row.get(REFERENCE, "") or Role.T1.value
    if reference not in [role.value for role in INPUT_ROLES]:
        reference = _series(reference, folder, source)
    return NamedStudy(name, StudyChoice(source.parent / folder if folder else None, series, reference), compared)


def _series(text: str, folder: str, source: Path) -> str:
    """A series as `Selector` reads it: "none", a row of the study, or a path relative to the CSV file."""
    return text if text == NONE or (text.isdecimal() and folder) else str(source.parent / text)
