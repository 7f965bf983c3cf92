"""Table 2 of the paper from the readers' files and the coordinator's key: scores by region and method, agreement, differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ccdnn.errors import InputError
from ccdnn.measure.table import Cell, Column, Table
from ccdnn.readers.scores import read_scores
from ccdnn.readers.study import Key, read_key
from ccdnn_training.evaluation.significance import signed_rank_p
from ccdnn_training.studies.readers.agreement import intraclass_correlation

# Reader, case (the coordinator's name), method, region as text.
Item = tuple[str, str, str, str]


@dataclass(frozen=True)
class Reading:
    """All scores of a study, unblinded. Every reader has scored every image in every region."""

    readers: tuple[str, ...]
    cases: tuple[str, ...]
    methods: tuple[str, ...]
    regions: tuple[str, ...]
    scores: Mapping[Item, int]

    def array(self, method: str) -> np.ndarray:
        """(case, region, reader) scores of a method."""
        return np.array(
            [
                [[self.scores[reader, case, method, region] for reader in self.readers] for region in self.regions]
                for case in self.cases
            ],
            np.float64,
        )


def read_study(key_path: Path, score_paths: Sequence[Path]) -> Reading:
    """Unblind the readers' files.

    Raises:
        InputError: the key or scores cannot be read or belong to different studies, a reader has two files, or scores are missing.
    """
    key = read_key(key_path)
    scores: dict[Item, int] = {}
    readers: dict[str, Path] = {}
    for path in score_paths:
        reader, items = read_scores(path, key.identifier)
        if reader in readers:
            raise InputError(f"{path} and {readers[reader]} both contain the scores of {reader}; leave one of them out.")
        readers[reader] = path
        scores.update({_unblinded(key, reader, item, path): score for item, score in items.items()})
    if not readers:
        raise InputError("No score files were given; name the readers' CSV files.")
    cases, regions = (tuple(dict.fromkeys(item[index] for item in scores)) for index in (1, 3))
    methods = tuple(sorted(set(key.methods.values())))
    cases = tuple(sorted(set(key.names.values()) | set(cases)))
    missing = [item for item in _all(readers, cases, methods, regions) if item not in scores]
    if missing:
        reader = missing[0][0]
        count = sum(item[0] == reader for item in missing)
        raise InputError(f"{readers[reader]} is missing {count} scores of {reader}; let that reader finish, or leave the file out.")
    return Reading(tuple(readers), cases, methods, regions, scores)


def scores_table(reading: Reading, against: str) -> Table:
    """Mean ± SD by region and method, as in Table 2, with the Wilcoxon signed-rank test of every method against one.

    A pair is one reader's scores of two methods in one region of one case. These pairs are not independent, because a reader
    scores many of them, so small P values overstate the evidence.

    Raises:
        InputError: `against` is not a method of the study.
    """
    if against not in reading.methods:
        raise InputError(f"The study has no method {against}; it has {', '.join(reading.methods)}.")
    arrays = {method: reading.array(method) for method in reading.methods}
    others = [method for method in reading.methods if method != against]
    columns = [Column("region")]
    for method in reading.methods:
        columns += [Column(f"{method} mean"), Column(f"{method} SD")]
    columns += [Column(f"P {method} against {against}") for method in others]
    rows = []
    for index, region in enumerate((*reading.regions, "all regions")):
        part = (slice(None), index) if index < len(reading.regions) else (slice(None), slice(None))
        cells: list[Cell] = [region]
        for method in reading.methods:
            values = arrays[method][part].ravel()
            cells += [float(values.mean()), float(values.std(ddof=1)) if values.size > 1 else None]
        cells += [signed_rank_p(arrays[against][part].ravel(), arrays[method][part].ravel()) for method in others]
        rows.append(tuple(cells))
    count = len(reading.readers) * len(reading.cases)
    notes = (
        f"Scores from 1 (bad) to 5 (excellent); {len(reading.readers)} readers, {len(reading.cases)} cases; n = {count} for "
        "a region; SD with n − 1.",
        f"P: Wilcoxon signed-rank test against {against}, two-sided, paired by reader, case and region; no number if all pairs "
        "are equal. Pairs of one reader or case are not independent.",
    )
    return Table("Scores by region and method", tuple(columns), tuple(rows), notes)


def agreement_table(reading: Reading) -> Table:
    """ICC(2,1) and ICC(2,k) of every method, over all cases and regions as targets, with the paper's interpretation.

    Raises:
        InputError: the study has only one reader.
    """
    if len(reading.readers) < 2:
        raise InputError("Agreement needs at least two readers, but the study has one; add the scores of another.")
    columns = ("method", "form", "ICC", "95 % from", "95 % to", "agreement", "targets", "readers")
    rows = []
    for method in reading.methods:
        array = reading.array(method)
        for form, icc in zip(("ICC(2,1)", "ICC(2,k)"), intraclass_correlation(array.reshape(-1, array.shape[-1])), strict=True):
            rows.append((method, form, icc.value, icc.low, icc.high, icc.interpretation, icc.targets, icc.readers))
    note = (
        "Two-way random effects, absolute agreement: ICC(2,1) of a single reader, ICC(2,k) of the mean of all; "
        "a target is a region of a case."
    )
    return Table("Agreement of the readers", tuple(map(Column, columns)), tuple(rows), (note,))


def _unblinded(key: Key, reader: str, item: tuple[str, str, str], path: Path) -> Item:
    case, letter, region = item
    try:
        return reader, key.names[case], key.methods[case, letter], region
    except KeyError:
        raise InputError(f"{path} scores image {letter} of {case}, which is not in the key.") from None


def _all(readers: Mapping[str, Path], cases: Sequence[str], methods: Sequence[str], regions: Sequence[str]) -> list[Item]:
    return [(reader, case, method, region) for reader in readers for case in cases for method in methods for region in regions]
