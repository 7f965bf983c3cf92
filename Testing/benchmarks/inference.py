"""How fast inference is on this machine, beside plain torch and beside the machine's own limit, all measured in one run.

    python Testing/benchmarks/inference.py [--model paper small] [--device auto] [--json]

For each network, at 384² unless told otherwise:

- **eager**: `CCDNN` as it is trained, float32.
- **fast path**: what `Synthesizer` runs after it has chosen the precision on the study, from array to array.
- **limit**: the time the convolutions' arithmetic, 2·H·W·Σ(k²·maps_in·maps_out) operations, takes at the best rate at which this
  machine multiplies large matrices in the same precision, with the same threads.

The three take turns, so that whatever else the machine does meets them alike; times are medians. Agreement is the PSNR of the
fast path from eager float32, with the output's range as peak. Then a whole study from memory to memory and, on a GPU, batches.

The input is the bundled sample study, and the weights are a bundled model's, where there are such; else a seeded pattern and
seeded weights whose batch normalisation has seen it. Speed depends on neither.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
import torch.nn.functional as F
from torch import nn

from ccdnn.errors import CcdnnError, ModelError
from ccdnn.inference.precision import LOWEST_AGREEMENT_DB, agreement_db
from ccdnn.inference.synthesizer import Synthesizer
from ccdnn.inference.torch_backend import TorchBackend
from ccdnn.model.card import Contrast, ModelCard, Protocol
from ccdnn.model.catalog import list_models, models_folder
from ccdnn.model.file import Model, load_model
from ccdnn.model.network import CCDNN
from ccdnn.normalisation import VolumePercentile

WIDTHS = {"paper": 64, "small": 32}
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
STUDY_SLICES = 24
GPU_BATCHES = (1, 2, 4, 8, 16, 24)

# (m, k, n) of the matrices multiplied for the limit: square ones, and the shapes of the network's convolutions.
MATRICES = ((2048, 2048, 2048), (4096, 4096, 4096), (16384, 576, 64), (16384, 1728, 192))
GPU_MATRICES = (*MATRICES, (8192, 8192, 8192), (147456, 1728, 192))

# What the project asks of the paper's network on a CPU.
LEAST_GAIN = {"bf16": 3.0, "fp32": 1.4}
MOST_OVER_LIMIT = 1.35

# Above it, cores are shared and the figures say little.
NOTABLE_LOAD = 0.5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", nargs="+", choices=WIDTHS, default=list(WIDTHS))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--size", type=int, default=384, help="rows and columns of a slice")
    parser.add_argument("--repeats", type=int, default=7, help="turns that the medians are taken over")
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
    """One network's figures, as `as_text` prints them."""
    images, input_title = study(options.size)
    model, weights_title = model_of(WIDTHS[name], images)
    synthesizer = Synthesizer(model, options.device, options.precision, threads=options.threads)
    stopwatch = Stopwatch(synthesizer.device)
    whole_study = stopwatch.seconds(lambda: synthesizer.run(images))
    device, precision = synthesizer.device, synthesizer.precision

    most_varied = int(images.var(axis=(2, 3)).sum(axis=0).argmax())
    batch = np.ascontiguousarray(images[:, most_varied][None])
    fast = TorchBackend(model.network, device, precision)
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
        "study": {"slices": images.shape[1], "seconds": whole_study, "with": "choice of precision, first-run set-up"},
        "batches": gpu_batches(fast, images, stopwatch) if device.startswith("cuda") else [],
    }


class Stopwatch:
    """Wall time of work on a device, which may run on after the call that started it."""

    def __init__(self, device: str) -> None:
        self._wait = {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}.get(device.partition(":")[0], lambda: None)

    def seconds(self, run: Callable[[], object]) -> float:
        self._wait()
        started = time.perf_counter()
        run()
        self._wait()
        return time.perf_counter() - started

    def in_turns(self, runs: dict, repeats: int) -> dict:
        """Median time of each, after one warm-up, taking turns."""
        rounds = [{key: self.seconds(run) for key, run in runs.items()} for _ in range(1 + repeats)]
        return {key: statistics.median(times[key] for times in rounds[1:]) for key in runs}


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


def matrices(device: str) -> tuple[tuple[int, int, int], ...]:
    return MATRICES if device == "cpu" else GPU_MATRICES


def matrix_product(shape: tuple[int, int, int], device: str, dtype: torch.dtype) -> Callable[[], object]:
    m, k, n = shape
    a, b = torch.randn(m, k, device=device).to(dtype), torch.randn(k, n, device=device).to(dtype)
    product = torch.empty(m, n, device=device, dtype=dtype)
    return lambda: torch.mm(a, b, out=product)


