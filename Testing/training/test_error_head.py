"""The second head: it learns the size of an error, its factors hold, and the image does not change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_network
import small_study
import torch

from ccdnn.inference.synthesizer import Synthesizer
from ccdnn.model.file import load_model
from ccdnn.model.uncertainty import INTERVALS, Uncertainty
from ccdnn_training.cli.main import main
from ccdnn_training.data.cache import SliceCache
from ccdnn_training.data.studies import NORMALISATION
from ccdnn_training.uncertainty.calibration import (
    ball,
    coverages,
    factors_of,
    fit_region_error,
    rank_correlations,
    region_ratios,
    weighted_quantile,
)
from ccdnn_training.uncertainty.cases import Case
from ccdnn_training.uncertainty.head import error_after, fit_head, refitted_head
from ccdnn_training.uncertainty.lesion_check import marks_of, roc
from ccdnn_training.uncertainty.samples import BORDER, OF_BODY, Samples, places
from ccdnn_training.uncertainty.training_cells import CellsSeen

SHAPE, SPACING = (6, 60, 60), (3.0, 0.5, 0.5)


def prediction(seed: int = 0, correlated: float = 0.0, lesion: float = 0.0) -> Case:
    """Laplace errors whose scale differs from place to place, in two tissues; `correlated` errors are the same everywhere."""
    rng = np.random.default_rng(seed)
    scale = np.exp(rng.normal(-2, 0.7, SHAPE) + np.linspace(-1, 1, SHAPE[1])[:, None])
    error = scale * rng.laplace(size=SHAPE) + correlated * scale
    regions = {name: np.zeros(SHAPE, bool) for name in ("bone", "fat", "bone-marrow edema")}
    regions["bone"][:, 5:55, 5:30], regions["fat"][:, 5:55, 35:55] = True, True
    regions["bone-marrow edema"][2:4, 20:30, 10:18] = True
    regions["bone"] &= ~regions["bone-marrow edema"]
    image = np.where(regions["bone-marrow edema"], 1 + lesion, 1.0)
    body = np.zeros(SHAPE, bool)
    body[:, 5:55, 5:55] = True
    return Case("knee", (), image, image + error, np.log(scale), body, regions, SPACING)


# -------------------------------------------------------------------------------------------------------------------- head


def test_the_head_learns_the_mean_absolute_error() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(3, 2, (20_000, 4)).astype(np.float16)
    scale = np.exp(0.5 * features[:, 0].astype(float) - 3)
    error = (scale * rng.laplace(size=len(scale))).astype(np.float32)
    head = fit_head(Samples(features, error, np.ones(len(error), bool)), maps=4, steps=500)
    with torch.no_grad():
        found = head(torch.from_numpy(features.astype(np.float32))[..., None, None]).flatten().numpy()
    assert np.abs(found - np.log(scale)).mean() < 0.15
    assert not any(parameter.requires_grad for parameter in head.parameters())


def test_a_refitted_image_head_has_no_bias_that_the_maps_explain() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(3, 2, (20_000, 4)).astype(np.float16)
    error = (0.5 - 0.3 * features[:, 1].astype(np.float32) + 0.1 * rng.normal(size=len(features))).astype(np.float32)
    at_random = rng.random(len(error)) < 0.5
    error[~at_random] += 9  # rare tissues do not decide
    samples, head = Samples(features, error, at_random), torch.nn.Conv2d(4, 1, 1)
    changed = refitted_head(head, samples)
    left = error_after(samples, head, changed)
    assert abs(left.error[at_random].mean()) < 0.01
    before, after = (np.corrcoef(s.error[at_random], features[at_random, 1].astype(float))[0, 1] for s in (samples, left))
    assert before < -0.9
    assert left.error[at_random].std() < 0.6 * error[at_random].std()
    images = torch.from_numpy(features[:5].astype(np.float32))[..., None, None]
    with torch.no_grad():
        added = (changed(images) - head(images)).flatten().numpy()
    np.testing.assert_allclose(error[:5] - left.error[:5], added, atol=1e-3)
    assert after > before


def test_samples_lie_inside_the_crop_and_hold_rare_tissues() -> None:
    images, labels = np.ones((4, 100, 100), np.float32), np.ones((100, 100), np.uint8)
    labels[50:53, 50:53] = 7
    labels[:10] = 9
    rows, columns, at_random = places(images, labels, np.random.default_rng(0))
    assert min(rows.min(), columns.min()) >= BORDER
    assert max(rows.max(), columns.max()) < 100 - BORDER
    assert (labels[rows, columns] == 7)[~at_random].sum() == 9
    assert at_random.sum() == OF_BODY
    assert not (labels[rows, columns] == 9).any()


# -------------------------------------------------------------------------------------------------------------- calibration


def test_factors_give_every_interval_its_share() -> None:
    factors = factors_of([prediction(seed) for seed in range(4)])
    expected = [-np.log(1 - interval) for interval in INTERVALS]  # of a Laplace distribution
    np.testing.assert_allclose(factors, expected, rtol=0.05)


def test_every_tissue_weighs_the_same() -> None:
    assert weighted_quantile(np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0, 8.0]), 0.5) == 3.0
    assert weighted_quantile(np.array([3.0, 1.0, 2.0]), np.ones(3), 0.5) == 2.0


def test_coverage_is_that_of_the_intervals() -> None:
    exact = tuple(float(-np.log(1 - interval)) for interval in INTERVALS)
    region = fit_region_error(region_ratios(prediction(), np.random.default_rng(0)))
    found = {row.tissue: row for row in coverages(Uncertainty(3, {"": exact}, region, "x", "x"), prediction())}
    assert {"body", "air", "bone", "fat", "bone-marrow edema"} == set(found)
    np.testing.assert_allclose(found["body"].shares, INTERVALS, atol=0.02)
    assert found["fat"].half_width == pytest.approx(exact[-1] * prediction().scale[prediction().regions["fat"]].mean())
    assert found["fat"].n == 6 * 50 * 20


def test_a_better_guess_of_the_error_has_a_higher_rank_correlation() -> None:
    known = prediction()
    blind = replace(known, log_scale=np.random.default_rng(9).normal(size=SHAPE))
    for kind, value in rank_correlations(known).items():
        assert value > 0.25 > abs(rank_correlations(blind)[kind]), kind


def test_a_ball_holds_the_voxels_within_its_radius() -> None:
    mask = np.ones((20, 40, 40), bool)
    mask[:, :, 21:] = False
    indices = ball(np.array([10, 20, 20]), 4.0, SPACING, mask)
    offsets = (np.array(indices).T - (10, 20, 20)) * SPACING
    distances = np.linalg.norm(offsets, axis=1)
    assert distances.max() <= 4.0
    everywhere = np.linalg.norm((np.argwhere(mask) - (10, 20, 20)) * SPACING, axis=1)
    assert len(distances) == np.count_nonzero(everywhere <= 4.0)
    assert len(ball(np.array([0, 0, 0]), 0.1, SPACING, mask)[0]) == 1


def test_independent_errors_average_out_and_common_ones_do_not() -> None:
    rng = np.random.default_rng(0)
    independent = fit_region_error([r for seed in range(3) for r in region_ratios(prediction(seed), rng)])
    common = fit_region_error([r for seed in range(3) for r in region_ratios(prediction(seed, correlated=1.0), rng)])
    assert independent.deviation(1.0, 1000.0) < 0.2 * independent.deviation(1.0, 0.75)
    assert common.deviation(1.0, 1000.0) == pytest.approx(1.0, rel=0.2)


# ------------------------------------------------------------------------------------------------------------------ lesions


def test_an_edema_is_a_true_mark_and_bright_marrow_a_false_one() -> None:
    knee = prediction(lesion=0.8)
    region = fit_region_error(region_ratios(knee, np.random.default_rng(0)))
    marks = list(marks_of(knee, region))
    assert [mark.kind for mark in marks[:1]] == ["bone-marrow edema"]
    assert len(marks) > 2
    assert [mark.really_brighter for mark in marks] == [True, *[False] * (len(marks) - 1)]
    assert marks[0].probability > 0.99
    assert marks[0].difference == pytest.approx(0.8, abs=0.01)
    assert max(mark.difference for mark in marks[1:]) < 0.1


def test_the_area_under_a_roc_curve() -> None:
    assert roc([3, 2, 1], [True, False, False]) == 1.0
    assert roc([1, 1], [True, False]) == 0.5
    assert np.isnan(roc([1, 2], [True, True]))


# -------------------------------------------------------------------------------------------------------------- familiarity


def test_what_training_saw_is_familiar_and_the_rest_is_not() -> None:
    rng = np.random.default_rng(0)
    knees = [rng.uniform(0.5, 0.7, (3, 2, 40, 40)).astype(np.float32) for _ in range(3)]
    seen = CellsSeen(("t1", "t2", "gre"))
    for knee in knees:
        seen.add(knee)
    found = seen.familiarity(knees)
    assert found.limit < 0.1
    strange, tissue = found.unfamiliar(knees[0], [True] * 3)
    assert strange[tissue].mean() <= found.limit
    strange, tissue = found.unfamiliar(knees[0] * np.array([2.5, 0.5, 1])[:, None, None, None], [True] * 3)
    assert strange[tissue].mean() > 0.95


# ------------------------------------------------------------------------------------------------------------------ command


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache") / "knees"
    counts = ["--train", "0", "--validation", "1", "--test", "1"]
    assert main(["simulate", str(folder), *counts, "--slices", "3", "--matrix", "192", "--lesions", "1"]) == 0
    return folder


def test_a_model_gets_an_uncertainty_and_keeps_its_image(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    plain = small_study.write_model(tmp_path / "plain.safetensors", normalisation=NORMALISATION.to_card(), optional=("gre",))
    output = tmp_path / "sure.safetensors"
    arguments = ["add-uncertainty", str(plain), "-o", str(output), "--validation", str(cache), "--studies", "1", "--maps", "4"]
    assert main([*arguments, "--model-version", "9.0.0"]) == 0
    before, after = load_model(plain), load_model(output)
    assert after.card.version == "9.0.0"
    assert after.card.uncertainty is not None and after.card.familiarity is not None
    assert set(after.card.uncertainty.factors) == {"", "gre"}
    inputs = np.asarray(SliceCache(cache).part("test")[0].array(), np.float32)[:-1]
    prediction = Synthesizer(after, "cpu", "fp32").predict(inputs)
    np.testing.assert_allclose(prediction.image, Synthesizer(before, "cpu", "fp32").run(inputs), atol=1e-5)
    assert prediction.log_scale is not None

    assert main(["check-uncertainty", str(output), str(cache), "--stress-studies", "0", "-o", str(tmp_path / "report")]) == 0
    text = (tmp_path / "report" / "uncertainty.md").read_text(encoding="utf-8")
    assert "## Without GRE" in text and "| bone |" in text
    assert (tmp_path / "report" / "coverage.csv").read_text(encoding="utf-8").startswith("subject,missing,tissue,within 50%")
    results = tmp_path / "results.json"
    results.write_text(
        '[{"metric": "PSNR", "mean": 30, "sd": 1, "n": 2, "measured_on": "knees", "command": "x"}]', encoding="utf-8"
    )
    again = tmp_path / "again.safetensors"
    arguments = ["export", str(output), "-o", str(again), "--name", "sure", "--model-version", "9.1.0", "--results", str(results)]
    assert main(arguments) == 0
    renamed = load_model(again)
    assert (renamed.card.name, renamed.card.version, renamed.card.results[0].metric) == ("sure", "9.1.0", "PSNR")
    assert renamed.card.uncertainty == after.card.uncertainty
    assert all(np.array_equal(renamed.weights[name], values) for name, values in after.weights.items())
    assert main([*arguments, "--start-share", "0.5"]) != 0
    assert main(["check-uncertainty", str(plain), str(cache), "-o", str(tmp_path / "no")]) != 0
    assert "has no uncertainty" in capsys.readouterr().err


def test_a_model_of_another_normalisation_is_refused(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    other = small_study.write_model(tmp_path / "other.safetensors", uncertainty=small_network.uncertainty())
    assert main(["add-uncertainty", str(other), "-o", str(tmp_path / "new.safetensors"), "--validation", str(cache)]) != 0
    assert "normalises its inputs in another way" in capsys.readouterr().err
    assert main(["check-uncertainty", str(other), str(cache), "-o", str(tmp_path / "report")]) != 0
    assert "normalis" in capsys.readouterr().err
    assert not list(tmp_path.glob("new*")) and not (tmp_path / "report").exists()
