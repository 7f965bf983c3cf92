"""`ccdnn-train search`: every combination once, the smallest validation error first, and resuming after a stop."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import small_fit
import torch

from ccdnn.errors import InputError
from ccdnn_training.cli.main import main
from ccdnn_training.fitting import search as module
from ccdnn_training.fitting.guard import FitError
from ccdnn_training.fitting.search import Trial, best_of, search, trials_of


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_fit.write_cache(tmp_path_factory.mktemp("search") / "cache")


def test_a_search_ranks_every_combination(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    config, out = small_fit.write_config(tmp_path, cache, phase_2_from=0.5), tmp_path / "search"
    arguments = ["search", "-o", str(out), "--ratio-c2", "0", "3", "--ratio-c3", "0.3", "--window", "3", "5"]
    assert main([*arguments, "--", "--config", str(config), "--trainer.max_epochs", "2"]) == 0
    with (out / "search.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {(row["ratio of c2 (α)"], row["window k, pixels"]) for row in rows} == {(a, k) for a in ("0.0", "3.0") for k in "35"}
    errors = [float(row["validation MSE · 10³"]) for row in rows]
    assert errors == sorted(errors)
    # Trials are ranked by the error on the validation subjects after the last epoch, as logged by the fit.
    trial = f"c2_{float(rows[0]['ratio of c2 (α)']):g}-c3_0.3-k_{rows[0]['window k, pixels']}"
    assert small_fit.logged(out / trial, "validation/mse")[-1] * 1e3 == pytest.approx(errors[0], rel=1e-5)
    settings = torch.load(out / trial / "checkpoints" / "last.ckpt", weights_only=True)["hyper_parameters"]
    assert f"{settings['ratio_c2']}" == rows[0]["ratio of c2 (α)"]
    assert f"{settings['window']}" == rows[0]["window k, pixels"]
    reported = capsys.readouterr().out
    assert f"The best of 4: --model.ratio_c2 {float(rows[0]['ratio of c2 (α)']):g} --model.ratio_c3 0.3" in reported
    assert "ccdnn-train" in (out / "search.md").read_text(encoding="utf-8")
    for name in ("ratio_c2", "ratio_c3", "window"):
        assert (out / f"{name}.svg").read_text(encoding="utf-8").startswith("<svg")


class Fitted:
    """Replaces a fit: it records its arguments and returns an error that depends on α."""

    def __init__(self, fail_at: float | None = None) -> None:
        self.asked: list[list[str]] = []
        self.fail_at = fail_at

    def __call__(self, arguments: list[str]) -> Fitted:
        self.asked.append(arguments)
        ratio = float(arguments[arguments.index("--model.ratio_c2") + 1])
        if ratio == self.fail_at:
            raise FitError("At step 3 the loss is nan.")
        self.callback_metrics = {"validation/mse": torch.tensor((ratio - 0.3) ** 2)}
        return self


def test_a_stopped_search_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = trials_of([0.1, 0.3], [0.3], [5])
    fitted = Fitted()
    monkeypatch.setattr(module, "fit", fitted)
    search([first], tmp_path, ["--seed_everything", "1"])
    checkpoint = tmp_path / second.name / "checkpoints" / "last.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    results = search([first, second], tmp_path, ["--seed_everything", "1"])
    assert len(fitted.asked) == 2  # the first trial was not fitted again
    assert fitted.asked[1][-2:] == ["--ckpt_path", str(checkpoint)]
    assert "--ckpt_path" not in fitted.asked[0]
    assert best_of(results).trial == second == Trial(0.3, 0.3, 5)


def test_results_of_other_settings_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "fit", Fitted())
    config = tmp_path / "config.yaml"
    config.write_text("a: 1")
    trials = trials_of([0.1], [0.3], [5])
    search(trials, tmp_path / "out", ["--config", str(config)])
    config.write_text("a: 2")
    with pytest.raises(InputError, match="was fitted with other settings"):
        search(trials, tmp_path / "out", ["--config", str(config)])
    (tmp_path / "out" / trials[0].name / "result.json").write_text(json.dumps({"validation_mse": "much"}))
    with pytest.raises(InputError, match="is damaged"):
        search(trials, tmp_path / "out", ["--config", str(config)])


def test_a_trial_that_fails_is_listed_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "fit", Fitted(fail_at=1.0))
    results = search(trials_of([1.0, 0.1], [0.3], [5]), tmp_path, [])
    assert best_of(results).trial.ratio_c2 == 0.1
    lines = (tmp_path / "search.csv").read_text(encoding="utf-8").splitlines()
    assert lines[2].startswith("1.0,0.3,5,,At step 3 the loss is nan.")
    monkeypatch.setattr(module, "fit", Fitted(fail_at=2.0))
    with pytest.raises(InputError, match="No trial of the search finished: At step 3"):
        search(trials_of([2.0], [0.3], [5]), tmp_path / "failed", [])


def test_an_even_window_is_reported_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    arguments = ["search", "-o", str(tmp_path / "out"), "--window", "4", "--", "--config", "x"]
    assert main(arguments) == InputError.exit_code
    assert "4 is not an odd number" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
