"""What the three inputs tell of a lesion of the marrow, by regressors that see marrow and the lesion alone, on unseen subjects.

A network must tell the lesion from marrow by what its window shows. In the middle of a lesion wider than the window that is the
lesion's intensities and nothing to compare them with; a wider view would have the marrow around. Both are tried here.
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

WINDOW = 5  # pixels: the mean over it leaves little noise
VOXELS = 500  # of each subject, that many of the lesion and of marrow at most
FEWEST = 50  # voxels of a lesion worth the name
FOLDS = 5
ABSOLUTE, RELATIVE = "intensities alone", "intensities of the knee's own marrow for comparison"


@dataclass(frozen=True, eq=False)
class Sample:
    """Voxels of one subject: `inputs` (voxel, contrast) and `stir` (voxel,), in units of the cache; which are of the lesion."""

    inputs: np.ndarray
    stir: np.ndarray
    lesion: np.ndarray
    own_marrow: np.ndarray

    def features(self, view: str) -> np.ndarray:
        return self.inputs / self.own_marrow if view == RELATIVE else self.inputs


def contrast_by_view(subjects: Sequence[CachedSubject], lesion: str, *, seed: int = 0) -> dict[str, list[float]]:
    """For each view, the lesion's contrast that is kept in each subject that has it (`evaluation.lesions.contrast_kept`).

    Half of the voxels that a regressor is fitted on are the lesion's, far more than any network sees. Folds are of subjects.

    Raises:
        InputError: fewer subjects than folds have the lesion and marrow.
    """
    rng = np.random.default_rng(seed)
    samples = [sample for subject in subjects if (sample := _draw(subject, lesion, rng))]
    if len(samples) < FOLDS:
        raise InputError(f"{len(samples)} subjects show {lesion}, and {FOLDS} are needed; simulate more, with --lesions 1.")
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


def markdown_table(kept: dict[str, list[float]], lesion: str) -> str:
    lines = [f"| what a regressor sees | contrast of {lesion} kept | n |", "|---|---|---|"]
    lines += [f"| {view} | {np.mean(values):.2f} ± {np.std(values, ddof=1):.2f} | {len(values)} |" for view, values in kept.items()]
    return "\n".join(lines) + "\n"


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
