"""The files in a comparison's folder.

OUT/
  cache/                    the cohort's slice cache and its folds
  fold-1/cc-dnn/            a cell: one method on one fold
    run/                    checkpoints and logs, from which a stopped fit resumes
    model.safetensors       the fitted method
    fit.json                time, device and memory of the fit
    predictions/SUBJECT.npy (slice, row, column) float16, normalised: test subjects, and those with a lesion
    measurements.csv        everything measured on these
  timing.csv                milliseconds per slice
  report/                   report.md, report.html, tables and pictures
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ccdnn.errors import InputError
from ccdnn_training.data.folds import read_folds
from ccdnn_training.studies.comparison.methods.catalog import METHODS
from ccdnn_training.studies.comparison.methods.method import Method
from ccdnn_training.studies.comparison.methods.network import NetworkMethod


@dataclass(frozen=True)
class Cell:
    """One method on one fold.

    Args:
        name: the method's name, a key of `METHODS`.
        fold: 1, 2, …
        configs: the files of the method's settings; a later one overrides an earlier one.
        folder: folder for the cell's files.
    """

    name: str
    fold: int
    configs: tuple[Path, ...]
    folder: Path

    @property
    def method(self) -> type[Method]:
        return METHODS[self.name]

    @property
    def title(self) -> str:
        """Title for display."""
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
    """The folder of a comparison, and the folder with the configurations of its methods.

    A method's settings are those of NAME.yaml there. If beside that folder there is one called `base`, they override those of
    base/NAME.yaml; networks have in common what networks.yaml states in either folder.
    """

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
        """The methods that have a configuration, in the order of `METHODS`; `only` restricts them.

        Raises:
            InputError: no method has a configuration, or one of `only` has none.
        """
        configured = [name for name in METHODS if self._configs(name)]
        if not configured:
            raise InputError(f"{self.configs} contains no configuration. Expected {', '.join(f'{n}.yaml' for n in METHODS)}.")
        if missing := [name for name in only or () if name not in configured]:
            raise InputError(f"{self.configs} does not contain {missing[0]}.yaml; choose from {', '.join(configured)}.")
        return [name for name in configured if only is None or name in only]

    def folds(self, only: Sequence[int] | None = None) -> list[int]:
        """The numbers of the cache's folds; `only` restricts them.

        Raises:
            InputError: one of `only` does not exist.
        """
        count = len(read_folds(self.cache).folds)
        if missing := [number for number in only or () if not 1 <= number <= count]:
            raise InputError(f"Fold {missing[0]} does not exist; the cohort has folds 1 to {count}.")
        return [number for number in range(1, count + 1) if only is None or number in only]

    def cells(self, methods: Sequence[str], folds: Sequence[int]) -> Iterator[Cell]:
        """The cells fold by fold, so that a finished fold can be inspected while others are pending."""
        for fold in folds:
            for name in methods:
                yield Cell(name, fold, self._configs(name), self.folder / f"fold-{fold}" / name)

    def measured_cells(self) -> list[Cell]:
        """All cells that are done."""
        return [cell for cell in self.cells(self.methods(), self.folds()) if cell.measurements.exists()]

    def _configs(self, name: str) -> tuple[Path, ...]:
        """The files of a method's settings; none if it has none of its own."""
        own = f"{name}.yaml"
        shared = ["networks.yaml"] if issubclass(METHODS[name], NetworkMethod) else []
        found = [folder / file for folder in (self.configs.parent / "base", self.configs) for file in (*shared, own)]
        existing = tuple(path for path in found if path.is_file())
        return existing if any(path.name == own for path in existing) else ()
