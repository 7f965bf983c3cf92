"""Commands that are asked to stop clean up, whoever asks."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stopping_like_ctrl_c() -> Iterator[None]:
    """Within the block, treat SIGTERM and SIGHUP like Ctrl-C, so that unfinished outputs are removed."""

    def stop(signum: int, _frame: FrameType | None) -> None:
        signal.signal(signum, signal.SIG_IGN)  # a second signal must not interrupt the clean-up
        raise KeyboardInterrupt

    names = ("SIGTERM", "SIGHUP") if threading.current_thread() is threading.main_thread() else ()
    former = {}
    for name in names:
        number = getattr(signal, name, None)
        # A signal that is already ignored stays ignored, as `nohup` requires.
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            former[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
