"""The procedural knee: anatomy where it belongs, reproducible, and different from seed to seed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from ccdnn_training.phantom import shapes
from ccdnn_training.phantom.knee import Knee
from ccdnn_training.phantom.render import LABELS, label_map, render, sagittal_grid
from ccdnn_training.physics.tissues import TISSUE_NAMES, draw_tissue_values

GRID = sagittal_grid(matrix=256, slices=12, slice_spacing=7.2)
CODES = {name: code for code, name in LABELS.items()}


@pytest.fixture(scope="module")
def amounts() -> np.ndarray:
    return render(Knee(7), GRID)


@pytest.fixture(scope="module")
def labels(amounts: np.ndarray) -> np.ndarray:
    return label_map(amounts)


def test_shapes_are_distances_at_their_surface() -> None:
    x = np.linspace(-30, 30, 2001)
    points = (x, np.zeros_like(x), np.zeros_like(x))
    for distance, radius in (
        (shapes.ellipsoid(points, (0, 0, 0), (10, 20, 30)), 10),
        (shapes.rounded_cone(points, (0, 0, -5), (0, 0, 5), 8, 8), 8),
        (shapes.tube(points, np.array([(0, 0, -9), (0, 0, 0), (0, 0, 9)]), (4, 6, 4)), 6),
    ):
        edges = x[np.flatnonzero(np.diff(distance < 0))]
        assert edges == pytest.approx([-radius, radius], abs=0.05)
        slope = np.gradient(distance, x)[np.argmin(np.abs(x - radius))]
        assert slope == pytest.approx(1, abs=0.05)


def test_rotation_keeps_distances_and_its_centre() -> None:
    rng = np.random.default_rng(0)
    points = tuple(rng.normal(0, 20, 50).astype(np.float32) for _ in range(3))
    turned = shapes.rotate(points, (20, -35, 70), (3, 4, 5))
    before = sum((p - c) ** 2 for p, c in zip(points, (3, 4, 5), strict=True))
    after = sum((p - c) ** 2 for p, c in zip(turned, (3, 4, 5), strict=True))
    assert after == pytest.approx(before, rel=1e-4)


def test_amounts_are_fractions(amounts: np.ndarray) -> None:
    total = amounts.astype(np.float32).sum(axis=0)
    assert amounts.min() >= 0
    assert total.max() < 1.4  # texture moves a tissue's density a little above 1
    middle = total[4:8, 90:150, 110:170]
    assert middle.min() > 0.6  # no holes inside the knee


def test_every_structure_is_present(labels: np.ndarray) -> None:
    for name in LABELS.values():
        if name not in ("bone-marrow edema", "ganglion"):
            assert (labels == CODES[name]).any(), name


def test_anatomy_lies_where_it_belongs(labels: np.ndarray) -> None:
    def centre(name: str) -> np.ndarray:
        k, j, i = ndimage.center_of_mass(labels == CODES[name])
        return (GRID.ijk_to_ras @ (i, j, k, 1))[:3]

    assert abs(centre("meniscus")[2]) < 20  # at the joint line
    assert centre("tendon")[1] > centre("bone marrow")[1]  # extensor tendons in front of the bones
    assert centre("vessel")[1] < centre("bone marrow")[1]  # popliteal vessels behind them
    assert centre("muscle")[1] < centre("bone marrow")[1]


def test_cartilage_covers_bone(labels: np.ndarray) -> None:
    bone = np.isin(labels, (CODES["cortical bone"], CODES["bone marrow"]))
    near_bone = ndimage.distance_transform_edt(~bone, sampling=(7.2, 0.625, 0.625)) < 7
    assert near_bone[labels == CODES["cartilage"]].mean() > 0.95


def test_the_same_seed_gives_the_same_knee_on_any_grid() -> None:
    coarse = render(Knee(3), sagittal_grid(matrix=64, slices=3, slice_spacing=20))
    again = render(Knee(3), sagittal_grid(matrix=64, slices=3, slice_spacing=20))
    assert np.array_equal(coarse, again)
    other = render(Knee(4), sagittal_grid(matrix=64, slices=3, slice_spacing=20))
    assert np.abs(coarse.astype(np.float32) - other.astype(np.float32)).mean() > 0.005


@pytest.mark.parametrize(("lesion", "tissue"), [("edema", "edema"), ("ganglion", "ganglion")])
def test_a_lesion_changes_nothing_else(lesion: str, tissue: str) -> None:
    grid = sagittal_grid(matrix=96, slices=12, slice_spacing=7.2)
    healthy, ill = render(Knee(5), grid), render(Knee(5, **{lesion: True}), grid)
    index = TISSUE_NAMES.index(tissue)
    assert healthy[index].max() == 0
    assert ill[index].max() > 0.4
    changed = np.abs(healthy.astype(np.float32) - ill.astype(np.float32)).max(axis=0) > 1e-3
    reach = ndimage.binary_dilation(ill[index] > 0, iterations=3)
    assert not (changed & ~reach).any()


@pytest.mark.parametrize("seed", range(3))
def test_edema_is_marrow_with_30_to_70_percent_of_water(seed: int) -> None:
    amounts = render(Knee(seed, edema=True), sagittal_grid(matrix=96, slices=24)).astype(np.float32)
    lesion = label_map(amounts) == CODES["bone-marrow edema"]
    values = draw_tissue_values(np.random.default_rng(seed))
    water, fat = (np.tensordot(density, amounts[:, lesion], 1) for density in (values.water_density, values.fat_density))
    assert lesion.any()
    assert 0.3 < (water / (water + fat)).mean() < 0.7


def test_left_and_right_knees_are_mirrored() -> None:
    grid = sagittal_grid(matrix=64, slices=4, slice_spacing=20)
    sides = {Knee(seed).pose.right for seed in range(12)}
    assert sides == {True, False}
    knee = Knee(1)
    plain = render(knee, grid)
    object.__setattr__(knee.pose, "right", not knee.pose.right)
    assert np.allclose(render(knee, grid)[:, ::-1], plain, atol=2e-3)
