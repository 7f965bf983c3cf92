"""Calls a function a little later, once for several requests."""

from collections.abc import Callable

import qt


class Delay:
    def __init__(self, call: Callable[[], None], milliseconds: int = 0):
        """:param milliseconds: how long after `start`; 0 is the next turn of the event loop."""
        self._call = call
        # In PythonQt, the function `singleShot` hides the property of that name, so the timer is stopped by hand.
        self._timer = qt.QTimer()
        self._timer.interval = milliseconds
        self._timer.timeout.connect(self._onTimeout)

    @property
    def active(self) -> bool:
        """Whether the function is still to be called."""
        return self._timer.active

    def start(self) -> None:
        """Call the function after the delay, which starts again if it had been started."""
        self._timer.start()

    def stop(self) -> None:
        self._timer.stop()

    def _onTimeout(self) -> None:
        self.stop()
        self._call()
