"""CNR against numbers worked out by hand, its three forms, and the regions it cannot be measured on."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ccdnn.errors import InputError
from ccdnn.measure.cnr import PAPER_PAIRS, CnrForm, TissuePair, cnr, cnr_of_pairs

FOREGROUND = np.array([9.0, 11.0, 10.0, 10.0])  # mean 10, SD sqrt(2/3)
BACKGROUND = np.array([1.0, 3.0, 2.0])  # mean 2, SD 1


@pytest.mark.parametrize(
    ("form", "expected"),
    [(CnrForm.DIFFERENCE, 8.0), (CnrForm.PRINTED, 12.0), (CnrForm.POOLED, 8 / math.sqrt((2 / 3 + 1) / 2))],
)
def test_worked_example(form, expected):
    row = cnr(FOREGROUND, BACKGROUND, form, name="CNR f–b", measured_on="STIR")
    assert row.value == pytest.approx(expected)
    assert (row.name, row.unit, row.measured_on, row.n, row.note) == ("CNR f–b", "1", "STIR", 7, "")


def test_the_printed_form_says_that_it_is_printed():
    assert "printed" in cnr(FOREGROUND, BACKGROUND, CnrForm.PRINTED).method
    assert "printed" not in cnr(FOREGROUND, BACKGROUND).method


def test_equal_tissues_have_no_contrast_by_default_and_much_as_printed():
    assert cnr(BACKGROUND, BACKGROUND).value == 0
    assert cnr(BACKGROUND, BACKGROUND, CnrForm.PRINTED).value == 4


@pytest.mark.parametrize("form", CnrForm)
def test_scale_does_not_matter(form):
    assert cnr(FOREGROUND * 1e3, BACKGROUND * 1e3, form).value == pytest.approx(cnr(FOREGROUND, BACKGROUND, form).value)


@pytest.mark.parametrize(
    ("foreground", "background", "form", "note"),
    [
        ([], BACKGROUND, CnrForm.DIFFERENCE, "foreground region holds no voxel"),
        (FOREGROUND, [], CnrForm.DIFFERENCE, "background region holds no voxel"),
        (FOREGROUND, [2.0], CnrForm.DIFFERENCE, "one voxel"),
        ([5.0], BACKGROUND, CnrForm.POOLED, "one voxel"),
        (FOREGROUND, np.full(1000, 0.1, np.float32), CnrForm.DIFFERENCE, "SD 0"),
        (FOREGROUND, [1.0, np.nan], CnrForm.DIFFERENCE, "NaN"),
    ],
)
def test_regions_without_a_cnr_give_a_sentence(foreground, background, form, note):
    row = cnr(np.array(foreground), np.array(background), form)
    assert math.isnan(row.value)
    assert note in row.note


def test_one_voxel_foreground_is_enough_where_only_the_background_varies():
    assert cnr(np.array([5.0]), BACKGROUND).value == 3


def test_pairs_from_a_label_map_with_several_labels_for_a_tissue():
    labels = np.array([[[1, 1, 2, 3, 3, 3]]])
    image = np.array([[[9.0, 11.0, 10.0, 1.0, 3.0, 2.0]]])
    pair = TissuePair("bone", "fat")
    (row,) = cnr_of_pairs(image, labels, {"bone": [1, 2], "fat": 3}, pairs=[pair])
    assert (row.name, row.n) == ("CNR bone–fat", 6)
    assert row.value == pytest.approx(8)


def test_the_five_pairs_of_the_paper():
    assert [str(pair) for pair in PAPER_PAIRS] == [
        "cartilage–bone",
        "cartilage–meniscus",
        "muscle–bone",
        "muscle–fat",
        "muscle–meniscus",
    ]


def test_a_name_the_label_map_lacks_is_named():
    with pytest.raises(InputError, match=r"meniscus.*it has bone, cartilage, fat, muscle"):
        cnr_of_pairs(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), {"bone": 1, "cartilage": 2, "fat": 3, "muscle": 4})


def test_another_grid_is_refused():
    with pytest.raises(InputError, match="different grids"):
        cnr_of_pairs(np.zeros((1, 2, 2)), np.zeros((2, 2, 2)), {})
