"""The ways to compute a study on a CPU that `volumes.py` compares; as a command, the peak memory in MB of one of them:

    python Testing/benchmarks/ways.py WAY MODEL.safetensors IMAGES.npy        (computes the two middle slices of the images)

Each imports its own library only, so that the peak is that of a process that does nothing else.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ccdnn.inference.synthesizer import Synthesizer
from ccdnn.model.file import Model, load_model

Run = Callable[[np.ndarray], np.ndarray]
"""(contrast, slice, row, column) → (slice, row, column)."""


def middle(images: np.ndarray) -> np.ndarray:
    """The two middle slices, in which there is most to see."""
    center = images.shape[1] // 2
    return images[:, center - 1 : center + 1]


def engine(model: Model) -> Run:
    return Synthesizer(model, "cpu").run


def engine_without_torch(model: Model) -> Run:
    """As where PyTorch is not installed; only in a process of its own."""
    sys.modules["torch"] = None  # type: ignore[assignment]
    return engine(model)


def eager(model: Model) -> Run:
    """The network as it is trained, whole slices."""
    import torch

    @torch.inference_mode()
    def compute(batch: np.ndarray) -> np.ndarray:
        return model.network(torch.from_numpy(batch)).numpy()

    return _slice_by_slice(compute)


def onnxruntime(model: Model) -> Run:
    """The engine's graph in onnxruntime with its own defaults, whole slices."""
    import onnxruntime

    session = onnxruntime.InferenceSession(_exported(model), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return _slice_by_slice(lambda batch: session.run(None, {name: batch})[0])


def openvino(precision: str) -> Callable[[Model], Run]:
    """The same in OpenVINO, which has to be installed; `precision` is "f32" or "bf16"."""

    def way(model: Model) -> Run:
        import openvino

        core = openvino.Core()
        compiled = core.compile_model(core.read_model(_exported(model)), "CPU", {"INFERENCE_PRECISION_HINT": precision})
        return _slice_by_slice(lambda batch: compiled(batch)[0])

    return way


WAYS: dict[str, Callable[[Model], Run]] = {
    "engine": engine,
    "engine without PyTorch": engine_without_torch,
    "eager PyTorch, fp32": eager,
    "onnxruntime, fp32": onnxruntime,
    "OpenVINO, fp32": openvino("f32"),
    "OpenVINO, bf16": openvino("bf16"),
}


def _slice_by_slice(compute: Callable[[np.ndarray], np.ndarray]) -> Run:
    """A way that computes one whole slice (1, contrast, row, column) at a time."""

    def run(images: np.ndarray) -> np.ndarray:
        slices = np.ascontiguousarray(images.swapaxes(0, 1))
        return np.stack([compute(one[None])[0, 0] for one in slices])

    return run


def _exported(model: Model) -> bytes:
    from ccdnn.inference.onnx_graph import onnx_model
    from ccdnn.model.folding import folded

    return onnx_model(folded(model.architecture, model.weights))


def peak_mb() -> float:
    """Of this process. The system's `ru_maxrss` would begin with the peak of the process that started it."""
    try:
        status = Path("/proc/self/status").read_text()
        return float(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    _, name, model_file, images_file = sys.argv
    WAYS[name](load_model(model_file))(middle(np.load(images_file)))
    print(peak_mb())
