"""The stories that `make slicer-test` runs in a real Slicer, and the module's own test, run in the test host."""

from __future__ import annotations

import importlib.util
import sys
import unittest
from pathlib import Path

import pytest
import qt_stand_in

STORIES = Path(__file__).resolve().parents[1] / "slicer" / "stories.py"


def load_stories():
    """The file by its path, for its folder is called as the package `slicer` is."""
    qt_stand_in.use_python_qt_style("stories")
    spec = importlib.util.spec_from_file_location("stories", STORIES)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


stories = load_stories()


@pytest.mark.parametrize("name", unittest.defaultTestLoader.getTestCaseNames(stories.PanelStories))
def test_story(panel, name):
    result = unittest.TestResult()
    unittest.TestSuite([stories.PanelStories(name)]).run(result)
    assert result.testsRun == 1 and result.wasSuccessful(), [trace for _case, trace in result.failures + result.errors]


def test_own_test_of_the_module(panel):
    sys.modules["CCDNNSynth"].CCDNNSynthTest().runTest()
