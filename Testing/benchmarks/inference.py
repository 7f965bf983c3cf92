"""Measure the speed of inference on this machine against plain torch and the machine's own limit, all in one run.

    python Testing/benchmarks/inference.py [--model paper small] [--device auto] [--batches 1 8 24] [--json]

For each network, at 384² by default:

- **eager**: `CCDNN` as it is trained, float32.
- **fast path**: what `Synthesizer` runs after choosing the precision on the study, from array to array.
- **limit**: the time the convolutions' arithmetic, 2·H·W·Σ(k²·maps_in·maps_out) operations, would take at this machine's best rate
  for large matrix products, in the same precision and with the same threads.

The three take turns, so that other load affects them equally. Times are medians. Agreement is the PSNR of the fast path against
eager float32, with the output's range as the peak. Then follow a whole study from memory to memory, and times by batch size (always
on a GPU, on a CPU only for the given `--batches`), with the share of copies to and from the device, and the memory.

The input is the bundled sample study, and the weights are a bundled model's, if available; otherwise a seeded pattern, and seeded
weights with batch normalisation adapted to it. Speed does not depend on either.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
import torch.nn.functional as F
from machine import Stopwatch, machine, matrices, matrix_product, other_load
from torch import nn

from ccdnn.acquisition import Acquisition
from ccdnn.errors import CcdnnError, ModelError
from ccdnn.inference.backend import Backend
from ccdnn.inference.libraries import make_backend
from ccdnn.inference.precision import LOWEST_AGREEMENT_DB, agreement_db
from ccdnn.inference.synthesizer import Synthesizer
from ccdnn.model.card import Contrast, ModelCard
from ccdnn.model.catalog import list_models, models_folder
from ccdnn.model.file import Model, load_model
from ccdnn.model.network import CCDNN
from ccdnn.model.saving import weights_of
from ccdnn.normalisation import VolumePercentile

WIDTHS = {"paper": 64, "small": 32}
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
STUDY_SLICES = 24
GPU_BATCHES = (1, 2, 4, 8, 16, 24)

# The project's goals for the paper's network on a CPU.
LEAST_GAIN = {"bf16": 3.0, "fp32": 1.4}
MOST_OVER_LIMIT = 1.35

# The goals on a GPU of the H200's class, with the fastest batch size.
MOST_GPU_MS = 2.0
MOST_OVER_GPU_LIMIT = 2.0

# Above this load, cores are shared and the results mean little.
NOTABLE_LOAD = 0.5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", nargs="+", choices=WIDTHS, default=list(WIDTHS))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--size", type=int, default=384, help="rows and columns of a slice")
    parser.add_argument(
        "--batches", type=int, nargs="+", help=f"slices at a time (default: {GPU_BATCHES} on a GPU, otherwise none)"
    )
    parser.add_argument("--repeats", type=int, default=7, help="number of turns for the medians")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")
    options = parser.parse_args()
    reports, load_before = [], other_load()
    try:
        for name in options.model:
            reports.append(measure(name, options, load_before))
            if not options.json:
                print(as_text(reports[-1]), flush=True)
    except CcdnnError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if options.json:
        print(json.dumps(reports, indent=2))
    return 0


def measure(name: str, options: argparse.Namespace, load_before: float) -> dict:
    """One network's results, as `as_text` prints them."""
    images, input_title = study(options.size)
    model, weights_title = model_of(WIDTHS[name], images)
    synthesizer = Synthesizer(model, options.device, options.precision, threads=options.threads)
    stopwatch = Stopwatch(synthesizer.device)
    first_study, next_study = [stopwatch.seconds(lambda: synthesizer.run(images)) for _ in range(2)]
    device, precision = synthesizer.device, synthesizer.precision

    most_varied = int(images.var(axis=(2, 3)).sum(axis=0).argmax())
    batch = np.ascontiguousarray(images[:, most_varied][None])
    fast = make_backend(model, options.threads, device, precision)
    eager = Eager(model.network, device)
    products = {shape: matrix_product(shape, device, DTYPES[precision]) for shape in matrices(device)}
    runs = {"eager": lambda: eager(batch), "fast": lambda: fast(batch), **products}
    seconds = stopwatch.in_turns(runs, options.repeats)
    rate = max(2 * m * k * n / seconds[m, k, n] for m, k, n in products)
    limit = operations(model.network, options.size) / rate
    return {
        "network": name,
        "branch_width": WIDTHS[name],
        "weights": weights_title,
        "input": input_title,
        "size": options.size,
        "device": device,
        "machine": machine(device),
        "load_before": load_before,
        "precision": precision,
        "reasons": synthesizer.reasons,
        "ms_a_slice": {"eager_fp32": 1e3 * seconds["eager"], "fast": 1e3 * seconds["fast"], "limit": 1e3 * limit},
        "matrix_product_gflops": rate / 1e9,
        "eager_over_fast": seconds["eager"] / seconds["fast"],
        "fast_over_limit": seconds["fast"] / limit,
        "agreement_db": agreement_db(eager(batch), fast(batch)),
        "study": {"slices": images.shape[1], "first_seconds": first_study, "next_seconds": next_study},
        "batches": [
            by_batch(size, eager, fast, images, stopwatch, limit, options.repeats)
            for size in options.batches or (GPU_BATCHES if device.startswith("cuda") else ())
            if size <= images.shape[1]
        ],
    }


