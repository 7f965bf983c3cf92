"""Which series the user means: a file, a folder, or a row of the table that `ccdnn inspect` prints.

t1.nrrd        the file
scans/t1       the folder, if it contains a single series
scans::3       row 3 of `ccdnn inspect scans`
3              row 3 of `ccdnn inspect STUDY`, if a STUDY was given
none           no series, for an optional input of the model
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from ccdnn.errors import InputError
from ccdnn.opening import exists
from ccdnn.series import Role, Series
from ccdnn.study import Study, choose_roles, read_study

ROW_SEPARATOR = "::"
NONE = "none"
_PROBLEMS_TOLD = 3


class Selector:
    """Finds the series that the user named; each folder is searched once.

    Args:
        study: the folder to which bare row numbers refer, and whose series fill the roles not chosen; may be None.
    """

    def __init__(self, study: Path | None) -> None:
        self._study = study
        self._found: dict[Path, Study] = {}
        self._used: list[Series] = []

    def one(self, text: str) -> Series:
        """The one series that `text` names.

        Raises:
            InputError: there is none, or more than one.
        """
        series = self._one(text)
        self._used.append(series)
        return series

    def _one(self, text: str) -> Series:
        if text.isdecimal() and self._study is not None:
            return self._row(self._study, text)
        path, separator, row = text.rpartition(ROW_SEPARATOR)
        if separator:
            return self._row(Path(path), row)
        if text.isdecimal() and not exists(Path(text)):
            raise InputError(f"{text} is a row number, but no STUDY was given; write FOLDER{ROW_SEPARATOR}{text}.")
        series = self._study_at(Path(text)).series
        if len(series) > 1:
            raise InputError(
                f"{text} contains {len(series)} series; choose one with {text}{ROW_SEPARATOR}ROW (see `ccdnn inspect {text}`)."
            )
        return series[0]

    def reference(self, text: str, series: Mapping[Role, Series]) -> Role | Series:
        """The series whose grid the result has: an input or any other.

        Raises:
            InputError: see `one`.
        """
        return next((role for role in series if role.value == text), None) or self.one(text)

    def row_of(self, series: Series) -> str:
        """The row that `ccdnn inspect` prints for the series; "" if it is the only one at its path."""
        studies = (study.series for study in self._found.values() if len(study.series) > 1)
        return next((str(found.index(series) + 1) for found in studies if series in found), "")

    @property
    def study_series(self) -> tuple[Series, ...]:
        """All series of the study; none if no study was given.

        Raises:
            InputError: see `ccdnn.study.read_study`.
        """
        return () if self._study is None else self._study_at(self._study).series

    @property
    def used_files(self) -> list[Path]:
        """All files of the requested series."""
        return [file for series in self._used for file in series.files]

    @property
    def problems(self) -> tuple[str, ...]:
        """A sentence for each unreadable file in the searched places."""
        return tuple(dict.fromkeys(problem for study in self._found.values() for problem in study.problems))

    def for_roles(self, roles: Iterable[Role], chosen: Mapping[Role, str], optional: Collection[Role] = ()) -> dict[Role, Series]:
        """A series for each of `roles`: the one `chosen` for it, else the study's own.

        Args:
            optional: roles that may be omitted, by "none" or because the study lacks them.

        Raises:
            InputError: a role without a series, or with several to choose from; "none" for a required role.
        """
        left_out = {role for role, text in chosen.items() if text == NONE}
        for role in left_out.difference(optional):
            raise InputError(f"The model needs a {role.label} series, so --{role.value} cannot be none.")
        roles = [role for role in roles if role not in left_out]
        picked = {role: self.one(text) for role, text in chosen.items() if role in roles}
        open_roles = [role for role in roles if role not in picked]
        if self._study is None:
            if needed := [role for role in open_roles if role not in optional]:
                options = " and ".join(f"--{role.value}" for role in needed)
                raise InputError(f"No series was given for {options}; name one, or give a study folder to search.")
        elif open_roles:
            picked |= self._play(self._study, open_roles, optional)
        found = {role: picked[role] for role in roles if role in picked}
        self._used += found.values()
        return found

    def _play(self, folder: Path, roles: list[Role], optional: Collection[Role]) -> dict[Role, Series]:
        study = self._study_at(folder)
        try:
            return choose_roles(study.series, roles, optional)
        except InputError as error:
            # The missing series may be one that could not be read.
            problems = [*study.problems, *(series.problem for series in study.series if series.problem)]
            raise InputError(" ".join([str(error), *problems[:_PROBLEMS_TOLD]])) from error

    def _row(self, path: Path, row: str) -> Series:
        series = self._study_at(path).series
        if not row.isdecimal() or not 1 <= int(row) <= len(series):
            raise InputError(f"{path} has rows 1 to {len(series)} but no row {row!r}; see `ccdnn inspect {path}`.")
        return series[int(row) - 1]

    def _study_at(self, path: Path) -> Study:
        if path not in self._found:
            self._found[path] = read_study(path)
        return self._found[path]
