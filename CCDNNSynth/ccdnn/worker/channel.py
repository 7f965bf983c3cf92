"""The worker's ends of the two pipes: requests are read in a thread, so that a cancel is received while the network computes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any, BinaryIO

from ccdnn.worker.messages import Cancel, Hello, Id, MessageError, Shutdown, Synthesize, encode, parse_request

# How long a batch of slices in progress may take to notice that its result is no longer wanted.
GRACE_SECONDS = 5.0

# The maximum length of a request; a real one takes a few kilobytes.
LONGEST_LINE = 1 << 20

# A client that leaves this many answers to bad requests unread is not reading at all.
MOST_UNREAD = 10_000


class Channel:
    """Requests in, events out.

    Args:
        requests, events: binary streams with one JSON object per line.
        leave: ends the process immediately, regardless of its other threads.
    """

    def __init__(self, requests: BinaryIO, events: BinaryIO, leave: Callable[[int], Any] = os._exit) -> None:
        self._requests, self._events, self._leave = requests, events, leave
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        self._waiting: SimpleQueue[Hello | Synthesize | None] = SimpleQueue()
        self._open_ids: set[Id] = set()
        self._cancelled_ids: set[Id] = set()
        self._closing = threading.Event()
        self._finished = threading.Event()

    def start(self) -> None:
        """Start reading requests and writing events."""
        self._writer = threading.Thread(target=self._write, name="events", daemon=True)
        self._writer.start()
        threading.Thread(target=self._read, name="requests", daemon=True).start()

    def next_request(self) -> Hello | Synthesize | None:
        """Wait for the next request; None after the last one."""
        request = self._waiting.get()
        return None if self._closing.is_set() else request

    def is_cancelled(self, request_id: Id) -> bool:
        """Whether the client no longer wants the result of this request."""
        return self._closing.is_set() or request_id in self._cancelled_ids

    def close_request(self, request_id: Id) -> None:
        """Forget an answered request, so that its id may be used again."""
        self._open_ids.discard(request_id)
        self._cancelled_ids.discard(request_id)

    def finish(self) -> None:
        """Mark the last request as answered, so that the process can end normally once its events are written."""
        self._lines.put(None)
        self._writer.join()
        self._finished.set()

    def emit(self, event: str, request_id: Id | None, **fields: Any) -> None:
        """Send an event. A client that does not read its events blocks neither the network nor the reading of requests."""
        self._lines.put(encode({"event": event, "id": request_id, **fields}))

    def _write(self) -> None:
        """Write events. If the client has closed the pipe, the process ends."""
        while (line := self._lines.get()) is not None:
            try:
                self._events.write(line)
                self._events.flush()
            except (OSError, ValueError):
                self._leave(1)
                return

    def _request_lines(self) -> Iterator[bytes]:
        """The lines. A line that is too long is truncated, which makes it invalid JSON, and is answered as such."""
        while line := self._requests.readline(LONGEST_LINE):
            yield line
            while line and not line.endswith(b"\n"):
                line = self._requests.readline(LONGEST_LINE)

    def _read(self) -> None:
        for line in self._request_lines():
            if not line.strip():
                continue
            try:
                request = parse_request(line)
            except MessageError as error:
                if self._lines.qsize() > MOST_UNREAD:
                    self._leave(1)
                    return
                self.emit("error", error.request_id, kind=error.kind, text=str(error), exit_code=error.exit_code)
                continue
            if isinstance(request, Shutdown):
                break
            if isinstance(request, Cancel):
                # A cancel for a request that was already answered or never made must not stop a later one.
                self._cancelled_ids |= {request.id} & self._open_ids
                continue
            self._open_ids.add(request.id)
            self._waiting.put(request)
        self._closing.set()
        self._waiting.put(None)
        # No worker outlives its client, even if it hangs in a driver: nobody can use its result.
        if not self._finished.wait(GRACE_SECONDS):
            self._leave(0)
