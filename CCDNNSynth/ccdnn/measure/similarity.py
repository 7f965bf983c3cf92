"""Similarity of two volumes: MSE, PSNR, SSIM and MS-SSIM, as in section 2.7 of the paper, everywhere or inside a mask.

All four are computed on images scaled to 0–1 (see `ccdnn.measure.scaling`), with 1 as the data range. The paper evaluates "by
subject", so a subject gives one number for each measure:

- MSE over all voxels of the volume; PSNR = 10·log10(1 / MSE) of that MSE, not the mean of the slices' PSNRs, which a single
  slice of pure background, equal in both, would make infinite;
- SSIM and MS-SSIM of each slice in its plane (see `ccdnn.measure.structural`), averaged over the slices. Slices are ten times as
  thick as a pixel is wide, so a three-dimensional window would mix distant structures.

Inside a mask, MSE and PSNR are computed over its voxels, and SSIM and MS-SSIM are means over its pixels. The mean over the slices
weights each slice by those pixels; a slice outside the mask has no number. The scaling is always that of the whole volumes, since
a mask of one dark tissue would otherwise stretch its noise to 0–1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from ccdnn.errors import InputError
from ccdnn.measure.scaling import Scaled, Scaling, scale_pair
from ccdnn.measure.structural import DATA_RANGE, MS_SSIM_SMALLEST_SIDE, WINDOW, ms_ssim, ssim, weight_of, why_unavailable
from ccdnn.measure.table import Measurement


class Measure(Enum):
    """A measure; the value is its name."""

    MSE = "MSE"
    PSNR = "PSNR"
    SSIM = "SSIM"
    MS_SSIM = "MS-SSIM"

    def label(self) -> str:
        """The name shown in a list of choices."""
        return self.value

    @property
    def unit(self) -> str:
        return "dB" if self is Measure.PSNR else "1"


@dataclass(frozen=True, eq=False)
class ScaledPair:
    """Two volumes on one grid and one scale, and where they are compared; see `scaled_pair`.

    Args:
        image, reference: with arrays (slice, row, column).
        names: of the two, in this order.
        mask: (slice, row, column) bool, the voxels to measure on; None for all.
        known: (slice, row, column) bool, where both volumes have voxels; None for everywhere.
    """

    image: Scaled
    reference: Scaled
    names: tuple[str, str]
    mask: np.ndarray | None = None
    known: np.ndarray | None = None

    @property
    def inside(self) -> np.ndarray:
        """(slice, row, column) bool: the voxels that are measured."""
        parts = [part for part in (self.mask, self.known) if part is not None]
        return np.logical_and.reduce(parts) if parts else np.ones(self.image.array.shape, bool)

    @property
    def record(self) -> str:
        """The scaling, with the intensities that became 0 and 1, enough to repeat it."""
        text = f"{self.image.scaling.value} scaling"
        if self.image.scaling is Scaling.NONE:
            return text
        first, second = (f"{scaled.low:.4g}…{scaled.high:.4g}" for scaled in (self.image, self.reference))
        return f"{text} ({first} and {second} to 0…1)"


@dataclass(frozen=True)
class SliceSimilarity:
    """One slice.

    Args:
        values: NaN where there is none.
        voxels: how many were measured.
        weight: number of pixels that SSIM averages, used to weight the slices; 0 if it has no value.
    """

    values: dict[Measure, float]
    voxels: int
    weight: float


def mean_squared_error(image: np.ndarray, reference: np.ndarray) -> float:
    """Mean of the squared differences over all voxels of two arrays of one shape."""
    _require_same_shape(image, reference)
    return float(np.mean((np.asarray(image, np.float64) - np.asarray(reference, np.float64)) ** 2))


def peak_signal_to_noise_ratio(image: np.ndarray, reference: np.ndarray) -> float:
    """10·log10(1 / MSE) in dB; infinite for equal arrays."""
    return psnr_of(mean_squared_error(image, reference))


def psnr_of(mean_squared_error: float, data_range: float = DATA_RANGE) -> float:
    """10·log10(range² / MSE) in dB; infinite if there is no error.

    >>> round(psnr_of(0.001), 1)
    30.0
    """
    return math.inf if mean_squared_error == 0 else 10 * math.log10(data_range**2 / mean_squared_error)


def scaled_pair(
    image: np.ndarray,
    reference: np.ndarray,
    scaling: Scaling = Scaling.NONE,
    *,
    names: tuple[str, str] = ("The image", "The reference"),
    mask: np.ndarray | None = None,
    known: np.ndarray | None = None,
) -> ScaledPair:
    """Scale two volumes alike to measure their similarity.

    Args:
        image, reference: (slice, row, column).
        names: of the two, for messages and tables.
        mask, known: see `ScaledPair`.

    Raises:
        InputError: different shapes, not three-dimensional, NaN or infinite voxels, an image without a scale, or a mask with no
            voxel where both are known.
    """
    for other in (reference, mask, known):
        if other is not None:
            _require_same_shape(image, other)
    if image.ndim != 3:
        raise InputError(f"Similarity is measured on volumes of slices, rows and columns, not on {image.ndim} dimensions.")
    pair = ScaledPair(
        *scale_pair(image, reference, scaling, names=names),
        names,
        None if mask is None else np.asarray(mask) != 0,
        None if known is None else np.asarray(known) != 0,
    )
    if (mask is not None or known is not None) and not pair.inside.any():
        raise InputError(f"The mask contains no voxel at which {names[0]} and {names[1]} can be compared; draw or choose another.")
    return pair


def similarity_by_slice(pair: ScaledPair) -> Iterator[SliceSimilarity]:
    """Measure slice by slice, lazily, so that a user interface can draw in between.

    Without scikit-image SSIM and MS-SSIM are NaN.
    """
    structural, inside = not why_unavailable(), pair.inside
    for index, (x, y) in enumerate(zip(pair.image.array, pair.reference.array, strict=True)):
        count = int(inside[index].sum())
        error = mean_squared_error(x[inside[index]], y[inside[index]]) if count else math.nan
        where = [None if part is None else part[index] for part in (pair.mask, pair.known)]
        weight = weight_of(x.shape, *where) if structural and count else 0.0
        values = {
            Measure.MSE: error,
            Measure.PSNR: psnr_of(error),
            Measure.SSIM: ssim(x, y, *where) if weight else math.nan,
            Measure.MS_SSIM: ms_ssim(x, y, *where) if weight else math.nan,
        }
        yield SliceSimilarity(values, count, weight)


def of_volume(slices: Sequence[SliceSimilarity]) -> dict[Measure, float]:
    """The measures of the volume, from those of all its slices, as defined above; NaN if undefined."""
    error = _weighted_mean([(one.values[Measure.MSE], one.voxels) for one in slices])
    means = {
        measure: _weighted_mean([(one.values[measure], one.weight) for one in slices])
        for measure in (Measure.SSIM, Measure.MS_SSIM)
    }
    return {Measure.MSE: error, Measure.PSNR: psnr_of(error), **means}


def notes_on(pair: ScaledPair, slices: Sequence[SliceSimilarity]) -> dict[Measure, str]:
    """Why a measure has no value, for the volume or for measured slices, a sentence each."""
    rows, columns = pair.image.array.shape[1:]
    notes, measured = {}, sum(one.voxels > 0 for one in slices)
    for measure, smallest in ((Measure.SSIM, WINDOW), (Measure.MS_SSIM, MS_SSIM_SMALLEST_SIDE)):
        without = measured - _count(slices, measure)
        if not without:
            continue
        if why_unavailable():
            notes[measure] = why_unavailable()
        elif min(rows, columns) < smallest:
            notes[measure] = f"Slices of {columns}×{rows} pixels are too small for {measure.value}; {smallest} per side are needed."
        else:
            notes[measure] = (
                f"{without} of {measured} slices have no {measure.value}, because the measured region lies too near the border of "
                "the slice for its windows."
            )
    return notes


def measurements(pair: ScaledPair, slices: Sequence[SliceSimilarity], measured_on: str) -> list[Measurement]:
    """The four measures of the volume as rows.

    Args:
        slices: of `similarity_by_slice`, all of them.
        measured_on: the pair in words.
    """
    values, notes = of_volume(slices), notes_on(pair, slices)
    place = "the volume" if pair.mask is None else "the mask"
    voxels = sum(one.voxels for one in slices)
    average = "mean over the slices" + ("" if pair.mask is None and pair.known is None else ", weighted by their measured pixels")
    how = {
        Measure.MSE: (f"over {place}", voxels),
        Measure.PSNR: (f"from the MSE over {place}", voxels),
        Measure.SSIM: (average, _count(slices, Measure.SSIM)),
        Measure.MS_SSIM: (average, _count(slices, Measure.MS_SSIM)),
    }
    return [
        Measurement(
            measure.value, values[measure], measure.unit, measured_on, f"{method}; {pair.record}", n, notes.get(measure, "")
        )
        for measure, (method, n) in how.items()
    ]


def similarity(
    image: np.ndarray,
    reference: np.ndarray,
    scaling: Scaling = Scaling.NONE,
    measured_on: str = "image against reference",
    *,
    mask: np.ndarray | None = None,
) -> list[Measurement]:
    """MSE, PSNR, SSIM and MS-SSIM of one subject.

    Args:
        image, reference: (slice, row, column).
        scaling: how each is scaled to 0–1; by default they already are. The rows record it.
        measured_on: the pair in words, for the table.
        mask: (slice, row, column) bool, the voxels to measure on; None for all.

    Raises:
        InputError: see `scaled_pair`.
    """
    pair = scaled_pair(image, reference, scaling, mask=mask)
    return measurements(pair, list(similarity_by_slice(pair)), measured_on)


def _count(slices: Sequence[SliceSimilarity], measure: Measure) -> int:
    """How many slices have a value."""
    return sum(not math.isnan(one.values[measure]) for one in slices)


def _weighted_mean(values: list[tuple[float, float]]) -> float:
    """Weighted mean of (value, weight) pairs, ignoring NaN values; NaN if none is left."""
    there = [(value, weight) for value, weight in values if weight > 0 and not math.isnan(value)]
    return sum(value * weight for value, weight in there) / sum(weight for _, weight in there) if there else math.nan


def _require_same_shape(image: np.ndarray, reference: np.ndarray) -> None:
    if image.shape != reference.shape:
        raise InputError(f"Images of {image.shape} and {reference.shape} voxels cannot be compared; resample one onto the other.")
