"""What benchmarks measure on the machine: the time of work on a device, its best matrix product, its name and its load."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

# (m, k, n) of the matrices multiplied for the limit: square ones, and the shapes of the network's convolutions.
MATRICES = ((2048, 2048, 2048), (4096, 4096, 4096), (16384, 576, 64), (16384, 1728, 192))
GPU_MATRICES = (*MATRICES, (8192, 8192, 8192), (147456, 1728, 192))


class Stopwatch:
    """Measures the wall time of work on a device, which may continue after the call that started it."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.wait = {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}.get(device.partition(":")[0], lambda: None)

    def seconds(self, run: Callable[[], object]) -> float:
        self.wait()
        started = time.perf_counter()
        run()
        self.wait()
        return time.perf_counter() - started

    def in_turns(self, runs: dict, repeats: int) -> dict:
        """Median time of each run, after one warm-up. The runs take turns."""
        rounds = [{key: self.seconds(run) for key, run in runs.items()} for _ in range(1 + repeats)]
        return {key: statistics.median(times[key] for times in rounds[1:]) for key in runs}


def matrices(device: str) -> tuple[tuple[int, int, int], ...]:
    """(m, k, n) of the matrix products that determine the device's best rate."""
    return MATRICES if device == "cpu" else GPU_MATRICES


def matrix_product(shape: tuple[int, int, int], device: str, dtype: torch.dtype) -> Callable[[], object]:
    """A function that multiplies an m × k by a k × n matrix."""
    m, k, n = shape
    a, b = torch.randn(m, k, device=device).to(dtype), torch.randn(k, n, device=device).to(dtype)
    product = torch.empty(m, n, device=device, dtype=dtype)
    return lambda: torch.mm(a, b, out=product)


def other_load() -> float:
    """Average number of busy cores over the last minute; 0 if the system does not report it."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def machine(device: str) -> str:
    """A description of the machine: processor, threads and torch version."""
    if device.startswith("cuda"):
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    return f"{cpu_name()}, {torch.get_num_threads()} threads, torch {torch.__version__}{'' if device == 'cpu' else f', {device}'}"


def cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
