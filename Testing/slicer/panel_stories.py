"""From three volumes to a synthetic one, and what may go wrong."""

import os
import signal
import sys

import numpy as np
import slicer
from story import Story


class PanelStories(Story):
    def test_applyCreatesAVolumeMarkedAsSynthetic(self):
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

    def test_cancelLeavesTheSceneUnchanged(self):
        self.useWorker(0.2)
        before = slicer.mrmlScene.GetNumberOfNodes()
        self.ui.applyButton.click()
        self.waitFor(lambda: self.ui.progressBar.value > 0)
        self.assertEqual(self.ui.applyButton.text, "Cancel")
        self.ui.applyButton.click()
        self.waitFor(lambda: not self.logic.running)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), before)
        self.assertReady()

    def test_aKilledWorkerGivesAMessage(self):
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

    def test_theResultHasTheTransformOfTheInputs(self):
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        for node in (self.parameters.t1Volume, self.parameters.t2Volume, self.parameters.greVolume):
            node.SetAndObserveTransformNodeID(transform.GetID())
        self.apply()
        self.assertIs(self.results()[0].GetParentTransformNode(), transform)

    def test_torchIsNotImportedByTheApplication(self):
        self.apply()
        if "torch" in sys.modules and hasattr(slicer.app, "applicationVersion"):
            self.fail("torch was imported into Slicer's own process")

    def test_sampleDataModuleLoadsTheStudyWithoutNetwork(self):
        try:
            import SampleData
        except ImportError:
            self.skipTest("this application does not have a Sample Data module")
        from CCDNNSynthLib.Inputs.SampleStudy import CATEGORY, SAMPLE_NAME, VOLUMES, registerSampleStudy

        if not any(
            source.sampleName == SAMPLE_NAME for source in getattr(slicer.modules, "sampleDataSources", {}).get(CATEGORY, [])
        ):
            registerSampleStudy()  # the module was loaded after the application had started
        slicer.mrmlScene.Clear(0)
        nodes = SampleData.downloadSamples(SAMPLE_NAME)
        self.assertEqual([node.GetName() for node in nodes], [title for _file, title in VOLUMES.values()])
