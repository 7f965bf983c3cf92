"""What a comparison leaves in its folder, and where.

OUT/
  cache/                    the cohort's slice cache and its folds
  fold-1/cc-dnn/            a cell: one method on one fold
    run/                    checkpoints and logs, from which a stopped fit goes on
    model.safetensors       the fitted method
    fit.json                what the fit took
    predictions/SUBJECT.npy (slice, row, column) float16, normalised: test subjects, and those with a lesion
    measurements.csv        everything measured on these
  timing.csv                milliseconds a slice
  report/                   report.md, report.html, tables and pictures
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ccdnn.errors import InputError
from ccdnn_training.data.folds import read_folds
from ccdnn_training.methods.catalog import METHODS
from ccdnn_training.methods.method import Method


@dataclass(frozen=True)
class Cell:
    """One method on one fold.

    Args:
        name: of the method, a key of `METHODS`.
        fold: 1, 2, …
        config: the method's settings.
        folder: for what the cell leaves.
    """

    name: str
    fold: int
    config: Path
    folder: Path

    @property
    def method(self) -> type[Method]:
        return METHODS[self.name]

    @property
    def title(self) -> str:
        """For people."""
        return f"fold {self.fold}, {self.method.title}"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def model(self) -> Path:
        return self.folder / f"model{self.method.suffix}"

    @property
    def record(self) -> Path:
        return self.folder / "fit.json"

    @property
    def measurements(self) -> Path:
        return self.folder / "measurements.csv"

    def prediction(self, subject: str) -> Path:
        return self.folder / "predictions" / f"{subject}.npy"


@dataclass(frozen=True)
class Layout:
    """The folder of a comparison, and the folder with a configuration NAME.yaml for each of its methods."""

    folder: Path
    configs: Path

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def timing(self) -> Path:
        return self.folder / "timing.csv"

    @property
    def report(self) -> Path:
        return self.folder / "report"

    def methods(self, only: Sequence[str] | None = None) -> list[str]:
        """The methods that have a configuration, in the order of `METHODS`; of them `only` those asked for.

        Raises:
            InputError: none has, or not one that was asked for.
        """
        configured = [name for name in METHODS if self._config(name).is_file()]
        if not configured:
            raise InputError(f"{self.configs} holds no configuration; it should hold {', '.join(f'{n}.yaml' for n in METHODS)}.")
        if missing := [name for name in only or () if name not in configured]:
            raise InputError(f"{self.configs} holds no {missing[0]}.yaml; it has {', '.join(configured)}.")
        return [name for name in configured if only is None or name in only]

    def folds(self, only: Sequence[int] | None = None) -> list[int]:
        """The numbers of the cache's folds; of them `only` those asked for.

        Raises:
            InputError: one that was asked for does not exist.
        """
        count = len(read_folds(self.cache).folds)
        if missing := [number for number in only or () if not 1 <= number <= count]:
            raise InputError(f"There is no fold {missing[0]}; the cohort has the folds 1 to {count}.")
        return [number for number in range(1, count + 1) if only is None or number in only]

    def cells(self, methods: Sequence[str], folds: Sequence[int]) -> Iterator[Cell]:
        """Fold by fold, so that one that is finished can be looked at while others are still to come."""
        for fold in folds:
            for name in methods:
                yield Cell(name, fold, self._config(name), self.folder / f"fold-{fold}" / name)

    def measured_cells(self) -> list[Cell]:
        """All cells that are done."""
        return [cell for cell in self.cells(self.methods(), self.folds()) if cell.measurements.exists()]

    def _config(self, name: str) -> Path:
        return self.configs / f"{name}.yaml"
