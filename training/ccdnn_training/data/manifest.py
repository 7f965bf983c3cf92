"""The series of each subject, from a manifest or from a folder with a sub-folder for each subject.

A manifest is a CSV file with the columns subject, t1, t2, gre, stir. Paths are relative to the manifest and may be anything the
engine reads: a file, a folder with a single series, or FOLDER::ROW, a row of the table that `ccdnn inspect FOLDER` prints.
Optional columns:

- person: who was imaged, if one person has several subjects (two knees, two visits);
- regions: a label map on the STIR's grid with the tissues to measure, and the labels' names in a JSON file of the same name next
  to it, {"1": "fat", …};
- lesion: the subject's lesion, by the name of its label in the regions. Such a subject is never trained on.

In a folder of studies the engine identifies T1-w, T2-w, GRE and STIR, as it does for `ccdnn synthesize`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ccdnn.csv_file import read_csv
from ccdnn.errors import InputError
from ccdnn.selection import ROW_SEPARATOR, Selector
from ccdnn.series import Role, Series
from ccdnn.study import choose_roles, read_study
from ccdnn_training.physics.protocol import CONTRASTS

COLUMNS = ("subject", *CONTRASTS)
MANIFEST_COLUMNS = (*COLUMNS, "regions", "lesion")  # of the manifests written by this package

# A subject's name becomes a file name, which must be valid on any system.
_NAME = re.compile(r"\w[\w .-]*", re.ASCII)
_PROBLEMS_SHOWN = 3


@dataclass(frozen=True)
class SubjectSource:
    """The four series of a subject by contrast, with pixels not read yet; its label map and its lesion, if any."""

    name: str
    person: str
    series: Mapping[str, Series]
    regions: Path | None = None
    lesion: str = ""


@dataclass(frozen=True)
class Source:
    """Complete subjects, and one sentence for each problem of the others."""

    subjects: tuple[SubjectSource, ...]
    problems: tuple[str, ...]


def read_source(path: Path) -> Source:
    """The subjects of a manifest or of a folder of studies.

    Raises:
        InputError: there is neither, or it has no subjects.
    """
    if path.is_dir():
        return _from_folder(path)
    if not path.exists():
        raise InputError(f"{path} does not exist; give a manifest (CSV) or a folder with a sub-folder for each subject.")
    return _from_manifest(path)


# --------------------------------------------------------------------------------------------------------------- manifest


def _from_manifest(path: Path) -> Source:
    rows = _rows(path)
    selector = Selector(None)
    subjects, problems = [], list(_name_problems(path, [row["subject"] for row in rows]))
    for row in rows:
        series = {}
        for contrast in CONTRASTS:
            label = Role(contrast).label
            if not row[contrast]:
                problems.append(f"{row['subject']} has no {label}: the column {contrast} is empty.")
                continue
            try:
                found = selector.one(str(path.parent / row[contrast]))
                problem = found.problem or (_SINGLE_SLICE if _slices(found) < 2 else None)
            except InputError as error:
                problem = str(error)
            if problem:
                problems.append(f"{row['subject']}, {label} ({row[contrast]}): {problem}")
            else:
                series[contrast] = found
        regions = path.parent / row["regions"] if row.get("regions") else None
        if regions and not regions.is_file():
            problems.append(f"{row['subject']}, regions ({row['regions']}): the file does not exist.")
        elif len(series) == len(CONTRASTS):
            person = row.get("person") or row["subject"]
            subjects.append(SubjectSource(row["subject"], person, series, regions, row.get("lesion", "")))
    return Source(tuple(subjects), tuple(problems))


_SINGLE_SLICE = "it is a single slice; a volume of several slices is needed."


def _rows(path: Path) -> list[dict[str, str]]:
    columns, rows = read_csv(path)
    if missing := [column for column in COLUMNS if column not in map(str.lower, columns)]:
        raise InputError(f"{path} is missing the column {' and '.join(missing)}; a manifest begins with {','.join(COLUMNS)}.")
    rows = [{key.lower(): value for key, value in row.items() if key} for row in rows]
    if not rows:
        raise InputError(f"{path} has no rows below its header; add one for each subject.")
    return rows


# ----------------------------------------------------------------------------------------------------------------- folder


def _from_folder(path: Path) -> Source:
    folders = sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not folders:
        raise InputError(f"{path} has no sub-folders; put each subject's series into its own folder, or write a manifest.")
    subjects, problems = [], list(_name_problems(path, [folder.name for folder in folders]))
    for folder in folders:
        try:
            study = read_study(folder)
        except InputError as error:
            problems.append(f"{folder.name}: {error}")
            continue
        try:
            roles = choose_roles(study.series, [Role(contrast) for contrast in CONTRASTS])
        except InputError:
            reported = [*study.problems, *(found.problem for found in study.series if found.problem)]
            why = list(_unsettled(folder, study.series)) or ["its series come from different examinations; keep only one of them."]
            problems += [f"{folder.name}: {sentence}" for sentence in [*why, *reported[:_PROBLEMS_SHOWN]]]
            continue
        subjects.append(SubjectSource(folder.name, folder.name, {contrast: roles[Role(contrast)] for contrast in CONTRASTS}))
    return Source(tuple(subjects), tuple(problems))


def _unsettled(folder: Path, series: Sequence[Series]) -> Iterator[str]:
    """One sentence for every role without a series, or with more than one."""
    for role in map(Role, CONTRASTS):
        rows = [
            row
            for row, found in enumerate(series, start=1)
            if found.role is role and found.problem is None and _slices(found) > 1 and found.time_point in (None, 1)
        ]
        if not rows:
            yield f"there is no {role.label} series; add it, or name the series in a manifest (rows of `ccdnn inspect {folder}`)."
        elif len(rows) > 1:
            candidates = " or ".join(f"{folder}{ROW_SEPARATOR}{row}" for row in rows)
            yield f"{len(rows)} series match {role.label}; choose one in a manifest: {candidates}."


# ------------------------------------------------------------------------------------------------------------------- both


def _slices(series: Series) -> int:
    """The number of slices; 0 if the series has no grid."""
    return series.grid.shape[0] if series.grid else 0


def _name_problems(path: Path, names: Sequence[str]) -> Iterator[str]:
    seen: dict[str, str] = {}
    for row, name in enumerate(names, start=1):
        if not _NAME.fullmatch(name):
            yield (
                f"The subject {name!r} ({path.name}, number {row}) is not a valid file name; use only letters without accents, "
                "digits, spaces and . _ -."
            )
        if (other := seen.setdefault(name.casefold(), f"{name} (number {row})")) != f"{name} (number {row})":
            yield f"{name} (number {row}) is the same subject as {other}; give every subject one row and a unique name."
