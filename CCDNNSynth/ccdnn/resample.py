"""Resamples a series onto the grid of another one, and reports how much of that grid it covers.

Interpolation is linear. A B-spline or a windowed sinc keeps finer detail but overshoots at the sharp borders a knee is full of
(cortical bone beside marrow, air beside skin): it makes negative voxels and bright rims that no scanner measured, and a network
would convert them into signal. The rims matter more here than the slight blur of the linear kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ccdnn.conversion import place, to_sitk
from ccdnn.errors import InputError
from ccdnn.volume import Grid, Volume

# A slice has a thickness and a voxel a width, so the field of view ends half a voxel beyond the outermost centres.
_HALF_VOXEL = 0.5
# Voxels on that border count as inside, despite rounding in the headers.
_BORDER_TOLERANCE = 1e-3
# Linear interpolation itself averages two neighbours, which is enough for steps of up to two voxels. Beyond that, voxels between
# the samples would be skipped, and their noise and edges would alias.
_SMOOTH_FROM_STEP = 2.0


@dataclass(frozen=True)
class Resampled:
    """A volume on the reference's grid.

    Args:
        volume: the voxels there; 0 where the series has none.
        covered: (slice, row, column) bool, the reference's voxels whose centre lies in the field of view of the series.
        changed: False where the grids were the same and the voxels were left as they are.
        smoothed_mm: full width at half maximum of the Gaussian applied before the interpolation, along the (i, j, k) of the
            series; 0 where none was needed.
    """

    volume: Volume
    covered: np.ndarray
    changed: bool
    smoothed_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def coverage(self) -> float:
        """Share of the reference's voxels that the series covers, 0 to 1."""
        return float(self.covered.mean())


def resample_onto(volume: Volume, reference: Grid) -> Resampled:
    """Interpolate `volume` linearly at the voxel centres of `reference`.

    A series on the same grid is returned unchanged, bit for bit. Up to half a voxel beyond the outermost centres the value of the
    nearest voxel is used, since slices and voxels have a width; further out it is 0 and counts as not covered. If the reference
    steps over more than two voxels of the series, the series is first smoothed along that axis to the width of the step.

    Raises:
        InputError: a single slice (or row, or column), or no voxel in common.
    """
    if min(volume.grid.shape) < 2:
        raise InputError(f"{volume.name} is a single slice ({volume.grid}); at least two are needed to place it on another grid.")
    if volume.grid.same_as(reference):
        return Resampled(volume, np.ones(reference.shape, dtype=bool), changed=False)
    covered = coverage_mask(volume.grid, reference)
    if not covered.any():
        raise InputError(
            f"{volume.name} ({volume.grid}) does not overlap the reference ({reference}): they image different places; "
            "choose series of the same knee and the same visit."
        )
    widths = _anti_alias_widths(volume.grid, reference)
    image = _smoothed(to_sitk(volume, entries={}), widths)
    moved = sitk.Resample(image, _to_sitk_like(reference), sitk.Transform(3, sitk.sitkIdentity), sitk.sitkLinear, 0.0)
    array = sitk.GetArrayFromImage(moved)
    array[~covered] = 0
    return Resampled(volume.with_array(array, ijk_to_ras=reference.ijk_to_ras), covered, changed=True, smoothed_mm=widths)


def coverage_mask(series: Grid, reference: Grid) -> np.ndarray:
    """(slice, row, column) bool: the voxel centres of `reference` inside the field of view of `series`."""
    to_series = np.linalg.inv(series.ijk_to_ras) @ reference.ijk_to_ras
    slices, rows, columns = reference.shape
    i, j, k = np.arange(columns), np.arange(rows)[:, None], np.arange(slices)[:, None, None]
    covered = np.ones(reference.shape, dtype=bool)
    margin = _HALF_VOXEL + _BORDER_TOLERANCE
    for row, extent in zip(to_series[:3], reversed(series.shape), strict=True):
        index = row[0] * i + row[1] * j + (row[2] * k + row[3])
        covered &= (index >= -margin) & (index <= extent - 1 + margin)
    return covered


def _anti_alias_widths(series: Grid, reference: Grid) -> tuple[float, float, float]:
    """FWHM in mm of the smoothing along each axis of `series` before it is sampled at the steps of `reference`.

    A Gaussian as wide as the reference voxel is, less (in quadrature) the width the voxel of the series already has: Cardoso et
    al., "Scale factor point spread function matching", MICCAI 2015.
    """
    spacing = np.array(series.spacing)
    axes = series.ijk_to_ras[:3, :3] / spacing
    # How far a reference voxel reaches along each axis of the series, whichever way the two are turned.
    reach = np.linalg.norm(axes.T @ reference.ijk_to_ras[:3, :3], axis=1)
    widths = np.sqrt(np.maximum(reach**2 - spacing**2, 0))
    i, j, k = np.where(reach > _SMOOTH_FROM_STEP * spacing, widths, 0.0)
    return float(i), float(j), float(k)


def _smoothed(image: sitk.Image, fwhm_mm: tuple[float, float, float]) -> sitk.Image:
    for axis, fwhm in enumerate(fwhm_mm):
        if fwhm > 0:
            variance = [0.0, 0.0, 0.0]
            variance[axis] = fwhm**2 / (8 * np.log(2))
            # The spacing is the image's, so the variance is in mm². The kernel may be long: a slice step over in-plane pixels.
            image = sitk.DiscreteGaussian(image, variance, maximumKernelWidth=256, maximumError=0.01, useImageSpacing=True)
    return image


def _to_sitk_like(grid: Grid) -> sitk.Image:
    """An image that only provides its grid."""
    image = sitk.Image([int(n) for n in reversed(grid.shape)], sitk.sitkUInt8)
    place(image, grid)
    return image
