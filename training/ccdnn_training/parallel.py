"""Process pools for work in independent parts."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any


def processes(jobs: int) -> ProcessPoolExecutor:
    """A pool of `jobs` processes with one thread each; more threads would only compete with the other processes."""
    return ProcessPoolExecutor(jobs, initializer=_one_thread)


def fresh_processes(jobs: int, start: Callable[..., None], *arguments: Any) -> ProcessPoolExecutor:
    """The same, but spawned instead of forked from this process; each process first calls `start(*arguments)`.

    Needed after this process has run a network or regressor: a fork would wait forever for OpenMP's threads, which are not copied.
    """
    return ProcessPoolExecutor(jobs, get_context("spawn"), _start, (start, arguments))


def _start(start: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    _one_thread()
    start(*arguments)


def _one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
