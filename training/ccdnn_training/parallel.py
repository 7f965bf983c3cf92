"""Processes for work that falls into independent parts."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor


def processes(jobs: int) -> ProcessPoolExecutor:
    """So many processes of one thread each: more threads would only compete with the other processes."""
    return ProcessPoolExecutor(jobs, initializer=_one_thread)


def _one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
