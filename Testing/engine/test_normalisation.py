"""Normalisation: steady against air, outliers and scale; one factor for a whole series; refuses what is no image."""

import numpy as np
import pytest

from ccdnn.errors import InputError
from ccdnn.normalisation import DatasetMinMax, Normalisation, VolumePercentile, robust_maximum


@pytest.fixture
def knee() -> np.ndarray:
    """(6, 40, 40): tissue from 0.2 to 1 in Rician noise of 2 %, with air around."""
    rng = np.random.default_rng(0)
    clean = np.zeros((6, 40, 40))
    clean[:, 8:32, 8:32] = rng.uniform(0.2, 1.0, (6, 24, 24))
    return np.hypot(clean + rng.normal(0, 0.02, clean.shape), rng.normal(0, 0.02, clean.shape)).astype(np.float32)


def test_robust_maximum_is_the_percentile_of_the_tissue(knee):
    tissue = knee[:, 8:32, 8:32]
    assert robust_maximum(knee) == pytest.approx(np.percentile(tissue, 99.5), rel=0.002)


@pytest.mark.parametrize("air", [10, 100])
def test_more_air_changes_nothing(knee, air):
    rng = np.random.default_rng(1)
    shape = (6, 40 + 2 * air, 40 + 2 * air)
    wide = np.hypot(rng.normal(0, 0.02, shape), rng.normal(0, 0.02, shape)).astype(np.float32)
    wide[:, air:-air, air:-air] = knee
    assert robust_maximum(wide) == pytest.approx(robust_maximum(knee), rel=0.005)
    # while the percentile over all voxels, the simple choice, falls with it
    if air == 100:
        assert np.percentile(wide, 99.5) < 0.9 * np.percentile(knee, 99.5)


def test_few_bright_outliers_change_little(knee):
    spiked = knee.copy()
    spiked[0, 0, :5] = 100
    assert robust_maximum(spiked) == pytest.approx(robust_maximum(knee), rel=0.02)


def test_scale_of_the_scanner_drops_out(knee):
    strategy = VolumePercentile()
    np.testing.assert_allclose(strategy.apply(knee * 1234), strategy.apply(knee), rtol=1e-5)


def test_a_tiny_object_in_much_air_is_found():
    array = np.zeros((10, 100, 100), np.float32)
    array[5, 50, 50:55] = [1, 2, 3, 4, 5]
    assert 4 < robust_maximum(array) <= 5


def test_one_factor_for_the_whole_series(knee):
    """Never per slice: a dark slice stays dark."""
    knee[2] *= 0.25
    normalised = VolumePercentile().apply(knee)
    np.testing.assert_allclose(normalised / knee, normalised[0, 20, 20] / knee[0, 20, 20], rtol=1e-5)


def test_dataset_minmax_keeps_ratios_and_comes_back():
    strategy = DatasetMinMax(min=-100, max=900)
    array = np.array([[[-100, 400, 900, 1900]]], np.float32)
    np.testing.assert_allclose(strategy.apply(array), [[[0, 0.5, 1, 2]]], rtol=1e-6)
    np.testing.assert_allclose(strategy.to_intensity(strategy.apply(array)), array, rtol=1e-6)
    assert strategy.apply(np.array([[[0, 1]]]))[0, 0, 0] == np.float32(strategy.background)


@pytest.mark.parametrize("strategy", [DatasetMinMax(0, 1000), VolumePercentile(99.0, 0.2)])
def test_card_entry_and_back(strategy):
    assert Normalisation.from_card(strategy.to_card()) == strategy


@pytest.mark.parametrize("strategy", [DatasetMinMax(0, 1000), VolumePercentile()])
@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0, 0, 0], "0 everywhere"),
        ([7, 7, 7], "7 everywhere"),
        ([-3, -2, -1], "positive"),
        ([1, 2, np.nan], "finite"),
        ([1, np.inf], "finite"),
        ([], "empty"),
    ],
)
def test_refuses_what_is_no_image(strategy, values, said):
    with pytest.raises(InputError, match=said):
        strategy.apply(np.array(values, np.float32))


@pytest.mark.parametrize(
    "entry",
    [
        {"strategy": "per_slice", "constants": {}},
        {"strategy": ["volume_percentile"], "constants": {}},
        {"strategy": "dataset_minmax", "constants": {"min": 0}},
        {"strategy": "dataset_minmax", "constants": {"min": 1, "max": 1}},
        {"strategy": "dataset_minmax", "constants": {"min": 0, "max": "high"}},
        {"strategy": "volume_percentile", "constants": {"percentile": 101, "foreground_fraction": 0.1}},
        {"strategy": "volume_percentile"},
        None,
    ],
)
def test_refuses_a_wrong_card_entry(entry):
    with pytest.raises(InputError):
        Normalisation.from_card(entry)
