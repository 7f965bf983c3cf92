"""Patches of studies that are simulated during a fit: reproducible, resumable, renewed, and sometimes without an input."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from ccdnn.errors import InputError
from ccdnn.model.file import load_model
from ccdnn_training.cli.main import main
from ccdnn_training.data.cache import SliceCache
from ccdnn_training.data.knees import KneeRecipe, Knees
from ccdnn_training.data.missing import MissingInputs
from ccdnn_training.data.patches import PatchDataset
from ccdnn_training.data.pool import PatchSettings, PatchStream
from ccdnn_training.data.studies import ANY_TISSUE, HOSPITAL, KINDS, PAPER_LIKE, REGIONS, SimulatedStudies
from ccdnn_training.physics.protocol import INPUT_CONTRASTS, WIDE_RANGES

RECIPE = KneeRecipe(slices=3, matrix=(96,), lesions=1.0)
SHARES = dict.fromkeys(KINDS, 0.25)
SETTINGS = PatchSettings(
    size=48, batch=4, pool_slices=8, patches_per_slice=4, missing=MissingInputs({"gre": 0.4}, INPUT_CONTRASTS), scale_jitter=0.05
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("knees")
    assert main(["simulate-knees", str(folder), "--knees", "2", "--slices", "3", "--matrix", "96", "--lesions", "1"]) == 0
    return folder


@pytest.fixture(scope="module")
def studies(folder: Path) -> SimulatedStudies:
    return SimulatedStudies(Knees(folder, RECIPE, 0), SHARES, seed=3)


def stream(studies: SimulatedStudies, **settings) -> PatchStream:
    placed = {key: settings.pop(key) for key in ("first_step", "workers", "processes", "rank", "steps") if key in settings}
    return PatchStream(studies, replace(SETTINGS, **settings), **{"steps": 12, "seed": 5, **placed})


def equal(one, other) -> bool:
    return all(torch.equal(a, b) for pair in zip(one, other, strict=True) for a, b in zip(*pair, strict=True))


# ------------------------------------------------------------------------------------------------------------------- knees


def test_rendered_knees_are_the_knees_of_their_seeds(folder: Path) -> None:
    knees = Knees(folder, RECIPE, 0)
    anew = RECIPE.anatomy(10_001)
    kept = knees.anatomy(1)
    assert np.array_equal(kept.tissues, anew.tissues) and np.array_equal(kept.amounts, anew.amounts)
    assert np.array_equal(kept.labels, anew.labels) and kept.spacing == pytest.approx(anew.spacing)
    assert np.array_equal(knees.anatomy(3).amounts, kept.amounts)  # repeatedly
    assert np.array_equal(Knees(None, RECIPE, 10_000).anatomy(1).amounts, kept.amounts)  # or a new one for each number


def test_a_folder_without_knees_is_reported_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not contain knees"):
        Knees(tmp_path, RECIPE, 0)


# ----------------------------------------------------------------------------------------------------------------- studies


@pytest.mark.parametrize("kind", KINDS)
def test_a_study_of_every_kind(folder: Path, kind: str) -> None:
    studies = SimulatedStudies(Knees(folder, RECIPE, 0), {kind: 1.0}, seed=1)
    study = studies.study(0)
    assert studies.kind(0) == study.record["kind"] == kind
    contrasts = study.contrasts.astype(np.float32)
    assert contrasts.shape[:2] == (4, studies.slices(0))
    assert np.isfinite(contrasts).all() and contrasts.min() >= 0
    for image in contrasts:
        foreground = image[image > 0.2]
        assert np.percentile(foreground, 90) == pytest.approx(1, abs=0.02)  # normalised as in inference
    assert study.labels.any() == (kind != REGIONS)
    assert np.array_equal(studies.study(0).contrasts, study.contrasts)
    assert not np.array_equal(studies.study(1).contrasts.shape, ()) and studies.study(1).record != study.record


def test_slices_come_in_the_shares_asked_for(folder: Path) -> None:
    studies = SimulatedStudies(Knees(folder, RECIPE, 0), {PAPER_LIKE: 0.5, HOSPITAL: 0.2, REGIONS: 0.3}, seed=0)
    slices = {kind: sum(studies.slices(n) for n in range(2000) if studies.kind(n) == kind) for kind in KINDS}
    total = sum(slices.values())
    assert slices[ANY_TISSUE] == 0
    assert slices[PAPER_LIKE] / total == pytest.approx(0.5, abs=0.05)
    assert slices[REGIONS] / total == pytest.approx(0.3, abs=0.05)


# -------------------------------------------------------------------------------------------------------------------- pool


def test_a_stream_is_reproducible_and_resumes_where_it_stopped(studies: SimulatedStudies) -> None:
    whole = list(stream(studies))
    assert len(whole) == 12
    for inputs, label in whole:
        assert inputs.shape == (4, 3, 48, 48) and label.shape == (4, 1, 48, 48)
        assert inputs.dtype == label.dtype == torch.float32
    assert equal(whole, list(stream(studies)))
    assert equal(whole[8:], list(stream(studies, first_step=8, steps=4)))
    epochs = stream(studies, steps=6)
    assert equal(whole, [*epochs, *epochs])  # the second epoch continues


def test_worker_processes_change_nothing(studies: SimulatedStudies) -> None:
    assert equal(list(stream(studies, steps=6)), list(stream(studies, steps=6, workers=2)))


def test_processes_of_a_fit_have_separate_studies(studies: SimulatedStudies) -> None:
    one, other = (next(iter(stream(studies, processes=2, rank=rank))) for rank in range(2))
    assert not torch.equal(one[1], other[1])


def test_old_studies_are_replaced_by_new_ones(studies: SimulatedStudies) -> None:
    pool = stream(studies, steps=40)
    seen = set()
    for _ in pool:
        seen |= set(pool._schedule.numbers)
        held = sum(studies.slices(n) for n in pool._schedule.numbers)
        assert held >= SETTINGS.pool_slices
        assert held - studies.slices(pool._schedule.numbers[0]) < SETTINGS.pool_slices
        assert len(pool._held) == len(pool._schedule.numbers)
    # 40 steps of 4 patches are 40 slices of 4 patches.
    arrived = sum(studies.slices(n) for n in range(max(seen) + 1))
    assert 40 <= arrived <= 40 + SETTINGS.pool_slices + 2 * 8


def test_an_input_is_left_out_at_its_rate(studies: SimulatedStudies) -> None:
    batches = torch.cat([inputs for inputs, _ in stream(studies, steps=40)])
    absent = (batches == 0).all(dim=(2, 3))
    assert not absent[:, :2].all(dim=1).any()
    assert absent[:, 2].float().mean() == pytest.approx(0.4, abs=0.12)


def test_patches_are_cut_around_rare_regions(folder: Path) -> None:
    paper_like = SimulatedStudies(Knees(folder, RECIPE, 0), {PAPER_LIKE: 1.0}, seed=3)
    pool = stream(paper_like, focus={"bone-marrow edema": 1.0}, steps=5)
    rng = np.random.default_rng(0)
    next(iter(pool))
    for _ in range(20):
        held, (index, row, column) = pool._place(rng, np.ones(len(pool._held)) / len(pool._held))
        places = held.regions["bone-marrow edema"]
        near = np.abs(places[places[:, 0] == index][:, 1:] - (row, column)).max(axis=1)
        assert near.min() <= SETTINGS.size // 2


# ---------------------------------------------------------------------------------------------------------- missing inputs


@pytest.mark.parametrize(
    ("rates", "said"),
    [({"t3": 0.1}, "one of t1, t2, gre"), ({"gre": 1.0}, "below 1"), ({"t1": 0.1, "t2": 0.1, "gre": 0.1}, "every study has")],
)
def test_invalid_rates_are_refused(rates: dict[str, float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        MissingInputs(rates, INPUT_CONTRASTS)


def test_patches_of_a_cache_leave_inputs_out_too(cache: SliceCache) -> None:
    settings = {"size": 32, "length": 200, "seed": 0}
    missing = MissingInputs({"gre": 0.3, "t1": 0.2}, INPUT_CONTRASTS)
    patches = PatchDataset(cache.part("train"), **settings, missing=missing, background=-0.5)
    absent = np.array([(patches[(0, n)][0] == -0.5).all(dim=(1, 2)).numpy() for n in range(200)])
    assert absent.mean(axis=0) == pytest.approx([0.2, 0.0, 0.3], abs=0.1)
    assert torch.equal(
        patches[(1, 3)][0], PatchDataset(cache.part("train"), **settings, missing=missing, background=-0.5)[(1, 3)][0]
    )


# ----------------------------------------------------------------------------------------------------------- a complete fit


def test_a_fit_on_simulated_patches_becomes_a_model_that_needs_no_gre(
    folder: Path, cache_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    run, study = tmp_path / "run", tmp_path / "study"
    assert main(["simulate-study", str(study), "--seed", "5", "--slices", "3", "--matrix", "96"]) == 0
    config = {
        "seed_everything": 1,
        "run": str(run),
        "model": {"branch_width": 2, "fusion_dilations": [[1, 2], [2, 4], [4, 8]], "learning_rate": 1e-3},
        "data": {
            "class_path": "ccdnn_training.data.module.SimulatedPatches",
            "init_args": {
                "validation": {"paper-like": str(cache_folder), "a study": str(study)},
                "shares": SHARES,
                "knees": str(folder),
                "patch_size": 48,
                "batch_size": 2,
                "steps_per_epoch": 3,
                "pool_slices": 8,
                "patches_per_slice": 2,
                "missing": {"gre": 0.3},
                "validation_every": 1,
                "workers": 0,
            },
        },
        "trainer": {
            "max_epochs": 2,
            "accelerator": "cpu",
            "devices": 1,
            "num_sanity_val_steps": 0,
            "log_every_n_steps": 1,
            "enable_progress_bar": False,
            "enable_model_summary": False,
        },
    }
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    assert main(["fit", "--config", str(path)]) == 0
    metrics = next((run / "csv").glob("*/metrics.csv")).read_text().splitlines()
    assert {"validation/mse", "validation/paper-like/r", "validation/a study/r"} <= set(metrics[0].split(","))

    last = run / "checkpoints" / "last.ckpt"
    model = tmp_path / "model.safetensors"
    assert main(["export", str(last), "-o", str(model), "--name", "tiny"]) == 0
    card = load_model(model).card
    assert card.optional == ("gre",)
    assert card.fusion_dilations == ((1, 2), (2, 4), (4, 8))
    assert card.contrasts[0].ranges["tr_ms"] == WIDE_RANGES["t1"]["tr"]
    assert card.training["missing"] == "gre 0.3" and "paper-like 0.25" in card.training["shares"]
    assert "random regions" in card.training_data and "No patient data" in card.training_data
    assert card.licence == "Apache-2.0"
    assert str(tmp_path) not in card.to_json() and str(folder) not in card.to_json()
