"""The OpenVINO backend: the fastest on most CPUs, in float32 and bf16. It is optional, since it is a large package."""

from __future__ import annotations

import numpy as np
import openvino

from ccdnn.inference.onnx_graph import onnx_model
from ccdnn.model.file import Model
from ccdnn.model.folding import folded

_HINTS = {"fp32": "f32", "bf16": "bf16"}


def has_bf16() -> bool:
    """Whether OpenVINO computes bf16 on this CPU."""
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class OpenVinoBackend:
    """A `Backend` for `model` on the CPU in "fp32" or "bf16".

    Args:
        threads: None for one per core.
    """

    library = f"OpenVINO {openvino.__version__.partition('-')[0]}"

    def __init__(self, model: Model, precision: str, threads: int | None = None) -> None:
        core = openvino.Core()
        settings: dict[str, object] = {"INFERENCE_PRECISION_HINT": _HINTS[precision]}
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
        graph = core.read_model(onnx_model(folded(model.architecture, model.weights)))
        self._network = core.compile_model(graph, "CPU", settings)

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        (output,) = self._network(np.ascontiguousarray(batch, dtype=np.float32)).values()
        return output[:, 0]

    def batch_size(self, rows: int, columns: int) -> int:
        return 1  # one slice keeps every core busy, and results appear slice by slice

    def release_memory(self) -> None:
        self._network.release_memory()
