"""Fits a method on a fold and predicts its test subjects; steps already done are skipped."""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from ccdnn.errors import InputError
from ccdnn.writing import make_folder, replacing, write_text
from ccdnn_training.code_version import code_version
from ccdnn_training.data.cache import INDEX, CachedSubject, SliceCache
from ccdnn_training.data.folds import FOLDS
from ccdnn_training.reporting import fingerprint
from ccdnn_training.studies.comparison.layout import Cell


@dataclass(frozen=True)
class FitRecord:
    """The record of a cell's fit.

    Args:
        settings: hash of the configuration and of the cohort; a fit with another hash is refused.
        seconds, device, progress: see `Fit`.
        peak_gigabytes: peak GPU memory; without a GPU, that of the process, including earlier fits in it.
        code: version and commit at the end of the fit.
    """

    settings: str
    seconds: float
    device: str
    progress: str
    peak_gigabytes: float
    code: str = "not recorded"


def fit_cell(cell: Cell, cache: Path) -> None:
    """Fit the cell's method or resume its fit, unless it is done.

    Raises:
        InputError: it was fitted with other settings or on another cohort.
    """
    settings = fingerprint(path.read_bytes() for path in (*cell.configs, cache / INDEX, cache / FOLDS))
    if cell.model.exists() and cell.record.exists():
        if read_record(cell).settings != settings:
            raise InputError(
                f"{cell.folder} was fitted with other settings or on another cohort; remove it, or name another output folder."
            )
        return
    for path in (cell.model, cell.measurements):
        path.unlink(missing_ok=True)
    shutil.rmtree(cell.prediction("").parent, ignore_errors=True)
    make_folder(cell.folder)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    fit = cell.method.fit(cell.configs, cache, cell.fold, cell.run)
    fit.method.save(cell.model)
    record = FitRecord(settings, round(fit.seconds, 1), fit.device, fit.progress, round(_peak_gigabytes(), 2), code_version())
    write_text(json.dumps(asdict(record), indent=1) + "\n", cell.record)


def predict_cell(cell: Cell, cache: Path, on_subject: Callable[[int, int], None] | None = None) -> None:
    """Predict the fold's test subjects and those with a lesion, unless this is done."""
    slices = SliceCache(cache, cell.fold)
    subjects = subjects_of(slices)
    missing = [subject for subject in subjects if not cell.prediction(subject.name).exists()]
    if not missing:
        return
    method = cell.method.load(cell.model)
    for done, subject in enumerate(missing, start=1 + len(subjects) - len(missing)):
        path = cell.prediction(subject.name)
        make_folder(path.parent)
        predicted = method.predict(subject.array()[:-1])
        with replacing(path) as partial:
            np.save(partial, predicted.astype(np.float16), allow_pickle=False)
        if on_subject:
            on_subject(done, len(subjects))


def subjects_of(slices: SliceCache) -> tuple[CachedSubject, ...]:
    """The subjects that a fold's methods have not seen: its test subjects, and all with a lesion."""
    return (*slices.part("test"), *slices.apart)


def read_record(cell: Cell) -> FitRecord:
    """
    Raises:
        InputError: the file is damaged.
    """
    try:
        return FitRecord(**json.loads(cell.record.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{cell.record} is damaged ({error}); remove {cell.folder} to fit it again.") from error


def read_prediction(cell: Cell, subject: str) -> np.ndarray:
    """(slice, row, column) float32."""
    return np.load(cell.prediction(subject), allow_pickle=False).astype(np.float32)


def _peak_gigabytes() -> float:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e9
    try:
        import resource
    except ImportError:  # Windows
        return math.nan
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, kibibytes on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
