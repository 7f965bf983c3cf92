"""SSIM (Wang 2004) and MS-SSIM (Wang 2003) of slices, everywhere or inside a mask.

Both are means of a map with the value of the 11×11 Gaussian window (σ = 1.5 pixels) around each pixel, with biased variances as in
the two papers. A window must lie wholly inside the slice, as in the authors' own code, so pixels within 5 of the border are
excluded.

Inside a mask the mean is taken over the pixels of the mask. Their windows extend beyond it, so that structures at its border count
fully. For MS-SSIM the mask is halved like the images: a pixel of a coarser scale is weighted by its share inside the mask. Pixels
that one of the images does not cover are different: no window may touch them.

The Gaussian filter and the SSIM map come from scikit-image, which is imported when first needed: Slicer installs it only on
request.
"""

from __future__ import annotations

from functools import partial

import numpy as np

DATA_RANGE = 1.0
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang 2003, finest scale first

_SIGMA = 1.5
_RADIUS = 5
WINDOW = 2 * _RADIUS + 1
_C2 = (0.03 * DATA_RANGE) ** 2

# Every scale halves the slice, and the coarsest must still contain one window.
MS_SSIM_SMALLEST_SIDE = WINDOW * 2 ** (len(MS_SSIM_WEIGHTS) - 1)


def why_unavailable() -> str:
    """Why SSIM and MS-SSIM cannot be computed here, as a sentence; "" if they can."""
    try:
        # Import the names themselves, since scikit-image imports scipy only then.
        from skimage.filters import gaussian  # noqa: F401
        from skimage.metrics import structural_similarity  # noqa: F401
    except ImportError:
        return "SSIM and MS-SSIM need scikit-image, a Python package that is not installed here."
    return ""


def ssim(image: np.ndarray, reference: np.ndarray, mask: np.ndarray | None = None, known: np.ndarray | None = None) -> float:
    """Structural similarity of two slices.

    Args:
        image, reference: (row, column), scaled to 0–1.
        mask: (row, column), the pixels to average over, or the share of each, 0 to 1; None for all.
        known: (row, column) bool, where both images have pixels; None for everywhere.

    Returns:
        NaN if no pixel counts: a side is shorter than the window, or no pixel of the mask has a complete window.

    Raises:
        ImportError: without scikit-image.
    """
    if min(image.shape) < WINDOW:
        return float("nan")
    from skimage.metrics import structural_similarity

    _, similarity_map = structural_similarity(
        np.asarray(image, np.float64),
        np.asarray(reference, np.float64),
        data_range=DATA_RANGE,
        gaussian_weights=True,
        sigma=_SIGMA,
        use_sample_covariance=False,
        full=True,
    )
    return _mean(similarity_map, _weights(image.shape, mask, known))


def ms_ssim(image: np.ndarray, reference: np.ndarray, mask: np.ndarray | None = None, known: np.ndarray | None = None) -> float:
    """Multi-scale structural similarity of two slices; arguments and errors as for `ssim`.

    The mean contrast–structure term of the four finer scales times the mean SSIM of the coarsest, each raised to its weight;
    scales are halved by averaging 2×2 pixels. A negative term (anticorrelated images) counts as 0, since its power is not real.

    Returns:
        NaN below `MS_SSIM_SMALLEST_SIDE` pixels a side, or if at some scale no pixel of the mask has a whole window.
    """
    if min(image.shape) < MS_SSIM_SMALLEST_SIDE:
        return float("nan")
    x, y = np.asarray(image, np.float64), np.asarray(reference, np.float64)
    product = 1.0
    for weight in MS_SSIM_WEIGHTS[:-1]:
        product *= np.maximum(_mean(_contrast_structure(x, y), _weights(x.shape, mask, known)), 0.0) ** weight  # keeps NaN
        x, y = _quarters(x).mean(axis=(1, 3)), _quarters(y).mean(axis=(1, 3))
        mask = None if mask is None else _quarters(np.asarray(mask, np.float64)).mean(axis=(1, 3))
        known = None if known is None else np.asarray(_quarters(known).all(axis=(1, 3)))
    return float(product * np.maximum(ssim(x, y, mask, known), 0.0) ** MS_SSIM_WEIGHTS[-1])


def weight_of(shape: tuple[int, int], mask: np.ndarray | None = None, known: np.ndarray | None = None) -> float:
    """The number of pixels that `ssim` averages over, used to weight the slices."""
    return float(_weights(shape, mask, known).sum()) if min(shape) >= WINDOW else 0.0


def _contrast_structure(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(2σ_xy + C2) / (σ_x² + σ_y² + C2) of the window around each pixel."""
    from skimage.filters import gaussian

    mean = partial(gaussian, sigma=_SIGMA, truncate=_RADIUS / _SIGMA, preserve_range=True)
    mean_x, mean_y = mean(x), mean(y)
    covariance = mean(x * y) - mean_x * mean_y
    variances = mean(x * x) - mean_x**2 + mean(y * y) - mean_y**2
    return (2 * covariance + _C2) / (variances + _C2)


def _weights(shape: tuple[int, int], mask: np.ndarray | None, known: np.ndarray | None) -> np.ndarray:
    """The weight of each pixel whose window lies inside the slice, (rows − 10, columns − 10)."""
    inner = (slice(_RADIUS, -_RADIUS),) * 2
    weights = np.ones(shape)[inner] if mask is None else np.asarray(mask, np.float64)[inner]
    if known is not None and not known.all():
        # Unknown pixels in each window, from cumulative sums.
        sums = np.pad(np.cumsum(np.cumsum(~known, axis=0), axis=1), ((1, 0), (1, 0)))
        unknown = sums[WINDOW:, WINDOW:] - sums[:-WINDOW, WINDOW:] - sums[WINDOW:, :-WINDOW] + sums[:-WINDOW, :-WINDOW]
        weights = weights * (unknown == 0)
    return weights


def _mean(values: np.ndarray, weights: np.ndarray) -> float:
    """Weighted mean over the pixels whose window lies inside the slice."""
    total = weights.sum()
    return float((values[_RADIUS:-_RADIUS, _RADIUS:-_RADIUS] * weights).sum() / total) if total > 0 else float("nan")


def _quarters(x: np.ndarray) -> np.ndarray:
    """(row, 2, column, 2): the 2×2 pixels that become one; an odd row or column at the end is dropped."""
    rows, columns = (n - n % 2 for n in x.shape)
    return x[:rows, :columns].reshape(rows // 2, 2, columns // 2, 2)
