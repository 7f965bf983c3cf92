"""Measurements on a subject's acquired and predicted STIR: similarity, where errors lie, CNR, lesions, overlap, a line profile.

Images are scaled to 0–1 by one factor per subject, the acquired STIR's maximum, as in `evaluation.study`. Tissues are those of the
subject's regions; without regions, only similarity is measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import binary_dilation, gaussian_filter

from ccdnn.measure.cnr import PAPER_PAIRS, TissuePair, cnr, tissue_name
from ccdnn.measure.overlap import MENISCUS_THRESHOLD, overlap_measurement, threshold_overlap
from ccdnn.measure.profile import Image, LineProfiles, compare, measure_profiles
from ccdnn.measure.similarity import Measure, peak_signal_to_noise_ratio, similarity
from ccdnn.measure.table import Measurement
from ccdnn.volume import Volume
from ccdnn_training.data.cache import CachedSubject
from ccdnn_training.evaluation.baselines import best_affine_fit
from ccdnn_training.evaluation.lesions import MARROW, contrast_kept

ACQUIRED = "acquired"

LESION_ERROR, LESION_SIGNAL, LESION_CONTRAST = "lesion error", "lesion signal", "lesion contrast"
DICE = "Dice"
PROFILE_NUMBERS = ("Pearson r", "RMSE")

# Fluid and vessels: few voxels of STIR, but much of its squared error.
BRIGHTEST = 0.01
BRIGHT_SHARE, REST_PSNR, SCALED_PSNR = "squared error in the brightest 1 %", "PSNR of the other 99 %", "PSNR at the best scale"

# SSIM prefers a smooth estimate of a noisy image. With all methods smoothed alike, remaining differences have other causes.
SMOOTHING = 1.0  # pixels, the standard deviation of a Gaussian
SMOOTHED_SSIM = f"SSIM after a Gaussian of {SMOOTHING:g} pixel"

# Margin around the meniscus in mm, as a magnified picture of it shows.
MENISCUS_SURROUNDINGS = 3.0
# Length of the line through the joint, in mm to either side of the cartilage.
LINE_REACH = 25.0


@dataclass(frozen=True)
class Row:
    """One number of one image of one subject.

    Args:
        lesion: the subject's lesion, or "".
        image: `ACQUIRED`, or the title of the method that predicted it.
        value: NaN if it could not be measured; `note` gives the reason.
    """

    subject: str
    lesion: str
    fold: int
    image: str
    name: str
    value: float
    unit: str
    n: int
    how: str
    note: str


@dataclass(frozen=True, eq=False)
class Stirs:
    """A subject's acquired STIR and a predicted one, scaled to 0–1, and its tissues."""

    subject: CachedSubject
    acquired: np.ndarray
    predicted: np.ndarray
    regions: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, subject: CachedSubject, prediction: np.ndarray) -> Stirs:
        acquired = np.asarray(subject.array()[-1], np.float32)
        top = acquired.max()
        return cls(subject, acquired / top, prediction / top, subject.regions())

    @property
    def lesion(self) -> np.ndarray | None:
        """(slice, row, column) bool; None for a healthy subject, or if the lesion is not drawn."""
        return self.regions.get(tissue_name(self.subject.lesion))


def measure_subject(stirs: Stirs, fold: int, method: str) -> list[Row]:
    """All that can be measured on one subject."""
    lesion = stirs.subject.lesion
    images = {ACQUIRED: stirs.acquired, method: stirs.predicted}

    def row(image: str, found: Measurement) -> Row:
        return Row(stirs.subject.name, lesion, fold, image, found.name, found.value, found.unit, found.n, found.method, found.note)

    rows = [row(image, found) for image, array in images.items() for found in _contrast_to_noise(array, stirs.regions, lesion)]
    compared = (
        _lesion(stirs, method)
        if lesion
        else [
            *similarity(stirs.predicted, stirs.acquired, measured_on=method),
            *_errors(stirs, method),
            *_smoothed(stirs, method),
            *_meniscus(stirs, method),
            *_profile(stirs),
        ]
    )
    return rows + [row(method, found) for found in compared]


