"""Similarity and scaling: against other libraries (torchmetrics, scikit-image, torch), closed forms, and at their edges."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest

from ccdnn.errors import InputError
from ccdnn.measure.overlap import threshold_overlap
from ccdnn.measure.scaling import Scaling, scale, scale_pair
from ccdnn.measure.similarity import (
    Measure,
    mean_squared_error,
    measurements,
    of_volume,
    peak_signal_to_noise_ratio,
    scaled_pair,
    similarity,
    similarity_by_slice,
)
from ccdnn.measure.similarity_table import overlap_by_slice, similarity_chart, similarity_table
from ccdnn.measure.structural import MS_SSIM_SMALLEST_SIDE, ms_ssim, ssim
from ccdnn.measure.table import Measurement, table_of


def _pair(shape=(200, 187), noise=0.08, seed=0):
    """A smooth pattern and a noisy copy of it; odd sides, so halving has to drop a column."""
    rng = np.random.default_rng(seed)
    r, c = np.meshgrid(*(np.linspace(0, 6, n) for n in shape), indexing="ij")
    reference = 0.5 + 0.4 * np.sin(3 * r) * np.cos(2 * c)
    return reference + rng.normal(0, noise, shape), reference


def _volumes(noises=(0.02, 0.2)):
    """Slices with different noise, (slice, row, column)."""
    return tuple(np.stack(x) for x in zip(*(_pair(noise=noise, seed=seed) for seed, noise in enumerate(noises)), strict=True))


def _disc(shape=(200, 187), centre=(100, 90), radius=12):
    r, c = np.ogrid[: shape[0], : shape[1]]
    return (r - centre[0]) ** 2 + (c - centre[1]) ** 2 < radius**2


def _by_slice(image, reference, **options):
    return list(similarity_by_slice(scaled_pair(image, reference, **options)))


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


def test_mse_and_psnr_agree_with_scikit_image_over_everything_and_inside_a_mask():
    metrics = pytest.importorskip("skimage.metrics")
    image, reference = _volumes()
    mask = np.stack([_disc(), _disc(radius=30)])
    for part in (None, mask):
        rows = {row.name: row for row in similarity(image, reference, mask=part)}
        x, y = (np.float32(v).astype(float)[mask if part is not None else ...] for v in (image, reference))
        assert rows["MSE"].value == pytest.approx(metrics.mean_squared_error(y, x), rel=1e-9)
        assert rows["PSNR"].value == pytest.approx(metrics.peak_signal_noise_ratio(y, x, data_range=1), rel=1e-9)
        assert rows["MSE"].n == x.size


def _torch_terms(x, y):
    """SSIM and contrast–structure maps of the windows inside the slice, by torch's convolution."""
    import torch

    axis = torch.arange(-5, 6, dtype=torch.float64)
    kernel = torch.exp(-(axis**2) / (2 * 1.5**2))
    kernel = (kernel / kernel.sum())[:, None] @ (kernel / kernel.sum())[None]
    mx, my, xx, yy, xy = (torch.nn.functional.conv2d(v, kernel[None, None]) for v in (x, y, x * x, y * y, x * y))
    cs = (2 * (xy - mx * my) + 0.03**2) / (xx - mx**2 + yy - my**2 + 0.03**2)
    return cs * (2 * mx * my + 0.01**2) / (mx**2 + my**2 + 0.01**2), cs


def test_ssim_and_ms_ssim_inside_a_mask_agree_with_a_recomputation_in_torch(pair):
    torch = pytest.importorskip("torch")
    x, y = (torch.from_numpy(v)[None, None] for v in pair)
    mask = _disc(radius=20)
    weights, expected = torch.from_numpy(mask.astype(float))[None, None], 1.0
    for scale_index, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        full, cs = _torch_terms(x, y)
        inner = weights[..., 5:-5, 5:-5]
        if scale_index == 0:
            assert ssim(*pair, mask) == pytest.approx(float((full * inner).sum() / inner.sum()), abs=1e-9)
        term = full if scale_index == 4 else cs
        expected *= float((term * inner).sum() / inner.sum()) ** weight
        x, y, weights = (torch.nn.functional.avg_pool2d(v, 2) for v in (x, y, weights))
    assert ms_ssim(*pair, mask) == pytest.approx(expected, abs=1e-9)


def test_mask_of_everything_changes_nothing():
    image, reference = _volumes()
    plain, masked = (similarity(image, reference, mask=mask) for mask in (None, np.ones(image.shape, bool)))
    for a, b in zip(plain, masked, strict=True):
        assert b.value == pytest.approx(a.value, abs=1e-12)
        assert (a.n, a.note) == (b.n, b.note)


def test_slices_outside_the_mask_have_no_numbers_and_do_not_count():
    image, reference = _volumes()
    mask = np.stack([_disc(), np.zeros_like(_disc())])
    slices = _by_slice(image, reference, mask=mask)
    assert all(math.isnan(value) for value in slices[1].values.values())
    assert slices[1].voxels == 0
    assert of_volume(slices) == pytest.approx(slices[0].values)


