"""SSIM (Wang 2004) and MS-SSIM (Wang 2003) of slices, over everything or inside a mask.

Both are means of a map that holds, for each pixel, what the 11×11 Gaussian window (σ = 1.5 pixels) around it gives, with biased
variances as in the two papers. A window must lie wholly inside the slice, as in the authors' own code; so the pixels within 5 of
the border count for nothing.

Inside a mask the mean is taken over the pixels of the mask. Their windows look beyond it, so that its border, where the structures
are that the measure is named for, counts fully. For MS-SSIM the mask is halved as the images are: a pixel of a coarser scale counts
by the share of it that the mask holds. Pixels where nothing is known of one of the images (it does not reach there) are
another matter: no window may touch them.

The Gaussian filter and the SSIM map are scikit-image's, which is imported when first needed: Slicer has it only once it was asked
for.
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

# Every scale halves the slice, and the coarsest must still hold one window.
MS_SSIM_SMALLEST_SIDE = WINDOW * 2 ** (len(MS_SSIM_WEIGHTS) - 1)


def why_unavailable() -> str:
    """Why SSIM and MS-SSIM cannot be computed here, as a sentence; "" where they can."""
    try:
        # By their names, for scikit-image imports what it needs itself (scipy) only then.
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
        NaN where no pixel counts: a side is shorter than the window, or no pixel of the mask has a complete window.

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

    The mean contrast–structure term of the four finer scales times the mean SSIM of the coarsest, each to its weight; halving by
    the mean of 2×2 pixels. A negative term, where the images oppose each other, counts as 0, since it has no real power.

    Returns:
        NaN below `MS_SSIM_SMALLEST_SIDE` pixels a side, or where at some scale no pixel of the mask has a whole window.
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
    """How many pixels `ssim` averages over: by it the SSIMs of several slices become one."""
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
    """What each pixel whose window lies inside the slice counts in a mean, (rows − 10, columns − 10)."""
    inner = (slice(_RADIUS, -_RADIUS),) * 2
    weights = np.ones(shape)[inner] if mask is None else np.asarray(mask, np.float64)[inner]
    if known is not None and not known.all():
        # Unknown pixels in each window, from their sums above and to the left.
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
