"""The user's stories, as they run in a real Slicer (`run.py`) and in the project's test host (`Testing/gui/test_stories.py`).

They need no network and no torch: a simple worker that speaks the protocol stands in for the engine's.
"""

import json
import os
import shutil
import signal
import struct
import sys
import tempfile
import time
import unittest
from pathlib import Path

import numpy as np
import slicer

from ccdnn.model.card import Contrast, ModelCard, Protocol
from ccdnn.model.header import CARD_KEY

SIMPLE_WORKER = Path(__file__).resolve().with_name("simple_worker.py")
CARD = ModelCard(
    name="simple",
    version="1",
    branch_width=2,
    contrasts=(Contrast("t1", Protocol(522, 11)), Contrast("t2", Protocol(3000, 80)), Contrast("gre", Protocol(500, 10))),
    target=Contrast("stir", Protocol(4478, 60, ti_ms=220)),
    normalisation={"strategy": "volume_percentile", "constants": {"percentile": 99.5, "foreground_fraction": 0.1}},
    training_data="None: it stands in for a model in tests.",
    seed=0,
    code_version="test",
    training={},
    licence="Apache-2.0",
    created="2026-01-01",
)


def writeCard(path: Path) -> None:
    """A model file that has a card and no weights, all that the panel itself reads."""
    header = json.dumps({"__metadata__": {CARD_KEY: CARD.to_json()}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)


class PanelStories(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp())
        slicer.mrmlScene.Clear(0)
        slicer.modules.ccdnnsynth.widgetRepresentation()
        self.widget = slicer.modules.CCDNNSynthWidget
        self.widget.enter()
        self.logic, self.ui = self.widget.logic, self.widget.synthesis.ui
        self.logic.worker.stop()
        self.ensurePackages = self.logic.ensurePackages
        self.logic.ensurePackages = lambda path: None
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

    def test_applyMakesAVolumeThatSaysWhatItIs(self):
        self.apply()
        (result,) = self.results()
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(result), self.expected())
        self.assertEqual(result.GetName(), "synthetic STIR (simple 1)")
        self.assertIs(result.GetNodeReference("CCDNN_t1"), self.parameters.t1Volume)
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        items = [hierarchy.GetItemByDataNode(node) for node in (result, self.parameters.t1Volume)]
        if all(items):
            self.assertEqual(*[hierarchy.GetItemParent(item) for item in items])
        self.assertReady()

    def test_theSecondRunUsesTheWarmWorker(self):
        self.apply()
        pid = self.logic.worker.pid
        self.apply()
        self.assertEqual(self.logic.worker.pid, pid)
        self.assertEqual(len(self.results()), 2)

    def test_previewComputesOneSlice(self):
        self.ui.previewButton.click()
        self.waitFor(lambda: not self.logic.running)
        (preview,) = self.results()
        index = int(preview.GetAttribute("CCDNNSynth.PreviewOfSlice"))
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(preview)[0], self.expected()[index])

    def test_cancelLeavesTheSceneAsItWas(self):
        self.useWorker(0.2)
        before = slicer.mrmlScene.GetNumberOfNodes()
        self.ui.applyButton.click()
        self.waitFor(lambda: self.ui.progressBar.value > 0)
        self.assertEqual(self.ui.applyButton.text, "Cancel")
        self.ui.applyButton.click()
        self.waitFor(lambda: not self.logic.running)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), before)
        self.assertReady()

    def test_aKilledWorkerEndsInASentence(self):
        self.useWorker(0.2)
        before = slicer.mrmlScene.GetNumberOfNodes()
        self.ui.applyButton.click()
        self.waitFor(lambda: self.ui.progressBar.value > 0)
        os.kill(self.logic.worker.pid, signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
        self.waitFor(lambda: not self.logic.running)
        self.assertIn("ended", self.ui.statusLabel.text)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), before)
        self.assertReady()
        self.useWorker()
        self.apply()
        self.assertEqual(len(self.results()), 1)

    def test_closingTheSceneStopsTheRun(self):
        self.useWorker(0.2)
        self.ui.applyButton.click()
        self.waitFor(lambda: self.ui.progressBar.value > 0)
        slicer.mrmlScene.Clear(0)
        self.waitFor(lambda: not self.logic.running)
        self.assertEqual(self.results(), [])

    def test_aSavedSceneRestoresChoicesAndResult(self):
        self.apply()
        array = slicer.util.arrayFromVolume(self.results()[0]).copy()
        folder = self.folder / "saved"
        self.assertTrue(slicer.util.saveScene(str(folder)))
        slicer.mrmlScene.Clear(0)
        slicer.util.loadScene(str(folder / "saved.mrml"))
        (result,) = self.results()
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(result), array)
        parameters = self.logic.getParameterNode()
        self.assertEqual(parameters.t2Volume.GetName(), "Sample knee T2")
        self.assertEqual(parameters.model, str(self.folder / "simple.safetensors"))

    def test_transformOfTheInputsIsAboveTheResultToo(self):
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        for node in (self.parameters.t1Volume, self.parameters.t2Volume, self.parameters.greVolume):
            node.SetAndObserveTransformNodeID(transform.GetID())
        self.apply()
        self.assertIs(self.results()[0].GetParentTransformNode(), transform)

    def test_torchIsNotImportedByTheApplication(self):
        self.apply()
        if "torch" in sys.modules and hasattr(slicer.app, "applicationVersion"):
            self.fail("torch was imported into Slicer's own process")
