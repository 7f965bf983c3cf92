"""The process: `python -m ccdnn.worker`. It runs until its stdin closes. `ccdnn.worker.messages` describes the requests."""

from __future__ import annotations

import os
import platform
import signal
import sys
from functools import partial
from typing import BinaryIO

from ccdnn import __version__
from ccdnn.worker.channel import Channel
from ccdnn.worker.messages import MESSAGES_VERSION
from ccdnn.worker.service import Service


def main() -> int:
    """Answer requests until there are no more."""
    # Ctrl-C in Slicer's terminal reaches its child processes too; they end when Slicer closes their stdin.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = Channel(sys.stdin.buffer, _claim_stdout())
    channel.start()
    service = Service(channel.emit)
    channel.emit("ready", None, protocol=MESSAGES_VERSION, engine=__version__, python=platform.python_version(), pid=os.getpid())
    while (request := channel.next_request()) is not None:
        service.answer(request, partial(channel.is_cancelled, request.id))
        channel.close_request(request.id)
    channel.finish()
    return 0


def _claim_stdout() -> BinaryIO:
    """Reserve stdout for events; all other output, from Python or C libraries, goes to stderr from now on."""
    sys.stdout.flush()
    events = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sys.stdout = sys.stderr
    return events


if __name__ == "__main__":
    raise SystemExit(main())
