"""From simulated subjects to a bundled model: a fit, its resume, the export and the evaluation."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import small_fit
import torch
import yaml

from ccdnn.errors import InputError, ModelError
from ccdnn.inference.synthesizer import Synthesizer
from ccdnn.model.catalog import list_models
from ccdnn.model.file import load_model
from ccdnn.normalisation import DatasetMinMax
from ccdnn_training.cli.main import main
from ccdnn_training.data.cache import SliceCache, write_index, write_subject
from ccdnn_training.data.studies import NORMALISATION
from ccdnn_training.evaluation.baselines import PixelRegressor, best_affine_fit
from ccdnn_training.fitting.export import read_results
from ccdnn_training.fitting.module import ContrastConversion
from ccdnn_training.physics.protocol import CONTRASTS

CONFIG = Path(__file__).resolve().parents[2] / "training" / "configs" / "studies" / "window" / "base.yaml"


def fit(cache_folder: Path, run: Path, *extra: str) -> Path:
    """A fit with a reduced configuration of the window study."""
    settings = yaml.safe_load(CONFIG.read_text())
    settings["model"]["branch_width"] = 4
    settings["run"] = str(run)
    settings["data"]["init_args"] |= {
        "cache": str(cache_folder),
        "patch_size": 32,
        "batch_size": 4,
        "steps_per_epoch": 4,
        "focus": {},
    }
    settings["trainer"] |= {"max_epochs": 4, "check_val_every_n_epoch": 1, "precision": "32-true", "accelerator": "cpu"}
    settings["trainer"] |= {"enable_progress_bar": False, "logger": False}
    run.mkdir(exist_ok=True)
    config = run / "config.yaml"
    config.write_text(yaml.safe_dump(settings))
    assert main(["fit", "--config", str(config), *extra]) == 0
    return run / "checkpoints" / "last.ckpt"


@pytest.fixture(scope="module")
def checkpoint(cache_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit(cache_folder, tmp_path_factory.mktemp("run"))


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    return torch.load(checkpoint, weights_only=True)["state_dict"]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_resumed_fit_ends_where_an_uninterrupted_one_does(
    workers: str, checkpoint: Path, cache_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`checkpoint` was fitted with another number of processes, which changes nothing."""

    def stop_after_two_epochs(module: ContrastConversion) -> None:
        module.trainer.should_stop = module.current_epoch == 1

    with monkeypatch.context() as patch:
        patch.setattr(ContrastConversion, "on_train_epoch_end", stop_after_two_epochs)
        stopped = fit(cache_folder, tmp_path, "--data.workers", workers)
    assert torch.load(stopped, weights_only=True)["global_step"] == 8
    resumed = fit(cache_folder, tmp_path, "--data.workers", workers, "--ckpt_path", str(stopped))
    whole, parts = weights(checkpoint), weights(resumed)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_max_time_limits_the_whole_fit(tmp_path: Path) -> None:
    config = small_fit.write_config(tmp_path / "fit", small_fit.write_cache(tmp_path / "cache"))
    last = tmp_path / "fit" / "run" / "checkpoints" / "last.ckpt"
    endless = ["fit", "--config", str(config), "--trainer.max_epochs", "1000000", "--trainer.max_time", "00:00:00:02"]
    assert main(endless) == 0
    steps = torch.load(last, weights_only=True)["global_step"]
    assert steps > 0 and steps % small_fit.STEPS == 0
    assert main([*endless, "--ckpt_path", str(last)]) == 0
    assert torch.load(last, weights_only=True)["global_step"] == steps


def test_statistics_freeze_when_they_should(checkpoint: Path, cache_folder: Path, tmp_path: Path) -> None:
    def statistics(path: Path) -> torch.Tensor:
        return torch.cat([value.flatten() for name, value in weights(path).items() if name.endswith("running_mean")])

    # Both see the same batches; one ignores their statistics after an eighth of the sixteen steps, the other always.
    never = fit(cache_folder, tmp_path / "never", "--model.freeze_statistics_from", "0")
    assert statistics(never).abs().max() == 0
    early = fit(cache_folder, tmp_path / "early", "--model.freeze_statistics_from", "0.125")
    always = fit(cache_folder, tmp_path / "always", "--model.freeze_statistics_from", "1")
    assert 0 < statistics(early).abs().max() < statistics(always).abs().max()


