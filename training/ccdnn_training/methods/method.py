"""The interface that every method of the comparison has (section 2.7): fit, predict, save, load."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np


@dataclass(frozen=True)
class Fit:
    """What a fit gave and what it took.

    Args:
        method: ready to predict.
        seconds: of fitting and validating, pauses between a stop and its resumption left out.
        device: it ran on, in words.
        progress: how long it was fitted and what was chosen, in words.
    """

    method: Method
    seconds: float
    device: str
    progress: str


class Method(ABC):
    """A way to make STIR from T1-w, T2-w and GRE; an instance is fitted.

    Images are in the units of the slice cache it was fitted on, inputs in the order of its contrasts.
    """

    title: ClassVar[str]  # what tables call it
    suffix: ClassVar[str]  # of its files

    @classmethod
    @abstractmethod
    def fit(cls, config: Path, cache: Path, fold: int, run: Path) -> Fit:
        """Fit on the training subjects of one fold of a cohort's cache.

        Args:
            config: the method's settings, a YAML file.
            run: folder for what the fit leaves on its way; a fit that was stopped goes on from there.

        Raises:
            InputError: configuration or cache cannot be used.
        """

    @abstractmethod
    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """STIR (slice, row, column) float32 from inputs (contrast, slice, row, column), any number of rows and columns."""

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write what `load` needs, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """

    @classmethod
    @abstractmethod
    def load(cls, path: Path) -> Method:
        """What `save` wrote. The file is read as data: nothing in it is run.

        Raises:
            ModelError: the file cannot be read, or is of another method.
        """
