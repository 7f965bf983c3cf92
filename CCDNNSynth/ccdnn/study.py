"""The images at a path, and which of them play which role. Any mixture of DICOM, NIfTI, NRRD and MetaImage, in any folders."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ccdnn.errors import InputError
from ccdnn.files import read_header
from ccdnn.roles import assign
from ccdnn.search import search
from ccdnn.series import INPUT_ROLES, Role, Series
from ccdnn.volume import Volume

# A message lists no more than this.
LISTED_SERIES = 20
LISTED_PROBLEMS = 5


@dataclass(frozen=True)
class Study:
    """What was found at a path.

    Args:
        series: DICOM first, by series number, then the other files by name; including refused ones, with their `problem`.
        problems: a sentence for each file that could not be read at all.
    """

    series: tuple[Series, ...]
    problems: tuple[str, ...]


def read_study(path: Path) -> Study:
    """All series in a file, or a folder with its subfolders; pixels stay on disk.

    Raises:
        InputError: there is no such path, or no image in it.
    """
    path = Path(path)
    found = search(path)
    series: list[Series] = []
    problems = list(found.problems)
    if found.dicom:
        # pydicom is slow to import, and many folders contain no DICOM.
        from ccdnn.dicom.reader import read_dicom

        series, damaged = read_dicom(found.dicom, found.strays)
        problems += damaged
    else:
        problems += found.strays.values()
    for file in found.images:
        try:
            series.append(read_header(file))
        except InputError as error:
            problems.append(str(error))
    if not series:
        reasons = " ".join(problems[:LISTED_PROBLEMS])
        raise InputError(f"{path} contains no image that can be read. {reasons}".strip())
    return Study(tuple(_told_apart(series, path)), tuple(problems))


def find_series(path: Path) -> list[Series]:
    """The series at a path, see `Study.series`.

    Raises:
        InputError: there is no such path, or no image in it.
    """
    return list(read_study(path).series)


def one_series(path: Path) -> Series:
    """The one series at a path: a file, or a folder that contains a single series.

    Raises:
        InputError: there is none, or more than one.
    """
    series = find_series(path)
    if len(series) > 1:
        raise InputError(f"{path} contains {len(series)} series where one is needed: {_listed(series)}.")
    return series[0]


def read_volume(path: Path) -> Volume:
    """The volume of the one series at a path.

    Raises:
        InputError: see `one_series`; or it cannot be read.
    """
    return one_series(path).load()


def choose_roles(
    series: Sequence[Series], roles: Collection[Role] = INPUT_ROLES, optional: Collection[Role] = ()
) -> dict[Role, Series]:
    """The series that plays each of `roles`, and an acquired STIR besides where there is exactly one.

    Of several that fit, one is chosen only if that is certain: the first of the time points of one series, or the only one
    on the grid that the unambiguous roles share.

    Args:
        optional: those of `roles` that are left out if no series plays them.

    Raises:
        InputError: a role with no series, or with more than one.
    """
    usable = [found for found in series if found.problem is None and found.grid is not None and found.grid.shape[0] > 1]
    candidates = {role: _first_time_points([found for found in usable if found.role is role]) for role in {*roles, Role.STIR}}
    roles = [role for role in roles if candidates[role] or role not in optional]
    missing = [role for role in roles if not candidates[role]]
    if missing:
        wanted = " and no ".join(role.label for role in missing)
        options = " ".join(f"--{role.value} ROW" for role in missing)
        raise InputError(f"There is no {wanted} series among those found: {_listed(series)}. Name one with {options}.")
    chosen = assign(candidates, _same_grid)
    for role in roles:
        if role not in chosen:
            rivals = " and ".join(f"“{found.name}”" for found in candidates[role])
            rows = " or ".join(str(row) for row, found in enumerate(series, start=1) if found in candidates[role])
            raise InputError(
                f"{rivals} all fit as {role.label}; choose with --{role.value} ({rows}, as numbered by `ccdnn inspect`)."
            )
    _require_one_study(chosen, roles)
    return chosen


def _same_grid(first: Series, second: Series) -> bool:
    return first.grid is not None and second.grid is not None and first.grid.same_as(second.grid)


def _require_one_study(chosen: Mapping[Role, Series], roles: Collection[Role]) -> None:
    """A folder may contain several examinations, even patients; only a person may mix them."""
    studies = {uid for role in roles if (uid := chosen[role].provenance.get("study_instance_uid"))}
    if len(studies) > 1:
        names = ", ".join(f"“{chosen[role].name}”" for role in roles)
        raise InputError(
            f"{names} come from different examinations; give the folder of one, or choose each with --t1, --t2 and --gre."
        )


def _first_time_points(candidates: Sequence[Series]) -> list[Series]:
    return [candidate for candidate in candidates if candidate.time_point in (None, 1)]


def _listed(series: Sequence[Series]) -> str:
    """Names and roles for a message, without repeats."""
    firsts = _first_time_points(series)
    listed = [f"“{found.name}” ({'unusable' if found.problem else found.role.label})" for found in firsts[:LISTED_SERIES]]
    more = len(firsts) - len(listed)
    return ", ".join(listed) + (f" and {more} more" if more else "")


def _told_apart(series: Sequence[Series], root: Path) -> list[Series]:
    """Add the folder to names that occur twice."""
    names = [found.name for found in series]
    return [
        replace(found, name=f"{found.name} in {os.path.relpath(found.files[0].parent, root)}")
        if names.count(found.name) > 1
        else found
        for found in series
    ]
