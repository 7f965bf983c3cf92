"""A failing fit ends with one sentence and keeps its last good checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_fit
import torch

from ccdnn.errors import InputError
from ccdnn_training.cli.main import main
from ccdnn_training.fitting.guard import FitError
from ccdnn_training.fitting.module import ContrastConversion


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_fit.write_cache(tmp_path_factory.mktemp("guard") / "cache")


def spoil(monkeypatch: pytest.MonkeyPatch, at_step: int, factor: float) -> None:
    """From `at_step` on, multiply the loss of the fit."""
    step = ContrastConversion.training_step

    def spoiled(module: ContrastConversion, batch, index: int) -> torch.Tensor:
        loss = step(module, batch, index)
        return loss * factor if module.global_step + 1 >= at_step else loss

    monkeypatch.setattr(ContrastConversion, "training_step", spoiled)


@pytest.mark.parametrize(("factor", "loss"), [(float("nan"), "nan"), (float("inf"), "inf")])
def test_a_loss_that_is_not_finite_stops_the_fit(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, factor: float, loss: str
) -> None:
    config = small_fit.write_config(tmp_path, cache)
    spoil(monkeypatch, at_step=5, factor=factor)  # in the second epoch of three steps
    assert main(["fit", "--config", str(config)]) == FitError.exit_code
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith(f"ccdnn-train: At step 5 the loss is {loss}. ")
    assert "--model.learning_rate" in message
    # The only checkpoint is the complete one of the first epoch.
    checkpoints = tmp_path / "run" / "checkpoints"
    assert {path.name for path in checkpoints.iterdir()} == {"last.ckpt", "best.ckpt"}
    last = torch.load(checkpoints / "last.ckpt", weights_only=True)
    assert last["global_step"] == 3
    assert all(torch.isfinite(value).all() for value in last["state_dict"].values())
    # The fit resumes from it.
    monkeypatch.undo()
    assert main(["fit", "--config", str(config), "--ckpt_path", str(checkpoints / "last.ckpt")]) == 0
    assert torch.load(checkpoints / "last.ckpt", weights_only=True)["global_step"] == 6


def test_the_layer_whose_gradient_is_wrong_is_named(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def with_a_hook(module: ContrastConversion) -> None:
        parameter = dict(module.named_parameters())["network.head.weight"]
        parameter.register_hook(lambda gradient: gradient * float("inf"))

    monkeypatch.setattr(ContrastConversion, "on_fit_start", with_a_hook)
    assert main(["fit", "--config", str(small_fit.write_config(tmp_path, cache))]) == FitError.exit_code
    assert "At step 1 the gradient of network.head.weight is not finite; the loss is" in capsys.readouterr().err
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_weights_that_are_not_finite_reach_no_checkpoint(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def overflow(module: ContrastConversion, *_) -> None:
        if module.global_step == 6:
            dict(module.named_parameters())["network.head.weight"].data.fill_(float("nan"))

    monkeypatch.setattr(ContrastConversion, "on_train_batch_end", overflow)
    assert main(["fit", "--config", str(small_fit.write_config(tmp_path, cache))]) == FitError.exit_code
    assert "network.head.weight is no longer finite after step 6" in capsys.readouterr().err
    last = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ckpt_path", "nowhere.ckpt"], "The fit cannot start: Checkpoint"),
        (["--data.init_args.cache", "nowhere"], "nowhere is not a slice cache"),
        (["--data.init_args.fold", "1"], "has no folds"),
        (["--data.init_args.patch_size", "64"], "A patch of 64×64 does not fit into the 32×32 slices of s0"),
        (["--trainer.devices", "0"], "The fit cannot start: "),
    ],
)
def test_what_cannot_be_fitted_is_reported_in_one_sentence(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture, arguments: list[str], message: str
) -> None:
    assert main(["fit", "--config", str(small_fit.write_config(tmp_path, cache)), *arguments]) == InputError.exit_code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run" / "checkpoints").exists()
