"""What became of each study: a JSON record as soon as it is finished, and a table of all."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ccdnn.csv_file import guarded
from ccdnn.errors import InputError
from ccdnn.opening import read_json
from ccdnn.writing import make_folder, write_text

RECORDS, SUMMARY = "records", "summary.csv"
DONE, FAILED, STARTED = "done", "failed", "started"
_MOST_BYTES = 1 << 20

Detail = str | float | None


@dataclass(frozen=True)
class Record:
    """What became of one study.

    Args:
        study: its name.
        status: "done", "failed", or "started" while its result is written.
        output: the result's name in the output folder; "" without one.
        details: what was used and how, by column of the summary; see `ccdnn.cohort.run.Task.columns`.
        seconds: from the first file read to the last written.
        warnings: sentences, one after the other.
        error: why it failed; "" if it did not.
        settings: fingerprint of the options; results of others are not mixed.
    """

    study: str
    status: str
    output: str = ""
    details: Mapping[str, Detail] = field(default_factory=dict)
    seconds: float | None = None
    warnings: str = ""
    error: str = ""
    settings: str = ""

    def row(self, columns: Sequence[str]) -> dict[str, Detail]:
        """The study's row of the summary, with its details in `columns`."""
        return {
            "study": self.study,
            "status": self.status,
            "output": self.output,
            **{name: self.details.get(name) for name in columns},
            "seconds": self.seconds,
            "warnings": self.warnings,
            "error": self.error,
        }


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


def write_summary(folder: Path, records: Iterable[Record], columns: Sequence[str]) -> None:
    """Write the table of all studies.

    Args:
        columns: of the details.

    Raises:
        OutputError: it cannot be written.
    """
    rows = [record.row(columns) for record in records]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Record("", "").row(columns))
    writer.writerows([guarded("" if cell is None else cell) for cell in row.values()] for row in rows)
    write_text(text.getvalue(), folder / SUMMARY)
