"""Helpers of the image similarity tests: actions on the section and the scene."""

from __future__ import annotations

import numpy as np
import panel_scene
import pytest
import slicer
import vtk
from PySide6 import QtCore, QtTest
from testing_host import slicer_host

from ccdnn.series import Role
from CCDNNSynthLib.Scene.Tables import tableOf


def open_pair(panel):
    """The section's widgets, with the small leg's STIR as acquired and a noisy, dimmer copy of it as synthetic."""
    nodes = panel_scene.add_leg((Role.STIR,))
    node = panel.logic.getParameterNode()
    node.stirVolume = nodes[Role.STIR]
    node.syntheticVolume = add_synthetic(nodes[Role.STIR])
    for section in (panel.inputs.ui.inputsSection, panel.synthesis.ui.synthesisSection):
        section.collapsed = True
    slicer_host.process_events()
    return panel.similarity.ui


def add_synthetic(acquired):
    array = slicer.util.arrayFromVolume(acquired)
    noise = np.random.default_rng(3).normal(0, 15, array.shape)
    return slicer.util.addVolumeFromArray(
        np.maximum(0.8 * array + noise, 0).astype(np.float32), matrix_of(acquired), "my synthetic"
    )


def matrix_of(node) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def parameters(panel):
    return panel.logic.getParameterNode()


def arrays(panel):
    node = parameters(panel)
    return slicer.util.arrayFromVolume(node.syntheticVolume), slicer.util.arrayFromVolume(node.stirVolume)


def compute(panel) -> None:
    slicer_host.click(panel.similarity.ui.computeButton)
    slicer_host.wait_until(lambda: panel.similarity.ui.computeButton.text == "Compute")
    settle(panel)


def settle(panel) -> None:
    """Wait until the panel has checked whether the values are current."""
    slicer_host.process_events()
    slicer_host.wait_until(lambda: not panel.similarity.staleness.pending)


def table(panel):
    return tableOf(parameters(panel).similarityTable)


def text(label) -> str:
    return panel_scene.plain(label)


def is_stale(panel) -> bool:
    settle(panel)
    return "press Compute" in text(panel.similarity.ui.staleLabel)


def assert_volume_row(panel, rows) -> None:
    shown = table(panel)
    for row in rows:
        assert shown.column(row.name)[0] == pytest.approx(row.value, abs=1e-6, nan_ok=True)


def add_mask(panel, names=("knee", "meniscus")):
    """A segmentation of boxes on the grid of the acquired volume; returns it and its masks by name."""
    acquired = parameters(panel).stirVolume
    shape = slicer.util.arrayFromVolume(acquired).shape
    labels = np.zeros(shape, np.uint8)
    labels[1:5, 8:32, 6:30] = 1
    labels[2:4, 12:20, 10:18] = 2
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    slicer.util.updateVolumeFromArray(volume, labels)
    matrix = vtk.vtkMatrix4x4()
    acquired.GetIJKToRASMatrix(matrix)
    volume.SetIJKToRASMatrix(matrix)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mask segments")
    slicer.modules.segmentations.logic().ImportLabelmapToSegmentationNode(volume, node)
    segmentation = node.GetSegmentation()
    for index, name in enumerate(names):
        segmentation.GetNthSegment(index).SetName(name)
    slicer.mrmlScene.RemoveNode(volume)
    slicer_host.process_events()
    return node, {name: labels == index + 1 for index, name in enumerate(names)}


def choose_mask(panel, node, name) -> None:
    panel.similarity.ui.maskSelector.setCurrentNode(node)
    slicer_host.process_events()
    selector = panel.similarity.ui.segmentSelector
    selector.currentIndex = [selector.itemText(index) for index in range(selector.count)].index(name)
    slicer_host.process_events()


def click_row(panel, row) -> None:
    view = panel.similarity.ui.similarityTableView
    view.scrollToItem(view.item(row, 0))
    slicer_host.process_events()
    point = view.visualItemRect(view.item(row, 0)).center()
    QtTest.QTest.mouseClick(view.viewport(), QtCore.Qt.MouseButton.LeftButton, QtCore.Qt.KeyboardModifier.NoModifier, point)
    slicer_host.process_events()


def slice_shown(volume, view="Yellow") -> int:
    node = slicer.mrmlScene.GetSingletonNode(view, "vtkMRMLSliceNode")
    middle = [node.GetSliceToRAS().GetElement(row, 3) for row in range(3)]
    return round((np.linalg.inv(matrix_of(volume)) @ [*middle, 1])[2])


def move(transform, offset) -> None:
    matrix = vtk.vtkMatrix4x4()
    for row, value in enumerate(offset):
        matrix.SetElement(row, 3, value)
    transform.SetMatrixTransformToParent(matrix)