class Eager:
    """The network as it is trained, in evaluation mode and float32, with `Backend`'s arrays in and out."""

    def __init__(self, network: CCDNN, device: str) -> None:
        self._network, self._device = network.to(device), device

    @torch.inference_mode()
    def __call__(self, batch: np.ndarray) -> np.ndarray:
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            return self._network(torch.from_numpy(batch).to(self._device))[:, 0].cpu().numpy()


def operations(network: CCDNN, size: int) -> int:
    """Multiplications and additions of the convolutions for one size × size slice."""
    return 2 * size * size * sum(module.weight.numel() for module in network.modules() if isinstance(module, nn.Conv2d))


def by_batch(size: int, eager: Eager, fast: Backend, images: np.ndarray, stopwatch: Stopwatch, limit: float, repeats: int) -> dict:
    """Times for `size` slices at once from array to array, the time of the copies, and the peak memory of a GPU."""
    batch, device = np.ascontiguousarray(images[:, :size].swapaxes(0, 1)), stopwatch.device
    runs = {
        "eager_fp32": lambda: eager(batch),
        "fast": lambda: fast(batch),
        "copies": lambda: torch.from_numpy(batch).to(device)[:, 0].cpu().numpy(),
    }
    seconds = stopwatch.in_turns(runs, repeats)
    return {
        "slices": size,
        "ms_a_slice": {name: 1e3 * taken / size for name, taken in seconds.items()},
        "fast_over_limit": seconds["fast"] / size / limit,
        "peak_mb": {name: peak_mb(runs[name], device) for name in ("eager_fp32", "fast")},
    }


def peak_mb(run: Callable[[], object], device: str) -> float | None:
    """The peak GPU memory of `run`'s tensors, MB; None on other devices, which do not report it."""
    if not device.startswith("cuda"):
        return None
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    run()
    return torch.cuda.max_memory_allocated() / 1e6


