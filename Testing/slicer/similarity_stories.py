"""Image similarity of the sample study's STIR and a synthetic one: measured slice by slice, inside a mask, saved, interrupted."""

import unittest
from importlib.util import find_spec

import numpy as np
import slicer
from story import Story

from ccdnn.measure.similarity import Measure, scaled_pair, similarity
from ccdnn.measure.similarity_table import overlap_by_slice
from CCDNNSynthLib.Scene.SceneVolumes import gridOf
from CCDNNSynthLib.Scene.Tables import tableOf

SLICES = 5  # of the study's 24, so that a story takes seconds


class SimilarityStories(Story):
    def setUp(self):
        super().setUp()
        self.panel, self.ui = self.widget.similarity, self.widget.similarity.ui
        self.ui.similaritySection.collapsed = False
        self.asked, self.panel.ensureScikitImage = self.panel.ensureScikitImage, lambda: None
        stir = self.parameters.stirVolume
        self.matrix = gridOf(stir).ijk_to_ras
        self.array = slicer.util.arrayFromVolume(stir)[:SLICES].astype(np.float32)
        self.parameters.stirVolume = self.acquired = slicer.util.addVolumeFromArray(self.array, self.matrix, "acquired")
        noise = np.random.default_rng(0).normal(0, 0.02 * self.array.max(), self.array.shape)
        self.image = np.maximum(0.7 * self.array + noise, 0).astype(np.float32)
        self.synthetic = slicer.util.addVolumeFromArray(self.image, self.matrix, "computed")
        self.parameters.syntheticVolume = self.synthetic
        self.settle()

    def tearDown(self):
        self.panel.ensureScikitImage = self.asked
        super().tearDown()

    def compute(self):
        self.ui.computeButton.click()
        self.waitFor(lambda: self.ui.computeButton.text == "Compute", 120)
        self.check()

    def check(self):
        """Wait until the panel has checked whether the values are current."""
        self.settle()
        self.waitFor(lambda: not self.panel.staleness.pending)

    def isStale(self):
        self.check()
        return "press Compute" in self.ui.staleLabel.text

    def volumeRow(self):
        table = tableOf(self.parameters.similarityTable)
        return {column.name: cell for column, cell in zip(table.columns, table.rows[0], strict=True)}

    def assertMeasured(self, mask=None):
        row = self.volumeRow()
        for expected in similarity(self.image, self.array, self.parameters.similarityScaling, mask=mask):
            np.testing.assert_allclose(row[expected.name], expected.value, atol=1e-6)  # NaN equals NaN

    def sliceShown(self):
        """Slice in the view that shows the plane of the slices."""
        node = slicer.mrmlScene.GetSingletonNode("Yellow", "vtkMRMLSliceNode")
        middle = [node.GetSliceToRAS().GetElement(row, 3) for row in range(3)]
        return round((np.linalg.inv(self.matrix) @ [*middle, 1])[2])

    def mask(self):
        """Add a segmentation of one segment, a box in the acquired volume; returns it, the segment's ID and the box."""
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mask")
        node.CreateDefaultDisplayNodes()
        node.SetReferenceImageGeometryParameterFromVolumeNode(self.acquired)
        segmentID = node.GetSegmentation().AddEmptySegment("", "box")
        box = np.zeros(self.array.shape, np.uint8)
        box[1:4, 100:280, 100:280] = 1
        slicer.util.updateSegmentBinaryLabelmapFromArray(box, node, segmentID, self.acquired)
        return node, segmentID, box

    def test_theTableContainsTheValuesOfTheEngine(self):
        self.compute()
        self.assertMeasured()
        self.assertFalse(self.isStale())
        self.assertTrue(self.ui.similarityTableView.visible)
        self.assertEqual(self.ui.similarityTableView.model().rowCount(), SLICES + 1)
        if find_spec("skimage") is None:
            self.assertIn("need scikit-image", self.ui.notesLabel.text)
        self.parameters.overlapThreshold = 0.2
        self.check()
        pair = scaled_pair(self.image, self.array, self.parameters.similarityScaling)
        overlaps = overlap_by_slice(pair, 0.2)
        both, total = sum(each.both for each in overlaps), sum(each.image + each.reference for each in overlaps)
        self.assertAlmostEqual(self.volumeRow()["Dice"], 2 * both / total, places=9)

    def test_insideASegment(self):
        node, segmentID, box = self.mask()
        self.parameters.maskSegmentation = node
        self.settle()
        self.assertEqual(
            [self.ui.segmentSelector.itemText(i) for i in range(self.ui.segmentSelector.count)], ["Whole volume", "box"]
        )
        self.ui.segmentSelector.currentIndex = 1
        self.assertEqual(self.parameters.maskSegment, segmentID)
        self.compute()
        self.assertMeasured(box)
        box[1:4, 100:280, 100:110] = 0
        slicer.util.updateSegmentBinaryLabelmapFromArray(box, node, segmentID, self.acquired)
        self.assertTrue(self.isStale())

    def test_aChangedVolumeIsNoticed(self):
        self.compute()
        before = float(self.array[2, 200, 200])
        for value, stale in ((before + 50, True), (before, False)):
            slicer.util.arrayFromVolume(self.acquired)[2, 200, 200] = value
            slicer.util.arrayFromVolumeModified(self.acquired)
            self.assertEqual(self.isStale(), stale)

    def test_aRowAndAPointLeadToTheSlice(self):
        self.compute()
        model = self.ui.similarityTableView.model()
        clicked = self.ui.similarityTableView.clicked
        for row in (4, 2):
            getattr(clicked, "emit", clicked)(model.index(row, 0))  # PythonQt emits a signal when it is called
            self.assertEqual(self.sliceShown(), row - 1)
        self.ui.plotButton.click()
        self.settle()
        selection = slicer.app.applicationLogic().GetSelectionNode()
        self.assertEqual(selection.GetActivePlotChartID(), self.parameters.similarityChart.GetID())

    def test_theChartFollowsTheMeasure(self):
        self.compute()
        chart = self.parameters.similarityChart
        for measure, title in ((Measure.MSE, "MSE"), (Measure.PSNR, "PSNR (dB)")):
            self.parameters.similarityMeasure = measure
            self.settle()
            self.assertEqual(chart.GetYAxisTitle(), title)

    def test_aSavedSceneStoresWhatWasMeasured(self):
        self.compute()
        row, notes = self.volumeRow(), self.ui.notesLabel.text
        folder = self.folder / "saved"
        self.assertTrue(slicer.util.saveScene(str(folder)))
        slicer.mrmlScene.Clear(0)
        self.settle()
        self.assertFalse(self.ui.similarityTableView.visible)
        slicer.util.loadScene(str(folder / "saved.mrml"))
        self.widget.enter()
        self.parameters = self.logic.getParameterNode()
        self.assertFalse(self.isStale())
        self.assertEqual(self.ui.notesLabel.text, notes)
        for name in ("MSE", "PSNR", "Dice"):
            np.testing.assert_allclose(self.volumeRow()[name], row[name], rtol=1e-4)
        self.parameters.syntheticVolume = self.parameters.stirVolume
        self.assertTrue(self.isStale())

    def test_aCancelledOrInterruptedRunLeavesNothing(self):
        for interrupt in (
            lambda: self.ui.computeButton.click(),
            lambda: slicer.mrmlScene.RemoveNode(self.synthetic),
            lambda: slicer.mrmlScene.Clear(0),
        ):
            self.ui.computeButton.click()
            self.assertEqual(self.ui.computeButton.text, "Cancel")
            interrupt()
            self.settle()
            self.assertEqual(self.ui.computeButton.text, "Compute")
            self.assertEqual([n for n in slicer.util.getNodesByClass("vtkMRMLTableNode") if not n.GetHideFromEditors()], [])
            if self.logic.getParameterNode().stirVolume is not None:
                self.parameters.syntheticVolume = self.synthetic = slicer.util.addVolumeFromArray(self.image, self.matrix)
                self.settle()

    def test_theDifferenceIsShown(self):
        self.ui.differenceButton.click()
        difference = self.parameters.differenceVolume
        pair = scaled_pair(self.image, self.array, self.parameters.similarityScaling)
        np.testing.assert_allclose(slicer.util.arrayFromVolume(difference), pair.image.array - pair.reference.array, atol=1e-6)
        view = slicer.mrmlScene.GetSingletonNode("Red", "vtkMRMLSliceCompositeNode")
        self.assertEqual(view.GetForegroundVolumeID(), difference.GetID())

    @unittest.skipIf(find_spec("SimpleITK") is None, "this build of Slicer does not have SimpleITK")
    def test_aVolumeOnAnotherGridIsResampled(self):
        moved = self.matrix.copy()
        moved[1, 3] += 5
        self.parameters.syntheticVolume = slicer.util.addVolumeFromArray(self.image, moved, "moved")
        self.settle()
        self.compute()
        self.assertIn("that both volumes cover", self.ui.notesLabel.text)
        self.assertLess(self.volumeRow()["voxels"], self.array.size)
