"""One reader's scores: a CSV that is always complete, so that reading can resume from it.

study,reader,case,image,region,score
9f1c…,reader 1,case-01,A,Cartilage: MFC,4
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

from ccdnn.csv_file import guarded, read_csv
from ccdnn.errors import InputError
from ccdnn.opening import exists
from ccdnn.readers.regions import SCORES, Region
from ccdnn.readers.study import ReaderStudy
from ccdnn.writing import write_text

HEADER = ("study", "reader", "case", "image", "region", "score")

# (case, letter of the image, region in words)
Item = tuple[str, str, str]


class ScoreSheet:
    """The scores of one reader, written to their file after every change.

    Args:
        path: the CSV; existing scores are kept.
        study: the study being read.
        reader: the reader's name in the results.

    Raises:
        InputError: the file belongs to another study or reader, or is not a file of scores.
    """

    def __init__(self, path: Path, study: ReaderStudy, reader: str) -> None:
        self.path, self.study, self.reader = Path(path), study, reader
        self._items = {
            (case.name, letter, str(region)) for case in study.cases for letter in case.images for region in study.regions
        }
        self._scores: dict[Item, int] = {}
        if exists(self.path):
            whose, self._scores = _read(self.path, study.identifier)
            if whose is not None and whose != reader:
                raise InputError(f"{self.path} contains the scores of {whose}; choose that name, or another file.")
            foreign = next((item for item in self._scores if item not in self._items), None)
            if foreign is not None:
                raise InputError(f"{self.path} scores {' '.join(foreign)}, which this study does not have.")

    def score(self, case: str, image: str, region: Region) -> int | None:
        return self._scores.get((case, image, str(region)))

    def set(self, case: str, image: str, region: Region, score: int | None) -> None:
        """Set, change or (None) remove a score, and write the file.

        Raises:
            ValueError: no such item in the study, or no such score.
            OutputError: the file cannot be written; the score is unchanged.
        """
        item = (case, image, str(region))
        if item not in self._items:
            raise ValueError(f"The study has no {item}.")
        if score is not None and score not in SCORES:
            raise ValueError(f"Scores are {', '.join(map(str, SCORES))}, not {score!r}.")
        scores = {key: value for key, value in self._scores.items() if key != item}
        if score is not None:
            scores[item] = score
        write_text(self._to_csv(scores), self.path)
        self._scores = scores

    @property
    def done(self) -> int:
        """How many of `total` items have a score."""
        return len(self._scores)

    @property
    def total(self) -> int:
        return len(self._items)

    def missing(self) -> Iterator[tuple[str, str, Region]]:
        """The items without a score, in reading order: case by case, region by region, image by image."""
        for case in self.study.cases:
            for region in self.study.regions:
                for letter in case.images:
                    if (case.name, letter, str(region)) not in self._scores:
                        yield case.name, letter, region

    def _to_csv(self, scores: Mapping[Item, int]) -> str:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(HEADER)
        reader = guarded(self.reader)
        writer.writerows((self.study.identifier, reader, *item, score) for item, score in sorted(scores.items()))
        return text.getvalue()


def read_scores(path: Path, identifier: str) -> tuple[str, dict[Item, int]]:
    """(reader, scores) of a file of the study `identifier`.

    Raises:
        InputError: the file cannot be read, is of another study, or has no scores.
    """
    reader, scores = _read(Path(path), identifier)
    if reader is None:
        raise InputError(f"{path} contains no scores yet.")
    return reader, scores


def _read(path: Path, identifier: str) -> tuple[str | None, dict[Item, int]]:
    columns, rows = read_csv(path)
    try:
        readers = {row["reader"] for row in rows}
        studies = {row["study"] for row in rows}
        scores = {(row["case"], row["image"], row["region"]): int(row["score"]) for row in rows}
    except (KeyError, ValueError):
        needed = ", ".join(name for name in HEADER if name not in columns) or "whole numbers in the column score"
        raise InputError(f"{path} is not a file of scores: it lacks {needed}.") from None
    if studies - {identifier}:
        raise InputError(f"{path} contains scores of another study; choose the file of this one, or a new name.")
    if len(readers) > 1:
        raise InputError(
            f"{path} contains the scores of several readers: {', '.join(sorted(readers))}; each file is for one reader."
        )
    if len(scores) != len(rows) or set(scores.values()) - set(SCORES):
        raise InputError(f"{path} contains a duplicate score or one outside {min(SCORES)} to {max(SCORES)}.")
    return next(iter(readers), None), scores
