"""The stand-in's timers wait as long as those of PythonQt. A timer of 0 ms keeps a core busy, which slows the worker beside it."""

import time

import pytest
from testing_host import slicer_host

from CCDNNSynthLib.Delay import Delay


def test_a_delay_waits(panel):
    called = []
    delay = Delay(lambda: called.append(time.perf_counter()), 200)
    before = time.perf_counter()
    delay.start()
    slicer_host.wait_until(lambda: called)
    assert 0.19 < called[0] - before < 2


def test_a_timer_still_refuses_the_property_that_pythonqt_hides(panel):
    import qt

    with pytest.raises(AttributeError, match="singleShot"):
        qt.QTimer().singleShot = True
