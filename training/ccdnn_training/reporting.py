"""What the reports share: Markdown tables, the command that made a file, records as CSV rows, and a progress bar."""

from __future__ import annotations

import csv
import hashlib
import math
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

import numpy as np

from ccdnn.errors import InputError
from ccdnn.writing import replacing, write_text

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Record = TypeVar("Record", bound="DataclassInstance")
OnStep = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""
Progress = Callable[[str], AbstractContextManager[OnStep]]
"""Makes a progress bar with the given title."""


def command_line() -> str:
    """The command that is running, as typed in a shell."""
    return shlex.join(["ccdnn-train", *sys.argv[1:]])


@contextmanager
def progress(title: str) -> Iterator[OnStep]:
    """A progress bar on the terminal, moved by calling it with (done, total)."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def markdown_table(headings: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table, with a line break at its end.

    Example:
        >>> print(markdown_table(["method", "n"], [["CC-DNN", 12]]), end="")
        | method | n |
        |---|---|
        | CC-DNN | 12 |
    """
    headings = list(headings)
    first, *others = ("| " + " | ".join(map(str, cells)) + " |" for cells in (headings, *rows))
    return "\n".join([first, "|---" * len(headings) + "|", *others]) + "\n"


def mean_and_sd(values: Iterable[float], digits: int, sign: str = "") -> str:
    """Mean ± standard deviation (n − 1); – without values, and no deviation of a single one.

    Example:
        >>> mean_and_sd([1, 2, 3], 1)
        '2.0 ± 1.0'
    """
    found = np.array(list(values), np.float64)
    mean, sd = (found.mean() if found.size else math.nan), (found.std(ddof=1) if found.size > 1 else None)
    return plus_minus(mean, sd, digits, sign)


def plus_minus(mean: float, sd: float | None, digits: int, sign: str = "") -> str:
    """Mean ± standard deviation; – for a mean that is not finite, and no deviation if that is unknown.

    Args:
        digits: after the point.
        sign: "+" to mark a positive mean.

    Example:
        >>> plus_minus(28.338, 1.11, 2), plus_minus(0.05, None, 2, "+")
        ('28.34 ± 1.11', '+0.05')
    """
    if not math.isfinite(mean):
        return "–"
    spread = f" ± {sd:.{digits}f}" if sd is not None and math.isfinite(sd) else ""
    return f"{mean:{sign}.{digits}f}{spread}"


def write_records(records: Iterable[Record], kind: type[Record], path: Path) -> None:
    """Write one column per field of `kind` and one row per record; floats have seven digits, non-finite ones are left empty.

    Raises:
        OutputError: see `replacing`.
    """
    names = [field.name for field in fields(kind)]
    write_rows(names, ([getattr(record, name) for name in names] for record in records), path)


def write_rows(headings: Iterable[str], rows: Iterable[Iterable[object]], path: Path) -> None:
    """Write a CSV file; floats have seven digits, non-finite ones and None are left empty.

    Raises:
        OutputError: see `replacing`.
    """
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(headings)
        writer.writerows([_text(value) for value in row] for row in rows)


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


def write_page(about: str, subjects: str, table: str, path: Path) -> None:
    """A page of one table: what it shows, the subjects it is about, and the command that made it."""
    of = f"Subjects: `{subjects}`.\n\n" if subjects else ""
    write_text(f"{about}\n\n{of}Command: `{command_line()}`\n\n{table}", path)


def fingerprint(parts: Iterable[bytes]) -> str:
    """A hash of the parts and of where each ends."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.7g}" if math.isfinite(value) else ""
    return str(value)


def _value(text: str, kind: type) -> Any:
    return math.nan if kind is float and not text else kind(text)
