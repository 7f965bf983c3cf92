"""The images and methods of a reader study: a CSV with a row for each case.

    case,t1,t2,gre,stir,CC-DNN,Replica,U-Net
    knee 1,1/t1.nrrd,1/t2.nrrd,1/gre.nrrd,1/stir.nrrd,1/ccdnn.nrrd,1/replica.nrrd,1/unet.nrrd

`case` and `stir` are required; t1, t2 and gre are optional; every other column is a method. Paths are relative to the file.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ccdnn.csv_file import read_csv
from ccdnn.errors import InputError
from ccdnn.opening import is_file
from ccdnn.readers.study import CONTEXT, Candidate
from ccdnn.series import Role

CASE = "case"


def read_manifest(path: Path) -> list[Candidate]:
    """The cases of a manifest.

    Raises:
        InputError: it cannot be read, lacks a column or a cell, names a case twice or a file that does not exist.
    """
    columns, rows = read_csv(path)
    roles = [role for role in CONTEXT if role.value in columns]
    methods = [column for column in columns if column and column not in (CASE, *(role.value for role in CONTEXT))]
    if CASE not in columns or Role.STIR not in roles or not methods:
        raise InputError(
            f"{path} needs the columns {CASE} and {Role.STIR.value}, and one for each method; it has {', '.join(columns)}."
        )
    names = Counter(row[CASE].casefold() for row in rows)
    if repeated := next((row[CASE] for row in rows if names[row[CASE].casefold()] > 1), None):
        raise InputError(f"{path} names a case twice: {repeated}; give each its own name.")
    return [
        Candidate(
            row[CASE],
            {role: _file(path, row, role.value) for role in roles},
            {method: _file(path, row, method) for method in methods},
        )
        for row in rows
    ]


def _file(manifest: Path, row: dict[str, str], column: str) -> Path:
    if not row[column]:
        raise InputError(f"{manifest}: the case {row[CASE]} has an empty cell in the column {column}.")
    path = manifest.parent / row[column]
    if not is_file(path):
        raise InputError(f"{manifest}: {path}, the {column} of the case {row[CASE]}, does not exist.")
    return path
