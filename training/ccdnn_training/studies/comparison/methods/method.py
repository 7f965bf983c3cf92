"""The interface of every method of the comparison (section 2.7): fit, predict, save, load."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np


@dataclass(frozen=True)
class Fit:
    """The result of a fit and its cost.

    Args:
        method: ready to predict.
        seconds: time of fitting and validation, without pauses between a stop and its resumption.
        device: the device it ran on, as text.
        progress: how long it was fitted and which state was kept, as text.
    """

    method: Method
    seconds: float
    device: str
    progress: str


class Method(ABC):
    """A method that predicts STIR from T1-w, T2-w and GRE; an instance is fitted.

    Images are in the units of the slice cache it was fitted on, inputs in the order of its contrasts.
    """

    title: ClassVar[str]  # name in tables
    suffix: ClassVar[str]  # suffix of its files
    stop_early: ClassVar[bool] = False  # whether the epoch with the smallest validation error is kept

    @classmethod
    @abstractmethod
    def fit(cls, configs: Sequence[Path], cache: Path, fold: int, run: Path) -> Fit:
        """Fit on the training subjects of one fold of a cohort's cache.

        Args:
            configs: YAML files of the method's settings; a later one overrides an earlier one.
            run: folder for checkpoints and logs; a stopped fit resumes from it.

        Raises:
            InputError: the configuration or cache cannot be used.
        """

    @abstractmethod
    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """STIR (slice, row, column) float32 from inputs (contrast, slice, row, column), any number of rows and columns."""

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write what `load` needs, atomically.

        Raises:
            OutputError: the file cannot be written.
        """

    @classmethod
    @abstractmethod
    def load(cls, path: Path) -> Method:
        """Read what `save` wrote. The file is read as data; no code in it is executed.

        Raises:
            ModelError: the file cannot be read, or belongs to another method.
        """
