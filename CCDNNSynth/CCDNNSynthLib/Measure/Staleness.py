"""Warns when a measured table no longer has the values that a measurement would give now."""

from collections.abc import Callable

from CCDNNSynthLib import Messages
from CCDNNSynthLib.Delay import Delay
from CCDNNSynthLib.Scene.Watch import Watch

# Checking reads all voxels, so it waits until changes have paused.
CHECK_MS = 300


class Staleness:
    def __init__(self, label, problem: Callable[[], str]):
        """
        :param label: shows the warning.
        :param problem: returns the sentence to show; "" if the values are current, or if there are none.
        """
        self._label, self._problem, self._compared = label, problem, None
        self._delay = Delay(self._check, CHECK_MS)
        self._watch = Watch(self._delay.start)

    @property
    def pending(self) -> bool:
        """Whether a change is still to be checked."""
        return self._delay.active

    def follow(self, nodes, compared) -> None:
        """Check after every change of `nodes`, and now if `compared`, which identifies values and choices, has changed."""
        self._watch.watch(*nodes)
        if compared != self._compared:
            self._compared = compared
            self._delay.start()

    def close(self) -> None:
        self._delay.stop()
        self._watch.close()

    def _check(self) -> None:
        Messages.show(self._label, "warning", self._problem())
