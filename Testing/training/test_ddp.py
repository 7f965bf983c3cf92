"""Two processes (`strategy: ddp`, gloo, on the CPU) compared with one process on the same batches."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import small_fit
import torch
from lightning import seed_everything

from ccdnn_training.cli.main import main
from ccdnn_training.data.cache import SliceCache
from ccdnn_training.data.epochs import EpochSampler
from ccdnn_training.data.patches import PatchDataset
from ccdnn_training.fitting.module import ContrastConversion

EPOCHS = 5
# An epoch of one step, so that the loss logged for an epoch is that of a step.
STEP_BY_STEP = ["--data.init_args.steps_per_epoch", "1", "--trainer.max_epochs", str(EPOCHS)]
TWO = ["--trainer.strategy", "ddp", "--trainer.devices", "2"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_fit.write_cache(tmp_path_factory.mktemp("ddp") / "cache")


def fit_with_two(config: Path) -> None:
    """In a separate process, which starts the second one with its own command line."""
    command = [sys.executable, "-m", "ccdnn_training.cli.main", "fit", "--config", str(config), *STEP_BY_STEP, *TWO]
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        command, env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "Starting with 2 processes" in done.stderr


def weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def test_two_processes_fit_as_one_with_twice_the_batch(cache: Path, tmp_path: Path) -> None:
    """Where no layer mixes the patches of a batch (statistics frozen), the mean of two means is the mean of all."""
    frozen = {"freeze_statistics_from": 0.0, "phase_2_from": 0.5}
    config = small_fit.write_config(tmp_path / "two", cache, **frozen)
    fit_with_two(config)
    alone = small_fit.write_config(tmp_path / "one", cache, **frozen)
    assert main(["fit", "--config", str(alone), *STEP_BY_STEP, "--data.init_args.batch_size", str(2 * small_fit.PATCHES)]) == 0
    one, two = tmp_path / "one" / "run", tmp_path / "two" / "run"
    for name, count in (("train/loss", EPOCHS), ("validation/mse", EPOCHS), ("train/c2", 3), ("train/c3", 2)):
        expected = small_fit.logged(one, name)
        assert len(expected) == count
        assert small_fit.logged(two, name) == pytest.approx(expected, rel=1e-5)
    expected = weights(one)
    for name, value in weights(two).items():
        assert torch.allclose(value, expected[name], rtol=1e-4, atol=1e-6), name


def test_with_its_own_statistics_each_process_adds_its_share(cache: Path, tmp_path: Path) -> None:
    """Batch normalisation sees the patches of its own process, as everywhere in data-parallel training without SyncBatchNorm.

    One process does the same when it takes the two shares of every step one after the other and follows the mean of their
    gradients. The running statistics are the first process's.
    """
    config = small_fit.write_config(tmp_path, cache)
    fit_with_two(config)
    losses = small_fit.logged(tmp_path / "run", "train/loss")
    seed_everything(1)
    module = ContrastConversion(branch_width=2, learning_rate=1e-3)
    network, optimizer = module.network.train(), torch.optim.Adam(module.network.parameters(), lr=1e-3, eps=1e-7)
    dataset = PatchDataset(SliceCache(cache).part("train"), small_fit.PATCH, 2 * small_fit.PATCHES, seed=0, scale_jitter=0.05)
    for epoch, logged in enumerate(losses):
        optimizer.zero_grad()
        shares = []
        for rank in (1, 0):
            sampler = EpochSampler(dataset, processes=2, rank=rank)
            sampler.set_epoch(epoch)
            images, labels = (torch.stack(stack) for stack in zip(*(dataset[key] for key in sampler), strict=True))
            statistics = {name: value.clone() for name, value in network.named_buffers()}
            loss = module.loss(module(images), labels, 1 if epoch < EPOCHS / 2 else 2)["loss"]
            (loss / 2).backward()
            shares.append(loss.item())
            if rank == 1:
                for name, value in network.named_buffers():
                    value.copy_(statistics[name])
        assert sum(shares) / 2 == pytest.approx(logged, rel=1e-4)
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 / (1 + 1e-6 * epoch)
        optimizer.step()
    fitted = weights(tmp_path / "run")
    for name, value in module.state_dict().items():
        assert torch.allclose(value, fitted[name], rtol=1e-3, atol=1e-5), name
