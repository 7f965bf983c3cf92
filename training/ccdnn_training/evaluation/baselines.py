"""Baselines without a network: the best affine fit of each input, and a regressor that sees a single pixel."""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from ccdnn_training.data.cache import CachedSubject


def best_affine_fit(image: np.ndarray, target: np.ndarray) -> np.ndarray:
    """a · image + b with the least squared error to `target`. No scaling chosen without the target can do better."""
    x, y = image.astype(np.float64), target.astype(np.float64)
    spread = x.var()
    slope = np.mean((x - x.mean()) * (y - y.mean())) / spread if spread else 0.0  # a constant image gives the target's mean
    return (slope * (x - x.mean()) + y.mean()).astype(np.float32)


class PixelRegressor:
    """Gradient boosting from a pixel's three normalised intensities to its STIR, without neighbourhood or position.

    Args:
        subjects: training subjects of a slice cache.
        pixels: number of pixels to fit on, drawn evenly over the subjects; a tenth of them are air.
        seed: for the draw and the fit.
    """

    def __init__(self, subjects: tuple[CachedSubject, ...], pixels: int = 1_000_000, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        samples = [_draw_pixels(subject, pixels // len(subjects), rng) for subject in subjects]
        values = np.concatenate(samples)
        self._model = HistGradientBoostingRegressor(
            max_iter=300, learning_rate=0.1, max_leaf_nodes=63, early_stopping=True, validation_fraction=0.1, random_state=seed
        )
        self._model.fit(values[:, :-1], values[:, -1])

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """STIR (slice, row, column) from normalised inputs (contrast, slice, row, column)."""
        features = inputs.reshape(len(inputs), -1).T
        return self._model.predict(features).reshape(inputs.shape[1:]).astype(np.float32)


def _draw_pixels(subject: CachedSubject, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, contrast) float32; nine tenths of the pixels are where T1-w shows tissue."""
    array = np.asarray(subject.array())
    flat = array.reshape(len(array), -1)
    tissue = flat[0] > subject.tissue_threshold
    chosen = [
        rng.choice(np.flatnonzero(tissue), int(0.9 * count)),
        rng.choice(np.flatnonzero(~tissue), count - int(0.9 * count)),
    ]
    return flat[:, np.concatenate(chosen)].T.astype(np.float32)
