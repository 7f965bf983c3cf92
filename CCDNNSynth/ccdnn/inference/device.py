"""Chooses the device to run on and the precisions that may make it faster, each with the reason.

PyTorch, which only a GPU and 16-bit arithmetic need, is imported where it is asked about a device, and only if it is installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ccdnn.errors import DeviceError
from ccdnn.inference.libraries import torch_obstacle


@dataclass(frozen=True)
class Device:
    """A working device: torch's name for it, and the reason for choosing it, for the log."""

    name: str
    reason: str

    @property
    def kind(self) -> str:
        return self.name.partition(":")[0]


def choose_device(requested: str = "auto") -> Device:
    """The device to run on.

    Args:
        requested: "auto" (CUDA, else MPS, else CPU), "cpu", "cuda", "cuda:1" or "mps".

    Raises:
        DeviceError: the requested device is missing or does not work; the message gives the reason.
    """
    kind = requested.partition(":")[0]
    if requested != "auto" and (kind not in ("cpu", "cuda", "mps") or (kind != "cuda" and requested != kind)):
        raise DeviceError(f"The device {requested!r} is unknown; use auto, cpu, cuda, cuda:N or mps.")
    if kind == "cpu":
        return Device("cpu", "CPU, as requested")
    obstacles = []
    if without_torch := torch_obstacle():
        obstacles.append(f"{without_torch}, which a GPU needs")
    else:
        for name in ("cuda", "mps") if requested == "auto" else (requested,):
            obstacle = _obstacle(name)
            if obstacle is None:
                return Device(name, f"{_title(name)}{'' if requested == 'auto' else ', as requested'}")
            obstacles.append(obstacle)
    if requested != "auto":
        raise DeviceError(f"The device {requested} cannot be used: {obstacles[0]}. Use auto or cpu.")
    return Device("cpu", f"CPU: {'; '.join(obstacles)}")


def reduced_precisions(device: Device) -> tuple[tuple[str, ...], str]:
    """The precisions that may make `device` faster, the fastest first, and why; empty if there are none."""
    if device.kind == "cpu":
        if obstacle := torch_obstacle():
            return (), f"16-bit arithmetic on a CPU needs PyTorch, but {obstacle}"
        if has_native_bf16():
            return ("bf16", "mixed"), "the CPU supports bf16 natively"
        return (), "the CPU does not support bf16 natively"
    return ("fp16",), f"fp16 is faster on {device.kind}"


def has_native_bf16() -> bool:
    """Whether this CPU has instructions for bf16 products (AVX512-BF16, AMX) that torch can use.

    oneDNN also runs bf16 on a CPU with only AVX512, by conversion to float32, which is not faster. Its own check
    (`torch.ops.mkldnn._is_mkldnn_bf16_supported`) does not distinguish the two.
    """
    import torch

    if not torch.backends.mkldnn.is_available():
        return False
    probes = [getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    known = [probe for probe in probes if probe is not None]
    if len(known) == len(probes):
        return any(probe() for probe in known)
    return _linux_cpu_has_bf16()


def has_gpu_bf16() -> bool:
    """Whether the CUDA device computes bf16."""
    import torch

    return torch.cuda.is_bf16_supported()


def _linux_cpu_has_bf16() -> bool:
    """The same for torch before 2.6, which has no such check."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _obstacle(name: str) -> str | None:
    """Why the device cannot be used, or None. An installed driver may still not work with this torch, so compute something."""
    import torch

    kind, _, number = name.partition(":")
    if kind == "cuda":
        if not torch.cuda.is_available():
            return "no CUDA device found"
        if number and (not number.isdigit() or int(number) >= torch.cuda.device_count()):
            return f"there are {torch.cuda.device_count()} CUDA devices, numbered from 0"
    elif not torch.backends.mps.is_available():
        return "no MPS device found"
    try:
        torch.ones(1, device=name).add_(1).item()
    except (RuntimeError, AssertionError) as error:
        return f"{_title(name)} does not work with this torch ({str(error).splitlines()[0]})"
    return None


def _title(name: str) -> str:
    import torch

    return f"CUDA device {torch.cuda.get_device_name(name)}" if name.startswith("cuda") else "MPS device (Apple GPU)"
