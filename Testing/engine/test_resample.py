"""Resampling onto another grid: exact where nothing changes, right in place and intensity where something does."""

from __future__ import annotations

import numpy as np
import pytest

from ccdnn.errors import InputError
from ccdnn.resample import coverage_mask, resample_onto
from ccdnn.volume import Grid, Volume


def _grid(shape=(6, 20, 24), spacing=(1.0, 1.0, 3.0), origin=(0.0, 0.0, 0.0), axes=None) -> Grid:
    matrix = np.eye(4)
    matrix[:3, :3] = (np.eye(3) if axes is None else np.asarray(axes, dtype=float)) * np.array(spacing)
    matrix[:3, 3] = origin
    return Grid(shape, matrix)


def _volume(grid: Grid, value) -> Volume:
    """A volume whose voxels are `value(right, anterior, superior)` at their centres."""
    slices, rows, columns = grid.shape
    k, j, i = np.meshgrid(np.arange(slices), np.arange(rows), np.arange(columns), indexing="ij")
    ras = np.stack([i, j, k, np.ones_like(i)], axis=-1) @ grid.ijk_to_ras.T
    return Volume(value(ras[..., 0], ras[..., 1], ras[..., 2]), grid.ijk_to_ras, name="series")


def _ramp(r, a, s):
    return 3 + 2 * r - a + 0.5 * s


SAGITTAL = [[0, 0, 1], [1, 0, 0], [0, -1, 0]]  # i to anterior, j to inferior, k to right


def test_same_grid_is_returned_bit_for_bit():
    grid = _grid()
    volume = Volume(np.random.default_rng(0).normal(size=grid.shape), grid.ijk_to_ras)
    result = resample_onto(volume, _grid(origin=(0.004, 0, 0)))  # a header rounded in its last digits
    assert result.volume is volume
    assert not result.changed
    assert result.coverage == 1


@pytest.mark.parametrize("axes", [None, SAGITTAL], ids=["axial", "sagittal"])
def test_linear_ramp_is_reproduced_in_any_orientation(axes):
    reference = _grid(shape=(5, 8, 9), spacing=(0.9, 0.8, 1.1), origin=(4.2, 7.1, 6.3), axes=axes)
    if axes is not None:
        reference = _grid(shape=(5, 8, 9), spacing=(0.9, 0.8, 1.1), origin=(4.2, 7.1, 12.3), axes=axes)
    result = resample_onto(_volume(_grid(), _ramp), reference)
    assert result.coverage == 1
    assert result.changed
    assert result.volume.grid.same_as(reference)
    np.testing.assert_allclose(result.volume.array, _volume(reference, _ramp).array, atol=1e-4)


def test_half_a_voxel_beyond_the_outer_slices_is_covered_and_the_rest_is_zero():
    series = _volume(_grid(shape=(4, 10, 10), spacing=(1, 1, 4)), lambda r, a, s: 100 + s)  # centres at 0, 4, 8, 12 mm
    reference = _grid(shape=(9, 10, 10), spacing=(1, 1, 2), origin=(0, 0, -4))  # centres at -4, -2, ..., 12 mm
    result = resample_onto(series, reference)
    assert result.covered[:, 5, 5].tolist() == [False] + [True] * 8
    np.testing.assert_allclose(result.volume.array[:, 5, 5], [0, 100, 100, 102, 104, 106, 108, 110, 112], atol=1e-4)
    assert result.coverage == pytest.approx(8 / 9)


def test_coverage_counts_the_reference_voxels_inside_the_other_field_of_view():
    reference = _grid(shape=(2, 10, 10), spacing=(1, 1, 1))
    shifted = _grid(shape=(2, 10, 10), spacing=(1, 1, 1), origin=(4, 0, 0))
    # Columns 4 to 9; column 3.5 would be the border of the field of view.
    assert coverage_mask(shifted, reference).mean() == pytest.approx(0.6)


def test_no_overlap_is_refused_in_one_sentence():
    series = Volume(np.ones((3, 4, 5)), np.eye(4), name="GRE")
    with pytest.raises(InputError, match=r"GRE .* does not overlap"):
        resample_onto(series, _grid(origin=(500, 0, 0)))


def test_single_slice_is_refused():
    with pytest.raises(InputError, match="single slice"):
        resample_onto(Volume(np.ones((1, 8, 8)), np.eye(4)), _grid())


def test_fine_series_is_smoothed_to_the_reference_step_before_sampling():
    fine = _grid(shape=(40, 32, 32), spacing=(1, 1, 1))
    noise = Volume(np.random.default_rng(1).normal(100, 10, fine.shape), fine.ijk_to_ras)
    coarse = _grid(shape=(5, 32, 32), spacing=(1, 1, 8), origin=(0, 0, 3.5))
    result = resample_onto(noise, coarse)
    assert result.smoothed_mm[:2] == (0, 0)
    assert result.smoothed_mm[2] == pytest.approx(np.sqrt(8**2 - 1))
    # Eight-millimetre slices of white 1 mm noise: a Gaussian of that width leaves 1/sqrt(2 sigma sqrt(pi)) = 0.29 of its SD.
    assert result.volume.array[1:-1].std() == pytest.approx(2.9, rel=0.15)
    assert result.volume.array.mean() == pytest.approx(100, abs=0.5)


def test_steps_up_to_two_voxels_are_not_smoothed():
    fine = _volume(_grid(shape=(20, 16, 16), spacing=(1, 1, 1)), _ramp)
    assert resample_onto(fine, _grid(shape=(8, 16, 16), spacing=(1, 1, 2))).smoothed_mm == (0, 0, 0)


def test_linear_interpolation_never_overshoots_a_sharp_border():
    step = _volume(_grid(shape=(4, 20, 20)), lambda r, a, s: np.where(r > 10, 1000.0, 0.0))
    moved = resample_onto(step, _grid(shape=(4, 18, 37), spacing=(0.5, 1, 3), origin=(0.3, 0.4, 0))).volume.array
    assert moved.min() >= 0
    assert moved.max() <= 1000