def test_slices_count_by_their_pixels_in_the_mask():
    image, reference = _volumes()
    mask = np.stack([_disc(radius=6), _disc(radius=25)])
    slices = _by_slice(image, reference, mask=mask)
    weights = mask.sum(axis=(1, 2))
    for measure in (Measure.MSE, Measure.SSIM, Measure.MS_SSIM):
        assert of_volume(slices)[measure] == pytest.approx(np.average([s.values[measure] for s in slices], weights=weights))


def test_mask_without_a_voxel_is_refused():
    image, reference = _volumes()
    with pytest.raises(InputError, match="no voxel"):
        similarity(image, reference, mask=np.zeros(image.shape, bool))


def test_mask_near_the_border_has_no_ms_ssim_and_the_row_says_why():
    image, reference = _volumes()
    mask = np.zeros(image.shape, bool)
    mask[0, 8:20, 8:20] = True
    rows = {row.name: row for row in similarity(image, reference, mask=mask)}
    assert math.isfinite(rows["SSIM"].value)
    assert math.isnan(rows["MS-SSIM"].value)
    assert "1 of 1 slices" in rows["MS-SSIM"].note and "border" in rows["MS-SSIM"].note


def test_what_lies_where_nothing_is_known_changes_no_number():
    image, reference = (x[None] for x in _pair(shape=(300, 288)))
    known = np.ones(image.shape, bool)
    known[:, :, :30] = False
    known[0, 20:24, 270] = False
    other = np.where(known, image, 7.0)
    first, second = (_by_slice(x, reference, known=known) for x in (image, other))
    for a, b in zip(first, second, strict=True):
        assert a.values == pytest.approx(b.values, abs=1e-12)
        assert all(math.isfinite(value) for value in a.values.values())
    assert first[0].values[Measure.SSIM] != pytest.approx(_by_slice(image, reference)[0].values[Measure.SSIM], abs=1e-9)


def test_without_scikit_image_the_rest_is_measured_and_ssim_says_what_it_needs():
    code = (
        "import sys; sys.modules['skimage'] = None\n"
        "import numpy as np; from ccdnn.measure.similarity import similarity\n"
        "rows = similarity(np.zeros((2, 40, 40)), np.full((2, 40, 40), 0.1))\n"
        "print([(r.name, round(r.value, 6), r.note) for r in rows])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "('MSE', 0.01, ''), ('PSNR', 20.0, '')" in run.stdout
    assert run.stdout.count("need scikit-image") == 2


def test_table_has_the_volume_and_every_slice():
    image, reference = _volumes()
    mask = np.stack([_disc(), np.zeros_like(_disc())])
    pair = scaled_pair(300 * image, 7 * reference, Scaling.TISSUE, names=("synthetic STIR", "acquired STIR"), mask=mask)
    slices = list(similarity_by_slice(pair))
    table = similarity_table(pair, slices, overlap_by_slice(pair, 0.3))
    assert table.column("slice") == ("volume", "1", "2")
    rows = {row.name: row.value for row in measurements(pair, slices, "pair")}
    assert [table.column(name)[0] for name in rows] == pytest.approx(list(rows.values()))
    overlap = threshold_overlap(pair.image.array, pair.reference.array, 0.3, mask)
    assert table.column("Dice")[0] == pytest.approx(overlap.dice)
    assert table.column("voxels below 0.3, both")[:2] == (overlap.both, overlap.both)
    assert math.isnan(table.column("SSIM")[2]) and table.column("voxels")[2] == 0
    assert [column.unit for column in table.columns if column.name == "PSNR"] == ["dB"]
    notes = " ".join(table.notes)
    assert "inside the mask" in notes and "90th percentile" in notes and f"acquired STIR 0 to {pair.reference.high:.4g}" in notes


def test_chart_leaves_a_gap_where_there_is_no_finite_number():
    chart = similarity_chart(Measure.PSNR, [30.0, math.nan, math.inf])
    (series,) = chart.series
    assert list(series.x) == [1, 2, 3]
    assert series.y[0] == 30 and math.isnan(series.y[1]) and math.isnan(series.y[2])
    assert chart.y_title == "PSNR (dB)"


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
    assert _by_slice(image, reference)[0].values[Measure.PSNR] == math.inf


def test_ssim_of_a_subject_is_the_mean_of_its_slices():
    image, reference = _volumes()
    rows = {row.name: row for row in similarity(image, reference)}
    slices = _by_slice(image, reference)
    for measure in (Measure.SSIM, Measure.MS_SSIM):
        assert rows[measure.value].value == pytest.approx(np.mean([s.values[measure] for s in slices]))
        assert rows[measure.value].n == 2
        assert slices[0].values[measure] > slices[1].values[measure]


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


@pytest.mark.parametrize("scaling", Scaling)
def test_every_scaling_can_be_told_in_words(scaling):
    assert scaling.label() and scaling.meaning.endswith(".")


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
