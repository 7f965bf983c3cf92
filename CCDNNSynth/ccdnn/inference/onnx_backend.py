"""The onnxruntime backend: fast float32 on CPUs, from a small package."""

from __future__ import annotations

import numpy as np
import onnxruntime

from ccdnn.inference.onnx_graph import INPUT, onnx_model
from ccdnn.model.file import Model
from ccdnn.model.folding import folded

_FATAL_ONLY = 4  # onnxruntime's log level: errors are raised, and its warnings mean nothing to a user


class OnnxBackend:
    """A `Backend` for `model` on the CPU in float32.

    Args:
        threads: None for one per core.
    """

    library = f"onnxruntime {onnxruntime.__version__}"

    def __init__(self, model: Model, threads: int | None = None) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = _FATAL_ONLY
        options.enable_mem_pattern = False  # it plans memory for one size, but the windows of slices differ
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # Slicer's window needs a core now and then
        graph = onnx_model(folded(model.architecture, model.weights))
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        images = np.ascontiguousarray(batch, dtype=np.float32)
        try:
            (output,) = self._session.run(None, {INPUT: images})
        except Exception as error:  # onnxruntime's own exceptions have no common base but this
            raise RuntimeError(str(error)) from error
        return output

    def batch_size(self, rows: int, columns: int) -> int:
        return 1  # one slice keeps every core busy, and results appear slice by slice

    def release_memory(self) -> None:
        """Nothing is cached between batches."""
