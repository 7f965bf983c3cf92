"""What became of each study: a JSON record as soon as it is finished, and a table of all."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ccdnn.csv_file import guarded
from ccdnn.errors import InputError
from ccdnn.opening import read_json
from ccdnn.writing import make_folder, write_text

RECORDS, SUMMARY = "records", "summary.csv"
DONE, FAILED, STARTED = "done", "failed", "started"
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Record:
    """One study's row of the summary.

    Args:
        study: its name.
        status: "done", "failed", or "started" while its result is written.
        output: the result's name in the output folder; "" without one.
        t1, t2, gre: the series used, as rows of `ccdnn inspect`; "" if none.
        covered_by_all: share of the reference that all inputs cover.
        without: labels of the model's inputs that it was made without.
        device, precision: what computed it.
        seconds: from the first file read to the last written.
        warnings: sentences, one after the other.
        error: why it failed; "" if it did not.
        settings: fingerprint of model and options; results of others are not mixed.
    """

    study: str
    status: str
    output: str = ""
    t1: str = ""
    t2: str = ""
    gre: str = ""
    covered_by_all: float | None = None
    without: str = ""
    device: str = ""
    precision: str = ""
    seconds: float | None = None
    warnings: str = ""
    error: str = ""
    settings: str = ""


def read_record(folder: Path, study: str) -> Record | None:
    """The record of an earlier run, if there is one.

    Raises:
        InputError: it is damaged.
    """
    path = folder / RECORDS / f"{study}.json"
    if not path.exists():
        return None
    try:
        return Record(**read_json(path, _MOST_BYTES))
    except (TypeError, InputError) as error:
        raise InputError(f"{path} is damaged ({error}); remove it, and its study is made again.") from error


def write_record(folder: Path, record: Record) -> None:
    """
    Raises:
        OutputError: it cannot be written.
    """
    make_folder(folder / RECORDS)
    write_text(json.dumps(asdict(record), indent=1) + "\n", folder / RECORDS / f"{record.study}.json")


def write_summary(folder: Path, records: Iterable[Record]) -> Path:
    """Write the table of all studies, and return its path.

    Raises:
        OutputError: it cannot be written.
    """
    names = [field.name for field in fields(Record) if field.name != "settings"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([guarded("" if (v := getattr(record, name)) is None else v) for name in names] for record in records)
    write_text(text.getvalue(), folder / SUMMARY)
    return folder / SUMMARY
