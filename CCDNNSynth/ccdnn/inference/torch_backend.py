"""The torch backend: CUDA, MPS and CPU."""

from __future__ import annotations

import contextlib

import numpy as np
import torch

from ccdnn.inference.folded import FoldedCCDNN
from ccdnn.model.file import Model
from ccdnn.model.folding import folded

# The types of the branches and residual sums, and of the fusion's convolutions.
_DTYPES = {
    "fp32": (torch.float32, torch.float32),
    "fp16": (torch.float16, torch.float16),
    "bf16": (torch.bfloat16, torch.bfloat16),
    "mixed": (torch.float32, torch.bfloat16),
}

# The widest maps in memory at a time: a block's input, its two convolutions, the skip, and the library's workspace.
_LIVE_MAPS = 6
_LARGEST_BATCH = 16


class TorchBackend:
    """A `Backend` for `model` on `device` ("cpu", "cuda:0", "mps") in `precision`.

    Args:
        threads: CPU threads of torch in the whole process; None for its default.
    """

    library = f"PyTorch {torch.__version__}"

    def __init__(self, model: Model, device: str, precision: str, threads: int | None = None) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        dtype, fusion_dtype = _DTYPES[precision]
        # Channels-last does not make MPS faster, and some versions compute it wrongly.
        memory_format = torch.contiguous_format if device == "mps" else torch.channels_last
        self._device = device
        self._folded = FoldedCCDNN(folded(model.architecture, model.weights), device, dtype, memory_format, fusion_dtype)
        self._bytes_per_pixel = model.architecture.fusion_width * dtype.itemsize * _LIVE_MAPS

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        with self._full_float32():
            images = torch.from_numpy(np.ascontiguousarray(batch, dtype=np.float32)).to(self._device)
            return self._folded(images).cpu().numpy()

    def batch_size(self, rows: int, columns: int) -> int:
        if not self._device.startswith("cuda"):
            return 1  # one slice keeps every core busy, and results appear slice by slice
        free, _ = torch.cuda.mem_get_info(self._device)
        return int(np.clip(free // 2 // (rows * columns * self._bytes_per_pixel), 1, _LARGEST_BATCH))

    def release_memory(self) -> None:
        if self._device.startswith("cuda"):
            torch.cuda.empty_cache()
        elif self._device == "mps":
            torch.mps.empty_cache()

    def _full_float32(self) -> contextlib.AbstractContextManager:
        """Disable TF32, with which CUDA computes float32 convolutions with only 10 bits of mantissa."""
        if self._device.startswith("cuda"):
            return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        return contextlib.nullcontext()
