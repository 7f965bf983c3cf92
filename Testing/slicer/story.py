"""Base class of the user stories (`*_stories.py`): the panel with the sample study and a simple worker.

The stories run in a real Slicer (`run.py`) and in the project's test host (`Testing/gui/test_stories.py`). They need neither
network nor torch: a simple worker that speaks the same messages stands in for the engine's.
"""

import json
import shutil
import struct
import sys
import tempfile
import time
import unittest
from pathlib import Path

import numpy as np
import slicer

from ccdnn.acquisition import Acquisition
from ccdnn.model.card import Contrast, ModelCard
from ccdnn.model.header import CARD_KEY

SIMPLE_WORKER = Path(__file__).resolve().with_name("simple_worker.py")
CARD = ModelCard(
    name="simple",
    version="1",
    branch_width=2,
    contrasts=(Contrast("t1", Acquisition(522, 11)), Contrast("t2", Acquisition(3000, 80)), Contrast("gre", Acquisition(500, 10))),
    target=Contrast("stir", Acquisition(4478, 60, ti_ms=220)),
    normalisation={"strategy": "volume_percentile", "constants": {"percentile": 99.5, "foreground_fraction": 0.1}},
    training_data="None: it stands in for a model in tests.",
    seed=0,
    code_version="test",
    training={},
    licence="Apache-2.0",
    created="2026-01-01",
)


def writeCard(path: Path, card: ModelCard = CARD) -> None:
    """Write a model file with a card but without weights, which the panel does not read."""
    header = json.dumps({"__metadata__": {CARD_KEY: card.to_json()}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)


class Story(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp())
        slicer.mrmlScene.Clear(0)
        slicer.modules.ccdnnsynth.widgetRepresentation()
        self.widget = slicer.modules.CCDNNSynthWidget
        self.widget.enter()
        self.logic, self.ui = self.widget.logic, self.widget.synthesis.ui
        self.logic.worker.stop()
        self.ensurePackages = self.logic.ensurePackages
        self.logic.ensurePackages = lambda path, device: None
        self.useWorker()
        writeCard(self.folder / "simple.safetensors")
        self.widget.inputs.onSampleLink()
        self.parameters = self.logic.getParameterNode()
        self.parameters.model = str(self.folder / "simple.safetensors")
        self.settle()

    def tearDown(self):
        self.logic.worker.stop()
        self.logic.worker.command = type(self).command
        self.logic.ensurePackages = self.ensurePackages
        slicer.mrmlScene.Clear(0)
        shutil.rmtree(self.folder, ignore_errors=True)

    @classmethod
    def setUpClass(cls):
        slicer.modules.ccdnnsynth.widgetRepresentation()
        cls.command = staticmethod(slicer.modules.CCDNNSynthWidget.logic.worker.command)

    def useWorker(self, seconds=0.0):
        program = shutil.which("PythonSlicer") or sys.executable
        self.logic.worker.stop()
        self.logic.worker.command = lambda: (program, [str(SIMPLE_WORKER), str(seconds)])

    def settle(self, seconds=0.1):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            slicer.app.processEvents()
            time.sleep(0.005)

    def waitFor(self, condition, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, "timed out")
            slicer.app.processEvents()
            time.sleep(0.005)

    def apply(self):
        self.ui.applyButton.click()
        self.waitFor(lambda: not self.logic.running)
        self.settle()

    def results(self):
        return [n for n in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if n.GetAttribute("CCDNN_Notice")]

    def expected(self):
        inputs = (self.parameters.t1Volume, self.parameters.t2Volume, self.parameters.greVolume)
        return sum(slicer.util.arrayFromVolume(node).astype(np.float32) for node in inputs) / 6

    def assertReady(self):
        self.assertEqual(self.ui.applyButton.text, "Apply")
        self.assertTrue(self.ui.applyButton.enabled)
