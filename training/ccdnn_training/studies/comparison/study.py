"""The comparison as a whole: the cohort's cache, then fit, predict and measure cell by cell; finished steps are skipped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ccdnn.errors import InputError
from ccdnn_training.data.cache import SliceCache
from ccdnn_training.data.manifest import read_source
from ccdnn_training.data.prepare import prepare_cohort
from ccdnn_training.reporting import Progress, write_records
from ccdnn_training.studies.comparison.cells import fit_cell, predict_cell, read_prediction, subjects_of
from ccdnn_training.studies.comparison.layout import Cell, Layout
from ccdnn_training.studies.comparison.measurements import Row, Stirs, measure_subject


def prepare(layout: Layout, source: Path, *, strategy: str, folds: int, seed: int, made_by: str, progress: Progress) -> None:
    """Make the cohort's cache, unless it exists.

    Raises:
        InputError: see `prepare_cohort`; or the existing cache is of other subjects.
    """
    if layout.cache.exists():
        _require_same_subjects(layout, source)
        return
    with progress("subjects checked") as on_subject:
        prepare_cohort(source, layout.cache, strategy=strategy, folds=folds, seed=seed, made_by=made_by, on_subject=on_subject)


def run_cells(layout: Layout, methods: Sequence[str], folds: Sequence[int], progress: Progress) -> None:
    """Fit, predict and measure every cell, skipping what is done."""
    for cell in layout.cells(methods, folds):
        print(f"{cell.title}: {'fitted' if cell.record.exists() else 'fitting'}", flush=True)
        fit_cell(cell, layout.cache)
        with progress(f"{cell.title}: predicting") as on_subject:
            predict_cell(cell, layout.cache, on_subject)
        if not cell.measurements.exists():
            with progress(f"{cell.title}: measuring") as on_subject:
                write_records(measure_cell(cell, layout.cache, on_subject), Row, cell.measurements)


def measure_cell(cell: Cell, cache: Path, on_subject: Callable[[int, int], None]) -> list[Row]:
    """Measure everything the cell predicted."""
    subjects = subjects_of(SliceCache(cache, cell.fold))
    rows = []
    for done, subject in enumerate(subjects, start=1):
        rows += measure_subject(Stirs.of(subject, read_prediction(cell, subject.name)), cell.fold, cell.method.title)
        on_subject(done, len(subjects))
    return rows


def _require_same_subjects(layout: Layout, source: Path) -> None:
    cache = SliceCache(layout.cache, 1)
    if {subject.name for subject in (*cache.subjects, *cache.apart)} != {subject.name for subject in read_source(source).subjects}:
        raise InputError(f"{layout.folder} contains a comparison of subjects other than {source}; name another output folder.")
