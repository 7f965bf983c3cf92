"""Tables that people keep in spreadsheets, as every program and language writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ccdnn.csv_file import MOST_BYTES, read_csv
from ccdnn.errors import InputError

ROWS = [{"id": "müller", "t1": "a/t1.nii"}, {"id": "b", "t1": "b, t1.nii"}]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ('id,t1\nmüller,a/t1.nii\nb,"b, t1.nii"\n', "utf-8"),
        ('id,t1\r\nmüller,a/t1.nii\r\nb,"b, t1.nii"\r\n', "utf-8-sig"),
        ("id;t1\nmüller;a/t1.nii\nb;b, t1.nii\n", "utf-8"),
        ("id\tt1\nmüller\ta/t1.nii\nb\tb, t1.nii\n", "utf-16"),
        ("id;t1\nmüller;a/t1.nii\nb;b, t1.nii\n", "cp1252"),
        (' id , t1 \n\n , \nmüller , a/t1.nii\n\nb, "b, t1.nii"\n,\n\n', "utf-8"),
        ("id;t1;;\nmüller;a/t1.nii;;\nb;b, t1.nii;;\n;;;\n", "utf-8"),
    ],
    ids=["plain", "Excel", "semicolons", "tabs, UTF-16", "Windows", "spaces and blank rows", "empty columns"],
)
def test_every_way_to_write_a_table_gives_its_rows(tmp_path: Path, text: str, encoding: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode(encoding))
    columns, rows = read_csv(path)
    assert columns[:2] == ["id", "t1"]
    assert [{name: row[name] for name in ("id", "t1")} for row in rows] == ROWS


def test_a_short_row_has_empty_cells(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("id,t1,gre\na,b\n", encoding="utf-8")
    assert read_csv(path)[1] == [{"id": "a", "t1": "b", "gre": ""}]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "empty"), (b"\n\n , ,\n", "empty"), (b"id,t1\na,b,c\n", "more cells than columns"),
     (b'id,t1\n"a,b\n', "quotation marks"), (b"PK\x03\x04\x00\x00", "save the table as CSV"),
     (b"id,t1\n\0,a\n", "save the table as CSV"), (b"id,t1\n" + b"x" * 200_000 + b",a\n", "cannot be read")],
)  # fmt: skip
def test_what_is_not_a_table_is_refused_in_a_sentence(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as raised:
        read_csv(path)
    assert "table.csv" in str(raised.value)


def test_an_endless_table_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    with path.open("wb") as stream:
        stream.truncate(100 * MOST_BYTES)
    with pytest.raises(InputError, match="not a CSV file"):
        read_csv(path)
