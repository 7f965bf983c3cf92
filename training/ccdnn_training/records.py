"""Dataclasses of strings and numbers as rows of a CSV file."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from ccdnn.errors import InputError
from ccdnn.writing import replacing

Record = TypeVar("Record")


def write_records(records: Iterable[Record], kind: type[Record], path: Path) -> None:
    """Write one column per field of `kind` and one row per record; floats have seven digits, non-finite ones are left empty.

    Raises:
        OutputError: see `replacing`.
    """
    names = [field.name for field in fields(kind)]
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_text(getattr(record, name)) for name in names] for record in records)


def read_records(kind: type[Record], path: Path) -> list[Record]:
    """Read what `write_records` wrote.

    Raises:
        InputError: the file cannot be read or has other content.
    """
    types = get_type_hints(kind)
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [kind(**{name: _value(line[name], types[name]) for name in types}) for line in csv.DictReader(file)]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged ({error}); remove it, and it is made again.") from error


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.7g}" if math.isfinite(value) else ""
    return str(value)


def _value(text: str, kind: type) -> Any:
    return math.nan if kind is float and not text else kind(text)
