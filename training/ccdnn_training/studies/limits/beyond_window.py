"""What limits a network's images: information outside its window, and the noise that a smoother image lacks.

A network sees a window of the slice, 27 × 27 pixels for CC-DNN. Coil shading, the level of a series and the position of a pixel in
the joint are visible only in the whole slice. Two regressors measure their worth on subjects that neither has seen: one corrects
the network's image by features of the window, the other also by features of the slice. The gain of the second over the first is
what a network that sees the slice could gain. The smoothed network image shows whether a metric rewards smoothness alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import KFold

from ccdnn.errors import InputError
from ccdnn.inference.synthesizer import Synthesizer
from ccdnn.measure.similarity import similarity
from ccdnn.model.file import Model, load_model
from ccdnn_training.data.cache import CachedSubject
from ccdnn_training.evaluation.significance import signed_rank_p
from ccdnn_training.evaluation.study import METRICS, Score, summarise
from ccdnn_training.parallel import fresh_processes
from ccdnn_training.reporting import markdown_table, mean_and_sd, plus_minus

WITH_WINDOW, WITH_SLICE, SMOOTHED = "corrected by its window", "corrected by the slice, too", "smoothed, Gaussian of 1 pixel"
WIDER = (3, 9)  # multiples of the window over which the slice is averaged to show shading
LEVELS = (25, 50, 75, 90)  # percentiles of a slice's tissue
PIXELS = 20_000  # per subject, to fit on
FOLDS = 4
DIGITS = {"PSNR": 2, "SSIM": 3, "MS-SSIM": 3}  # PSNR in dB


def predictions(
    model: Model, subjects: Sequence[CachedSubject], *, jobs: int = 1, on_subject: Callable[[int, int], None] | None = None
) -> list[np.ndarray]:
    """The network's STIR of each subject, (slice, row, column), in the normalisation of the cache."""
    found = []
    with fresh_processes(jobs, _start_worker, model.path) as pool:
        for image in pool.map(_predict, subjects):
            found.append(image)
            if on_subject:
                on_subject(len(found), len(subjects))
    return found


def score_corrections(
    name: str, images: Sequence[np.ndarray], subjects: Sequence[CachedSubject], window: int, *, seed: int = 0
) -> list[Score]:
    """Score a network's images against the acquired STIR: unchanged, corrected by each regressor, and smoothed.

    Args:
        name: the network's name.
        images: its STIR of each of the `subjects`, (slice, row, column), in the normalisation of their cache.
        window: side length of the network's window in pixels.

    Raises:
        InputError: there are fewer subjects than folds.
    """
    if len(subjects) < FOLDS:
        raise InputError(f"{len(subjects)} test subjects are too few to fit and test regressors on; at least {FOLDS} are needed.")
    scores = [
        score
        for image, subject in zip(images, subjects, strict=True)
        for method, shown in ((name, image), (SMOOTHED, gaussian_filter(image, (0, 1, 1))))
        for score in _score(subject, method, shown)
    ]
    for fitted, tested in KFold(FOLDS, shuffle=True, random_state=seed).split(subjects):
        for method, whole in ((WITH_WINDOW, False), (WITH_SLICE, True)):
            regressor = _fit([subjects[n] for n in fitted], [images[n] for n in fitted], window, whole, seed)
            for n in tested:
                corrected = images[n] + _error(regressor, subjects[n], images[n], window, whole)
                scores += _score(subjects[n], method, corrected)
    return scores


def correction_tables(scores: Sequence[Score]) -> str:
    """Mean ± SD over subjects, then the gain from smoothing and correction, and what the slice adds to the window."""
    rows = dict(summarise(list(scores)))
    network, first_row = next(iter(rows.items()))
    shown = {metric: digits for metric, digits in DIGITS.items() if np.isfinite(first_row[metric][0])}  # MS-SSIM needs large slices
    figures = (
        (method, *(plus_minus(*row[metric][:2], digits) for metric, digits in shown.items())) for method, row in rows.items()
    )
    differences = (
        (f"{first} − {second}", *(cell for metric in shown for cell in _difference(scores, first, second, metric)))
        for first, second in ((SMOOTHED, network), (WITH_WINDOW, network), (WITH_SLICE, WITH_WINDOW))
    )
    titles = (title for metric in shown for title in (metric, "P"))
    return markdown_table(("image", *shown), figures) + "\n" + markdown_table(("difference", *titles), differences)


