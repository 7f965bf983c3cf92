"""Similarity and scaling: against torchmetrics, against closed forms, and at their edges."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from ccdnn.errors import InputError
from ccdnn.measure.scaling import Scaling, scale, scale_pair
from ccdnn.measure.similarity import (
    MS_SSIM_SMALLEST_SIDE,
    mean_squared_error,
    ms_ssim,
    peak_signal_to_noise_ratio,
    similarity,
    similarity_by_slice,
    ssim,
)
from ccdnn.measure.table import Measurement, table_of


def _pair(shape=(200, 187), noise=0.08, seed=0):
    """A smooth pattern and a noisy copy of it; odd sides, so halving has to drop a column."""
    rng = np.random.default_rng(seed)
    r, c = np.meshgrid(*(np.linspace(0, 6, n) for n in shape), indexing="ij")
    reference = 0.5 + 0.4 * np.sin(3 * r) * np.cos(2 * c)
    return reference + rng.normal(0, noise, shape), reference


@pytest.fixture(params=[0.02, 0.2], ids=["near", "far"])
def pair(request):
    return _pair(noise=request.param)


def test_agrees_with_torchmetrics(pair):
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("torchmetrics.functional.image")
    a, b = (torch.from_numpy(x)[None, None] for x in pair)
    assert peak_signal_to_noise_ratio(*pair) == pytest.approx(float(theirs.peak_signal_noise_ratio(a, b, data_range=1.0)), abs=1e-4)
    # torchmetrics averages its map to the very border, over windows of mirrored pixels; Wang and scikit-image leave these out.
    _, ssim_map = theirs.structural_similarity_index_measure(a, b, data_range=1.0, return_full_image=True)
    assert ssim(*pair) == pytest.approx(float(ssim_map[..., 5:-5, 5:-5].mean()), abs=1e-6)
    # The same border remains in its coarsest scale, which has a weight of 0.13.
    ms = theirs.multiscale_structural_similarity_index_measure(a, b, data_range=1.0)
    assert ms_ssim(*pair) == pytest.approx(float(ms), abs=2e-4)


def test_mse_and_psnr_of_a_known_offset():
    reference = np.zeros((3, 8, 8), np.float32)
    assert mean_squared_error(reference + np.float32(0.1), reference) == pytest.approx(0.01, rel=1e-6)
    assert peak_signal_to_noise_ratio(reference + np.float32(0.1), reference) == pytest.approx(20, abs=1e-5)


def test_equal_images():
    image, _ = _pair()
    assert ssim(image, image) == pytest.approx(1)
    assert ms_ssim(image, image) == pytest.approx(1)
    assert peak_signal_to_noise_ratio(image, image) == math.inf


def test_opposed_images_give_zero_and_not_a_complex_number():
    image, reference = _pair(noise=0)
    assert ssim(1 - image, reference) < 0
    assert ms_ssim(1 - image, reference) == 0


def test_psnr_of_a_subject_is_that_of_the_volume_even_with_an_empty_slice():
    image, reference = (np.stack([np.zeros_like(x), x]) for x in _pair())
    rows = {row.name: row for row in similarity(image, reference)}
    assert rows["PSNR"].value == pytest.approx(10 * math.log10(1 / rows["MSE"].value))
    assert similarity_by_slice(image, reference)[0]["PSNR"] == math.inf


def test_ssim_of_a_subject_is_the_mean_of_its_slices():
    image, reference = (np.stack(x) for x in zip(_pair(noise=0.02), _pair(noise=0.2), strict=True))
    rows = {row.name: row for row in similarity(image, reference)}
    slices = similarity_by_slice(image, reference)
    for name in ("SSIM", "MS-SSIM"):
        assert rows[name].value == pytest.approx(np.mean([s[name] for s in slices]))
        assert rows[name].n == 2
        assert slices[0][name] > slices[1][name]


def test_scaling_is_done_for_each_image_and_written_beside_the_number():
    image, reference = (np.stack([x]) for x in _pair(noise=0.0))
    row = similarity(7 * image, 300 * reference, Scaling.MINMAX)[0]
    assert row.value == pytest.approx(0, abs=1e-12)
    assert row.method.startswith("over the volume; minmax scaling (")
    assert f"{7 * image.max():.4g}" in row.method


def test_small_slices_have_no_ms_ssim_and_the_row_says_why():
    image, reference = (np.stack([x]) for x in _pair(shape=(64, 64)))
    rows = {row.name: row for row in similarity(image, reference)}
    assert math.isnan(rows["MS-SSIM"].value)
    assert "64×64" in rows["MS-SSIM"].note
    assert str(MS_SSIM_SMALLEST_SIDE) in rows["MS-SSIM"].note
    assert 0 < rows["SSIM"].value < 1


@pytest.mark.parametrize(
    ("image", "reference", "message"),
    [
        (np.zeros((2, 20, 20)), np.zeros((2, 20, 21)), "cannot be compared"),
        (np.zeros((20, 20)), np.zeros((20, 20)), "dimensions"),
        (np.full((2, 20, 20), np.nan), np.zeros((2, 20, 20)), "NaN"),
    ],
)
def test_what_cannot_be_compared_is_refused(image, reference, message):
    with pytest.raises(InputError, match=message):
        similarity(image, reference)


def test_percentile_scaling_does_not_depend_on_the_scanner_scale_and_keeps_bright_voxels():
    rng = np.random.default_rng(0)
    image = np.abs(rng.normal(0, 1, (4, 40, 40)))
    scaled = scale(image)
    np.testing.assert_allclose(scale(image * 731).array, scaled.array, rtol=1e-5)
    assert scaled.low == 0
    assert scaled.array.max() > 1


def test_tissue_scaling_brings_a_pair_to_one_scale_whatever_the_fluid():
    rng = np.random.default_rng(0)
    reference = rng.normal(100, 3, (4, 40, 40))
    reference[0, :4, :4] = 600  # fluid
    image = reference * 0.01
    image[0, :4, :4] = 2  # underestimated
    first, second = scale_pair(image, reference, Scaling.TISSUE, names=("synthetic STIR", "acquired STIR"))
    assert second.array.max() == 1
    np.testing.assert_allclose(first.array[1:], second.array[1:], rtol=1e-3)
    assert first.array[0, 0, 0] == pytest.approx(1 / 3, rel=1e-2)
    rows = {row.name: row.value for row in similarity(image, reference, Scaling.TISSUE)}
    assert rows["MSE"] == pytest.approx(16 / image.size * (2 / 3) ** 2, rel=2e-2)
    with pytest.raises(InputError, match="acquired STIR"):
        scale_pair(image, np.zeros_like(image), Scaling.TISSUE, names=("synthetic STIR", "acquired STIR"))


def test_minmax_and_no_scaling():
    image = np.linspace(-3, 7, 1000).reshape(10, 10, 10)
    scaled = scale(image, Scaling.MINMAX)
    assert (scaled.low, scaled.high) == (-3, 7)
    assert (scaled.array.min(), scaled.array.max()) == (0, 1)
    np.testing.assert_array_equal(scale(image, Scaling.NONE).array, image.astype(np.float32))


@pytest.mark.parametrize("image", [np.zeros((2, 4, 4)), np.full((2, 4, 4), np.nan)])
def test_scaling_names_the_image_it_cannot_scale(image):
    with pytest.raises(InputError, match="acquired STIR"):
        scale(image, name="acquired STIR")


def test_table_as_csv_and_json():
    rows = [Measurement("SSIM", 0.9, "1", "a, b", "mean", 3), Measurement("CNR", math.nan, "1", "a", "m", 0, note="Empty.")]
    assert table_of(rows).to_csv().splitlines() == [
        "name,value,unit,measured_on,method,n,note",
        'SSIM,0.9,1,"a, b",mean,3,',
        "CNR,,1,a,m,0,Empty.",
    ]
    assert json.loads(table_of(rows).to_json())[1] == {
        "name": "CNR", "value": None, "unit": "1", "measured_on": "a", "method": "m", "n": 0, "note": "Empty."
    }  # fmt: skip
