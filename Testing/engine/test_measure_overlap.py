"""Overlap of segmentations by threshold: against SimpleITK's filter, and at its edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk

from ccdnn.errors import InputError
from ccdnn.measure.overlap import MENISCUS_THRESHOLD, Overlap, overlap_measurement, threshold_overlap


@pytest.fixture
def pair():
    rng = np.random.default_rng(1)
    reference = rng.random((3, 20, 17)).astype(np.float32)
    return (reference + rng.normal(0, 0.05, reference.shape)).astype(np.float32), reference


@pytest.mark.parametrize("masked", [False, True])
def test_dice_and_counts_agree_with_simpleitk(pair, masked):
    inside = np.arange(pair[0].size).reshape(pair[0].shape) % 3 == 0 if masked else np.ones(pair[0].shape, bool)
    overlap = threshold_overlap(*pair, 0.3, inside if masked else None)
    first, second = (sitk.GetImageFromArray(((image < 0.3) & inside).astype(np.uint8)) for image in pair)
    measures = sitk.LabelOverlapMeasuresImageFilter()
    measures.Execute(first, second)
    assert overlap.dice == pytest.approx(measures.GetDiceCoefficient(), abs=1e-12)
    assert overlap.image == int(sitk.GetArrayFromImage(first).sum())
    assert overlap.reference == int(sitk.GetArrayFromImage(second).sum())
    assert 0 < overlap.dice < 1


def test_slices_add_up_to_the_volume(pair):
    first, *others = (threshold_overlap(x, y, 0.3) for x, y in zip(*pair, strict=True))
    total = first
    for other in others:
        total = total + other
    assert total == threshold_overlap(*pair, 0.3)
    with pytest.raises(ValueError, match="different thresholds"):
        first + threshold_overlap(*pair, 0.4)


def test_threshold_is_the_paper_s_and_excludes_itself():
    image = np.array([0.0, 0.05, 0.1, 0.2])
    assert threshold_overlap(image, image) == Overlap(MENISCUS_THRESHOLD, 2, 2, 2)
    assert threshold_overlap(image, image).dice == 1


def test_nothing_below_the_threshold_gives_a_sentence_and_no_number():
    bright = np.ones((2, 4, 4))
    overlap = threshold_overlap(bright, bright, 0.1)
    assert math.isnan(overlap.dice)
    assert overlap.note == "Neither image has a voxel below 0.1, so there is no overlap."
    row = overlap_measurement(overlap, "pair", "in the mask")
    assert math.isnan(row.value) and row.note == overlap.note and "below 0.1 in the mask" in row.method


def test_one_empty_segmentation_is_no_overlap():
    dark, bright = np.zeros((2, 4, 4)), np.ones((2, 4, 4))
    overlap = threshold_overlap(dark, bright)
    assert overlap.dice == 0 and not overlap.note


def test_shapes_that_differ_are_refused():
    with pytest.raises(InputError, match="cannot be compared"):
        threshold_overlap(np.zeros((2, 4)), np.zeros((2, 5)))
    with pytest.raises(InputError, match="cannot be compared"):
        threshold_overlap(np.zeros((2, 4)), np.zeros((2, 4)), 0.1, np.ones((2, 5), bool))
