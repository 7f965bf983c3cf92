"""Tissues and bodies beyond the phantom's."""

from __future__ import annotations

import numpy as np
import pytest

from ccdnn_training.data.studies import PARTS, in_parts, textured
from ccdnn_training.phantom.anatomy import Anatomy
from ccdnn_training.phantom.random_regions import random_regions, tissue_count
from ccdnn_training.physics.any_tissues import ANYTHING, FAT_LIKE, MUSCLE_LIKE, NOTHING, draw_for_knee, draw_tissues
from ccdnn_training.physics.tissues import TISSUE_NAMES


def fat_share(values) -> np.ndarray:
    return values.fat_density / np.maximum(values.fat_density + values.water_density, 1e-9)


def test_tissues_are_physical_and_match_their_class() -> None:
    classes = [NOTHING, *[FAT_LIKE, MUSCLE_LIKE, ANYTHING] * 200]
    values = draw_tissues(classes, np.random.default_rng(0))
    assert values.water_density[0] == values.fat_density[0] == 0
    assert (values.water_t2 <= 0.9 * values.water_t1).all()
    assert (values.water_t2_star < values.water_t2).all() and (values.fat_t2_star < values.fat_t2).all()
    density = values.water_density + values.fat_density
    assert (density <= 1).all() and (density[1:] >= 0.2).all()
    fat, muscle = np.array(classes) == FAT_LIKE, np.array(classes) == MUSCLE_LIKE
    assert np.mean(fat_share(values)[fat] > 0.83) > 0.6  # the rest is anything
    assert np.mean((values.water_t1[muscle] > 1199) & (values.water_t1[muscle] < 1501)) > 0.6
    anything = np.array(classes) == ANYTHING
    assert values.water_t1[anything].min() < 400 and values.water_t1[anything].max() > 3000
    assert len(set(values.fat_t1)) == 1  # one fat in a study


def test_a_knee_in_parts_has_a_number_for_every_tissue_of_every_part() -> None:
    rng = np.random.default_rng(1)
    tissues = rng.integers(0, len(TISSUE_NAMES), (2, 5, 60, 60)).astype(np.uint8)
    anatomy = Anatomy(tissues, np.full(tissues.shape, 0.5, np.float16), (3.6, 0.5, 0.5), np.zeros((5, 60, 60), np.uint8))
    divided = in_parts(anatomy, rng)
    assert np.array_equal(divided.tissues % len(TISSUE_NAMES), tissues)
    part = divided.tissues // len(TISSUE_NAMES)
    assert np.array_equal(part[0], part[1])  # a position belongs to one part, whatever its tissue
    assert 2 <= len(np.unique(part)) <= PARTS
    values = draw_for_knee(PARTS, rng)
    assert len(values.water_t1) == PARTS * len(TISSUE_NAMES)
    artery = TISSUE_NAMES.index("artery")
    assert set(divided.arteries) == {artery + len(TISSUE_NAMES) * n for n in range(PARTS)}


def test_texture_is_stronger_in_marrow_and_keeps_the_mean() -> None:
    marrow, muscle = (TISSUE_NAMES.index(name) for name in ("yellow_marrow", "muscle"))
    tissues = np.full((1, 4, 80, 80), marrow, np.uint8)
    tissues[..., 40:] = muscle
    anatomy = Anatomy(tissues, np.full(tissues.shape, 0.8, np.float16), (3.6, 0.4, 0.4), np.zeros((4, 80, 80), np.uint8))
    spread = []
    for seed in range(10):
        amounts = textured(anatomy, np.random.default_rng(seed)).amounts.astype(np.float32)
        assert amounts.mean() == pytest.approx(0.8, rel=0.05)
        spread.append((amounts[..., :40].std(), amounts[..., 40:].std()))
    marrow_sd, muscle_sd = np.mean(spread, axis=0)
    assert marrow_sd > 1.5 * muscle_sd > 0


@pytest.mark.parametrize("seed", range(4))
def test_random_regions_fill_a_body_in_air(seed: int) -> None:
    anatomy = random_regions(np.random.default_rng(seed), slices=4, matrix=96)
    total = anatomy.amounts.astype(np.float32).sum(axis=0)
    assert total.min() >= 0 and total.max() < 1.6
    assert np.median(total[:, 40:56, 40:56]) == pytest.approx(1, abs=0.2)
    assert 10 < tissue_count(anatomy) < 256
    assert anatomy.tissues.min() >= 1  # air is the absence of tissue
    again = random_regions(np.random.default_rng(seed), slices=4, matrix=96)
    assert np.array_equal(anatomy.amounts, again.amounts) and np.array_equal(anatomy.tissues, again.tissues)


def test_layers_contain_the_same_as_the_amounts() -> None:
    rng = np.random.default_rng(2)
    dense = np.zeros((len(TISSUE_NAMES), 2, 8, 8), np.float16)
    for _ in range(5):
        where = rng.integers(len(TISSUE_NAMES), size=(1, 2, 8, 8))
        np.put_along_axis(dense, where, rng.random((1, 2, 8, 8)).astype(np.float16) * 0.2, 0)
    of_tissue = rng.random(len(TISSUE_NAMES))
    exact = np.tensordot(of_tissue, dense.astype(np.float64), 1)
    whole = Anatomy.from_amounts(dense, np.zeros((2, 8, 8), np.uint8), (1, 1, 1))
    assert len(whole.tissues) <= 5
    assert whole.mixture(of_tissue) == pytest.approx(exact, abs=1e-5)
    assert whole.mixture_of(of_tissue, [3, 4]) == pytest.approx(
        np.tensordot(of_tissue[[3, 4]], dense[[3, 4]].astype(np.float64), 1), abs=1e-5
    )
    two = Anatomy.from_amounts(dense, np.zeros((2, 8, 8), np.uint8), (1, 1, 1), layers=2)
    assert len(two.tissues) == 2
    ones = np.ones(len(TISSUE_NAMES))
    assert two.mixture(ones) == pytest.approx(whole.mixture(ones), abs=2e-3)  # the voxel's total is preserved
