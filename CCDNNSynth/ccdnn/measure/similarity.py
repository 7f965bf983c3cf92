"""How alike two images are: MSE, PSNR, SSIM and MS-SSIM, as in section 2.7 of the paper.

All four are taken on images scaled to 0–1 (see `ccdnn.measure.scaling`), with 1 as the data range. The paper evaluates "by
subject", so a subject gives one number for each measure:

- MSE over all voxels of the volume; PSNR = 10·log10(1 / MSE) of that MSE, and not the mean of the slices' PSNRs, which a single
  slice of mere background, equal in both, would make infinite;
- SSIM (Wang 2004) and MS-SSIM (Wang 2003) of each slice in its plane, averaged over the slices. Slices are ten times as thick as
  a pixel is wide, so a window in three dimensions would mix what lies far apart.

Windows are Gaussian, σ = 1.5 pixels, 11×11, and biased variances as in the two papers.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from skimage.filters import gaussian
from skimage.metrics import structural_similarity

from ccdnn.errors import InputError
from ccdnn.measure.scaling import Scaling, scale_pair
from ccdnn.measure.table import Measurement

DATA_RANGE = 1.0
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang 2003, finest scale first

_SIGMA = 1.5
_RADIUS = 5  # the 11×11 window
_WINDOW = 2 * _RADIUS + 1
_C2 = (0.03 * DATA_RANGE) ** 2

# Every scale halves the slice, and the coarsest must still hold one window.
MS_SSIM_SMALLEST_SIDE = _WINDOW * 2 ** (len(MS_SSIM_WEIGHTS) - 1)


def mean_squared_error(image: np.ndarray, reference: np.ndarray) -> float:
    """Mean of the squared differences over all voxels of two arrays of one shape."""
    _require_same_shape(image, reference)
    return float(np.mean((np.asarray(image, np.float64) - np.asarray(reference, np.float64)) ** 2))


def peak_signal_to_noise_ratio(image: np.ndarray, reference: np.ndarray) -> float:
    """10·log10(1 / MSE) in dB; infinite for equal arrays."""
    error = mean_squared_error(image, reference)
    return float("inf") if error == 0 else float(10 * np.log10(DATA_RANGE**2 / error))


def ssim(image: np.ndarray, reference: np.ndarray) -> float:
    """Structural similarity of two slices (row, column), Wang 2004; NaN where a side is shorter than the window of 11."""
    _require_same_shape(image, reference)
    if min(image.shape) < _WINDOW:
        return float("nan")
    return float(
        structural_similarity(
            np.asarray(image, np.float64),
            np.asarray(reference, np.float64),
            data_range=DATA_RANGE,
            gaussian_weights=True,
            sigma=_SIGMA,
            use_sample_covariance=False,
        )
    )


def ms_ssim(image: np.ndarray, reference: np.ndarray) -> float:
    """Multi-scale structural similarity of two slices (row, column), Wang 2003; NaN below `MS_SSIM_SMALLEST_SIDE` pixels a side.

    The contrast–structure term of the four finer scales times the full SSIM of the coarsest, each to its weight; halving by the
    mean of 2×2 pixels. A negative term, where the images oppose each other, counts as 0, since it has no real power.
    """
    _require_same_shape(image, reference)
    if min(image.shape) < MS_SSIM_SMALLEST_SIDE:
        return float("nan")
    x, y = np.asarray(image, np.float64), np.asarray(reference, np.float64)
    product = 1.0
    for weight in MS_SSIM_WEIGHTS[:-1]:
        product *= max(_contrast_structure(x, y), 0.0) ** weight
        x, y = _halved(x), _halved(y)
    return product * max(ssim(x, y), 0.0) ** MS_SSIM_WEIGHTS[-1]


def similarity(
    image: np.ndarray,
    reference: np.ndarray,
    scaling: Scaling = Scaling.NONE,
    measured_on: str = "image against reference",
) -> list[Measurement]:
    """MSE, PSNR, SSIM and MS-SSIM of one subject, as defined above.

    Args:
        image, reference: (slice, row, column).
        scaling: how each of them comes to 0–1; by default they are there already. The rows say which.
        measured_on: the pair in words, for the table.

    Raises:
        InputError: different shapes, not three-dimensional, NaN or infinite voxels, or an image without a scale.
    """
    _require_same_shape(image, reference)
    if image.ndim != 3:
        raise InputError(f"Similarity is measured on volumes of slices, rows and columns, not on {image.ndim} dimensions.")
    first, second = scale_pair(image, reference, scaling, names=("The image", "The reference"))
    record = f"{scaling.value} scaling"
    if scaling is not Scaling.NONE:
        record += f" ({first.low:.4g}…{first.high:.4g} and {second.low:.4g}…{second.high:.4g} to 0…1)"
    by_slice = similarity_by_slice(first.array, second.array)

    def row(name: str, value: float, unit: str, method: str, n: int, note: str = "") -> Measurement:
        return Measurement(name, value, unit, measured_on, f"{method}; {record}", n, note)

    def mean_of_slices(name: str, smallest_side: int) -> Measurement:
        value = float(np.mean([measures[name] for measures in by_slice]))
        rows, columns = image.shape[1:]
        note = "" if np.isfinite(value) else f"Slices of {columns}×{rows} pixels are too small; {smallest_side} a side are needed."
        return row(name, value, "1", "mean over the slices", len(by_slice), note)

    return [
        row("MSE", mean_squared_error(first.array, second.array), "1", "over the volume", image.size),
        row("PSNR", peak_signal_to_noise_ratio(first.array, second.array), "dB", "from the MSE over the volume", image.size),
        mean_of_slices("SSIM", _WINDOW),
        mean_of_slices("MS-SSIM", MS_SSIM_SMALLEST_SIDE),
    ]


def similarity_by_slice(image: np.ndarray, reference: np.ndarray) -> list[dict[str, float]]:
    """The four measures of every slice on its own, of volumes (slice, row, column) that are scaled to 0–1 already."""
    _require_same_shape(image, reference)
    return [
        {
            "MSE": mean_squared_error(x, y),
            "PSNR": peak_signal_to_noise_ratio(x, y),
            "SSIM": ssim(x, y),
            "MS-SSIM": ms_ssim(x, y),
        }
        for x, y in zip(image, reference, strict=True)
    ]


def _contrast_structure(x: np.ndarray, y: np.ndarray) -> float:
    """Mean of (2σ_xy + C2) / (σ_x² + σ_y² + C2) over the windows that lie wholly inside the slice."""
    mean = partial(gaussian, sigma=_SIGMA, truncate=_RADIUS / _SIGMA, preserve_range=True)
    mean_x, mean_y = mean(x), mean(y)
    covariance = mean(x * y) - mean_x * mean_y
    variances = mean(x * x) - mean_x**2 + mean(y * y) - mean_y**2
    terms = (2 * covariance + _C2) / (variances + _C2)
    return float(terms[_RADIUS:-_RADIUS, _RADIUS:-_RADIUS].mean())


def _halved(x: np.ndarray) -> np.ndarray:
    rows, columns = (n - n % 2 for n in x.shape)
    return x[:rows, :columns].reshape(rows // 2, 2, columns // 2, 2).mean(axis=(1, 3))


def _require_same_shape(image: np.ndarray, reference: np.ndarray) -> None:
    if image.shape != reference.shape:
        raise InputError(f"Images of {image.shape} and {reference.shape} voxels cannot be compared; resample one onto the other.")
