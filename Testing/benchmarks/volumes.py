"""Measure whole studies on this machine's CPU: the engine against other ways to run the same network, all in one run.

    python Testing/benchmarks/volumes.py [--width 32 64] [--slices 24] [--turns 3]

Each way computes the bundled sample study, 24 slices of 384², from arrays to arrays. The ways take turns slice by slice, so that
other load affects them equally. The best turn counts. The peak memory is that of a process that loads the study and computes only
its two middle slices this way; more slices need no more.

- **engine**: `Synthesizer`, which chooses library and precision by timing them, skips empty background and folds the normalisation;
  as installed here, and as it is without PyTorch (memory only).
- **eager PyTorch**: the network as it is trained, float32.
- **onnxruntime**, **OpenVINO**: the same graph as the engine's, whole slices, with their own defaults; OpenVINO also in bf16, if
  the CPU has it.

OpenVINO is measured if it is installed (`pip install openvino`); the engine does not use it, since its telemetry starts processes.
The 64-map network has seeded weights unless a model of that width is bundled.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import ways
from inference import model_of, study
from machine import machine, other_load

from ccdnn.inference.precision import agreement_db
from ccdnn.inference.synthesizer import Synthesizer
from ccdnn.model.file import Model
from ccdnn.model.saving import save_model

EAGER = "eager PyTorch, fp32"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, nargs="+", default=[32, 64], help="maps per branch (default: 32 64)")
    parser.add_argument("--slices", type=int, default=24)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    images, title = study(384)
    first = (images.shape[1] - options.slices) // 2
    images = images[:, first : first + options.slices]
    print(f"{machine('cpu')}; {title}, {options.slices} slices; other work kept {other_load():.1f} cores busy before\n")
    for width in options.width:
        print(table(width, images, options.turns), flush=True)
    return 0


def table(width: int, images: np.ndarray, turns: int) -> str:
    model, _ = model_of(width, images)
    synthesizer = Synthesizer(model, "cpu")
    names = [name for name in ways.WAYS if has(name) and name not in ("engine", "engine without PyTorch")]
    others = {name: ways.WAYS[name](model) for name in names}
    for run in (synthesizer.run, *others.values()):
        run(ways.middle(images))  # compiles, allocates and times the precisions
    best = dict.fromkeys(("engine", *names), float("inf"))
    for _ in range(turns):
        outputs, seconds = slice_by_slice(synthesizer, others, images)
        best = {name: min(best[name], taken) for name, taken in seconds.items()}
    peaks = peaks_mb(model, images, ["engine", "engine without PyTorch", *names])
    lines = [f"{width} maps per branch; engine: {'; '.join(synthesizer.reasons)}", ""]
    lines += [
        "| | s per study | studies per time, of the engine's | agreement with eager fp32 | peak memory |",
        "|---|---|---|---|---|",
    ]
    for name, seconds in best.items():
        agreement = "–" if name == EAGER else f"{agreement_db(outputs[EAGER], outputs[name]):.1f} dB"
        titled = f"onnxruntime {version('onnxruntime')}, fp32" if name.startswith("onnxruntime") else name
        lines.append(f"| {titled} | {seconds:.2f} | {best['engine'] / seconds:.2f} | {agreement} | {peaks[name]:.0f} MB |")
    lines.append(f"| engine without PyTorch | | | | {peaks['engine without PyTorch']:.0f} MB |")
    return "\n".join([*lines, ""])


def slice_by_slice(
    synthesizer: Synthesizer, others: dict[str, ways.Run], images: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """The study's images and seconds of each way. After each slice of the engine, the others compute the same slice."""
    slices: dict[str, list[np.ndarray]] = {name: [] for name in others}
    seconds = dict.fromkeys(others, 0.0)

    def others_turn(index: int, _image: np.ndarray) -> None:
        for name, run in others.items():
            started = time.perf_counter()
            slices[name] += list(run(images[:, index : index + 1]))
            seconds[name] += time.perf_counter() - started

    started = time.perf_counter()
    image = synthesizer.predict(images, on_slice=others_turn).image
    engine = time.perf_counter() - started - sum(seconds.values())
    return {"engine": image, **{name: np.stack(found) for name, found in slices.items()}}, {"engine": engine, **seconds}


def has(name: str) -> bool:
    if name.startswith("OpenVINO"):
        return find_spec("openvino") is not None and (name.endswith("fp32") or torch.cpu._is_avx512_bf16_supported())
    return True


def peaks_mb(model: Model, images: np.ndarray, names: list[str]) -> dict[str, float]:
    """Name of a way → peak memory of a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        model_file, images_file = Path(folder) / "model.safetensors", Path(folder) / "images.npy"
        save_model(model_file, model.network, model.card)
        np.save(images_file, images)
        command = [sys.executable, ways.__file__]
        arguments = (str(model_file), str(images_file))
        return {
            name: float(subprocess.run([*command, name, *arguments], capture_output=True, text=True, check=True).stdout)
            for name in names
        }


if __name__ == "__main__":
    sys.exit(main())
