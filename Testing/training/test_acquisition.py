"""Every acquisition effect does what its file says, can be switched off separately, and can be made again from its record."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ccdnn_training.acquisition.bias_field import BiasField
from ccdnn_training.acquisition.chemical_shift import ChemicalShift, fat_phase
from ccdnn_training.acquisition.flow import Flow
from ccdnn_training.acquisition.misregistration import Misregistration
from ccdnn_training.acquisition.scanner_scale import ScannerScale
from ccdnn_training.acquisition.series import EFFECTS, Scan
from ccdnn_training.acquisition.susceptibility import SusceptibilityVoids
from ccdnn_training.acquisition.truncation import Truncation
from ccdnn_training.phantom.anatomy import Anatomy
from ccdnn_training.phantom.render import sagittal_grid
from ccdnn_training.physics.protocol import CONTRASTS, PAPER_PROTOCOL
from ccdnn_training.physics.tissues import TISSUE_NAMES, draw_tissue_values
from ccdnn_training.simulate import simulate_study

RNG = np.random.default_rng(0)


@pytest.fixture
def square() -> np.ndarray:
    image = np.zeros((3, 64, 64), np.float32)
    image[:, 20:40, 24:44] = 1
    return image


def centre(image: np.ndarray) -> np.ndarray:
    rows, columns = np.indices(image.shape[1:])
    weight = image[1] / image[1].sum()
    return np.array([(rows * weight).sum(), (columns * weight).sum()])


def test_chemical_shift_displaces_fat_by_frequency_over_bandwidth(square: np.ndarray) -> None:
    moved = ChemicalShift(bandwidth=176.0, readout_axis=-1).apply(square)
    assert centre(moved) - centre(square) == pytest.approx([0, 440 / 176], abs=1e-3)


def test_fat_opposes_water_at_the_first_out_of_phase_echo() -> None:
    assert fat_phase(1e3 / 440 / 2) == pytest.approx(-1, abs=1e-6)
    assert fat_phase(1e3 / 440) == pytest.approx(1, abs=1e-6)
    assert fat_phase(10.0).real < 0  # "TE 10 ms is near out-of-phase at 3 T"


def test_misregistration_moves_by_its_shift(square: np.ndarray) -> None:
    moved = Misregistration((1.5, -0.75), 0.0).apply(square)
    assert centre(moved) - centre(square) == pytest.approx([1.5, -0.75], abs=0.05)
    for seed in range(50):
        assert np.hypot(*Misregistration.draw(np.random.default_rng(seed)).shift) <= 2


def test_truncation_rings_and_keeps_the_mean(square: np.ndarray) -> None:
    ringing = Truncation(1.0, 0.6, phase_axis=-2).apply(square).real
    assert ringing.max() > 1.03
    assert ringing.min() < -0.03
    assert ringing.mean() == pytest.approx(square.mean(), rel=1e-4)
    # Only along phase: the middle row of the square, cut along readout, is as sharp as before.
    assert ringing[0, 30, 22] == pytest.approx(ringing[0, 30, 10], abs=1e-3)


def test_ghosts_repeat_the_artery_along_phase(square: np.ndarray) -> None:
    artery = np.zeros_like(square)
    artery[:, 32, 32] = 1
    ghosts = Flow(brightness=1, amplitude=0.1, spacing=10, phase_axis=-2).apply(np.zeros_like(square), artery)
    assert ghosts[0, 42, 32] == pytest.approx(-0.1)
    assert ghosts[0, 12, 32] == pytest.approx(0.05)
    assert np.count_nonzero(ghosts[0]) == 6


def test_a_void_darkens_one_slice_only() -> None:
    image = np.ones((4, 32, 32), np.float32)
    dark = SusceptibilityVoids(((0.5, 0.5, 0.5),), (3.0,), 0.9).apply(image)
    assert dark[2].min() == pytest.approx(0.1, abs=0.01)
    assert np.array_equal(dark[[0, 1, 3]], image[[0, 1, 3]])


def test_a_bias_field_is_smooth_positive_and_differs_between_series() -> None:
    fields = [BiasField.draw(np.random.default_rng(seed)).field((8, 64, 64)) for seed in (0, 1)]
    for field in fields:
        assert field.min() > 0.3
        assert np.abs(np.diff(field, axis=1)).max() < 0.02
    assert np.abs(fields[0] - fields[1]).max() > 0.05


def test_scanner_scale_writes_integers_up_to_its_maximum(square: np.ndarray) -> None:
    scaled = ScannerScale(1234.0).apply(square * 0.7)
    assert scaled.max() == 1234
    assert np.array_equal(scaled, np.round(scaled))


@pytest.mark.parametrize("name", EFFECTS)
def test_switching_one_effect_off_leaves_the_others_unchanged(name: str) -> None:
    for contrast in CONTRASTS:
        whole = Scan.draw(contrast, PAPER_PROTOCOL[contrast], np.random.default_rng(3))
        less = Scan.draw(contrast, PAPER_PROTOCOL[contrast], np.random.default_rng(3), [e for e in EFFECTS if e != name])
        off = False if name == "fat_phase" else None
        assert getattr(less, name) in (off, None)
        assert replace(whole, **{name: off}) == less


def test_an_unknown_effect_is_refused() -> None:
    with pytest.raises(ValueError, match="Unknown effect: rain"):
        Scan.draw("t1", PAPER_PROTOCOL["t1"], RNG, ["rain"])


def test_without_effects_a_voxel_follows_its_signal_equation() -> None:
    values = draw_tissue_values(np.random.default_rng(0))
    amounts = np.zeros((len(TISSUE_NAMES), 1, 1, 2), np.float16)
    muscle = TISSUE_NAMES.index("muscle")
    amounts[muscle, 0, 0, 0] = 1
    anatomy = Anatomy.from_amounts(amounts, np.zeros((1, 1, 2), np.uint8), (3.6, 0.4, 0.4))
    sequence = PAPER_PROTOCOL["stir"]
    image = Scan.draw("stir", sequence, np.random.default_rng(0), []).acquire(anatomy, values)
    water = sequence.signal(values.water_density, values.water_t1, values.water_t2, values.water_t2_star)[muscle]
    fat = sequence.signal(values.fat_density, values.fat_t1, values.fat_t2, values.fat_t2_star)[muscle]
    assert image[0, 0, 0] == pytest.approx(abs(water + fat), rel=1e-5)
    assert image[0, 0, 1] == 0


def test_a_study_is_reproducible_and_labelled_as_simulated() -> None:
    grid = sagittal_grid(matrix=64, slices=3, slice_spacing=20)
    first, second = (simulate_study(12, grid=grid, protocol=None) for _ in range(2))
    for contrast in CONTRASTS:
        volume = first.volumes[contrast]
        assert np.array_equal(volume.array, second.volumes[contrast].array)
        assert np.isfinite(volume.array).all()
        assert volume.array.max() > 100
        assert "not a patient" in volume.metadata["SimulatedImage"]
    assert first.record == second.record
    assert first.labels.grid.same_as(first.volumes["stir"].grid)


def test_contrasts_order_tissues_as_readers_know_them() -> None:
    study = simulate_study(21, grid=sagittal_grid(matrix=256, slices=12, slice_spacing=7.2))
    labels = study.labels.array

    def mean(contrast: str, label: int) -> float:
        return float(study.volumes[contrast].array[labels == label].mean())

    fat, muscle, marrow, fluid, meniscus = 2, 3, 4, 10, 7
    assert mean("t1", fat) > mean("t1", muscle) > mean("t1", meniscus) * 0.9
    assert mean("t2", fluid) > 2 * mean("t2", muscle)
    assert mean("stir", fluid) > 2.5 * mean("stir", muscle) > 2.5 * mean("stir", marrow)
    assert mean("gre", muscle) > mean("gre", marrow)
