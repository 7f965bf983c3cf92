"""Profiles of acquired and synthetic STIR along a line, which is drawn, dragged, saved and removed."""

import numpy as np
import slicer
import vtk
from story import Story

from ccdnn.measure.profile import Image
from CCDNNSynthLib.Scene.SceneVolumes import gridOf

# Across the knee, in voxels of the sample study's STIR (column, row, slice).
ENDS = ((120.0, 190.0, 12.0), (260.0, 200.0, 12.0))


class ProfileStories(Story):
    def setUp(self):
        slicer.modules.ccdnnsynth.widgetRepresentation()
        self.panel = slicer.modules.CCDNNSynthWidget.lineProfiles
        super().setUp()
        self.panel.ui.profilesSection.collapsed = False
        stir = slicer.util.arrayFromVolume(self.parameters.stirVolume).astype(np.float32)
        self.grid = gridOf(self.parameters.stirVolume)
        synthetic = slicer.util.addVolumeFromArray(0.01 * (stir + np.roll(stir, 1, axis=2)), self.grid.ijk_to_ras, "synthetic")
        self.parameters.syntheticVolume = synthetic
        self.settle()

    def settle(self, seconds=0.1):
        """Wait until the panel has measured. A busy machine may need longer than `seconds`."""
        super().settle(seconds)
        self.waitFor(lambda: not self.panel._throttle.active and not self.panel._pause.active)

    def world(self, ijk):
        return (self.grid.ijk_to_ras @ [*ijk, 1])[:3]

    def draw(self):
        """Click "Draw line" and place the ends as clicks in a slice view would."""
        self.panel.ui.drawLineButton.click()
        line = self.parameters.profileLine
        for end in ENDS:
            line.AddControlPointWorld(vtk.vtkVector3d(*self.world(end)))
        self.settle()
        return line

    def numbers(self):
        table = self.parameters.profileTable.GetTable()
        names, values = table.GetColumnByName("name"), table.GetColumnByName("value")
        return {names.GetValue(row): values.GetValue(row) for row in range(table.GetNumberOfRows())} if values else {}

    def series(self):
        chart = self.parameters.profileChart
        return [chart.GetNthPlotSeriesNode(index).GetName() for index in range(chart.GetNumberOfPlotSeriesNodes())]

    def test_aDrawnLineIsMeasuredAndPlotted(self):
        line = self.draw()
        self.assertIs(self.panel.ui.lineSelector.currentNode(), line)
        self.assertGreater(self.numbers()["Pearson r"], 0.8)
        self.assertAlmostEqual(self.numbers()["shift"], 0.5 * self.grid.spacing[0], delta=0.1)
        self.assertEqual(self.series(), ["acquired STIR", "synthetic STIR"])
        self.panel.ui.inputsSwitch.click()
        self.settle()
        self.assertEqual(self.series()[2:], ["T1-w", "T2-w", "GRE"])
        self.panel.ui.plotButton.click()
        selection = slicer.app.applicationLogic().GetSelectionNode()
        self.assertEqual(selection.GetActivePlotChartID(), self.parameters.profileChart.GetID())

    def test_theSelectorOffersLinesAndCurvesOnly(self):
        for kind in ("Line", "Curve", "ClosedCurve", "Fiducial"):
            slicer.mrmlScene.AddNewNodeByClass(f"vtkMRMLMarkups{kind}Node", f"a {kind}")
        self.settle()
        selector = self.panel.ui.lineSelector
        self.assertEqual(selector.nodeCount() if hasattr(selector, "nodeCount") else selector.count - 1, 3)

    def test_tableAndPlotFollowADraggedPoint(self):
        line = self.draw()
        before = self.numbers()
        line.SetNthControlPointPositionWorld(1, *self.world((240, 230, 12)))
        self.waitFor(lambda: self.numbers() != before, 10)
        self.panel.ui.liveSwitch.click()
        self.settle()
        before = self.numbers()
        line.SetNthControlPointPositionWorld(1, *self.world(ENDS[1]))
        self.settle()
        self.assertEqual(self.numbers(), before)
        self.panel.ui.updateButton.click()
        self.assertNotEqual(self.numbers(), before)

    def test_aVolumeIsSampledWhereItsTransformPutsIt(self):
        self.draw()
        before = self.panel.profiles.values[Image.SYNTHETIC]
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        matrix = np.eye(4)
        matrix[:3, 3] = self.world(ENDS[1]) - self.world(ENDS[0])
        slicer.util.updateTransformMatrixFromArray(transform, matrix)
        self.parameters.syntheticVolume.SetAndObserveTransformNodeID(transform.GetID())
        self.settle()
        # What was at the start of the line is now at its end.
        self.assertAlmostEqual(self.panel.profiles.values[Image.SYNTHETIC][-1], before[0], delta=1e-4 * abs(before).max())

    def test_anInvalidLineGivesAMessageAndClearsTheTable(self):
        line = self.draw()
        line.SetNthControlPointPositionWorld(1, *self.world(ENDS[0]))
        self.settle()
        self.assertIn("no length", self.panel.ui.profilesLabel.text)
        self.assertEqual(self.numbers(), {})
        line.RemoveNthControlPoint(1)
        self.settle()
        self.assertIn("one point", self.panel.ui.profilesLabel.text)
        slicer.mrmlScene.RemoveNode(line)
        self.settle()
        self.assertIn("Draw a line", self.panel.ui.profilesLabel.text)
        self.assertIsNone(self.panel.ui.lineSelector.currentNode())

    def test_withoutAnAcquiredStirThereIsAPlotAndAMessage(self):
        self.parameters.stirVolume = None
        self.draw()
        self.assertEqual(self.series(), ["synthetic STIR"])
        self.assertIn("no acquired STIR", self.panel.ui.profilesLabel.text)

    def test_removedTableAndPlotAreCreatedAgain(self):
        line = self.draw()
        for node in (self.parameters.profileTable, self.parameters.profileChart, self.parameters.greVolume):
            slicer.mrmlScene.RemoveNode(node)
        line.SetNthControlPointPositionWorld(1, *self.world((240, 230, 12)))
        self.settle()
        self.assertGreater(len(self.numbers()), 0)
        self.assertEqual(len(self.series()), 2)

    def test_aSavedSceneRestoresLineAndTable(self):
        self.draw()
        before = self.numbers()
        folder = self.folder / "saved"
        self.assertTrue(slicer.util.saveScene(str(folder)))
        slicer.mrmlScene.Clear(0)
        self.settle()
        slicer.util.loadScene(str(folder / "saved.mrml"))
        self.widget.enter()
        self.settle()
        self.parameters = self.logic.getParameterNode()
        self.assertEqual(self.parameters.profileLine.GetName(), "Profile line")
        for name, value in self.numbers().items():
            np.testing.assert_allclose(value, before[name], atol=1e-3)

    def test_aSecondParameterSetHasItsOwnTable(self):
        self.draw()
        before, table = self.numbers(), self.parameters.profileTable
        other = type(self.parameters)(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "second"))
        self.widget.setParameterNode(other)
        self.settle()
        self.assertIsNone(self.panel.ui.lineSelector.currentNode())
        other.profileLine, other.syntheticVolume = self.parameters.profileLine, self.parameters.syntheticVolume
        self.settle()
        self.assertIsNot(other.profileTable, table)
        self.widget.setParameterNode(self.parameters)
        self.settle()
        self.assertEqual(self.numbers(), before)
