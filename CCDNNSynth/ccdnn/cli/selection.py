"""Which series the user means: a file, a folder, or a row of the table that `ccdnn inspect` prints.

t1.nrrd        the file
scans/t1       the folder, where it holds a single series
scans::3       row 3 of `ccdnn inspect scans`
3              row 3 of `ccdnn inspect STUDY`, where a STUDY was given
none           no series, for an input that the model can do without
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
    """Finds series by what the user wrote; every folder is searched once.

    Args:
        study: the folder that bare row numbers count in, and whose series take the roles nobody chose; may be None.
    """

    def __init__(self, study: Path | None) -> None:
        self._study = study
        self._found: dict[Path, Study] = {}
        self._used: list[Series] = []

    def one(self, text: str) -> Series:
        """The one series that `text` means.

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
                f"{text} holds {len(series)} series; choose one with {text}{ROW_SEPARATOR}ROW, counted by `ccdnn inspect {text}`."
            )
        return series[0]

    def reference(self, text: str, series: Mapping[Role, Series]) -> Role | Series:
        """The input, or any other series, whose grid the result is to have.

        Raises:
            InputError: see `one`.
        """
        return next((role for role in series if role.value == text), None) or self.one(text)

    @property
    def used_files(self) -> list[Path]:
        """Every file of the series that were asked for."""
        return [file for series in self._used for file in series.files]

    @property
    def problems(self) -> tuple[str, ...]:
        """A sentence for each file that could not be read where series were looked for."""
        return tuple(dict.fromkeys(problem for study in self._found.values() for problem in study.problems))

    def for_roles(self, roles: Iterable[Role], chosen: Mapping[Role, str], optional: Collection[Role] = ()) -> dict[Role, Series]:
        """A series for each of `roles`: the one `chosen` for it, else the study's own.

        Args:
            optional: those of `roles` that may be left out: by "none", or where the study does not have them.

        Raises:
            InputError: a role without a series, or with several to choose from; "none" for one that is not optional.
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
                raise InputError(f"No series was given for {options}; name one, or give a study folder to look in.")
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
            # The series that is missed may be the very one that could not be read.
            problems = [*study.problems, *(series.problem for series in study.series if series.problem)]
            raise InputError(" ".join([str(error), *problems[:_PROBLEMS_TOLD]])) from error

    def _row(self, path: Path, row: str) -> Series:
        series = self._study_at(path).series
        if not row.isdecimal() or not 1 <= int(row) <= len(series):
            raise InputError(f"{path} has the rows 1 to {len(series)}, no row {row!r}; see `ccdnn inspect {path}`.")
        return series[int(row) - 1]

    def _study_at(self, path: Path) -> Study:
        if path not in self._found:
            self._found[path] = read_study(path)
        return self._found[path]
