"""Voxels inside an outline: against scikit-image in a slice, and along, across and between slices."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.draw import polygon2mask

from ccdnn.measure.outline import voxels_in_outline

SHAPE = (5, 30, 40)  # slices, rows, columns


def star(seed: int) -> np.ndarray:
    """A jagged outline (n, 2) around column 18.3, row 14.2, whose corners avoid voxel centres."""
    generator = np.random.default_rng(seed)
    angles = np.linspace(0, 2 * np.pi, 23, endpoint=False)
    radii = generator.uniform(3, 13, angles.size)
    return np.column_stack([18.317 + radii * np.cos(angles), 14.213 + radii * np.sin(angles)])


def on_slice(xy: np.ndarray, k: float) -> np.ndarray:
    return np.column_stack([xy, np.full(len(xy), k)])


def mask_of(points, shape=SHAPE) -> np.ndarray:
    mask = np.zeros(np.prod(shape), bool)
    mask[voxels_in_outline(points, shape)] = True
    return mask.reshape(shape)


@pytest.mark.parametrize("seed", range(8))
def test_in_a_slice_as_scikit_image_fills_it(seed):
    outline = star(seed)
    mask = mask_of(on_slice(outline, 2))
    np.testing.assert_array_equal(mask[2], polygon2mask(SHAPE[1:], outline[:, ::-1]))
    assert mask.sum() == mask[2].sum() > 0


@pytest.mark.parametrize(("k", "taken"), [(1.6, 2), (2.4, 2), (2.6, 3), (-0.4, 0), (4.4, 4)])
def test_between_slices_the_nearer_is_taken(k, taken):
    mask = mask_of(on_slice(star(0), k))
    assert np.flatnonzero(mask.any(axis=(1, 2))).tolist() == [taken]


@pytest.mark.parametrize("k", [-0.6, 4.6])
def test_more_than_half_a_slice_away_from_all_slices_is_nothing(k):
    assert voxels_in_outline(on_slice(star(0), k), SHAPE).size == 0


def test_a_part_outside_the_volume_is_left_out():
    outline = star(1) - [15, 10]
    np.testing.assert_array_equal(mask_of(on_slice(outline, 2))[2], polygon2mask(SHAPE[1:], outline[:, ::-1]))


def test_across_the_slices():
    """A rectangle in the plane of column 7: rows 3 to 9, slices 1 to 3."""
    mask = mask_of(np.array([[7.2, 2.5, 0.5], [7.2, 9.5, 0.5], [7.2, 9.5, 3.5], [7.2, 2.5, 3.5]]))
    expected = np.zeros(SHAPE, bool)
    expected[1:4, 3:10, 7] = True
    np.testing.assert_array_equal(mask, expected)


def test_an_oblique_outline_takes_one_voxel_a_column_near_its_plane():
    xy = star(2)
    mask = mask_of(np.column_stack([xy, 0.05 * xy[:, 0] + 0.04 * xy[:, 1]]))
    columns = mask.sum(axis=0)
    np.testing.assert_array_equal(columns, polygon2mask(SHAPE[1:], xy[:, ::-1]).astype(int))
    k, j, i = np.nonzero(mask)
    assert np.abs(k - 0.05 * i - 0.04 * j).max() <= 0.5 + 1e-9


def test_direction_and_first_corner_do_not_matter():
    outline = on_slice(star(3), 1)
    expected = voxels_in_outline(outline, SHAPE)
    np.testing.assert_array_equal(voxels_in_outline(outline[::-1], SHAPE), expected)
    np.testing.assert_array_equal(voxels_in_outline(np.roll(outline, 5, axis=0), SHAPE), expected)
    assert (np.diff(expected) > 0).all()


@pytest.mark.parametrize(
    "points",
    [
        np.empty((0, 3)),
        [[1, 1, 1], [5, 5, 1]],
        [[1, 1, 1], [3, 3, 1], [5, 5, 1]],
        [[2, 2, 2]] * 4,
        [[1, 1, 1], [5, 1, 1], [np.nan, 4, 1]],
    ],
)
def test_what_encloses_nothing_holds_nothing(points):
    assert voxels_in_outline(np.array(points), SHAPE).size == 0
