"""Contrast between tissues: drawing regions, painting segments, and the live table."""

import numpy as np
import slicer
import vtk
from story import Story

LOW, HIGH = (150, 150), (169, 159)  # voxels (column, row): a square of 200
OTHER = ((200, 150), (219, 159))


class CnrStories(Story):
    def setUp(self):
        super().setUp()
        self.cnr = self.widget.cnr
        self.cnr.ui.cnrSection.collapsed = False
        self.volume = self.parameters.stirVolume
        self.parameters.syntheticVolume = self.parameters.t2Volume
        self.parameters.cnrPairs = "muscle/fat"
        self.follow()

    def follow(self):
        """Wait for the live measurement, however busy the machine is."""
        self.settle()
        self.waitFor(lambda: not (self.cnr._pause.active or self.cnr._live.active))

    def place(self, i, j, k):
        """World position of a voxel coordinate of the acquired STIR."""
        matrix, transform = vtk.vtkMatrix4x4(), vtk.vtkGeneralTransform()
        self.volume.GetIJKToRASMatrix(matrix)
        slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(self.volume.GetParentTransformNode(), None, transform)
        return transform.TransformPoint(matrix.MultiplyPoint([i, j, k, 1])[:3])

    def square(self, low, high, k):
        """Points of a square around voxels low … high, half a voxel outside them."""
        (i0, j0), (i1, j1) = np.array(low) - 0.5, np.array(high) + 0.5
        corners = [(i0, j0), (i1, j0), (i1, j1), (i0, j1)]
        return [self.place(*corner, k) for corner in corners]

    def draw(self, tissue, points, shape="freehand"):
        """Press the button, place the points, and finish as a right click does."""
        self.cnr.ui.tissueSelector.currentText = tissue
        getattr(self.cnr.ui, f"{shape}Button").click()
        selection = slicer.app.applicationLogic().GetSelectionNode()
        interaction = slicer.app.applicationLogic().GetInteractionNode()
        self.assertEqual(interaction.GetCurrentInteractionMode(), interaction.Place)
        outline = slicer.mrmlScene.GetNodeByID(selection.GetActivePlaceNodeID())
        if shape == "freehand":
            outline.SetCurveTypeToLinear()
        for point in points:
            outline.AddControlPointWorld(*point)
        interaction.SwitchToViewTransformMode()
        self.follow()
        return outline

    def drawPair(self, k=10):
        return self.draw("muscle", self.square(LOW, HIGH, k)), self.draw("fat", self.square(*OTHER, k))

    def row(self, index=0):
        table = self.parameters.cnrTable.GetTable()
        return {table.GetColumnName(c): table.GetColumn(c).GetValue(index) for c in range(table.GetNumberOfColumns())}

    def values(self, volume, low, high, k):
        return slicer.util.arrayFromVolume(volume)[k, low[1] : high[1] + 1, low[0] : high[0] + 1].astype(np.float64)

    def assertMeasured(self, row, k=10, low=LOW, high=HIGH):
        for name, volume in (("acquired", self.volume), ("synthetic", self.parameters.syntheticVolume)):
            f, b = self.values(volume, low, high, k), self.values(volume, *OTHER, k)
            self.assertAlmostEqual(row[f"CNR {name}"], abs(f.mean() - b.mean()) / b.std(ddof=1), delta=1e-6 * row[f"CNR {name}"])
            self.assertEqual(row[f"Voxels foreground {name}"], f.size)
        self.assertEqual(row["Note"], "")

    def test_drawnRegionsAreMeasuredInBothImages(self):
        self.drawPair()
        self.assertMeasured(self.row())
        names = [self.parameters.cnrChart.GetNthPlotSeriesNode(index).GetName() for index in range(2)]
        self.assertEqual(names, ["acquired", "synthetic"])

    def test_aCircleIsDrawnFromCentreAndRim(self):
        outline = self.draw("muscle", [self.place(160, 160, 10), self.place(190, 160, 10)], "circle")
        self.assertEqual(outline.GetNumberOfControlPoints(), 8)
        self.draw("fat", self.square((200, 250), (219, 259), 10))
        spacing = self.volume.GetSpacing()
        area = np.pi * 30**2 * spacing[0] / spacing[1]
        self.assertLess(abs(self.row()["Voxels foreground acquired"] / area - 1), 0.03)

    def test_theTableFollowsAMovedRegion(self):
        muscle, _fat = self.drawPair()
        low, high = (100, 180), (119, 189)
        for index, point in enumerate(self.square(low, high, 10)):
            muscle.SetNthControlPointPositionWorld(index, *point)
        self.follow()
        self.assertMeasured(self.row(), low=low, high=high)

    def test_theTableFollowsAPaintedSegment(self):
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
        node.CreateDefaultDisplayNodes()
        node.SetReferenceImageGeometryParameterFromVolumeNode(self.volume)
        identifier = node.GetSegmentation().AddEmptySegment("", "Muscle")
        self.parameters.regionSegmentation = node
        self.draw("fat", self.square(*OTHER, 10))
        for low, high in ((LOW, HIGH), ((100, 100), (119, 109))):
            mask = np.zeros(slicer.util.arrayFromVolume(self.volume).shape, np.uint8)
            mask[10, low[1] : high[1] + 1, low[0] : high[0] + 1] = 1
            slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, identifier, self.volume)
            self.follow()
            self.assertMeasured(self.row(), low=low, high=high)

    def test_aTransformAboveTheVolumesMovesTheirRegionsAway(self):
        self.drawPair()
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        shift = vtk.vtkTransform()
        shift.Translate(0, 500, 0)
        transform.SetMatrixTransformToParent(shift.GetMatrix())
        self.volume.SetAndObserveTransformNodeID(transform.GetID())
        self.follow()
        row = self.row()
        self.assertIn("contains no voxel (acquired image)", row["Note"])
        self.assertGreater(row["CNR synthetic"], 0)
        for outline in slicer.util.getNodesByClass("vtkMRMLMarkupsClosedCurveNode"):
            outline.SetAndObserveTransformNodeID(transform.GetID())
        self.parameters.syntheticVolume.SetAndObserveTransformNodeID(transform.GetID())
        self.follow()
        self.assertMeasured(self.row())

    def test_aSavedSceneRestoresRegionsAndTable(self):
        self.drawPair()
        before = self.row()
        folder = self.folder / "saved"
        self.assertTrue(slicer.util.saveScene(str(folder)))
        slicer.mrmlScene.Clear(0)
        slicer.util.loadScene(str(folder / "saved.mrml"))
        self.widget.enter()
        self.parameters = self.logic.getParameterNode()
        self.follow()
        after = self.row()
        self.assertEqual(after["Voxels foreground acquired"], before["Voxels foreground acquired"])
        self.assertAlmostEqual(after["CNR acquired"], before["CNR acquired"], places=4)
        self.assertEqual(self.cnr.ui.regionList.item(0).text(), "muscle (drawn)")

    def test_removingMeasuredNodesGivesAMessage(self):
        muscle, _fat = self.drawPair()
        slicer.mrmlScene.RemoveNode(muscle)
        self.follow()
        self.assertIn("Not drawn yet: muscle", self.cnr.ui.cnrStatusLabel.text)
        slicer.mrmlScene.RemoveNode(self.parameters.cnrTable)
        slicer.mrmlScene.RemoveNode(self.parameters.syntheticVolume)
        self.follow()
        self.cnr.ui.measureButton.click()
        self.assertNotIn("CNR synthetic", self.row())

    def test_theSegmentEditorOpensWithASegmentForEachTissue(self):
        if not hasattr(slicer.modules, "segmenteditor"):
            self.skipTest("this application does not have a Segment Editor")
        self.cnr.ui.editButton.click()
        segmentation = self.parameters.regionSegmentation.GetSegmentation()
        names = [segmentation.GetNthSegment(index).GetName() for index in range(segmentation.GetNumberOfSegments())]
        self.assertEqual(names, ["muscle", "fat"])
        editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
        self.assertIs(editor.segmentationNode(), self.parameters.regionSegmentation)
        slicer.util.selectModule("CCDNNSynth")

    def test_thePlotIsShownInTheLayout(self):
        self.drawPair()
        self.cnr.ui.plotButton.click()
        self.follow()
        chart = self.parameters.cnrChart
        self.assertIn(chart.GetID(), [view.GetPlotChartNodeID() for view in slicer.util.getNodesByClass("vtkMRMLPlotViewNode")])
