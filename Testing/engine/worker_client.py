"""A client of `python -m ccdnn.worker` without Qt: what Slicer's side does, in plain Python, for tests."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ccdnn.series import Role
from ccdnn.volume import Volume
from ccdnn.worker.messages import ArrayFile, ModelChoice, Synthesize, encode

ENGINE_ROOT = Path(__file__).resolve().parents[2] / "CCDNNSynth"
START = ("-m", "ccdnn.worker")
# Importing torch takes seconds on a busy machine.
PATIENCE_SECONDS = 120.0

Event = dict[str, Any]


class WorkerClient:
    """A running worker. Every line of its stdout must be an event, or reading it fails."""

    def __init__(self, start: Sequence[str] = START, **environment: str) -> None:
        paths = os.pathsep.join(filter(None, (environment.pop("PYTHONPATH", ""), str(ENGINE_ROOT))))
        self.process = subprocess.Popen(
            [sys.executable, *start],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment, "PYTHONPATH": paths},
        )
        self._events: queue.SimpleQueue[Event | Exception | None] = queue.SimpleQueue()
        self._stderr: list[bytes] = []
        self._threads = [threading.Thread(target=read, daemon=True) for read in (self._read_events, self._read_stderr)]
        for thread in self._threads:
            thread.start()

    def _read_events(self) -> None:
        for line in self.process.stdout:
            try:
                self._events.put(json.loads(line))
            except ValueError as error:
                self._events.put(error)
        self._events.put(None)

    def _read_stderr(self) -> None:
        self._stderr.extend(self.process.stderr)

    def send(self, request: Any) -> None:
        """Send a request, an object that is none, or bare bytes."""
        to_json = getattr(request, "to_json", lambda: request)
        self.process.stdin.write(request + b"\n" if isinstance(request, bytes) else encode(to_json()))
        self.process.stdin.flush()

    def next_event(self, timeout: float = PATIENCE_SECONDS) -> Event:
        event = self._events.get(timeout=timeout)
        if isinstance(event, Exception):
            raise event
        if event is None:
            raise EOFError(f"the worker has ended: {self.stderr}")
        return event

    def until(self, *kinds: str) -> list[Event]:
        """The events up to the first of these kinds, that one last."""
        events = [self.next_event()]
        while events[-1]["event"] not in kinds:
            events.append(self.next_event())
        return events

    def answer(self, request: Any) -> list[Event]:
        """The events of a request, its result, cancellation or error last."""
        self.send(request)
        return self.until("result", "cancelled", "error")

    def end(self) -> int:
        """Close stdin and wait for the exit code."""
        self.process.stdin.close()
        return self.wait()

    def wait(self, timeout: float = 30.0) -> int:
        return self.process.wait(timeout)

    @property
    def stderr(self) -> str:
        """All of it, once the process has ended."""
        self._threads[1].join(timeout=5)
        return b"".join(self._stderr).decode(errors="replace")


@contextmanager
def running(start: Sequence[str] = START, **environment: str) -> Iterator[WorkerClient]:
    """A worker that has said it is ready, and that is gone afterwards whatever happened."""
    client = WorkerClient(start, **environment)
    try:
        assert client.next_event()["event"] == "ready"
        yield client
    finally:
        client.process.kill()
        client.process.wait()
        for pipe in (client.process.stdin, client.process.stdout, client.process.stderr):
            pipe.close()


def patched(code: str) -> tuple[str, str]:
    """A worker that runs `code` before it starts."""
    return "-c", f"{code}\nimport runpy; runpy.run_module('ccdnn.worker', run_name='__main__')"


def write_array(volume: Volume, folder: Path, dtype: str = "float32", **changes: Any) -> ArrayFile:
    """The voxels of a volume as a bare file, and the entry of a request that leads to it."""
    path = folder / f"{volume.name}.raw"
    volume.array.astype(dtype).tofile(path)
    entries = {"shape": volume.array.shape, "ijk_to_ras": volume.ijk_to_ras.tolist(), "name": volume.name, "path": path}
    return ArrayFile(**{**entries, "dtype": dtype, **changes})


def synthesis(
    request_id: int | str, volumes: Mapping[Role, Volume], model: Path, folder: Path, dtype: str = "float32", **changes: Any
) -> Synthesize:
    """A request to run `model` on these volumes, its arrays in `folder`."""
    inputs = {role: write_array(volume, folder, dtype) for role, volume in volumes.items()}
    entries = {"inputs": inputs, "output": folder / "output.raw", "model": ModelChoice(path=model)}
    return Synthesize(request_id, **{**entries, "device": "cpu", "precision": "fp32", **changes})


def read_output(result: Event) -> np.ndarray:
    return np.fromfile(result["output"], np.float32).reshape(result["shape"])
