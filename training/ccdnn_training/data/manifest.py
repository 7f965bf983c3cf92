"""Which series are whose: from a manifest, or from a folder with a sub-folder for each subject.

A manifest is a CSV file with the columns subject, t1, t2, gre, stir. Paths are relative to the manifest and may be anything the
engine reads: a file, a folder that holds a single series, or FOLDER::ROW, a row of the table that `ccdnn inspect FOLDER` prints.
Further columns that may be there:

- person: who was imaged, where one has several subjects (two knees, two visits);
- regions: a label map on the STIR's grid with the tissues to measure, the labels' names in a JSON file of the same name beside it,
  {"1": "fat", …};
- lesion: what is wrong with the subject, as its label in the regions is called. Such a subject is never trained on.

In a folder of studies the engine tells T1-w, T2-w, GRE and STIR apart, as it does for `ccdnn synthesize`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ccdnn.cli.selection import ROW_SEPARATOR, Selector
from ccdnn.csv_file import read_csv
from ccdnn.errors import InputError
from ccdnn.series import Role, Series
from ccdnn.study import choose_roles, read_study
from ccdnn_training.physics.protocol import CONTRASTS

COLUMNS = ("subject", *CONTRASTS)
MANIFEST_COLUMNS = (*COLUMNS, "regions", "lesion")  # of the manifests that are written here

# A subject's name becomes a file's name, on any system.
_NAME = re.compile(r"\w[\w .-]*", re.ASCII)
_PROBLEMS_TOLD = 3


@dataclass(frozen=True)
class SubjectSource:
    """The four series of a subject, by contrast, their pixels not read yet; its label map and its lesion, where it has them."""

    name: str
    person: str
    series: Mapping[str, Series]
    regions: Path | None = None
    lesion: str = ""


@dataclass(frozen=True)
class Source:
    """Subjects that are complete, and a sentence for everything that keeps others from being so."""

    subjects: tuple[SubjectSource, ...]
    problems: tuple[str, ...]


def read_source(path: Path) -> Source:
    """The subjects of a manifest or of a folder of studies.

    Raises:
        InputError: there is neither, or it has no subject at all.
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
                problem = found.problem or (_SINGLE_SLICE if found.grid.shape[0] < 2 else None)
            except InputError as error:
                problem = str(error)
            if problem:
                problems.append(f"{row['subject']}, {label} ({row[contrast]}): {problem}")
            else:
                series[contrast] = found
        regions = path.parent / row["regions"] if row.get("regions") else None
        if regions and not regions.is_file():
            problems.append(f"{row['subject']}, regions ({row['regions']}): there is no such file.")
        elif len(series) == len(CONTRASTS):
            person = row.get("person") or row["subject"]
            subjects.append(SubjectSource(row["subject"], person, series, regions, row.get("lesion", "")))
    return Source(tuple(subjects), tuple(problems))


_SINGLE_SLICE = "it is a single slice; a volume of several slices is needed."


def _rows(path: Path) -> list[dict[str, str]]:
    columns, rows = read_csv(path)
    if missing := [column for column in COLUMNS if column not in map(str.lower, columns)]:
        raise InputError(f"{path} lacks the column {' and '.join(missing)}; a manifest begins with a line {','.join(COLUMNS)}.")
    rows = [{key.lower(): value for key, value in row.items() if key} for row in rows]
    if not rows:
        raise InputError(f"{path} has no line below its header; write one for each subject.")
    return rows


# ----------------------------------------------------------------------------------------------------------------- folder


def _from_folder(path: Path) -> Source:
    folders = sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not folders:
        raise InputError(f"{path} has no sub-folders; put each subject's series into a folder of its own, or write a manifest.")
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
            told = [*study.problems, *(found.problem for found in study.series if found.problem)]
            why = list(_unsettled(folder, study.series)) or ["its series come from different examinations; keep one of them there."]
            problems += [f"{folder.name}: {sentence}" for sentence in [*why, *told[:_PROBLEMS_TOLD]]]
            continue
        subjects.append(SubjectSource(folder.name, folder.name, {contrast: roles[Role(contrast)] for contrast in CONTRASTS}))
    return Source(tuple(subjects), tuple(problems))


def _unsettled(folder: Path, series: Sequence[Series]) -> Iterator[str]:
    """A sentence for every role that no series plays, or more than one."""
    for role in map(Role, CONTRASTS):
        rows = [
            row
            for row, found in enumerate(series, start=1)
            if found.role is role and found.problem is None and found.grid.shape[0] > 1 and found.time_point in (None, 1)
        ]
        if not rows:
            yield f"there is no {role.label} series; add it, or name the series in a manifest (rows of `ccdnn inspect {folder}`)."
        elif len(rows) > 1:
            candidates = " or ".join(f"{folder}{ROW_SEPARATOR}{row}" for row in rows)
            yield f"{len(rows)} series fit as {role.label}; name the one that is meant in a manifest: {candidates}."


# ------------------------------------------------------------------------------------------------------------------- both


def _name_problems(path: Path, names: Sequence[str]) -> Iterator[str]:
    seen: dict[str, str] = {}
    for row, name in enumerate(names, start=1):
        if not _NAME.fullmatch(name):
            yield (
                f"The subject {name!r} ({path.name}, number {row}) cannot name a file; use letters without accents, digits, "
                "spaces and . _ - only."
            )
        if (other := seen.setdefault(name.casefold(), f"{name} (number {row})")) != f"{name} (number {row})":
            yield f"{name} (number {row}) is the same subject as {other}; give every subject one line and a name of its own."
