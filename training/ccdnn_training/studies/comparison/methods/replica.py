"""Replica (Jog, Carass, Roy, Pham and Prince, Medical Image Analysis 2017): random forests from coarse to fine.

There are three resolutions, each half of the previous one. One forest per level predicts the target from `replica_features`. The
coarser level's prediction is a feature of the finer one; in training the true target takes its place.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import skops.io
import yaml
from joblib import effective_n_jobs
from scipy.ndimage import gaussian_filter
from sklearn.ensemble import RandomForestRegressor

from ccdnn.errors import InputError, ModelError
from ccdnn.writing import replacing
from ccdnn_training.data.cache import CachedSubject, SliceCache
from ccdnn_training.studies.comparison.methods.method import Fit, Method
from ccdnn_training.studies.comparison.methods.replica_features import COARSER, FINEST, features_of

LEVELS = 3
# The only class of a forest that skops does not trust by default: scikit-learn's arrays of a tree's nodes.
TRUSTED = ["sklearn.tree._tree.Tree"]
CONTEXTS = (FINEST, *[COARSER] * (LEVELS - 1))


@dataclass(frozen=True)
class ReplicaSettings:
    """The forests' settings; the defaults are those of the method's paper.

    Args:
        trees: trees per level.
        smallest_leaf: smallest number of training pixels in a leaf.
        features_per_split: share of the features that a split may choose from.
        pixels: training pixels per level.
        strata: number of intensity ranges of the target that contribute equally many pixels, so that rare bright tissue is learned.
        seed: for the draw and the forests.
        jobs: processor cores; −1 for all.
    """

    trees: int = 60
    smallest_leaf: int = 5
    features_per_split: float = 1 / 3
    pixels: int = 100_000
    strata: int = 10
    seed: int = 0
    jobs: int = -1

    @classmethod
    def read(cls, *paths: Path) -> ReplicaSettings:
        """Read settings from YAML files, of which a later one overrides an earlier one; those left out are as published.

        Raises:
            InputError: a file cannot be read or has an unknown setting.
        """
        settings = cls()
        for path in paths:
            try:
                settings = replace(settings, **(yaml.safe_load(path.read_text(encoding="utf-8")) or {}))
            except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError) as error:
                raise InputError(f"{path} is not a valid settings file of Replica ({error}).") from error
        return settings


PUBLISHED = ReplicaSettings()


class Replica(Method):
    """Forests, finest level first; `predict` works slice by slice."""

    title: ClassVar[str] = "Replica"
    suffix: ClassVar[str] = ".skops"

    def __init__(self, forests: Sequence[RandomForestRegressor]) -> None:
        self._forests = list(forests)

    @classmethod
    def fit(cls, configs: Sequence[Path], cache: Path, fold: int, run: Path) -> Fit:
        """See `Method.fit`; `configs` have the fields of `ReplicaSettings`. A fit takes minutes and writes no checkpoints."""
        settings = ReplicaSettings.read(*configs)
        started = time.perf_counter()
        method = cls.fit_on(SliceCache(cache, fold).part("train"), settings)
        device = f"CPU, {effective_n_jobs(settings.jobs)} threads"
        progress = f"{settings.pixels} pixels per level, {LEVELS} forests of {settings.trees} trees"
        return Fit(method, time.perf_counter() - started, device, progress)

    @classmethod
    def fit_on(cls, subjects: Sequence[CachedSubject], settings: ReplicaSettings = PUBLISHED) -> Replica:
        """Fit one forest per level on slices of `subjects`, whose last contrast is the target."""
        rng = np.random.default_rng(settings.seed)
        forests = []
        for level in range(LEVELS):
            features, targets = _training_pixels(subjects, level, settings, rng)
            forest = RandomForestRegressor(
                settings.trees,
                min_samples_leaf=settings.smallest_leaf,
                max_features=settings.features_per_split,
                n_jobs=settings.jobs,
                random_state=settings.seed,
            )
            forests.append(forest.fit(features, targets))
        return cls(forests)

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """STIR (slice, row, column) float32 from inputs (contrast, slice, row, column), in the units of the training subjects."""
        return np.stack([self._predict_slice(inputs[:, index].astype(np.float32)) for index in range(inputs.shape[1])])

    def _predict_slice(self, images: np.ndarray) -> np.ndarray:
        predicted: np.ndarray | None = None
        for level in reversed(range(LEVELS)):
            at_level = _pyramid(images, level)
            shape = at_level.shape[1:]
            coarser = None if predicted is None else _enlarged(predicted, shape)
            pixels = np.indices(shape).reshape(2, -1).T
            features = features_of(at_level, coarser, CONTEXTS[level], pixels)
            predicted = self._forests[level].predict(features).reshape(shape).astype(np.float32)
        assert predicted is not None
        return predicted

    def save(self, path: Path) -> None:
        """Write the forests atomically in the skops format; reading it executes no code from the file."""
        with replacing(path) as partial:
            skops.io.dump(self._forests, partial)

    @classmethod
    def load(cls, path: Path) -> Replica:
        """Read what `save` wrote.

        Raises:
            ModelError: the file cannot be read, or does not contain the forests.
        """
        try:
            forests = skops.io.load(path, trusted=TRUSTED)
        except Exception as error:  # the reader has no error class of its own
            raise ModelError(f"{path} cannot be read as the forests of Replica ({error}).") from error
        if not isinstance(forests, list) or len(forests) != LEVELS:
            raise ModelError(f"{path} does not contain the {LEVELS} forests of Replica.")
        return cls(forests)


def _pyramid(images: np.ndarray, level: int) -> np.ndarray:
    """(…, row, column) halved `level` times, each time after a Gaussian of 5×5 pixels."""
    for _ in range(level):
        sigma = (0,) * (images.ndim - 2) + (1.0, 1.0)
        images = gaussian_filter(images, sigma, truncate=2.0, mode="nearest")[..., ::2, ::2]
    return images


def _enlarged(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A coarser level's (row, column) on the grid of the next finer one."""
    rows, columns = (np.minimum(np.arange(n) // 2, m - 1) for n, m in zip(shape, image.shape, strict=True))
    return image[rows[:, None], columns]


def _training_pixels(
    subjects: Sequence[CachedSubject], level: int, settings: ReplicaSettings, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Features and targets of pixels drawn evenly over the slices, and over the ranges of the target's intensity."""
    slices = [(subject, index) for subject in subjects for index in range(subject.array().shape[1])]
    count = max(1, settings.pixels // len(slices))
    features, targets = [], []
    for subject, index in slices:
        images = _pyramid(np.asarray(subject.array()[:, index], np.float32), level)
        target = images[-1]
        coarser = None if level == LEVELS - 1 else _enlarged(_pyramid(target, 1), target.shape)
        pixels = _stratified(target, count, settings.strata, rng)
        features.append(features_of(images[:-1], coarser, CONTEXTS[level], pixels))
        targets.append(target[pixels[:, 0], pixels[:, 1]])
    return np.concatenate(features), np.concatenate(targets)


def _stratified(target: np.ndarray, count: int, strata: int, rng: np.random.Generator) -> np.ndarray:
    """(count, 2) rows and columns; every non-empty intensity range contributes its share, with repetition if it has few pixels."""
    edges = np.linspace(target.min(), target.max(), strata + 1)
    stratum = np.clip(np.digitize(target.ravel(), edges[1:-1]), 0, strata - 1)
    present = np.unique(stratum)
    shares = np.bincount(np.arange(count) % len(present), minlength=len(present))
    chosen = [rng.choice(np.flatnonzero(stratum == which), share) for which, share in zip(present, shares, strict=True)]
    return np.stack(np.unravel_index(np.concatenate(chosen), target.shape), axis=1)