def gpu_batches(fast: TorchBackend, images: np.ndarray, stopwatch: Stopwatch) -> list[dict]:
    """Time and peak memory by batch size, from array to array."""
    rows = []
    for size in (size for size in GPU_BATCHES if size <= images.shape[1]):
        batch = np.ascontiguousarray(images[:, :size].swapaxes(0, 1))
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        seconds = stopwatch.in_turns({size: lambda batch=batch: fast(batch)}, 10)[size]
        rows.append({"slices": size, "ms_a_slice": 1e3 * seconds / size, "peak_mb": torch.cuda.max_memory_allocated() / 1e6})
    return rows


def study(size: int) -> tuple[np.ndarray, str]:
    """(contrast, slice, size, size) normalised, and what it is."""
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
        if model.network.branch_width == width:
            return model, f"bundled model {entry.id}"
    torch.manual_seed(0)
    network = CCDNN(width)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the plain mean over what it sees
    with torch.no_grad():
        network.train()(torch.from_numpy(np.ascontiguousarray(images[:, :2, :128, :128].swapaxes(0, 1))))
    return Model(
        _card(width), network.eval().requires_grad_(False), Path("seeded"), ""
    ), "seeded, batch normalisation adapted to the input"


def _card(width: int) -> ModelCard:
    protocols = {"t1": Protocol(522, 11), "t2": Protocol(3000, 80), "gre": Protocol(500, 10, flip_angle_deg=25)}
    return ModelCard(
        name="benchmark",
        version="0",
        branch_width=width,
        contrasts=tuple(Contrast(role, protocol) for role, protocol in protocols.items()),
        target=Contrast("stir", Protocol(4478, 60, ti_ms=220)),
        normalisation=VolumePercentile().to_card(),
        training_data="none",
        seed=0,
        code_version="benchmark",
        training={},
        licence="Apache-2.0",
        created="none",
    )


def other_load() -> float:
    """Cores that have been busy on average over the last minute; 0 where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def machine(device: str) -> str:
    if device.startswith("cuda"):
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    return f"{cpu_name()}, {torch.get_num_threads()} threads, torch {torch.__version__}{'' if device == 'cpu' else f', {device}'}"


def cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def as_text(report: dict) -> str:
    ms, whole = report["ms_a_slice"], report["study"]
    lines = [
        f"{report['network']} network (width {report['branch_width']}) at {report['size']}², {report['machine']}",
        f"  weights: {report['weights']}; input: {report['input']}",
        *(f"  {reason}" for reason in report["reasons"]),
        f"  eager fp32           {ms['eager_fp32']:9.1f} ms a slice",
        f"  fast path, {report['precision']:<9} {ms['fast']:9.1f} ms a slice",
        f"  matrix-product limit {ms['limit']:9.1f} ms a slice at {report['matrix_product_gflops']:.0f} GFLOP/s",
        f"  eager / fast {report['eager_over_fast']:.2f}, fast / limit {report['fast_over_limit']:.2f}, "
        f"agreement with fp32 {report['agreement_db']:.1f} dB",
        f"  {whole['slices']} slices from memory to memory: {whole['seconds']:.2f} s (with {whole['with']})",
    ]
    if report["device"] == "cpu" and report["load_before"] > NOTABLE_LOAD:
        lines.append(f"  other work had kept {report['load_before']:.1f} cores busy before the run; repeat on a quiet machine")
    for row in report["batches"]:
        lines.append(f"  batch of {row['slices']:2d}: {row['ms_a_slice']:.2f} ms a slice, {row['peak_mb']:.0f} MB at most")
    return "\n".join([*lines, *_targets(report), ""])


def _targets(report: dict) -> list[str]:
    """How the paper's network stands to what is asked of it on a CPU."""
    if report["network"] != "paper" or report["device"] != "cpu":
        return []
    gain = LEAST_GAIN[report["precision"]]
    asked = [(f"eager / fast at least {gain}", report["eager_over_fast"] >= gain)]
    if report["precision"] == "bf16":
        asked.append((f"fast / limit at most {MOST_OVER_LIMIT}", report["fast_over_limit"] <= MOST_OVER_LIMIT))
    asked.append((f"agreement at least {LOWEST_AGREEMENT_DB:.0f} dB", report["agreement_db"] >= LOWEST_AGREEMENT_DB))
    return [f"  target: {text}: {'met' if met else 'MISSED'}" for text, met in asked]


if __name__ == "__main__":
    sys.exit(main())
