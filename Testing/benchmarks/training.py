"""Measure the overhead of a training step in one run: the share of the losses, the cost of framework and data, and possible
speed-ups of the step itself.

    python Testing/benchmarks/training.py [--width 32] [--patch 64] [--batch 8] [--device auto] [--pairs 12] [--json]
    python Testing/benchmarks/training.py --simulated --workers 14 --patch 96 --batch 16 --pairs 60

- **c2, c3**: forward and backward of the loss alone, on images of the step's size, as a share of a step on c1 + 0.3 c2,
  or c1 + 0.3 c3, with forward, backward and Adam. k is 5. The goal is at most 20 %.
- **Lightning**: `ccdnn-train fit` itself, from a slice cache on disk, with its patches, guard, logs and checkpoints, against a
  plain loop of forward, backward and Adam over one batch that stays in memory. The two take turns within one fit, a few steps
  each. The goal is at most 5 % lost. With `--simulated`, the fit's patches come from studies that are simulated at the same time,
  in `--workers` processes, and its slices stay on the device; the loss then includes waiting for them. `--knees FOLDER` uses knees
  that `ccdnn-train simulate-knees` rendered.
- **Fused Adam, compiled network** (`--variants`): the plain loop with either, against the plain loop. A variant that is faster is
  an option for the fit.
- **Busy** (GPU): the share of the plain loop's time in which kernels run; the rest is launch overhead. The fit's share is smaller
  by what `fit` loses.

All results are medians over pairs of turns, so that other load affects both equally. The images are random, since speed does not
depend on them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import yaml
from lightning import Callback, LightningModule, Trainer
from machine import Stopwatch, machine, other_load
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from ccdnn.normalisation import VolumePercentile
from ccdnn_training.data.cache import write_index, write_subject
from ccdnn_training.data.studies import ANY_TISSUE, HOSPITAL, PAPER_LIKE, REGIONS
from ccdnn_training.fitting.command import fit
from ccdnn_training.fitting.module import ContrastConversion
from ccdnn_training.losses import PhasedLoss, local_statistics_loss, misregistration_loss
from ccdnn_training.physics.protocol import CONTRASTS

MOST_LOSS_SHARE = 0.20
MOST_LOST = 0.05
STEPS_A_TURN = 4
MATRIX = 192


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=32, help="maps per branch: 32 for the small network, 64 for the paper's")
    parser.add_argument("--patch", type=int, default=64, help="rows and columns of a patch")
    parser.add_argument("--batch", type=int, default=8, help="patches per step")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--pairs", type=int, default=12, help="number of pairs of turns for the medians")
    parser.add_argument(
        "--variants", action="store_true", help="also measure fused Adam and the compiled network (needs a C++ compiler)"
    )
    parser.add_argument("--simulated", action="store_true", help="fit on studies that are simulated at the same time")
    parser.add_argument("--knees", type=Path, help="rendered knees for --simulated (default: render new ones)")
    parser.add_argument("--workers", type=int, default=1, help="number of simulation processes (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()
    device = "cuda" if options.device != "cpu" and torch.cuda.is_available() else "cpu"
    figures = {
        "device": machine(device),
        "load": round(other_load(), 1),
        "width": options.width,
        "step": f"{options.batch} patches of {options.patch}×{options.patch}",
        **loss_shares(options, device),
        **lightning_overhead(options, device),
        "variants": variant_gains(options, device) if options.variants else {},
    }
    if device == "cuda":
        figures["busy"] = busy_share(PlainStep(options, device, phase=1), options.pairs)
    print(json.dumps(figures, indent=1) if options.json else report(figures))
    within = max(figures["c2_share"], figures["c3_share"]) <= MOST_LOSS_SHARE and figures["lost"] <= MOST_LOST
    return 0 if within else 1


def report(figures: dict) -> str:
    return "\n".join(
        [
            f"{figures['width']} maps per branch, {figures['step']} per step; {figures['device']}, load {figures['load']}",
            f"c2 (k = 5)   {figures['c2_share']:6.1%} of a step (goal: at most {MOST_LOSS_SHARE:.0%})",
            f"c3 (k = 5)   {figures['c3_share']:6.1%} of a step (goal: at most {MOST_LOSS_SHARE:.0%})",
            f"plain loop   {figures['plain_slices_a_second']:.2f} patches per second",
            f"Lightning    {figures['fit_slices_a_second']:.2f} patches per second, {figures['lost']:.1%} lost "
            f"(goal: at most {MOST_LOST:.0%})",
            *(f"{name:<12} {gain:.2f} times the plain loop's speed" for name, gain in figures["variants"].items()),
            *(
                f"busy         {share:.0%} of the time in the plain loop, {share * (1 - figures['lost']):.0%} in the fit"
                for share in [figures.get("busy")]
                if share is not None
            ),
        ]
    )


# ------------------------------------------------------------------------------------------------------------------ losses


def loss_shares(options: argparse.Namespace, device: str) -> dict[str, float]:
    output = torch.rand(options.batch, 1, options.patch, options.patch, device=device, requires_grad=True)
    label = torch.rand_like(output, requires_grad=False)
    shares = {}
    for name, function, phase in (("c2", misregistration_loss, 1), ("c3", local_statistics_loss, 2)):
        step = PlainStep(options, device, phase)
        alone, whole = take_turns(lambda f=function: f(output, label).backward(), step, options.pairs, device)
        shares[f"{name}_share"] = statistics.median(a / b for a, b in zip(alone, whole, strict=True))
    return shares


class PlainStep:
    """A training step with nothing around it: forward, backward and Adam, on a batch in memory."""

    def __init__(self, options: argparse.Namespace, device: str, phase: int, fused: bool = False, compiled: bool = False) -> None:
        torch.manual_seed(0)
        module = ContrastConversion(branch_width=options.width)
        self.network, self.loss, self.phase = module.network.to(device).train(), PhasedLoss(), phase
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-4, eps=1e-7, fused=fused)
        if compiled:
            self.network = torch.compile(self.network)
        images = torch.rand(options.batch, 3, options.patch, options.patch, device=device)
        self.images = images.contiguous(memory_format=torch.channels_last)
        self.label = torch.rand(options.batch, 1, options.patch, options.patch, device=device)
        # The precision of the fit below.
        self.precision = torch.autocast(device, torch.bfloat16, enabled=device == "cuda")

    def __call__(self) -> Tensor:
        self.optimizer.zero_grad()
        with self.precision:
            output = self.network(self.images).float()
        loss = self.loss(output, self.label, self.phase)["loss"]
        loss.backward()
        self.optimizer.step()
        return loss


def take_turns(
    first: Callable[[], object], second: Callable[[], object], pairs: int, device: str
) -> tuple[list[float], list[float]]:
    """Seconds per call of each, by turn. The first turn is a warm-up and is discarded."""
    stopwatch = Stopwatch(device)
    times = [[stopwatch.seconds(work) for work in (first, second)] for _ in range(pairs + 1)][1:]
    return [pair[0] for pair in times], [pair[1] for pair in times]


def variant_gains(options: argparse.Namespace, device: str) -> dict[str, float]:
    """Speed of the plain step with one change, as a multiple of the unchanged step's."""
    gains = {}
    for name, change in (("fused Adam", {"fused": True}), ("compiled", {"compiled": True})):
        changed, plain = PlainStep(options, device, 1, **change), PlainStep(options, device, 1)
        pairs = zip(*take_turns(changed, plain, options.pairs, device), strict=True)
        gains[name] = statistics.median(of_plain / of_changed for of_changed, of_plain in pairs)
    return gains