def _difference(scores: Sequence[Score], first: str, second: str, metric: str) -> tuple[str, str]:
    """Mean ± SD of the differences by subject, and their P value."""
    of_first, of_second = ({s.subject: s.value for s in scores if (s.method, s.metric) == (m, metric)} for m in (first, second))
    pairs = np.array([(value, of_second[subject]) for subject, value in of_first.items()])
    p = signed_rank_p(pairs[:, 0], pairs[:, 1])
    return mean_and_sd(pairs[:, 0] - pairs[:, 1], DIGITS[metric], "+"), "–" if p is None else f"{p:.2g}"


_synthesizer: Synthesizer  # of this process, set by `_start_worker`


def _start_worker(model_path: Path) -> None:
    global _synthesizer
    _synthesizer = Synthesizer(load_model(model_path), threads=1)


def _predict(subject: CachedSubject) -> np.ndarray:
    return _synthesizer.run(subject.array()[:-1].astype(np.float32))


def _score(subject: CachedSubject, method: str, image: np.ndarray) -> list[Score]:
    acquired = np.asarray(subject.array()[-1], np.float32)
    top = acquired.max()
    rows = similarity(image / top, acquired / top, measured_on=method)
    return [Score(subject.name, method, row.name, row.value) for row in rows if row.name in METRICS]


def _fit(
    subjects: Sequence[CachedSubject], images: Sequence[np.ndarray], window: int, whole: bool, seed: int
) -> HistGradientBoostingRegressor:
    rng = np.random.default_rng(seed)
    features, errors = [], []
    for subject, image in zip(subjects, images, strict=True):
        array = subject.array()
        for n, shown in enumerate(image):
            contrasts = np.asarray(array[:, n], np.float32)
            tissue = np.flatnonzero(contrasts[0] > subject.tissue_threshold)
            if len(tissue):
                drawn = rng.choice(tissue, PIXELS // len(image))
                features.append(_features(contrasts[:-1], shown, subject.tissue_threshold, window, whole)[drawn])
                errors.append((contrasts[-1] - shown).ravel()[drawn])
    regressor = HistGradientBoostingRegressor(max_iter=300, learning_rate=0.05, max_leaf_nodes=31, random_state=seed)
    return regressor.fit(np.concatenate(features), np.concatenate(errors))


def _error(
    regressor: HistGradientBoostingRegressor, subject: CachedSubject, image: np.ndarray, window: int, whole: bool
) -> np.ndarray:
    """Acquired minus network, (slice, row, column), as predicted by the regressor; 0 in air, on which it was not fitted."""
    array = subject.array()
    found = np.zeros_like(image)
    for n, shown in enumerate(image):
        inputs = np.asarray(array[:-1, n], np.float32)
        tissue = (inputs[0] > subject.tissue_threshold).ravel()
        if tissue.any():
            features = _features(inputs, shown, subject.tissue_threshold, window, whole)
            found[n].flat[tissue] = regressor.predict(features[tissue])
    return found


def _features(inputs: np.ndarray, image: np.ndarray, threshold: float, window: int, whole: bool) -> np.ndarray:
    """(pixel, feature) of a slice that shows tissue: the network's value and the inputs' means in its window. With `whole`, also
    the tissue means in wider windows, the slice's percentiles, and the pixel's position in the patient."""
    features = [image, *(uniform_filter(i, width) for i in inputs for width in (1, 5, window))]
    tissue = inputs[0] > threshold
    if whole:
        share = {width: uniform_filter(tissue.astype(np.float32), width) for width in (factor * window for factor in WIDER)}
        features += [uniform_filter(i * tissue, width) / np.maximum(s, 1e-3) for i in inputs for width, s in share.items()]
        features += [np.full_like(image, level) for i in inputs for level in np.percentile(i[tissue], LEVELS)]
        for places, along in zip(np.nonzero(tissue), np.indices(image.shape), strict=True):
            features.append((along - places.min()) / max(np.ptp(places), 1))
    return np.stack(features, axis=-1).reshape(image.size, -1).astype(np.float32)
