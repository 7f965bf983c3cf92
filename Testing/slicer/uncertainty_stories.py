"""The uncertainty of a result: from the run to the review, the measurements and the report."""

from dataclasses import replace

import numpy as np
import slicer
import vtk
from story import CARD, Story, writeCard

from ccdnn.measure.contrast import HALF_WIDTH, PROBABILITY
from ccdnn.model.uncertainty import RegionError, Uncertainty
from CCDNNSynthLib.Parameters import CompareMode
from CCDNNSynthLib.Review.UncertaintyOverlay import UncertaintyOverlay
from CCDNNSynthLib.Scene.Regions import addOutline
from CCDNNSynthLib.Scene.UncertaintyVolume import isUncertainty, uncertaintyOf

SHARE = 0.1  # of the result's voxels, by `simple_worker.py`


class UncertaintyStories(Story):
    def setUp(self):
        super().setUp()
        estimate = Uncertainty(1, {"": (0.7, 1.3, 2.0)}, RegionError(1.0, 0.25, 40.0), "nobody", "none")
        path = self.folder / "estimating.safetensors"
        writeCard(path, replace(CARD, name="estimating", uncertainty=estimate))
        self.parameters.model = str(path)
        self.settle()

    def computed(self):
        """Run; returns the result and its uncertainty."""
        self.apply()
        result = self.parameters.syntheticVolume
        return result, uncertaintyOf(result)

    def opened(self, button):
        """Open a layout of the review with the uncertainty; returns the overlay."""
        if slicer.app.layoutManager() is None:
            self.skipTest("this application is running without views")
        ui = self.widget.review.ui
        ui.reviewSection.collapsed = False
        getattr(ui, button).click()
        self.settle()
        if not self.parameters.uncertaintyShown:
            self.assertTrue(ui.uncertaintyBox.enabled)
            ui.uncertaintyBox.click()
            self.settle()
        return self.widget.review.review.overlay

    def test_aRunGivesAResultAndItsUncertainty(self):
        result, uncertainty = self.computed()
        np.testing.assert_allclose(slicer.util.arrayFromVolume(uncertainty), SHARE * self.expected(), rtol=1e-6)
        self.assertEqual(uncertainty.GetName(), f"uncertainty of {result.GetName()}")
        self.assertTrue(isUncertainty(uncertainty))
        self.assertIs(result.GetNodeReference("CCDNN_uncertainty"), uncertainty)
        self.assertIn("can be shown over it in Review", self.ui.statusLabel.text)
        for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            shown = (composite.GetBackgroundVolumeID(), composite.GetForegroundVolumeID(), composite.GetLabelVolumeID())
            self.assertNotIn(uncertainty.GetID(), shown)

    def test_theUncertaintyIsNoInputAndNoResult(self):
        result, uncertainty = self.computed()
        node, inputs = self.parameters, self.widget.inputs.ui
        chosen = (node.t1Volume, node.t2Volume, node.greVolume, node.stirVolume)
        self.widget.inputs.onDetect()
        self.assertEqual((node.t1Volume, node.t2Volume, node.greVolume, node.stirVolume), chosen)
        for selector in (inputs.t1Selector, inputs.stirSelector, self.ui.outputSelector, self.widget.review.ui.syntheticSelector):
            self.assertIn(uncertainty.GetID(), selector.sortFilterProxyModel().hiddenNodeIDs)
        self.assertIs(node.syntheticVolume, result)

    def test_theNextRunReplacesTheUncertaintyOfItsOutput(self):
        result, uncertainty = self.computed()
        self.parameters.outputVolume = result
        self.parameters.t1Volume = self.parameters.t2Volume
        self.apply()
        self.assertIs(uncertaintyOf(result), uncertainty)
        np.testing.assert_allclose(slicer.util.arrayFromVolume(uncertainty), SHARE * self.expected(), rtol=1e-6)
        self.parameters.model = str(self.folder / "simple.safetensors")
        self.apply()
        self.assertIsNone(result.GetNodeReference("CCDNN_uncertainty"))
        self.assertFalse(slicer.mrmlScene.IsNodePresent(uncertainty))

    def test_aSavedSceneRestoresTheUncertainty(self):
        _result, uncertainty = self.computed()
        array = slicer.util.arrayFromVolume(uncertainty).copy()
        folder = self.folder / "saved"
        self.assertTrue(slicer.util.saveScene(str(folder)))
        slicer.mrmlScene.Clear(0)
        slicer.util.loadScene(str(folder / "saved.mrml"))
        self.widget.enter()
        self.parameters = self.logic.getParameterNode()
        restored = uncertaintyOf(self.parameters.syntheticVolume)
        np.testing.assert_allclose(slicer.util.arrayFromVolume(restored), array)
        self.assertIn("95%", restored.GetAttribute("CCDNN_Interval"))

    def test_everyLayoutOfTheReviewShowsItOverTheSynthetic(self):
        _result, uncertainty = self.computed()
        for button in ("sideBySideButton", "gridButton", "singleButton"):
            overlay = self.opened(button)
            self.assertIsInstance(overlay, UncertaintyOverlay)
            self.assertIs(overlay.volume, uncertainty)
            self.assertTrue(overlay.visible)
        for mode in CompareMode:
            self.parameters.compareMode = mode
            self.settle()
            self.assertTrue(self.widget.review.review.overlay.visible)
        self.widget.review.ui.uncertaintySlider.value = 0.4
        self.settle()
        self.assertAlmostEqual(self.parameters.uncertaintyOpacity, 0.4)
        self.widget.review.ui.uncertaintyBox.click()
        self.settle()
        self.assertIsNone(self.widget.review.review.overlay)

    def test_theOverlayEndsWithTheReviewTheVolumeAndTheScene(self):
        result, uncertainty = self.computed()
        review = self.widget.review.review
        self.opened("sideBySideButton")
        self.widget.review.ui.leaveButton.click()
        self.settle()
        self.assertIsNone(review.overlay)
        self.assertFalse(self.widget.review.ui.uncertaintyBox.enabled)
        self.opened("singleButton")
        slicer.mrmlScene.RemoveNode(uncertainty)
        self.settle()
        self.assertIsNone(review.overlay)
        self.assertTrue(review.isOpen)
        self.assertFalse(self.widget.review.ui.uncertaintyBox.enabled)
        self.parameters.outputVolume = result
        self.apply()
        self.assertIs(review.overlay.volume, uncertaintyOf(result))
        slicer.mrmlScene.Clear(0)
        self.settle()
        self.assertIsNone(review.overlay)

    def test_theUncertaintyFollowsItsResult(self):
        result, uncertainty = self.computed()
        self.opened("sideBySideButton")
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        result.SetAndObserveTransformNodeID(transform.GetID())
        self.settle()
        self.assertIs(uncertainty.GetParentTransformNode(), transform)

    def test_aLesionIsComparedWithMarrow(self):
        result, _uncertainty = self.computed()
        self.parameters.cnrPairs = "lesion/marrow"
        self.widget.cnr.ui.cnrSection.collapsed = False
        for tissue, low, high in (("lesion", (150, 150), (169, 159)), ("marrow", (200, 150), (219, 159))):
            outline = addOutline(self.parameters, tissue)
            outline.SetCurveTypeToLinear()
            for corner in self.square(result, low, high):
                outline.AddControlPointWorld(*corner)
        self.settle()
        self.widget.cnr.ui.measureButton.click()
        table = self.parameters.cnrTable.GetTable()
        row = {table.GetColumnName(c): table.GetColumn(c).GetValue(0) for c in range(table.GetNumberOfColumns())}
        self.assertGreater(row[HALF_WIDTH], 0)
        self.assertTrue(0 <= row[PROBABILITY] <= 1)
        self.assertIn("Lesion check", self.widget.cnr.ui.volumesLabel.text)

    def test_aProfileHasTheBoundsOfTheInterval(self):
        result, uncertainty = self.computed()
        line = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsLineNode")
        for point in self.square(result, (120, 190), (260, 190))[:2]:
            line.AddControlPointWorld(*point)
        self.parameters.profileLine = line
        self.settle()
        profiles = self.widget.lineProfiles.profiles
        np.testing.assert_allclose(profiles.half_width, SHARE * np.array(profiles.values["synthetic STIR"]), rtol=1e-5)
        chart = self.parameters.profileChart
        widths = {
            series.GetName(): series.GetLineWidth()
            for series in (chart.GetNthPlotSeriesNode(n) for n in range(chart.GetNumberOfPlotSeriesNodes()))
        }
        self.assertEqual(widths["95 % interval, lower"], 1)
        self.assertEqual(widths["synthetic STIR"], 2)
        slicer.util.arrayFromVolume(uncertainty)[:] = 1
        slicer.util.arrayFromVolumeModified(uncertainty)
        self.waitFor(lambda: (self.widget.lineProfiles.profiles.half_width == 1).all())

    @staticmethod
    def square(volume, low, high, k=10):
        """World positions of the corners of a square of voxels, half a voxel outside them."""
        matrix = vtk.vtkMatrix4x4()
        volume.GetIJKToRASMatrix(matrix)
        (i0, j0), (i1, j1) = np.array(low) - 0.5, np.array(high) + 0.5
        return [matrix.MultiplyPoint([i, j, k, 1])[:3] for i, j in ((i0, j0), (i1, j0), (i1, j1), (i0, j1))]
