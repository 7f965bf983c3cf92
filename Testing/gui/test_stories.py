"""The stories that `make slicer-test` runs in a real Slicer, and the module's own test, run in the test host."""

from __future__ import annotations

import importlib.util
import sys
import unittest
from pathlib import Path

import pytest
from testing_host import qt_stand_in

STORIES = Path(__file__).resolve().parents[1] / "slicer"


def load(path: Path):
    """Load a file by its path, because its folder has the same name as the package `slicer`."""
    qt_stand_in.use_python_qt_style(path.stem)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    sys.modules[path.stem] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


load(STORIES / "story.py")
CASES = [
    pytest.param(case, id=case.id().partition(".")[2])
    for path in sorted(STORIES.glob("*_stories.py"))
    for suite in unittest.defaultTestLoader.loadTestsFromModule(load(path))
    for case in suite
]


@pytest.mark.parametrize("case", CASES)
def test_story(panel, case):
    result = unittest.TestResult()
    unittest.TestSuite([case]).run(result)
    assert result.testsRun == 1 and result.wasSuccessful(), [trace for _case, trace in result.failures + result.errors]


def test_own_test_of_the_module(panel):
    sys.modules["CCDNNSynth"].CCDNNSynthTest().runTest()