def study(size: int) -> tuple[np.ndarray, str]:
    """A normalised study, (contrast, slice, size, size), and its description."""
    folder = models_folder().parent / "SampleData"
    files = [folder / f"{role}.nrrd" for role in ("t1", "t2", "gre")]
    if size == 384 and all(file.is_file() for file in files):
        series = [sitk.GetArrayFromImage(sitk.ReadImage(str(file))) for file in files]
        if all(array.shape == (STUDY_SLICES, size, size) for array in series):
            return np.stack([VolumePercentile().apply(array) for array in series]), "sample study"
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(3, STUDY_SLICES, size // 12, size // 12, generator=generator)
    smooth = F.interpolate(coarse, size=(size, size), mode="bicubic")
    return (smooth + 0.02 * torch.randn(smooth.shape, generator=generator)).numpy(), "seeded pattern with noise"


def model_of(width: int, images: np.ndarray) -> tuple[Model, str]:
    """A bundled model of that width, or one with seeded weights."""
    try:
        entries = list_models()
    except ModelError:
        entries = []
    for entry in entries:
        model = load_model(entry.path, entry.sha256)
        if model.card.branch_width == width:
            return model, f"bundled model {entry.id}"
    torch.manual_seed(0)
    network = CCDNN(width)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the plain mean over all input
    with torch.no_grad():
        network.train()(torch.from_numpy(np.ascontiguousarray(images[:, :2, :128, :128].swapaxes(0, 1))))
    return Model(_card(width), weights_of(network), Path("seeded"), ""), "seeded, batch normalisation adapted to the input"


def _card(width: int) -> ModelCard:
    acquisitions = {"t1": Acquisition(522, 11), "t2": Acquisition(3000, 80), "gre": Acquisition(500, 10, flip_angle_deg=25)}
    return ModelCard(
        name="benchmark",
        version="0",
        branch_width=width,
        contrasts=tuple(Contrast(role, acquisition) for role, acquisition in acquisitions.items()),
        target=Contrast("stir", Acquisition(4478, 60, ti_ms=220)),
        normalisation=VolumePercentile().to_card(),
        training_data="none",
        seed=0,
        code_version="benchmark",
        training={},
        licence="Apache-2.0",
        created="none",
    )


def as_text(report: dict) -> str:
    ms, whole = report["ms_a_slice"], report["study"]
    lines = [
        f"{report['network']} network (width {report['branch_width']}) at {report['size']}², {report['machine']}",
        f"  weights: {report['weights']}; input: {report['input']}",
        *(f"  {reason}" for reason in report["reasons"]),
        f"  eager fp32           {ms['eager_fp32']:9.1f} ms per slice",
        f"  fast path, {report['precision']:<9} {ms['fast']:9.1f} ms per slice",
        f"  matrix-product limit {ms['limit']:9.1f} ms per slice at {report['matrix_product_gflops']:.0f} GFLOP/s",
        f"  eager / fast {report['eager_over_fast']:.2f}, fast / limit {report['fast_over_limit']:.2f}, "
        f"agreement with fp32 {report['agreement_db']:.1f} dB",
        f"  {whole['slices']} slices from memory to memory: {whole['first_seconds']:.2f} s including the choice of precision, "
        f"{whole['next_seconds']:.2f} s the next time",
    ]
    if report["device"] == "cpu" and report["load_before"] > NOTABLE_LOAD:
        lines.append(f"  other work kept {report['load_before']:.1f} cores busy before the run; repeat on an idle machine")
    for row in report["batches"]:
        taken, memory = row["ms_a_slice"], row["peak_mb"]
        lines.append(
            f"  batch of {row['slices']:2d}: eager fp32 {taken['eager_fp32']:.2f}, fast {taken['fast']:.2f} ms per slice "
            f"({row['fast_over_limit']:.2f} of the limit), including {taken['copies']:.2f} ms of copies"
            + (f"; {memory['eager_fp32']:.0f} and {memory['fast']:.0f} MB peak memory" if memory["fast"] else "")
        )
    return "\n".join([*lines, *_targets(report), ""])


def _targets(report: dict) -> list[str]:
    """Whether the paper's network meets the project's goals."""
    if report["network"] != "paper":
        return []
    asked = [(f"agreement at least {LOWEST_AGREEMENT_DB:.0f} dB", report["agreement_db"] >= LOWEST_AGREEMENT_DB)]
    if report["device"] == "cpu":
        gain = LEAST_GAIN[report["precision"]]
        asked.append((f"eager / fast at least {gain}", report["eager_over_fast"] >= gain))
        if report["precision"] == "bf16":
            asked.append((f"fast / limit at most {MOST_OVER_LIMIT}", report["fast_over_limit"] <= MOST_OVER_LIMIT))
    elif report["batches"]:
        best = min(report["batches"], key=lambda row: row["ms_a_slice"]["fast"])
        asked.append((f"at most {MOST_GPU_MS:g} ms per slice", best["ms_a_slice"]["fast"] <= MOST_GPU_MS))
        asked.append((f"fast / limit at most {MOST_OVER_GPU_LIMIT:g}", best["fast_over_limit"] <= MOST_OVER_GPU_LIMIT))
    return [f"  target: {text}: {'met' if met else 'MISSED'}" for text, met in asked]


if __name__ == "__main__":
    sys.exit(main())
