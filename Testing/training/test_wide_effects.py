"""Further effects of series from any hospital: each does what its file says, and can be made again from its record."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import ndimage

from ccdnn_training.acquisition.coil_field import CoilField
from ccdnn_training.acquisition.fat_level import LEVELS, FatLevel
from ccdnn_training.acquisition.placement import LARGEST_ROTATION, LARGEST_SHIFT, Placement
from ccdnn_training.acquisition.reslicing import Reslicing
from ccdnn_training.acquisition.saturation_band import SaturationBand
from ccdnn_training.acquisition.series import EFFECTS, WIDE_EFFECTS, draw_wide_study
from ccdnn_training.acquisition.spikes import Spikes
from ccdnn_training.acquisition.thermal_noise import WIDEST_PERCENT, ThermalNoise
from ccdnn_training.physics.protocol import PAPER_FAT_T1, PAPER_PROTOCOL, WIDE_RANGES, draw_wide_protocol
from ccdnn_training.physics.tissues import TISSUE_NAMES, draw_tissue_values

SPACING = (4.0, 0.5, 0.5)  # mm


@pytest.fixture
def ball() -> np.ndarray:
    k, j, i = np.mgrid[:9, :64, :64]
    inside = ((k - 4) * 4.0) ** 2 + ((j - 32) * 0.5) ** 2 + ((i - 32) * 0.5) ** 2 < 81
    return ndimage.gaussian_filter(inside.astype(np.float32), (0, 1, 1))


def centre(image: np.ndarray) -> np.ndarray:
    """Centre of mass in mm."""
    return np.array(ndimage.center_of_mass(image)) * SPACING


def test_a_coil_field_has_its_ratio_and_is_smooth() -> None:
    field = CoilField(((0.5, -0.1, 0.5),), 0.5, 2.5).field((6, 50, 40))
    assert field.max() == pytest.approx(1)
    assert field.max() / field.min() == pytest.approx(2.5, rel=1e-4)
    assert field[3, 0, 20] > field[3, -1, 20]  # brightest at the coil
    assert np.abs(np.diff(field, axis=1)).max() < 0.1
    assert np.array_equal(CoilField((), 0.5, 2.5).field((2, 3, 3)), np.ones((2, 3, 3)))
    ratios = [CoilField.draw(np.random.default_rng(seed)).ratio for seed in range(200)]
    assert min(ratios) >= 1 and max(ratios) <= 3
    assert np.median(ratios) < 1.6  # most knees are mildly shaded


def test_fat_level_scales_only_fat() -> None:
    levels = [FatLevel.draw(np.random.default_rng(seed)).factor for seed in range(300)]
    assert LEVELS[0] <= min(levels) < 0.5 and max(levels) <= LEVELS[1]
    assert np.mean(np.abs(np.array(levels) - 1) < 0.16) > 0.7
    assert FatLevel(0.3).apply(np.float32(2)) == pytest.approx(0.6)


@pytest.mark.parametrize("shift", [(0.0, 1.2, -0.7), (2.0, 0.0, 0.0), (-2.5, 0.5, 1.0)])
def test_placement_moves_by_its_millimetres(ball: np.ndarray, shift: tuple[float, float, float]) -> None:
    moved = Placement(shift, (0.0, 0.0, 0.0)).apply(ball, SPACING)
    assert centre(moved) - centre(ball) == pytest.approx(shift, abs=0.03)
    assert moved.sum() == pytest.approx(ball.sum(), rel=0.01)


def test_placement_turns_about_the_middle(ball: np.ndarray) -> None:
    bar = np.zeros_like(ball)
    bar[3:6, 30:34, 10:54] = 1
    tilted = Placement((0.0, 0.0, 0.0), (0.0, 2.0, 0.0)).apply(bar, SPACING)  # about the row axis: columns leave the plane
    left, right = (centre(part)[0] for part in (tilted[:, :, :32], tilted[:, :, 32:]))
    assert abs(left - right) == pytest.approx(np.tan(np.deg2rad(2)) * 22 * 0.5, rel=0.1)
    assert centre(tilted) == pytest.approx(centre(bar), abs=0.05)
    for seed in range(100):
        placement = Placement.draw(np.random.default_rng(seed))
        assert np.linalg.norm(placement.shift_mm) <= LARGEST_SHIFT + 1e-6
        assert np.abs(placement.rotation).max() <= LARGEST_ROTATION


@pytest.mark.parametrize("axis", [-1, -2, -3])
def test_reslicing_smears_only_along_its_axis(ball: np.ndarray, axis: int) -> None:
    spacing_mm = 9.0 if axis == -3 else 4.0
    slices = Reslicing(axis, spacing_mm, 0.9 * spacing_mm, 0.4)
    resliced = slices.interpolate(slices.sample(ball, SPACING), ball.shape[axis], SPACING)
    assert resliced.shape == ball.shape
    assert centre(resliced) == pytest.approx(centre(ball), abs=0.6)
    flat = np.full_like(ball, 0.7)
    assert np.allclose(slices.interpolate(slices.sample(flat, SPACING), ball.shape[axis], SPACING), 0.7, atol=1e-5)
    edges = np.moveaxis(np.broadcast_to((np.arange(ball.shape[axis]) > 4).astype(np.float32), (3, 5, ball.shape[axis])), -1, axis)
    across = slices.interpolate(slices.sample(edges, SPACING), ball.shape[axis], SPACING)
    other = [n for n in range(3) if n != axis % 3]
    assert np.ptp(across, axis=tuple(other)).max() < 1e-6  # still constant along the other directions


def test_reslicing_to_its_own_slices_changes_nothing(ball: np.ndarray) -> None:
    same = Reslicing(-3, 4.0, 4.0, 0.0)
    assert np.allclose(same.interpolate(same.sample(ball, SPACING), len(ball), SPACING), ball, atol=1e-5)


def test_a_saturation_band_darkens_one_side() -> None:
    image = np.ones((2, 60, 60), np.float32)
    dark = SaturationBand(90.0, 0.2, 0.02, 0.1).apply(image)  # the normal points along the columns
    assert dark[0, 30, 55] == pytest.approx(0.1) and dark[0, 30, 10] == 1
    assert np.array_equal(dark[0], dark[1])


def test_spikes_are_single_voxels_and_reproducible() -> None:
    image = np.ones((4, 100, 100), np.float32)
    spiked = Spikes(1e-3, 7).apply(image)
    assert 15 < np.count_nonzero(spiked != 1) < 70
    assert spiked.min() >= 0 and spiked.max() <= 3
    assert np.array_equal(spiked, Spikes(1e-3, 7).apply(image))
    assert np.array_equal(image, np.ones_like(image))


def test_noise_reaches_ten_per_cent() -> None:
    percents = [ThermalNoise.draw_wide(np.random.default_rng(seed)).percent for seed in range(300)]
    assert min(percents) < 0.7 and 5 < max(percents) <= WIDEST_PERCENT


# --------------------------------------------------------------------------------------------------------- studies, fields


def wide_study(seed: int, effects=(*EFFECTS, *WIDE_EFFECTS)):
    return draw_wide_study(PAPER_PROTOCOL, 1.5, np.random.default_rng(seed), effects)


def test_a_study_shares_its_coil_and_its_position() -> None:
    for seed in range(20):
        study = wide_study(seed)
        assert len({scan.coil_field for scan in study.values()}) == 1
        assert study["t1"].placement is None and study["stir"].placement is None
        assert study["t2"].placement is not None and study["gre"].placement is not None
        assert all(scan.misregistration is None for scan in study.values())
        assert study["stir"].flow.amplitude == 0  # no ghosts to learn
        assert all(scan.tesla == scan.chemical_shift.tesla == 1.5 for scan in study.values())
        for scan in study.values():
            assert scan.chemical_shift.readout_axis == -3 - scan.truncation.phase_axis
        stir = study["stir"]
        assert (stir.fat_level, stir.saturation_band, stir.reslicing, stir.spikes) == (None, None, None, None)
    resliced = np.mean([wide_study(seed)["t1"].reslicing is not None for seed in range(300)])
    assert 0.1 < resliced < 0.3


@pytest.mark.parametrize("name", [*EFFECTS, *WIDE_EFFECTS])
def test_switching_off_one_effect_of_a_hospital_leaves_the_others(name: str) -> None:
    for seed in range(5):
        whole, less = wide_study(seed), wide_study(seed, [e for e in (*EFFECTS, *WIDE_EFFECTS) if e != name])
        for contrast, scan in whole.items():
            assert scan.without([name]) == less[contrast]


def test_a_record_is_plain_data() -> None:
    records = {contrast: scan.record() for contrast, scan in wide_study(3).items()}
    assert json.loads(json.dumps(records))["t1"]["coil_field"]["ratio"] == records["t1"]["coil_field"]["ratio"]


def test_wide_protocols_stay_in_their_ranges_and_ti_follows_fat() -> None:
    for seed in range(100):
        protocol = draw_wide_protocol(np.random.default_rng(seed), fat_t1=288.0)
        for contrast, ranges in WIDE_RANGES.items():
            for name, (low, high) in ranges.items():
                assert low <= getattr(protocol[contrast], name) <= high
        assert protocol["stir"].ti == pytest.approx(220 * 288 / PAPER_FAT_T1)
        assert (protocol["stir"].tr, protocol["stir"].te) == (4478, 60)
    long = [draw_wide_protocol(np.random.default_rng(seed))["t1"].tr > 1500 for seed in range(300)]
    assert 0 < np.mean(long) < 0.2


def test_fields_have_the_relaxation_times_of_the_literature() -> None:
    """Gold et al., AJR 2004;183:343: muscle 1130, fat 288, synovial fluid 2850 ms at 1.5 T, within the spread of what is drawn."""
    values = draw_tissue_values(np.random.default_rng(1))
    at_15 = values.at_field(1.5)
    muscle, fluid = (TISSUE_NAMES.index(name) for name in ("muscle", "synovial_fluid"))
    assert at_15.water_t1[muscle] == pytest.approx(1130, rel=0.05)
    assert at_15.water_t1[fluid] == pytest.approx(2850, rel=0.12)
    assert at_15.fat_t1[0] == pytest.approx(288, rel=0.06)
    for field, name in ((at_15, "1.5 T"), (values.at_field(0.3), "0.3 T")):
        assert np.array_equal(field.water_t2, values.water_t2), name
        assert (field.water_t2_star >= values.water_t2_star * 0.999).all(), name
        assert (field.water_t2_star <= values.water_t2 * 1.001).all(), name
    same = values.at_field(3.0)
    assert same.water_t1 == pytest.approx(values.water_t1)
    assert same.fat_t2_star == pytest.approx(values.fat_t2_star)
