"""Which library computes a network: onnxruntime in float32 on CPUs, where it is faster and smaller, PyTorch for everything else.

OpenVINO would be faster on CPUs with bf16, but it brings a telemetry package that starts processes of its own.
"""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from ccdnn.errors import DeviceError
from ccdnn.inference.backend import Backend
from ccdnn.model.file import Model


def has_onnxruntime() -> bool:
    return find_spec("onnxruntime") is not None


def torch_obstacle() -> str | None:
    """Why PyTorch cannot be used, or None. It is imported, which takes seconds."""
    if find_spec("torch") is None:
        return "PyTorch is not installed"
    try:
        importlib.import_module("torch")
    except (ImportError, OSError) as error:  # OSError: Windows cannot load one of its libraries
        return f"PyTorch is installed but cannot be loaded ({str(error).splitlines()[0]}); reinstall it"
    return None


def library_of(device: str) -> str:
    """The library that computes float32 on `device`, with its version, for the log.

    Example:
        >>> library_of("cpu").split()[0] in ("onnxruntime", "PyTorch")
        True
    """
    name, package = ("onnxruntime", "onnxruntime") if device == "cpu" and has_onnxruntime() else ("PyTorch", "torch")
    try:
        return f"{name} {version(package)}"
    except PackageNotFoundError:
        return f"no {name}"


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
    if obstacle := torch_obstacle():
        also = "onnxruntime is not installed, and " if device == "cpu" and precision == "fp32" else ""
        raise DeviceError(f"The network cannot be computed in {precision} on the device {device}: {also}{obstacle}.")
    from ccdnn.inference.torch_backend import TorchBackend

    return TorchBackend(model, device, precision, threads)
