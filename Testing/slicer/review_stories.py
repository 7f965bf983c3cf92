"""Reviewing acquired and synthetic STIR together in every layout, and returning to the user's own layout."""

import unittest
from pathlib import Path

import numpy as np
import slicer
import vtk
from story import Story

from CCDNNSynthLib.Parameters import CCDNNSynthParameterNode, CompareMode, ReviewLayout

OWN_VIEW_CLASSES = ("vtkMRMLSliceNode", "vtkMRMLSliceCompositeNode", "vtkMRMLSliceDisplayNode", "vtkMRMLPlotViewNode")


class ReviewStories(Story):
    def setUp(self):
        if slicer.app.layoutManager() is None:
            raise unittest.SkipTest("this application is running without views")
        super().setUp()
        self.layouts = slicer.app.layoutManager()
        self.layouts.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self.panel, self.review = self.widget.review, self.widget.review.review
        self.acquired = self.parameters.stirVolume
        array = slicer.util.arrayFromVolume(self.acquired)
        self.synthetic = slicer.util.addVolumeFromArray((array * 0.02).astype(np.float32), name="synthetic STIR (story)")
        self.synthetic.SetAttribute("CCDNN_Notice", "SYNTHETIC")
        matrix = vtk.vtkMatrix4x4()
        self.acquired.GetIJKToRASMatrix(matrix)
        self.synthetic.SetIJKToRASMatrix(matrix)
        self.parameters.syntheticVolume = self.synthetic
        self.settle()

    def tearDown(self):
        if self.layouts.layout != slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView:
            self.layouts.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        super().tearDown()

    def open(self, button):
        self.assertTrue(button.enabled)
        button.click()
        self.settle()

    def view(self, name):
        return self.layouts.sliceWidget(name)

    def background(self, name):
        return self.view(name).mrmlSliceCompositeNode().GetBackgroundVolumeID()

    def mapped(self):
        nodes = slicer.util.getNodesByClass("vtkMRMLSliceNode")
        return {node.GetLayoutName() for node in nodes if node.IsMappedInLayout()}

    def nodes(self):
        """All nodes except views, which stay in the scene, as those of Slicer's own layouts do."""
        every = slicer.util.getNodesByClass("vtkMRMLNode")
        mine = [node for node in every if "Review" in (node.GetName() or "") and not node.IsA("vtkMRMLVolumeNode")]
        return {node.GetID() for node in every if node not in mine and node.GetClassName() not in OWN_VIEW_CLASSES} - {
            node.GetID() for node in every if node.GetHideFromEditors() and node.IsA("vtkMRMLDisplayableNode")
        }

    def state(self):
        """The user's state, which must be restored."""
        crosshair = slicer.vtkMRMLCrosshairDisplayableManager.FindCrosshairNode(slicer.mrmlScene)
        displays = [node.GetDisplayNode() for node in (self.acquired, self.synthetic) if node.GetDisplayNode()]
        views = []
        for name in ("Red", "Green", "Yellow"):
            composite, node = self.view(name).mrmlSliceCompositeNode(), self.view(name).mrmlSliceNode()
            matrix = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS()).round(6).tolist()
            links = (composite.GetLinkedControl(), composite.GetHotLinkedControl(), composite.GetDoPropagateVolumeSelection())
            views.append((composite.GetBackgroundVolumeID(), composite.GetForegroundVolumeID(), links, matrix))
        return (
            self.layouts.layout,
            (crosshair.GetCrosshairMode(), crosshair.GetCrosshairThickness(), crosshair.GetCrosshairBehavior()),
            [(d.GetID(), d.GetAutoWindowLevel(), d.GetWindow(), d.GetLevel()) for d in displays],
            views,
        )

    def drag(self, name, start, end):
        """Drag with the left mouse button between two fractions of a view's width; returns the view's interactor."""
        view = self.view(name).sliceView()
        (width, height), interactor = view.renderWindow().GetSize(), view.interactor()
        for x, event in ((start, "MouseMoveEvent"), (start, "LeftButtonPressEvent"), (end, "MouseMoveEvent")):
            interactor.SetEventInformation(round(x * width), height // 3)
            interactor.InvokeEvent(event)
        interactor.InvokeEvent("LeftButtonReleaseEvent")
        self.settle()

    def test_sideBySideShowsAcquiredAndSynthetic(self):
        self.open(self.panel.ui.sideBySideButton)
        self.assertEqual(self.review.views, {self.acquired: "ReviewAcquired", self.synthetic: "ReviewSynthetic"})
        self.assertEqual(self.mapped(), {"ReviewAcquired", "ReviewSynthetic"})
        for node, name in self.review.views.items():
            self.assertEqual(self.background(name), node.GetID())
        self.assertEqual(self.review.labels["ReviewAcquired"].texts[0], "ACQUIRED STIR")
        self.assertIn("SYNTHETIC", self.review.labels["ReviewSynthetic"].texts[0])

    def test_allVolumesShowsTheInputsAndTheDifference(self):
        self.open(self.panel.ui.gridButton)
        (difference,) = set(self.review.views) - set(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")[:5])
        inputs = (self.parameters.t1Volume, self.parameters.t2Volume, self.parameters.greVolume)
        shown = (*inputs, self.acquired, self.synthetic, difference)
        names = ("ReviewT1", "ReviewT2", "ReviewGRE", "ReviewAcquired", "ReviewSynthetic", "ReviewDifference")
        self.assertEqual(self.review.views, dict(zip(shown, names, strict=True)))
        self.assertEqual(self.mapped(), set(names))
        # The synthetic volume is the acquired one in another unit, so they are equal after scaling.
        self.assertLess(np.abs(slicer.util.arrayFromVolume(difference)).max(), 1e-5)
        self.assertFalse(difference.GetSaveWithScene())
        self.assertIn("SYNTHETIC minus ACQUIRED", self.review.labels["ReviewDifference"].texts[0])

    def test_viewsAreLinkedAndInThePlaneOfTheStudy(self):
        self.open(self.panel.ui.gridButton)
        matrix = vtk.vtkMatrix4x4()
        self.acquired.GetIJKToRASDirectionMatrix(matrix)
        normal = slicer.util.arrayFromVTKMatrix(matrix)[:3, 2]
        sizes = set()
        for name in self.review.views.values():
            composite, node = self.view(name).mrmlSliceCompositeNode(), self.view(name).mrmlSliceNode()
            self.assertTrue(composite.GetLinkedControl() and composite.GetHotLinkedControl())
            self.assertFalse(composite.GetDoPropagateVolumeSelection())
            toRAS = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())
            self.assertAlmostEqual(abs(normal @ toRAS[:3, 2]), 1, 6)
            sizes.add(tuple(np.round(toRAS.ravel(), 3)))
        self.assertEqual(len(sizes), 1)

    def test_scrollingAndZoomingOneViewMovesTheOthersAndNotTheUsers(self):
        red = slicer.util.arrayFromVTKMatrix(self.view("Red").mrmlSliceNode().GetSliceToRAS()).tolist()
        self.open(self.panel.ui.sideBySideButton)
        logic = self.view("ReviewSynthetic").sliceLogic()
        node, other = logic.GetSliceNode(), self.view("ReviewAcquired").mrmlSliceNode()
        logic.StartSliceNodeInteraction(node.SliceToRASFlag)
        logic.SetSliceOffset(logic.GetSliceOffset() + 7.2)
        logic.EndSliceNodeInteraction()
        logic.StartSliceNodeInteraction(node.FieldOfViewFlag)
        node.SetFieldOfView(*(side / 2 for side in node.GetFieldOfView()[:2]), node.GetFieldOfView()[2])
        logic.EndSliceNodeInteraction()
        self.settle()
        self.assertAlmostEqual(other.GetSliceOffset(), node.GetSliceOffset(), 4)
        self.assertAlmostEqual(other.GetFieldOfView()[0], node.GetFieldOfView()[0], 3)
        self.assertEqual(slicer.util.arrayFromVTKMatrix(self.view("Red").mrmlSliceNode().GetSliceToRAS()).tolist(), red)

    def test_crosshairJumpsInAllViews(self):
        self.open(self.panel.ui.sideBySideButton)
        node = self.view("ReviewSynthetic").mrmlSliceNode()
        point = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())[:3, 3] + 7.2 * self.normal(node)
        node.JumpAllSlices(*point)
        other = self.view("ReviewAcquired").mrmlSliceNode()
        self.assertAlmostEqual(
            float((point - slicer.util.arrayFromVTKMatrix(other.GetSliceToRAS())[:3, 3]) @ self.normal(other)), 0, 4
        )
        crosshair = slicer.vtkMRMLCrosshairDisplayableManager.FindCrosshairNode(slicer.mrmlScene)
        self.assertEqual(crosshair.GetCrosshairBehavior(), crosshair.OffsetJumpSlice)
        self.assertNotEqual(crosshair.GetCrosshairMode(), crosshair.NoCrosshair)

    def normal(self, node):
        return slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())[:3, 2]

    def test_windowsFollowEachOtherBothWays(self):
        self.open(self.panel.ui.sideBySideButton)
        acquired, synthetic = self.acquired.GetDisplayNode(), self.synthetic.GetDisplayNode()
        acquired.AutoWindowLevelOff()
        acquired.SetWindowLevel(1000, 400)
        self.assertAlmostEqual(synthetic.GetWindow(), 20, 3)
        self.assertAlmostEqual(synthetic.GetLevel(), 8, 3)
        synthetic.SetWindowLevel(10, 5)
        self.assertAlmostEqual(acquired.GetWindow(), 500, 1)
        self.assertAlmostEqual(acquired.GetLevel(), 250, 1)
        self.open(self.panel.ui.leaveButton)
        acquired.SetWindowLevel(700, 300)
        self.assertAlmostEqual(synthetic.GetWindow(), 10, 3)

    def test_leavingRestoresEverything(self):
        self.acquired.GetDisplayNode().SetAutoWindowLevel(False)
        self.acquired.GetDisplayNode().SetWindowLevel(900, 450)
        before, nodes = self.state(), self.nodes()
        for button in (self.panel.ui.sideBySideButton, self.panel.ui.gridButton, self.panel.ui.singleButton):
            self.open(button)
        self.assertNotEqual(self.state(), before)
        self.open(self.panel.ui.leaveButton)
        self.assertEqual(self.state(), before)
        self.assertEqual(self.nodes(), nodes)
        self.assertEqual(self.mapped(), {"Red", "Green", "Yellow"})
        self.assertIsNone(self.background("ReviewBoth"))

    def test_swipeLineIsDraggedAcross(self):
        self.open(self.panel.ui.singleButton)
        self.assertEqual(self.review.views, {self.acquired: "ReviewBoth", self.synthetic: "ReviewBoth"})
        self.drag("ReviewBoth", 0.5, 0.8)
        self.assertAlmostEqual(self.parameters.comparePosition, 0.8, 2)
        self.assertAlmostEqual(self.panel.ui.positionSlider.value, 0.8, 1)
        window = self.acquired.GetDisplayNode().GetWindow()
        self.drag("ReviewBoth", 0.2, 0.4)  # not near the line
        self.assertAlmostEqual(self.parameters.comparePosition, 0.8, 2)
        self.panel.ui.positionSlider.value = 0.25
        self.settle()
        self.assertAlmostEqual(self.parameters.comparePosition, 0.25, 2)
        self.assertEqual(self.acquired.GetDisplayNode().GetWindow(), window)
        left, right = self.review.comparison.labels.texts
        self.assertIn("SYNTHETIC", left)
        self.assertEqual(right, "ACQUIRED STIR")

    def test_fadeBlinkAndCheckerboard(self):
        self.open(self.panel.ui.singleButton)
        composite = self.view("ReviewBoth").mrmlSliceCompositeNode()
        self.parameters.comparePosition = 0.3
        self.panel.ui.compareSelector.currentIndex = list(CompareMode).index(CompareMode.FADE)
        self.settle()
        self.assertAlmostEqual(composite.GetForegroundOpacity(), 0.3)
        self.assertIn("30 %", self.review.comparison.labels.texts[1])
        self.panel.ui.compareSelector.currentIndex = list(CompareMode).index(CompareMode.BLINK)
        self.panel.ui.rateSlider.value = 5
        self.settle()
        for opacity in (1, 0, 1):
            self.waitFor(lambda opacity=opacity: composite.GetForegroundOpacity() == opacity)
            shown = " ".join(self.review.comparison.labels.texts)
            self.assertEqual("SYNTHETIC" in shown, opacity == 1)
        self.panel.ui.compareSelector.currentIndex = list(CompareMode).index(CompareMode.CHECKERBOARD)
        self.settle()
        self.assertEqual(composite.GetForegroundOpacity(), 0)
        self.assertTrue(self.panel.ui.tileSlider.visible)
        self.assertFalse(self.panel.ui.positionSlider.visible)
        self.assertIn("SYNTHETIC", self.review.comparison.labels.texts[1])

    def test_withoutAnAcquiredStirTheInputsAreShown(self):
        self.parameters.stirVolume = None
        self.settle()
        self.open(self.panel.ui.sideBySideButton)
        self.assertEqual(self.review.views, {self.parameters.t1Volume: "ReviewT1", self.synthetic: "ReviewSynthetic"})
        self.assertIn("No acquired STIR", self.panel.ui.reviewLabel.text)
        self.open(self.panel.ui.gridButton)
        self.assertEqual(self.mapped(), {"ReviewT1", "ReviewT2", "ReviewGRE", "ReviewSynthetic"})
        self.open(self.panel.ui.singleButton)
        self.assertEqual(self.review.comparison.labels.texts[1], "T1-w")

    def test_aTransformAboveTheStudyTurnsTheViews(self):
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        turn = vtk.vtkTransform()
        turn.RotateZ(20)
        transform.SetMatrixTransformToParent(turn.GetMatrix())
        for node in (self.acquired, self.synthetic):
            node.SetAndObserveTransformNodeID(transform.GetID())
        self.open(self.panel.ui.sideBySideButton)
        matrix = vtk.vtkMatrix4x4()
        self.acquired.GetIJKToRASDirectionMatrix(matrix)
        normal = slicer.util.arrayFromVTKMatrix(turn.GetMatrix())[:3, :3] @ slicer.util.arrayFromVTKMatrix(matrix)[:3, 2]
        self.assertAlmostEqual(abs(float(normal @ self.normal(self.view("ReviewAcquired").mrmlSliceNode()))), 1, 6)

    def test_removingAVolumeLeavesTheReviewOrItsView(self):
        self.open(self.panel.ui.gridButton)
        slicer.mrmlScene.RemoveNode(self.parameters.t2Volume)
        self.waitFor(lambda: "ReviewT2" not in self.mapped())
        slicer.mrmlScene.RemoveNode(self.acquired)
        self.waitFor(lambda: "ReviewDifference" not in self.mapped())
        slicer.mrmlScene.RemoveNode(self.synthetic)
        self.settle()
        self.assertEqual(self.parameters.reviewLayout, ReviewLayout.NONE)
        self.assertEqual(self.mapped(), {"Red", "Green", "Yellow"})
        self.assertFalse(self.panel.ui.sideBySideButton.enabled)

    def test_closingTheSceneLeavesTheReview(self):
        self.open(self.panel.ui.gridButton)
        slicer.mrmlScene.Clear(0)
        self.settle()
        self.assertEqual(self.layouts.layout, slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self.assertEqual(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"), [])
        self.assertFalse(self.review.isOpen)

    def test_aSceneSavedInAReviewDoesNotContainItAndReopensIt(self):
        self.open(self.panel.ui.gridButton)
        folder = self.folder / "saved"
        self.assertTrue(slicer.util.saveScene(str(folder)))
        text = Path(folder / "saved.mrml").read_text(encoding="utf-8")
        for word in ('layoutName="Review', "currentViewArrangement", "CCDNNSynth.Difference", "<Crosshair"):
            self.assertNotIn(word, text)
        slicer.mrmlScene.Clear(0)
        slicer.util.loadScene(str(folder / "saved.mrml"))
        self.widget.enter()
        self.settle()
        self.assertIn("ReviewDifference", self.mapped())
        self.open(self.panel.ui.leaveButton)
        self.assertEqual(self.mapped(), {"Red", "Green", "Yellow"})

    def test_anotherLayoutChosenByTheUserEndsTheReview(self):
        self.open(self.panel.ui.sideBySideButton)
        self.layouts.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
        self.settle()
        self.assertFalse(self.review.isOpen)
        self.assertEqual(self.parameters.reviewLayout, ReviewLayout.NONE)
        self.assertEqual(self.layouts.layout, slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
        self.assertFalse(self.panel.ui.sideBySideButton.checked)

    def test_theReviewContinuesInAnotherModule(self):
        self.open(self.panel.ui.sideBySideButton)
        self.widget.exit()
        self.settle()
        self.assertEqual(self.mapped(), {"ReviewAcquired", "ReviewSynthetic"})
        self.acquired.GetDisplayNode().AutoWindowLevelOff()
        self.acquired.GetDisplayNode().SetWindowLevel(1000, 400)
        self.assertAlmostEqual(self.synthetic.GetDisplayNode().GetWindow(), 20, 3)
        self.widget.enter()
        self.settle()
        self.assertTrue(self.panel.ui.sideBySideButton.checked)
        self.widget.exit()
        slicer.mrmlScene.RemoveNode(self.synthetic)
        self.settle()
        self.assertEqual(self.mapped(), {"Red", "Green", "Yellow"})
        self.widget.enter()

    def test_anotherParameterSetHasItsOwnReview(self):
        self.open(self.panel.ui.sideBySideButton)
        other = CCDNNSynthParameterNode(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode"))
        self.widget.setParameterNode(other)
        self.settle()
        self.assertEqual(self.mapped(), {"Red", "Green", "Yellow"})
        self.widget.setParameterNode(self.parameters)
        self.settle()
        self.assertEqual(self.mapped(), {"ReviewAcquired", "ReviewSynthetic"})

    def test_aRunInAReviewEndsInIt(self):
        self.open(self.panel.ui.sideBySideButton)
        self.apply()
        (result,) = set(self.results()) - {self.synthetic}
        self.assertEqual(self.review.views, {self.acquired: "ReviewAcquired", result: "ReviewSynthetic"})
        self.assertEqual(self.background("ReviewAcquired"), self.acquired.GetID())

    def test_aPlotIsShownBelowTheViews(self):
        from CCDNNSynthLib.Views.Plots import showInLayout

        chart = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotChartNode")
        self.open(self.panel.ui.sideBySideButton)
        showInLayout(chart)
        self.settle()
        self.assertTrue(self.review.isOpen)
        self.assertEqual(self.mapped(), {"ReviewAcquired", "ReviewSynthetic"})
        (plotView,) = [view for view in slicer.util.getNodesByClass("vtkMRMLPlotViewNode") if view.IsMappedInLayout()]
        self.assertEqual(plotView.GetPlotChartNodeID(), chart.GetID())
        self.open(self.panel.ui.singleButton)  # the plot stays
        self.assertTrue(plotView.IsMappedInLayout())
        self.open(self.panel.ui.leaveButton)
        self.assertEqual(self.mapped(), {"Red", "Green", "Yellow"})

    def test_labelsFollowWhatAViewShows(self):
        self.open(self.panel.ui.sideBySideButton)
        self.view("ReviewAcquired").mrmlSliceCompositeNode().SetBackgroundVolumeID(self.synthetic.GetID())
        self.assertIn("SYNTHETIC", self.review.labels["ReviewAcquired"].texts[0])
