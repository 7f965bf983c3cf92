"""Line profiles: sampling, the main edge, the shift, and the tables and charts made of them."""

from __future__ import annotations

import csv
import io
import math

import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from scipy.special import erf
from scipy.stats import pearsonr
from skimage.measure import profile_line

from ccdnn.errors import InputError
from ccdnn.measure.correlation import pearson_r, shift
from ccdnn.measure.edge import main_edge
from ccdnn.measure.line import MAX_STEPS, default_step, sample_image, sample_line
from ccdnn.measure.profile import (
    EDGE_LIMIT_MM,
    Image,
    compare,
    measure_profiles,
    profile_chart,
    profile_table,
    profile_values,
    scales_of,
)
from ccdnn.measure.scaling import Scaling, scale_pair
from ccdnn.volume import Volume

SIGMA_OF_WIDTH = 1 / 2.5631031310892007
STEP = 0.2


def oblique() -> np.ndarray:
    """IJK→RAS of a turned, anisotropic grid."""
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn * [0.5, 0.7, 3.0], [11, -20, 5]
    return matrix


def to_ras(matrix, ijk) -> np.ndarray:
    return np.asarray(ijk, float) @ matrix[:3, :3].T + matrix[:3, 3]


def edge_profile(middle, width, before=50.0, after=150.0, length=40.0, noise=0.0, seed=0) -> np.ndarray:
    """An error function at equal steps, with noise."""
    x = np.arange(0, length, STEP)
    share = 0.5 + 0.5 * erf((x - middle) / (width * SIGMA_OF_WIDTH * math.sqrt(2)))
    return before + (after - before) * share + noise * np.random.default_rng(seed).normal(size=x.size)


def edge_volume(middle_mm, width_mm, name="volume", gain=1.0) -> Volume:
    """Voxels of 0.4×0.4×3 mm, bright on the right of a vertical edge; the value at a voxel is that of its centre."""
    x = 0.4 * np.arange(120)
    row = gain * (100 + 400 * (0.5 + 0.5 * erf((x - middle_mm) / (width_mm * SIGMA_OF_WIDTH * math.sqrt(2)))))
    return Volume(np.tile(row, (3, 30, 1)), np.diag([0.4, 0.4, 3.0, 1.0]), name=name)


ACROSS = np.array([[2.0, 5.0, 3.0], [45.0, 5.0, 3.0]])


def rows_of(volumes, points=ACROSS, step_mm=None) -> dict:
    return {row.name: row for row in compare(measure_profiles(volumes, points, step_mm))}


# Sampling


def test_steps_are_equal_and_reach_both_ends_across_corners():
    line = sample_line([[0, 0, 0], [3, 0, 0], [3, 4, 0]], 0.3)
    assert line.length == pytest.approx(7) and line.step == pytest.approx(7 / 24) and line.step <= 0.3
    np.testing.assert_allclose(np.diff(line.distance), line.step)
    np.testing.assert_allclose(line.points[[0, -1]], [[0, 0, 0], [3, 4, 0]])
    np.testing.assert_allclose(line.points[np.searchsorted(line.distance, 3.5)], [3, 0.5, 0], atol=1e-9)


def test_default_step_is_half_the_smallest_in_plane_spacing():
    coarse = Volume(np.zeros((2, 2, 2)), np.diag([0.8, 0.9, 0.1, 1]))
    fine = Volume(np.zeros((2, 2, 2)), np.diag([1.0, 0.6, 3.0, 1]))
    assert default_step(coarse.grid, fine.grid) == pytest.approx(0.3)


def test_number_of_steps_is_bounded():
    assert len(sample_line([[0, 0, 0], [1e6, 0, 0]], 0.1).distance) == MAX_STEPS + 1


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ([], "no point yet"),
        ([[1, 2, 3]], "one point"),
        ([[1, 2, 3], [1, 2, 3]], "no length"),
        ([[1, 2, 3], [math.nan, 0, 0]], "invalid point"),
    ],
)
def test_a_line_that_is_none_is_refused(points, reason):
    with pytest.raises(InputError, match=reason):
        sample_line(points, 0.1)