def test_export_makes_a_model_the_engine_runs(checkpoint: Path, cache_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    assert main(["export", str(checkpoint), str(cache_folder), "-o", str(path), "--name", "tiny"]) == 0
    model = load_model(path)
    assert model.card.roles == ("t1", "t2", "gre")
    assert model.card.normalisation == NORMALISATION.to_card()
    assert model.card.training["steps"] == 16
    assert str(cache_folder) not in json.dumps(dict(model.card.training))
    output = Synthesizer(model, device="cpu", precision="fp32").run(np.random.default_rng(0).random((3, 2, 40, 48), np.float32))
    assert output.shape == (2, 40, 48)


def test_a_fit_begins_with_the_weights_of_a_model(
    checkpoint: Path, cache_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    start = tmp_path / "start.safetensors"
    assert main(["export", str(checkpoint), str(cache_folder), "-o", str(start), "--name", "start"]) == 0
    still = ("--model.start_from", str(start), "--model.learning_rate", "0", "--model.freeze_statistics_from", "0")
    continued = fit(cache_folder, tmp_path / "continued", *still)
    network = load_model(start).network.state_dict()
    assert all(torch.equal(value, network[name.removeprefix("network.")]) for name, value in weights(continued).items())

    model = tmp_path / "continued.safetensors"
    assert main(["export", str(continued), str(cache_folder), "-o", str(model), "--name", "continued"]) == 0
    card = load_model(model).card
    assert card.training["started_from"] == f"start 1.0.0, SHA-256 {load_model(start).sha256}"
    assert str(tmp_path) not in card.to_json()

    other = small_fit.write_config(tmp_path / "other", small_fit.write_cache(tmp_path / "noise"), start_from=str(start))
    assert main(["fit", "--config", str(other)]) == ModelError.exit_code
    assert "has 4 maps a branch, not 2; set branch_width to that" in capsys.readouterr().err


def test_an_export_can_be_the_mean_with_the_model_that_the_fit_began_with(
    checkpoint: Path, cache_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    start, end, mean = (tmp_path / f"{name}.safetensors" for name in ("start", "end", "mean"))

    def export(source: Path, output: Path, *more: str) -> int:
        return main(["export", str(source), str(cache_folder), "-o", str(output), "--name", output.stem, *more])

    assert export(checkpoint, start) == 0
    continued = fit(cache_folder, tmp_path / "continued", "--model.start_from", str(start))
    assert export(continued, end) == export(continued, mean, "--start-share", "0.25") == 0
    first, last, between = (load_model(path).network.state_dict() for path in (start, end, mean))
    assert not all(torch.equal(value, last[name]) for name, value in first.items())
    for name, value in between.items():
        expected = 0.25 * first[name] + 0.75 * last[name] if value.is_floating_point() else last[name]
        torch.testing.assert_close(value, expected, atol=1e-3, rtol=1e-3)
    assert load_model(mean).card.training["start_share"] == 0.25

    assert export(continued, tmp_path / "none.safetensors", "--start-share", "1.5") == InputError.exit_code
    assert "is not between 0 and 1" in capsys.readouterr().err
    assert export(checkpoint, tmp_path / "none.safetensors", "--start-share", "0.5") == InputError.exit_code
    assert "began with random weights" in capsys.readouterr().err


def test_a_foreign_checkpoint_is_refused(cache_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    foreign = tmp_path / "foreign.ckpt"
    torch.save({"weights": torch.zeros(3)}, foreign)
    code = main(["export", str(foreign), str(cache_folder), "-o", str(tmp_path / "x.safetensors"), "--name", "x"])
    assert code == ModelError.exit_code
    assert "is not a checkpoint" in capsys.readouterr().err
    assert not (tmp_path / "x.safetensors").exists()


def test_the_best_affine_fit_is_least_squares() -> None:
    rng = np.random.default_rng(0)
    image, target = rng.random((2, 9, 9)), rng.random((2, 9, 9))
    slope, offset = np.polyfit(image.ravel(), target.ravel(), 1)
    assert best_affine_fit(image, target) == pytest.approx(slope * image + offset, abs=1e-5)
    assert best_affine_fit(np.full_like(image, 3), target) == pytest.approx(np.full_like(image, target.mean()), abs=1e-5)


def test_the_pixel_regressor_learns_from_one_pixel(cache: SliceCache) -> None:
    regressor = PixelRegressor(cache.part("train"), pixels=30_000)
    array = cache.part("validation")[0].array().astype(np.float32)
    predicted = regressor.predict(array[:3])
    error = np.mean((predicted - array[3]) ** 2)
    best_input = min(np.mean((best_affine_fit(image, array[3]) - array[3]) ** 2) for image in array[:3])
    assert error < best_input


def test_evaluate_scores_every_method_on_every_test_subject(checkpoint: Path, cache_folder: Path, tmp_path: Path) -> None:
    test_folder, model, results = tmp_path / "test", tmp_path / "model.safetensors", tmp_path / "results"
    counts = ["--train", "0", "--validation", "0", "--test", "2", "--slices", "3", "--matrix", "192", "--lesions", "1"]
    assert main(["simulate", str(test_folder), *counts]) == 0
    assert main(["export", str(checkpoint), str(cache_folder), "-o", str(model), "--name", "tiny"]) == 0
    arguments = ["evaluate", str(test_folder), "--train", str(cache_folder), "-o", str(results), "--model", str(model)]
    assert main(arguments) == 0
    with (results / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    methods = ("tiny 1.0.0", "pixel regressor", "T1-w, best fit", "T2-w, best fit", "GRE, best fit")
    assert {(row["subject"], row["method"]) for row in rows} == {(f"test-{30_000 + n}", m) for n in range(2) for m in methods}
    subject = SliceCache(test_folder).part("test")[1]
    array = subject.array().astype(np.float32)
    error = np.mean((best_affine_fit(array[1], array[3]) - array[3]) ** 2) / array[3].max() ** 2
    scored = next(row for row in rows if row["subject"] == subject.name and row["method"] == "T2-w, best fit")
    assert float(scored["MSE"]) == pytest.approx(error, rel=1e-4)
    assert float(scored["PSNR"]) == pytest.approx(-10 * np.log10(error), rel=1e-4)
    lesions = [name for name in ("bone-marrow edema", "ganglion") if name in subject.regions()]
    assert lesions
    for name in lesions:
        (t2, stir), lesion, marrow = array[[1, 3]], subject.regions()[name], subject.regions()["bone"]
        slope = np.polyfit(t2.ravel(), stir.ravel(), 1)[0]
        kept = slope * (t2[lesion].mean() - t2[marrow].mean()) / (stir[lesion].mean() - stir[marrow].mean())
        assert float(scored[f"contrast of {name}"]) == pytest.approx(kept, rel=1e-3)
    bundled = tmp_path / "models" / "tiny.safetensors"
    bundled.parent.mkdir()
    arguments = ["export", str(checkpoint), str(cache_folder), "-o", str(bundled), "--name", "tiny", "--bundle", "Tiny"]
    assert main([*arguments, "--results", str(results / "results.json")]) == 0
    assert main(arguments) == 0  # again, without results: the list has the new hash
    (entry,) = list_models(bundled.parent)
    assert entry.default
    assert load_model(entry.path, entry.sha256).card.results == ()
    (measured, *_) = read_results(results / "results.json")
    assert measured.metric == "MSE"
    assert measured.n == 2
    summary = (results / "summary.md").read_text()
    assert "tiny 1.0.0 | 2 |" in summary
    assert f"contrast of {lesions[0]} (n = " in summary
    assert "ccdnn-train" in summary


def test_evaluating_on_other_units_is_refused(
    checkpoint: Path, cache_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    model, other = tmp_path / "model.safetensors", tmp_path / "other"
    main(["export", str(checkpoint), str(cache_folder), "-o", str(model), "--name", "tiny"])
    other.mkdir()
    write_subject(other, "a", np.ones((4, 1, 8, 8)))
    subjects = [{"name": "a", "part": "test", "provenance": {}}]
    write_index(other, subjects, contrasts=CONTRASTS, normalisation=DatasetMinMax(0, 5), made_by="test")
    code = main(["evaluate", str(other), "--train", str(cache_folder), "-o", str(tmp_path / "r"), "--model", str(model)])
    assert code == InputError.exit_code
    assert "is not normalised as the model" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()
