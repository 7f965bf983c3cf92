"""Measure whole studies on this machine's CPU: the engine against other ways to run the same network, all in one run.

    python Testing/benchmarks/volumes.py [--width 32 64] [--slices 24] [--turns 3]

Each way computes the bundled sample study, 24 slices of 384², from arrays to arrays, slice by slice, and the ways take turns, so
that other load affects them equally. The best turn counts.

- **engine**: `Synthesizer`, which chooses library and precision by timing them, skips empty background and folds the normalisation.
- **eager torch**: the network as it is trained, float32.
- **onnxruntime**, **OpenVINO**: the same graph as the engine's, whole slices, with their own defaults; OpenVINO also in bf16, if
  the CPU has it.

OpenVINO is measured if it is installed (`pip install openvino`); the engine does not use it, since its telemetry starts processes.
The 64-map network has seeded weights unless a model of that width is bundled.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from inference import model_of, study
from machine import machine, other_load

from ccdnn.inference.onnx_graph import onnx_model
from ccdnn.inference.precision import agreement_db
from ccdnn.inference.synthesizer import Synthesizer
from ccdnn.model.file import Model
from ccdnn.model.folding import folded

Run = Callable[[np.ndarray], np.ndarray]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, nargs="+", default=[32, 64], help="maps per branch (default: 32 64)")
    parser.add_argument("--slices", type=int, default=24)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--peak", type=int, metavar="WIDTH", help=argparse.SUPPRESS)
    options = parser.parse_args()
    images, title = study(384)
    first = (images.shape[1] - options.slices) // 2
    images = images[:, first : first + options.slices]
    if options.peak:
        Synthesizer(model_of(options.peak, images)[0], "cpu").run(images)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return 0
    print(f"{machine('cpu')}; {title}, {options.slices} slices; other work kept {other_load():.1f} cores busy before\n")
    for width in options.width:
        print(table(width, images, options.turns, options.slices), flush=True)
    return 0


def table(width: int, images: np.ndarray, turns: int, slices: int) -> str:
    model, _ = model_of(width, images)
    synthesizer = Synthesizer(model, "cpu")
    ways: dict[str, Run] = {
        "engine": synthesizer.run,
        "eager torch, fp32": eager(model),
        **onnxruntime_ways(model),
        **openvino_ways(model),
    }
    best = dict.fromkeys(ways, float("inf"))
    outputs = {}
    for way, run in ways.items():
        outputs[way] = run(images)  # compiles, allocates and chooses the precision
    for _ in range(turns):
        for way, run in ways.items():
            started = time.perf_counter()
            run(images)
            best[way] = min(best[way], time.perf_counter() - started)
    command = [sys.executable, __file__, "--peak", str(width), "--slices", str(slices)]
    peak = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    lines = [f"{width} maps per branch; engine: {'; '.join(synthesizer.reasons)}; peak memory of the process {peak:.0f} MB", ""]
    lines += ["| | s per study | studies per time, of the engine's | agreement with eager fp32 (dB) |", "|---|---|---|---|"]
    for way, seconds in best.items():
        agreement = agreement_db(outputs["eager torch, fp32"], outputs[way])
        lines.append(f"| {way} | {seconds:.2f} | {best['engine'] / seconds:.2f} | {agreement:.1f} |")
    return "\n".join([*lines, ""])


def slice_by_slice(compute: Callable[[np.ndarray], np.ndarray]) -> Run:
    """A way that computes one whole slice (1, contrast, row, column) at a time."""

    def run(images: np.ndarray) -> np.ndarray:
        slices = np.ascontiguousarray(images.swapaxes(0, 1))
        return np.stack([compute(one[None])[0, 0] for one in slices])

    return run


def eager(model: Model) -> Run:
    @torch.inference_mode()
    def compute(batch: np.ndarray) -> np.ndarray:
        return model.network(torch.from_numpy(batch)).numpy()

    return slice_by_slice(compute)


def onnxruntime_ways(model: Model) -> dict[str, Run]:
    import onnxruntime

    session = onnxruntime.InferenceSession(exported(model), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return {f"onnxruntime {onnxruntime.__version__}, fp32": slice_by_slice(lambda batch: session.run(None, {name: batch})[0])}


def openvino_ways(model: Model) -> dict[str, Run]:
    try:
        import openvino
    except ModuleNotFoundError:
        return {}
    core = openvino.Core()
    network = core.read_model(exported(model))
    ways = {}
    for precision in ("f32", "bf16") if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else ("f32",):
        compiled = core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": precision})

        def compute(batch: np.ndarray, compiled: openvino.CompiledModel = compiled) -> np.ndarray:
            return compiled(batch)[0]

        version = openvino.__version__.split("-")[0]
        ways[f"OpenVINO {version}, {precision.replace('f32', 'fp32')}"] = slice_by_slice(compute)
    return ways


def exported(model: Model) -> bytes:
    """The network as an ONNX graph, with its normalisation folded."""
    return onnx_model(folded(model.architecture, model.weights))


if __name__ == "__main__":
    sys.exit(main())