def busy_share(step: PlainStep, steps: int) -> float:
    """Share of the time in which the GPU's kernels run. Here they run one after another."""
    step()
    seconds = Stopwatch("cuda").seconds(lambda: [step() for _ in range(steps)])
    with profile(activities=[ProfilerActivity.CUDA]) as record:
        for _ in range(steps):
            step()
        torch.cuda.synchronize()
    return 1e-6 * sum(event.self_device_time_total for event in record.key_averages()) / seconds


# --------------------------------------------------------------------------------------------------------------- Lightning


class Turns(Callback):
    """Last of all callbacks: after every `STEPS_A_TURN` steps of the fit, runs as many plain steps, and times both."""

    def __init__(self, step: PlainStep, device: str) -> None:
        self._step, self._stopwatch, self._since = step, Stopwatch(device), None
        self.fitted: list[float] = []
        self.plain: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: object) -> None:
        if trainer.global_step % STEPS_A_TURN:
            return
        self._stopwatch.wait()
        if self._since is not None:
            self.fitted.append(time.perf_counter() - self._since)
        self.plain.append(self._stopwatch.seconds(lambda: [self._step() for _ in range(STEPS_A_TURN)]))
        self._since = time.perf_counter()


def lightning_overhead(options: argparse.Namespace, device: str) -> dict[str, float]:
    turns = Turns(PlainStep(options, device, phase=1), device)
    with tempfile.TemporaryDirectory() as folder:
        fit(["--config", str(write_fit(Path(folder), options, device))], callbacks=[turns])
    plain, fitted = turns.plain[1:], turns.fitted[1:]
    pairs = list(zip(plain, fitted, strict=False))
    steps = STEPS_A_TURN * options.batch
    return {
        "plain_slices_a_second": steps / statistics.median(plain),
        "fit_slices_a_second": steps / statistics.median(fitted),
        "lost": 1 - statistics.median(of_plain / of_fit for of_plain, of_fit in pairs),
    }


def write_fit(folder: Path, options: argparse.Namespace, device: str) -> Path:
    cache, rng = folder / "cache", np.random.default_rng(0)
    steps = (options.pairs + 2) * STEPS_A_TURN
    cache.mkdir()
    subjects = [{"name": f"s{n}", "part": part, "provenance": {}} for n, part in enumerate(["train"] * 4 + ["validation"])]
    for subject in subjects:
        write_subject(cache, subject["name"], rng.random((4, 8, MATRIX, MATRIX), np.float32))
    write_index(cache, subjects, contrasts=CONTRASTS, normalisation=VolumePercentile(), made_by="benchmark")
    patches = {"patch_size": options.patch, "batch_size": options.batch, "steps_per_epoch": steps}
    if options.simulated:
        shares = {PAPER_LIKE: 0.3, HOSPITAL: 0.25, ANY_TISSUE: 0.2, REGIONS: 0.25}
        kind, data = "SimulatedPatches", {"validation": {"slices": str(cache)}, "shares": shares, "pool_slices": 96, **patches}
        data |= {"knees": str(options.knees) if options.knees else None, "workers": options.workers}
    else:
        kind, data = "CachedSlices", {"cache": str(cache), "workers": 0 if device == "cpu" else 4, **patches}
    config = {
        "run": str(folder / "run"),
        "model": {"branch_width": options.width, "phase_2_from": 1.0},
        "data": {"class_path": f"ccdnn_training.data.module.{kind}", "init_args": data},
        "trainer": {
            "max_epochs": 1,
            "accelerator": "gpu" if device == "cuda" else "cpu",
            "devices": 1,
            "precision": "bf16-mixed" if device == "cuda" else "32-true",
            "limit_val_batches": 0,
            "enable_progress_bar": sys.stderr.isatty(),
            "enable_model_summary": False,
        },
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


if __name__ == "__main__":
    sys.exit(main())
