"""CSV tables from spreadsheets, with the separators and encodings of different programs and languages."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from ccdnn.errors import InputError
from ccdnn.opening import open_regular

MOST_BYTES = 64 << 20
_DELIMITERS = ",;\t"
# Characters that begin a formula in a spreadsheet (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def read_csv(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """The column names and the rows, with cells stripped and blank rows omitted.

    Separators are commas, semicolons (if the comma is the decimal mark) or tabs; encodings are UTF-8, UTF-16 or
    Windows' Western code page.

    Raises:
        InputError: it cannot be read, is not a table, or a row has more cells than the header.
    """
    with open_regular(path) as stream:
        content = stream.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES or (b"\0" in content and content[:2] not in (b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{path} is not a CSV file; save the table as CSV.")
    text = _decoded(content)
    header = next((line for line in text.splitlines() if line.strip(" ;,\t")), "")
    delimiter = max(_DELIMITERS, key=header.count)
    try:
        lines = list(csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise InputError(f"{path} cannot be read as a CSV file ({error}); check its quotation marks.") from None
    cells = [[_unguarded(cell.strip()).strip() for cell in line] for line in lines]
    cells = [line for line in cells if any(line)]
    if not cells:
        raise InputError(f"{path} is empty; it should begin with a line of column names.")
    columns, *rows = cells
    for row in rows:
        if len(row) > len(columns) and any(row[len(columns) :]):
            raise InputError(f"{path} has a row with more cells than columns, which begins with “{row[0]}”; check its separators.")
    return columns, [dict(zip(columns, [*row, *[""] * len(columns)], strict=False)) for row in rows]


def guarded(cell: Any) -> Any:
    """A cell with an apostrophe before text that a spreadsheet would take for a formula; numbers are unchanged.

    `read_csv` removes the apostrophe.

    >>> guarded("=1+1"), guarded(-1.5), guarded("-12 mm")
    ("'=1+1", -1.5, "'-12 mm")
    """
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _unguarded(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell


def _decoded(content: bytes) -> str:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")
