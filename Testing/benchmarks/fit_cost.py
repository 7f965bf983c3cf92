"""Estimate what a fit will take on a GPU, before one is available: arithmetic, hours at a given rate, and memory.

    python Testing/benchmarks/fit_cost.py [--tflops 100] CONFIG[,CONFIG …] …

Configurations joined by a comma belong to one fit. Later ones override earlier ones, as in `ccdnn-train fit --config … --config …`.
For each fit, one training step on one small image runs here on the CPU. The script counts its operations and the memory kept for
its backward pass, both of which grow with the number of pixels. It prints as Markdown:

- **TFLOP per step** and **steps**: multiplications and additions of convolutions and matrix products, forward and backward; the
  steps of all epochs (the maximum with early stopping).
- **hours**: at a sustained rate of `--tflops`. `make benchmark` prints a machine's rate for matrix products; half of it is a
  reasonable guess for a fit.
- **GB**: activations kept for the backward pass in float32 (about half in 16 bits), and four copies of the weights for Adam.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from ccdnn.normalisation import VolumePercentile
from ccdnn_training.data.cache import write_index, write_subject
from ccdnn_training.fitting.command import fit
from ccdnn_training.physics.protocol import CONTRASTS

# The number and size of the training images that `study simulation labels` makes.
SIMULATION_IMAGES, SIMULATION_SIDE = 7000, 128
LARGEST_SIDE = 256  # of the image whose operations are counted
COPIES_OF_WEIGHTS = 4  # the weights, their gradient, and Adam's two moments
BYTES = 4


@dataclass(frozen=True)
class Plan:
    """The size of a fit: images of `side` × `side` pixels, `batch` per step, `steps` in total."""

    side: int
    batch: int
    steps: int

    @classmethod
    def of(cls, config: dict[str, Any]) -> Plan:
        data, epochs = config["data"]["init_args"], config["trainer"]["max_epochs"]
        batch = data["batch_size"]
        steps = data.get("steps_per_epoch", SIMULATION_IMAGES // batch)
        return cls(data.get("patch_size", SIMULATION_SIDE), batch, steps * epochs)


class StepCount(Callback):
    """Counts the operations of a training step, and the bytes kept for its backward passes."""

    def __init__(self) -> None:
        self.operations, self.parameters = 0, 0
        self._kept: dict[int, int] = {}
        self._open = ExitStack()

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, *_: object) -> None:
        weights = {parameter.untyped_storage().data_ptr() for parameter in module.parameters()}
        self.parameters = sum(parameter.numel() for parameter in module.parameters())

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in weights:
                self._kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        self._counter = self._open.enter_context(FlopCounterMode(display=False))
        self._open.enter_context(saved_tensors_hooks(keep, lambda tensor: tensor))

    def on_train_batch_end(self, *_: object) -> None:
        self._open.close()
        self.operations = self._counter.get_total_flops()

    @property
    def kept_bytes(self) -> int:
        return sum(self._kept.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", nargs="+", metavar="CONFIG[,CONFIG …]")
    parser.add_argument(
        "--tflops", type=float, default=100, help="sustained rate of the GPU, 10¹² operations per second (default: 100)"
    )
    options = parser.parse_args()
    rows = [row(files, options.tflops) for files in options.configs]
    head = ("fit", "TFLOP per step", "steps", f"hours at {options.tflops:g} TFLOP/s", "GB")
    print("\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)))
    return 0


def row(files: str, tflops: float) -> tuple[str, ...]:
    paths = [Path(file) for file in files.split(",")]
    config = reduce(merged, (yaml.safe_load(path.read_text(encoding="utf-8")) for path in paths))
    plan = Plan.of(config)
    side = min(plan.side, LARGEST_SIDE)
    count = count_step(config["model"], side)
    times = plan.batch * (plan.side / side) ** 2
    step = count.operations * times / 1e12
    memory = count.kept_bytes * times + COPIES_OF_WEIGHTS * BYTES * count.parameters
    name = " + ".join(str(Path(path.parent.name, path.stem)) for path in paths)
    return name, f"{step:.3g}", f"{plan.steps}", f"{step * plan.steps / tflops / 3600:.2g}", f"{memory / 1e9:.2g}"


def merged(first: Any, second: Any) -> Any:
    """Merge `second` over `first`, key by key."""
    if not (isinstance(first, dict) and isinstance(second, dict)):
        return second
    return first | {key: merged(first[key], value) if key in first else value for key, value in second.items()}


def count_step(model: dict[str, Any], side: int) -> StepCount:
    count = StepCount()
    with tempfile.TemporaryDirectory() as folder:
        fit(["--config", str(write_fit(Path(folder), model, side))], callbacks=[count])
    return count


def write_fit(folder: Path, model: dict[str, Any], side: int) -> Path:
    """A fit of one step on one image of noise."""
    cache, rng = folder / "cache", np.random.default_rng(0)
    cache.mkdir()
    subjects = [{"name": part, "part": part, "provenance": {}} for part in ("train", "validation")]
    for subject in subjects:
        write_subject(cache, subject["name"], rng.random((len(CONTRASTS), 1, side, side), np.float32))
    write_index(cache, subjects, contrasts=CONTRASTS, normalisation=VolumePercentile(), made_by="fit_cost")
    data = {"cache": str(cache), "patch_size": side, "batch_size": 1, "steps_per_epoch": 1}
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "limit_val_batches": 0}
    config = {
        "run": str(folder / "run"),
        "model": model,
        "data": {"class_path": "ccdnn_training.data.module.CachedSlices", "init_args": data},
        "trainer": {"max_epochs": 1, "accelerator": "cpu", "devices": 1, "precision": "32-true", **quiet},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


if __name__ == "__main__":
    sys.exit(main())