def test_a_linear_ramp_is_sampled_exactly():
    matrix = oblique()
    k, j, i = np.indices((5, 12, 14)).astype(float)
    array = 7 + 2 * i - 3 * j + 5 * k
    ijk = np.random.default_rng(0).uniform(0, [13, 11, 4], size=(50, 3))
    np.testing.assert_allclose(sample_image(array, matrix, to_ras(matrix, ijk)), 7 + ijk @ [2, -3, 5], rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_samples_are_those_of_scipy(dtype):
    array = np.random.default_rng(1).integers(0, 200, size=(6, 20, 22)).astype(dtype)
    matrix = oblique()
    ijk = np.random.default_rng(2).uniform(-0.5, [21.5, 19.5, 5.5], size=(500, 3))
    expected = map_coordinates(array.astype(float), ijk[:, ::-1].T, order=1, mode="nearest")
    np.testing.assert_allclose(sample_image(array, matrix, to_ras(matrix, ijk)), expected, atol=1e-6)


def test_profile_is_that_of_skimage():
    array = np.random.default_rng(4).normal(size=(1, 40, 50))
    volume = Volume(array, np.eye(4))
    source, destination = (3.0, 5.0), (30.0, 41.0)  # row, column; 45 mm, so steps of one pixel
    expected = profile_line(volume.array[0].astype(float), source, destination, order=1, mode="nearest")
    profiles = measure_profiles({Image.SYNTHETIC: volume}, [[5, 3, 0], [41, 30, 0]], 1.0)
    np.testing.assert_allclose(profiles.values[Image.SYNTHETIC], expected, atol=1e-6)


def test_outside_and_beside_nan_there_is_no_value_and_within_half_a_voxel_of_the_border_there_is():
    array = np.arange(8.0).reshape(1, 2, 4)
    array[0, 1, 3] = np.nan
    points = np.array([[-0.4, 0, 0], [-0.6, 0, 0], [3.49, 0, 0.49], [1, -0.6, 0], [2.5, 0.5, 0], [1, 1, 2]])
    np.testing.assert_allclose(sample_image(array, np.eye(4), points), [0, np.nan, 3, np.nan, np.nan, np.nan])


# The edge


@pytest.mark.parametrize("width", [0.5, 1.0, 2.0, 4.0])
@pytest.mark.parametrize(("before", "after"), [(50, 150), (150, 50)])
def test_width_and_place_of_a_clean_edge(width, before, after):
    edge = main_edge(edge_profile(17.3, width, before, after), STEP)
    assert edge.width == pytest.approx(width, rel=1e-3)
    assert edge.position == pytest.approx(17.3, abs=1e-3)
    assert (edge.before, edge.after) == pytest.approx((before, after), rel=1e-3)
    assert edge.rising is (after > before)


@pytest.mark.parametrize("width", [1.0, 2.0])
def test_noise_of_5_per_cent_of_the_step_does_not_bias_the_width(width):
    edges = [main_edge(edge_profile(17.3, width, noise=5, seed=seed), STEP) for seed in range(20)]
    assert np.mean([edge.width for edge in edges]) == pytest.approx(width, rel=0.05)
    assert np.mean([edge.position for edge in edges]) == pytest.approx(17.3, abs=0.03)


def test_a_thin_structure_is_measured_between_its_own_extremes():
    """Half a cosine goes from 10 to 90 % over (180° − 2 · 36.87°) / 180° of its length; the error function comes close."""
    x = np.arange(0, 10, STEP)
    assert main_edge(np.cos(x * np.pi / 5), STEP).width == pytest.approx(5 * (180 - 2 * 36.87) / 180, rel=0.03)


def test_the_steeper_of_two_steps_is_the_edge():
    profile = edge_profile(10, 3, 0, 100) + edge_profile(28, 1, 0, 80)
    edge = main_edge(profile, STEP)
    assert edge.position == pytest.approx(28, abs=0.05) and edge.width == pytest.approx(1, rel=0.05)


def test_the_edge_of_another_profile_is_that_of_its_direction_nearby():
    reference = main_edge(edge_profile(20, 1, 0, 50), STEP)
    other = edge_profile(20.6, 1.5, 0, 50) + edge_profile(30, 0.5, 0, 200) + edge_profile(19.0, 0.6, 60, 0)
    edge = main_edge(other, STEP, like=reference, within_mm=EDGE_LIMIT_MM)
    assert edge.position == pytest.approx(20.6, abs=0.3) and edge.rising


@pytest.mark.parametrize(
    ("profile", "reason"),
    [
        (np.full(50, 0.1), "no edge"),
        (np.arange(5.0), "too short"),
        (np.random.default_rng(0).normal(size=200), "stands out of its noise"),
    ],
    ids=["constant", "short", "noise"],
)
def test_where_there_is_no_edge_a_sentence_says_so(profile, reason):
    with pytest.raises(InputError, match=f"The profile of it .*{reason}"):
        main_edge(profile, STEP, name="The profile of it")


# Correlation and shift


def test_pearson_r_is_that_of_scipy():
    x, y = np.random.default_rng(5).normal(size=(2, 100))
    assert pearson_r(x, y) == pytest.approx(pearsonr(x, y).statistic, abs=1e-12)


@pytest.mark.parametrize("true", [-3.27, -0.31, 0.0, 0.05, 0.61, 4.1])
def test_shift_is_positive_where_the_synthetic_profile_lies_further_along(true):
    x = np.arange(0, 50, STEP)

    def bumps(moved):
        return sum(np.exp(-0.5 * ((x - moved - at) / 1.2) ** 2) * height for at, height in ((12, 3), (20, -2), (27, 4), (35, 1)))

    assert shift(bumps(0), 5 + 0.1 * bumps(true), STEP, 5.0) == pytest.approx(true, abs=0.01)


def test_shift_without_an_answer_says_why():
    noise = np.random.default_rng(6).normal(size=(2, 300))
    with pytest.raises(InputError, match="too different"):
        shift(*noise, STEP, 5.0)
    with pytest.raises(InputError, match="does not vary"):
        shift(np.full(100, 0.3), noise[0, :100], STEP, 5.0)
    x = np.arange(0, 60, STEP)
    near, far = (np.exp(-0.5 * ((x - at) / 3) ** 2) for at in (25, 31))
    with pytest.raises(InputError, match="limit of the search"):
        shift(near, far, STEP, 5.0)


# Whole measurements


def test_pair_of_known_width_and_shift():
    volumes = {Image.ACQUIRED: edge_volume(20.0, 2.0), Image.SYNTHETIC: edge_volume(20.7, 3.0, gain=0.01)}
    rows = rows_of(volumes)
    assert rows["edge width 10–90 %, acquired"].value == pytest.approx(2.0, rel=0.02)
    assert rows["edge width 10–90 %, synthetic"].value == pytest.approx(3.0, rel=0.02)
    assert rows["edge position, acquired"].value == pytest.approx(18.0, abs=0.02)  # the line begins at 2 mm
    assert rows["edge position, synthetic"].value == pytest.approx(18.7, abs=0.02)
    assert rows["shift"].value == pytest.approx(0.7, abs=0.05)
    assert {row.unit for row in rows.values()} == {"1", "mm"}
    assert all(row.note == "" for row in rows.values())


def test_r_and_rmse_are_those_of_an_independent_computation():
    rng = np.random.default_rng(7)
    matrix = oblique()
    acquired = Volume(rng.uniform(10, 900, size=(6, 30, 32)), matrix)
    synthetic = Volume(acquired.array * 0.004 + rng.uniform(0, 1, size=acquired.array.shape), matrix)
    points = to_ras(matrix, [[2, 3, 1], [15, 20, 4], [28, 6, 2]])
    profiles = measure_profiles({Image.ACQUIRED: acquired, Image.SYNTHETIC: synthetic}, points)
    rows = {row.name: row for row in compare(profiles)}
    scaled = scale_pair(synthetic.array, acquired.array, Scaling.TISSUE, names=("synthetic", "acquired"))
    corners = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    count = math.ceil(corners[-1] / 0.25)
    along = np.stack([np.interp(np.linspace(0, corners[-1], count + 1), corners, axis) for axis in points.T])
    index = np.linalg.inv(matrix) @ np.vstack([along, np.ones(count + 1)])
    s, a = (map_coordinates(image.array.astype(float), index[2::-1], order=1, mode="nearest") for image in scaled)
    assert rows["Pearson r"].value == pytest.approx(pearsonr(s, a).statistic, abs=1e-6)
    assert rows["RMSE"].value == pytest.approx(np.sqrt(np.mean((s - a) ** 2)), abs=1e-6)
    assert rows["RMSE"].n == count + 1 and "tissue scaling" in rows["RMSE"].method


def test_pair_is_scaled_as_a_pair_and_inputs_by_themselves():
    arrays = {image: edge_volume(20, 2, gain=gain).array for image, gain in ((Image.ACQUIRED, 1), (Image.SYNTHETIC, 0.1))}
    scales, problem = scales_of({**arrays, Image.T1: arrays[Image.ACQUIRED] * 3})
    assert problem == ""
    assert {image: scale.scaling for image, scale in scales.items()} == {
        Image.ACQUIRED: Scaling.TISSUE,
        Image.SYNTHETIC: Scaling.TISSUE,
        Image.T1: Scaling.PERCENTILE,
    }
    assert scales[Image.ACQUIRED].high == pytest.approx(500) and scales[Image.SYNTHETIC].high == pytest.approx(50, rel=1e-4)
    alone, _ = scales_of({Image.SYNTHETIC: arrays[Image.SYNTHETIC]})
    assert alone[Image.SYNTHETIC].scaling is Scaling.PERCENTILE


def test_a_volume_without_a_scale_is_plotted_as_stored_with_a_reason():
    flat = Volume(np.full((3, 30, 120), 4.0), np.diag([0.4, 0.4, 3.0, 1.0]))
    profiles = measure_profiles({Image.ACQUIRED: edge_volume(20, 2), Image.SYNTHETIC: flat}, ACROSS)
    assert profile_chart(profiles, scaled=True).y_title == "Intensity as stored"
    table = profile_table(profiles)
    assert "cannot be scaled" in " ".join(table.notes)
    notes = dict(zip(table.column("name"), table.column("note"), strict=True))
    assert "cannot be scaled" in notes["RMSE"] and "does not vary" in notes["Pearson r"]
    assert math.isnan(dict(zip(table.column("name"), table.column("value"), strict=True))["RMSE"])


def test_only_what_both_have_is_compared_and_the_rest_is_counted():
    whole = edge_volume(20.0, 2.0)
    part = Volume(whole.array[:, :, 30:], whole.ijk_to_ras @ [[1, 0, 0, 30], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    profiles = measure_profiles({Image.ACQUIRED: whole, Image.SYNTHETIC: part}, ACROSS)
    rows = {row.name: row for row in compare(profiles)}
    outside = int(np.isnan(profiles.values[Image.SYNTHETIC]).sum())
    assert outside > 0 and rows["Pearson r"].n == len(profiles.line.distance) - outside
    assert rows["edge position, synthetic"].value == pytest.approx(18.0, abs=0.02)
    assert f"{outside} of the line's {len(profiles.line.distance)} samples have no value in synthetic STIR." in profiles.notes


def test_without_an_acquired_stir_there_is_a_plot_and_a_sentence():
    profiles = measure_profiles({Image.SYNTHETIC: edge_volume(20, 2), Image.T2: edge_volume(21, 2)}, ACROSS)
    table = profile_table(profiles)
    assert table.rows == () and "no acquired STIR to compare with" in table.notes[0]
    assert [series.name for series in profile_chart(profiles, scaled=True).series] == ["synthetic STIR", "T2-w"]
    with pytest.raises(InputError, match="choose both"):
        compare(profiles)


def test_a_line_outside_is_refused():
    with pytest.raises(InputError, match="outside the volumes"):
        measure_profiles({Image.SYNTHETIC: edge_volume(20, 2)}, ACROSS + 500)


def test_two_samples_in_common_are_not_compared():
    whole = edge_volume(20.0, 2.0)
    far = Volume(whole.array, whole.ijk_to_ras @ [[1, 0, 0, 110], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    table = profile_table(measure_profiles({Image.ACQUIRED: whole, Image.SYNTHETIC: far}, ACROSS))
    assert table.rows == () and "lie in both STIRs" in table.notes[0]


def test_chart_has_units_dashes_and_one_colour_for_each_image():
    volumes = {image: edge_volume(20, 2) for image in Image}
    chart = profile_chart(measure_profiles(volumes, ACROSS), scaled=True)
    assert (chart.x_title, chart.y_title) == ("Distance along the line (mm)", "Intensity, scaled to 0–1")
    assert [series.dashed for series in chart.series] == [image is Image.SYNTHETIC for image in Image]
    assert len({series.colour for series in chart.series}) == len(Image)
    assert chart.series[0].x[-1] == pytest.approx(43) and max(chart.series[0].y) == pytest.approx(1)


def test_values_hold_every_sample_with_its_place():
    profiles = measure_profiles({Image.ACQUIRED: edge_volume(20, 2), Image.SYNTHETIC: edge_volume(21, 2)}, ACROSS)
    rows = list(csv.DictReader(io.StringIO(profile_values(profiles).to_csv())))
    assert len(rows) == len(profiles.line.distance)
    first, last = rows[0], rows[-1]
    assert [float(first[f"{axis} (mm)"]) for axis in "RAS"] == [2, 5, 3] and float(last["distance (mm)"]) == 43
    assert float(last["acquired STIR"]) == pytest.approx(500, abs=1e-3) and float(last["acquired STIR, scaled"]) == pytest.approx(1)
