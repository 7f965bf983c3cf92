"""Which library computes a network: onnxruntime in float32 on CPUs, where it is faster and smaller, PyTorch for everything else."""

from __future__ import annotations

from importlib.util import find_spec

from ccdnn.errors import DeviceError
from ccdnn.inference.backend import Backend
from ccdnn.model.file import Model

GPU_HINT = 'pip install "ccdnnsynth[gpu]"'


def has_torch() -> bool:
    """Whether PyTorch is installed. It is not imported, which takes seconds."""
    return find_spec("torch") is not None


def has_onnxruntime() -> bool:
    return find_spec("onnxruntime") is not None


def make_backend(model: Model, threads: int | None, device: str, precision: str) -> Backend:
    """The `Backend` for `model`.

    Args:
        threads: CPU threads; None for the library's default.

    Raises:
        DeviceError: the library is not installed.
    """
    if device == "cpu" and precision == "fp32" and has_onnxruntime():
        from ccdnn.inference.onnx_backend import OnnxBackend

        return OnnxBackend(model, threads)
    if not has_torch():
        missing = "onnxruntime or PyTorch" if device == "cpu" and precision == "fp32" else "PyTorch"
        raise DeviceError(f"{precision} on the device {device} needs {missing}, which is not installed.")
    from ccdnn.inference.torch_backend import TorchBackend

    return TorchBackend(model, device, precision, threads)
