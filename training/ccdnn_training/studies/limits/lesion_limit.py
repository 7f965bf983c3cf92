"""How well the three inputs reveal a marrow lesion, by regressors that see only marrow and the lesion, on unseen subjects.

A network must distinguish the lesion from marrow by what its window shows. In the middle of a lesion wider than the window, it sees
the lesion's intensities without marrow to compare them with; a wider view would show marrow too. Both cases are tested here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import KFold

from ccdnn.errors import InputError
from ccdnn_training.data.cache import CachedSubject
from ccdnn_training.evaluation.lesions import MARROW, contrast_kept
from ccdnn_training.reporting import markdown_table, mean_and_sd

WINDOW = 5  # pixels: the mean over it leaves little noise
VOXELS = 500  # per subject, at most this many each of the lesion and of marrow
FEWEST = 50  # voxels; smaller lesions are ignored
FOLDS = 5
ABSOLUTE, RELATIVE = "intensities alone", "intensities of the knee's own marrow for comparison"


@dataclass(frozen=True, eq=False)
class Sample:
    """Voxels of one subject: `inputs` (voxel, contrast) and `stir` (voxel,), in units of the cache, and which are lesion."""

    inputs: np.ndarray
    stir: np.ndarray
    lesion: np.ndarray
    own_marrow: np.ndarray

    def features(self, view: str) -> np.ndarray:
        return self.inputs / self.own_marrow if view == RELATIVE else self.inputs


def contrast_by_view(subjects: Sequence[CachedSubject], lesion: str, *, seed: int = 0) -> dict[str, list[float]]:
    """For each view, the share of the lesion's contrast kept in each subject that has it (`evaluation.lesions.contrast_kept`).

    Half of the voxels that a regressor is fitted on are lesion, far more than any network sees. Folds are split by subject.

    Raises:
        InputError: fewer subjects than folds have the lesion and marrow.
    """
    rng = np.random.default_rng(seed)
    samples = [sample for subject in subjects if (sample := _draw(subject, lesion, rng))]
    if len(samples) < FOLDS:
        raise InputError(f"{len(samples)} subjects show {lesion}, but {FOLDS} are needed; simulate more with --lesions 1.")
    kept: dict[str, list[float]] = {ABSOLUTE: [], RELATIVE: []}
    for fitted, tested in KFold(FOLDS, shuffle=True, random_state=seed).split(samples):
        for view, values in kept.items():
            model = HistGradientBoostingRegressor(learning_rate=0.05, max_iter=200, max_leaf_nodes=15, random_state=seed)
            model.fit(
                np.concatenate([samples[n].features(view) for n in fitted]), np.concatenate([samples[n].stir for n in fitted])
            )
            for sample in (samples[n] for n in tested):
                values.append(contrast_kept(model.predict(sample.features(view)), sample.stir, sample.lesion, ~sample.lesion))
    return kept


def limit_table(kept: dict[str, list[float]], lesion: str) -> str:
    rows = ((view, mean_and_sd(values, 2), len(values)) for view, values in kept.items())
    return markdown_table(("what a regressor sees", f"contrast of {lesion} kept", "n"), rows)


def _draw(subject: CachedSubject, lesion: str, rng: np.random.Generator) -> Sample | None:
    regions = subject.regions()
    if MARROW not in regions or lesion not in regions or regions[lesion].sum() < FEWEST:
        return None
    array = np.asarray(subject.array(), np.float32)
    smooth = np.stack([uniform_filter(image, (0, WINDOW, WINDOW)) for image in array[:-1]]).reshape(len(array) - 1, -1).T
    places = [np.flatnonzero(regions[name].ravel()) for name in (lesion, MARROW)]
    drawn = [rng.choice(found, min(VOXELS, len(places[0])), replace=len(found) < len(places[0])) for found in places]
    chosen = np.concatenate(drawn)
    return Sample(
        smooth[chosen],
        array[-1].ravel()[chosen],
        np.arange(len(chosen)) < len(drawn[0]),
        array[:-1, regions[MARROW]].mean(axis=1),
    )
