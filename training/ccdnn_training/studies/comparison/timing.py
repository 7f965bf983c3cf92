"""The time for a slice, with the methods interleaved in one run, so that other load on the machine affects all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch

from ccdnn.inference.device import choose_device
from ccdnn_training.studies.comparison.layout import Cell
from ccdnn_training.studies.comparison.methods.network import device_in_words


@dataclass(frozen=True)
class SliceTime:
    """Milliseconds for one slice of one method; networks in plain float32, including transfers to and from the GPU."""

    method: str
    rows: int
    columns: int
    median_ms: float
    fastest_ms: float
    slowest_ms: float
    runs: int
    device: str


def time_slices(
    cells: Sequence[Cell], inputs: np.ndarray, runs: int = 5, on_run: Callable[[int, int], None] | None = None
) -> list[SliceTime]:
    """Time the method of each cell on one slice.

    Args:
        inputs: (contrast, 1, row, column).
        runs: runs per method, after one that is not counted.
        on_run: called with (runs done, runs).
    """
    methods = {cell.method.title: cell.method.load(cell.model) for cell in cells}
    times: dict[str, list[float]] = {title: [] for title in methods}
    for run in range(runs + 1):
        for title, method in methods.items():
            started = time.perf_counter()
            method.predict(inputs)
            times[title].append(1e3 * (time.perf_counter() - started))
        if on_run:
            on_run(run + 1, runs + 1)
    device, (rows, columns) = device_in_words(torch.device(choose_device().name)), inputs.shape[-2:]
    counted = {title: found[1:] for title, found in times.items()}
    return [
        SliceTime(title, rows, columns, round(median(found), 1), round(min(found), 1), round(max(found), 1), runs, device)
        for title, found in counted.items()
    ]
