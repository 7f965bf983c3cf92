"""The measures of each of many studies, and the tables of all."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from ccdnn.cohort.record import DONE, Record, read_record
from ccdnn.cohort.run import Work
from ccdnn.cohort.studies import NamedStudy
from ccdnn.errors import InputError
from ccdnn.files import WRITERS
from ccdnn.measure.cnr import CnrForm, parse_pairs
from ccdnn.measure.comparison import measure_images, on_one_grid
from ccdnn.measure.labels import read_label_map
from ccdnn.measure.overlap import MENISCUS_THRESHOLD
from ccdnn.measure.profile import Image
from ccdnn.measure.scaling import Scaling
from ccdnn.measure.table import Cell, Column, Table
from ccdnn.opening import read_json
from ccdnn.report.document import as_text, measured_document
from ccdnn.roles import LABEL_MAP
from ccdnn.selection import NONE, Selector
from ccdnn.series import Role, Series
from ccdnn.volume import Grid
from ccdnn.writing import require_no_input, write_files, write_text

_MOST_BYTES = 64 << 20
_SIMILARITY, _CNR = "similarity", "cnr-between-tissues"  # tables of `measured_document`
_ACQUIRED, _SYNTHETIC, _RATIO = "CNR acquired", "CNR synthetic", "Ratio synthetic/acquired"


@dataclass(frozen=True)
class MeasureTask:
    """Measures one study; a `ccdnn.cohort.run.Task`. Its result is `ccdnn.report.document.measured_document` as a file.

    The acquired STIR and the label map are those found in the study, unless its row of the CSV file names others. Without a label
    map only the similarity is measured.

    Args:
        synthetic: folder of the synthetic STIRs, named as their studies or by the records of `ccdnn synthesize --each`; None if
            the CSV file names them.
        pairs: see `parse_pairs`.
        form, scaling, mask, threshold: see `ccdnn.measure.comparison.measure_images`.
        names: JSON file of the names of the labels; None for those in or beside each label map.
        force: measure even if the images are of different patients.

    Its columns are the series used, as rows of `ccdnn inspect`, or the names of their files.
    """

    synthetic: str | None = None
    pairs: str = ""
    form: CnrForm = CnrForm.DIFFERENCE
    scaling: Scaling = Scaling.TISSUE
    mask: str | None = None
    threshold: float = MENISCUS_THRESHOLD
    names: str | None = None
    force: bool = False

    columns: ClassVar[tuple[str, ...]] = ("acquired", "synthetic", "labels")

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def output_of(self, study: NamedStudy) -> str:
        return f"{study.name}.json"

    def make(self, study: NamedStudy, output: Path, work: Work) -> None:
        selector = Selector(study.choice.study)
        found: dict[str, Series] = {}
        if (synthetic := self._synthetic(study)) is not None:
            found["synthetic"] = selector.one(synthetic)
        grid = found["synthetic"].grid if found else None
        for what, fits in (("acquired", _is_acquired), ("labels", _is_label_map)):
            if (series := _chosen(selector, study, what, fits, grid)) is not None:
                found[what] = series
        work.details = {what: selector.row_of(series) or series.name for what, series in found.items()}
        if "acquired" not in found and ("labels" not in found or not grid):
            raise InputError(f"{_place(study)} contains no acquired STIR; name it in the column “acquired” of a CSV file.")
        require_no_input([output], [file for series in found.values() for file in series.files])
        volumes = {image: found[what].load() for image, what in _IMAGES.items() if what in found}
        labels = read_label_map(found["labels"], Path(self.names) if self.names else None) if "labels" in found else None
        images = on_one_grid(volumes, labels, force=self.force)
        work.warnings += [*images.warnings, *selector.problems]
        measured = measure_images(
            images,
            pairs=parse_pairs(self.pairs),
            form=self.form,
            scaling=self.scaling,
            mask=self.mask,
            threshold=self.threshold,
        )
        if not measured.sections:
            raise InputError(f"There is nothing to measure in {_place(study)}: it has one STIR and no label map.")
        work.writing()
        write_text(as_text(measured_document(images, measured, work.warnings)) + "\n", output)

    def _synthetic(self, study: NamedStudy) -> str | None:
        """The study's synthetic STIR, as `ccdnn.selection` reads it.

        Raises:
            InputError: it is not in the folder of results.
        """
        if named := study.compared.get("synthetic"):
            return None if named == NONE else named
        if self.synthetic is None:
            return None
        folder = Path(self.synthetic)
        record = read_record(folder, study.name)
        if record is not None and record.status == DONE:
            return str(folder / record.output)
        if record is not None:
            raise InputError(f"The synthesis of {study.name} in {folder} is not done: {record.error or 'it was stopped'}")
        for path in (folder / f"{study.name}{suffix}" for suffix in ("", *WRITERS)):
            if path.exists():
                return str(path)
        raise InputError(f"{folder} has no synthetic STIR called {study.name}; run `ccdnn synthesize --each` first.")


_IMAGES = {Image.ACQUIRED: "acquired", Image.SYNTHETIC: "synthetic"}


def _is_acquired(series: Series) -> bool:
    return series.role is Role.STIR


def _is_label_map(series: Series) -> bool:
    return series.role is Role.OTHER and bool(LABEL_MAP.search(series.description))


def _chosen(selector: Selector, study: NamedStudy, what: str, fits: Callable[[Series], bool], grid: Grid | None) -> Series | None:
    """The series that the study's row names, else the only one found in the study, or the only one on the synthetic STIR's grid.

    Raises:
        InputError: several fit.
    """
    if named := study.compared.get(what):
        return None if named == NONE else selector.one(named)
    found = [series for series in selector.study_series if fits(series) and series.problem is None and series.grid is not None]
    alike = [series for series in found if grid is not None and series.grid is not None and series.grid.same_as(grid)]
    if len(found) > 1 and len(alike) != 1:
        names = " and ".join(f"“{series.name}”" for series in found)
        raise InputError(f"{names} in {_place(study)} could be used; name one, or none, in the column “{what}” of a CSV file.")
    return next(iter(alike if len(found) > 1 else found), None)


def _place(study: NamedStudy) -> str:
    return str(study.choice.study or f"the row of the study {study.name}")


# ---------------------------------------------------------------------------------------------------------------- tables


def tables_of(folder: Path, records: Iterable[Record]) -> dict[str, Table]:
    """The tables of all studies that are done, by their names as files.

    Returns:
        "similarity", a row for each study; "cnr", a row for each study and pair of tissues; "statistics", mean and SD of their
        columns over the studies. A number that is missing or infinite is left out of the statistics.

    Raises:
        InputError: a study's result cannot be read.
    """
    documents = {
        record.study: read_json(folder / record.output, _MOST_BYTES)["tables"] for record in records if record.status == DONE
    }
    similarity = {study: _rows(tables, _SIMILARITY) for study, tables in documents.items()}
    cnr = {study: _rows(tables, _CNR) for study, tables in documents.items()}
    measures = {row["name"]: Column(row["name"], row["unit"]) for rows in similarity.values() for row in rows}
    quantities = [name for name in (_ACQUIRED, _SYNTHETIC, _RATIO) if any(name in row for rows in cnr.values() for row in rows)]
    tables = {
        "similarity": Table(
            "Similarity of synthetic STIR and acquired STIR",
            (Column("study"), *measures.values()),
            tuple((study, *_values(rows, measures)) for study, rows in similarity.items() if rows),
        ),
        "cnr": Table(
            "CNR between tissues",
            (Column("study"), Column("pair"), *(Column(name, "1") for name in quantities), Column("note")),
            tuple(
                (study, row["Pair"], *(row.get(name) for name in quantities), row["Note"])
                for study, rows in cnr.items()
                for row in rows
            ),
        ),
    }
    return {**tables, "statistics": _statistics(tables["similarity"], tables["cnr"], quantities)}


def write_tables(folder: Path, tables: Mapping[str, Table]) -> None:
    """Write each table with rows as a CSV file.

    Raises:
        OutputError: it cannot be written.
    """
    write_files(folder, {f"{name}.csv": table.to_csv().encode("utf-8") for name, table in tables.items() if table.rows})


def _rows(tables: Mapping[str, Any], stem: str) -> list[dict[str, Any]]:
    return tables[stem]["rows"] if stem in tables else []


def _values(rows: Iterable[Mapping[str, Any]], measures: Iterable[str]) -> list[Cell]:
    values = {row["name"]: row["value"] for row in rows}
    return [values.get(name) for name in measures]


def _statistics(similarity: Table, cnr: Table, quantities: Sequence[str]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for column in similarity.columns[1:]:
        rows.append((column.name, column.unit, *_mean_and_sd(similarity.column(column.name))))
    pairs = cnr.column("pair")
    for pair in dict.fromkeys(pairs):
        for name in quantities:
            cells = [cell for cell, of in zip(cnr.column(name), pairs, strict=True) if of == pair]
            rows.append((f"{name}, {pair}", "1", *_mean_and_sd(cells)))
    columns = (Column("measure"), Column("unit"), Column("mean"), Column("SD"), Column("studies"))
    return Table("Mean and SD over the studies", columns, tuple(rows))


def _mean_and_sd(cells: Sequence[Cell]) -> tuple[Cell, Cell, int]:
    """Mean, sample SD (n − 1) and number of the values."""
    values = [float(cell) for cell in cells if cell is not None]
    return (
        statistics.fmean(values) if values else None,
        statistics.stdev(values) if len(values) > 1 else None,
        len(values),
    )