def joint_line(subject: CachedSubject, regions: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """(2, 3) ends, in mm of `_in_mm`, of a vertical line through the cartilage in the slice with most of it; None without any."""
    if "cartilage" not in regions:
        return None
    index = int(regions["cartilage"].sum(axis=(1, 2)).argmax())
    rows, columns = np.nonzero(regions["cartilage"][index])
    x, y, z = spacing_of(subject)
    column = float(np.median(columns))
    row = float(np.median(rows[columns == round(column)])) if np.any(columns == round(column)) else float(np.median(rows))
    last = regions["cartilage"].shape[1] - 1
    ends = np.clip([row - LINE_REACH / y, row + LINE_REACH / y], 0, last)
    return np.array([[column * x, end * y, index * z] for end in ends])


def profiles_of(stirs: Stirs) -> LineProfiles | None:
    """Both images along the `joint_line`; None if there is none."""
    ends = joint_line(stirs.subject, stirs.regions)
    if ends is None:
        return None
    volumes = {Image.ACQUIRED: _in_mm(stirs.acquired, stirs.subject), Image.SYNTHETIC: _in_mm(stirs.predicted, stirs.subject)}
    return measure_profiles(volumes, ends)


def spacing_of(subject: CachedSubject) -> tuple[float, float, float]:
    """Voxel spacing in mm along columns, rows and slices."""
    return tuple(subject.provenance["spacing_mm"])


def meniscus_surroundings(stirs: Stirs) -> np.ndarray | None:
    """(slice, row, column) bool: the menisci and their surroundings in the same slices; None if there are none."""
    meniscus = stirs.regions.get("meniscus")
    if meniscus is None:
        return None
    reach = max(1, round(MENISCUS_SURROUNDINGS / spacing_of(stirs.subject)[0]))
    return binary_dilation(meniscus, np.ones((1, 3, 3), bool), iterations=reach)


def _contrast_to_noise(image: np.ndarray, regions: Mapping[str, np.ndarray], lesion: str) -> Iterator[Measurement]:
    pairs: Sequence[TissuePair] = (TissuePair(tissue_name(lesion), MARROW),) if lesion else PAPER_PAIRS
    for pair in pairs:
        if pair.foreground in regions and pair.background in regions:
            yield cnr(image[regions[pair.foreground]], image[regions[pair.background]], name=f"CNR {pair}")


def _errors(stirs: Stirs, method: str) -> Iterator[Measurement]:
    """Whether the error lies in few bright voxels, or in the scale of the whole image."""
    squared = np.square(stirs.predicted.astype(np.float64) - stirs.acquired)
    bright = stirs.acquired >= np.quantile(stirs.acquired, 1 - BRIGHTEST)
    share = float(squared[bright].sum() / squared.sum()) if squared.any() else math.nan
    rest = peak_signal_to_noise_ratio(stirs.predicted[~bright], stirs.acquired[~bright])
    scaled = peak_signal_to_noise_ratio(best_affine_fit(stirs.predicted, stirs.acquired), stirs.acquired)
    where = "brightest in the acquired STIR"
    yield Measurement(BRIGHT_SHARE, share, "1", method, f"share of the sum over the voxels {where}", int(bright.sum()))
    yield Measurement(REST_PSNR, rest, "dB", method, f"without the voxels {where}", int((~bright).sum()))
    yield Measurement(SCALED_PSNR, scaled, "dB", method, "after the least-squares fit of a·synthetic + b", squared.size)


def _smoothed(stirs: Stirs, method: str) -> Iterator[Measurement]:
    smooth = gaussian_filter(stirs.predicted, (0, SMOOTHING, SMOOTHING))
    for found in similarity(smooth, stirs.acquired, measured_on=method):
        if found.name == Measure.SSIM.value:
            yield replace(found, name=SMOOTHED_SSIM)


def _lesion(stirs: Stirs, method: str) -> Iterator[Measurement]:
    inside = stirs.lesion
    if inside is None:
        return
    predicted, acquired = stirs.predicted[inside], stirs.acquired[inside]
    error, signal, n = float(np.abs(predicted - acquired).mean()), float(predicted.mean() / acquired.mean()), int(inside.sum())
    yield Measurement(LESION_ERROR, error, "1", method, "mean |synthetic − acquired| over the lesion", n)
    yield Measurement(LESION_SIGNAL, signal, "1", method, "mean synthetic / mean acquired of the lesion", n)
    if MARROW in stirs.regions:
        kept = contrast_kept(stirs.predicted, stirs.acquired, inside, stirs.regions[MARROW])
        yield Measurement(LESION_CONTRAST, kept, "1", method, f"(lesion − {MARROW}) synthetic / acquired, of means", n)


def _meniscus(stirs: Stirs, method: str) -> Iterator[Measurement]:
    inside = meniscus_surroundings(stirs)
    if inside is not None:
        overlap = threshold_overlap(stirs.predicted, stirs.acquired, MENISCUS_THRESHOLD, inside)
        yield overlap_measurement(overlap, method, f"within {MENISCUS_SURROUNDINGS:g} mm of the menisci")


def _profile(stirs: Stirs) -> Iterator[Measurement]:
    profiles = profiles_of(stirs)
    if profiles is not None:
        yield from (found for found in compare(profiles) if found.name in PROFILE_NUMBERS)


def _in_mm(array: np.ndarray, subject: CachedSubject) -> Volume:
    """A volume with axes in mm along columns, rows and slices, since a cache does not store the position in the patient."""
    return Volume(array, np.diag([*spacing_of(subject), 1.0]), name=subject.name)
