"""CNR in the panel: outlines drawn with the mouse, the list of regions, and the Segment Editor."""

from __future__ import annotations

import math
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import slicer
import small_study
from cnr_scene import draw_pair, draw_region, open_leg, settle, status, table_of
from testing_host import slicer_host, tissue_regions
from testing_host.mouse import Mouse

from ccdnn.series import Role
from CCDNNSynthLib.Measure import OutlineDrawing
from CCDNNSynthLib.Scene.Regions import OutlineRegion, outlinesOf


@pytest.fixture
def leg(panel):
    return open_leg(panel)


def test_cancelled_and_removed_drawings_leave_nothing(panel, leg):
    count = slicer.mrmlScene.GetNumberOfNodes()
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    ui = panel.cnr.ui
    slicer_host.click(ui.freehandButton)
    assert interaction.GetCurrentInteractionMode() == interaction.Place and ui.freehandButton.checked
    slicer_host.click(ui.freehandButton)
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform and not ui.freehandButton.checked
    assert draw_region(panel, "fat", [[0, 0, 0], [1, 0, 0]]) is not None
    assert slicer.mrmlScene.GetNumberOfNodes() == count and outlinesOf(leg) == []
    slicer_host.click(ui.circleButton)
    slicer.mrmlScene.RemoveNode(panel.cnr._drawing.node)
    slicer_host.process_events()
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform and not ui.circleButton.checked
    assert outlinesOf(leg) == []


@pytest.fixture
def mouse(leg, monkeypatch):
    """Mouse over the Yellow view, which shows slice 3 of the acquired STIR."""
    view = Mouse("Yellow")
    composite = slicer.app.layoutManager().sliceWidget("Yellow").sliceLogic()
    composite.GetSliceCompositeNode().SetBackgroundVolumeID(leg.stirVolume.GetID())
    view.node.RotateToVolumePlane(leg.stirVolume)
    composite.FitSliceToAll()
    view.node.JumpSliceByCentering(*tissue_regions.world(leg.stirVolume, 18, 20, 3))
    monkeypatch.setattr(OutlineDrawing, "_isButtonHeld", lambda: view.held)
    slicer_host.process_events()
    return view


def disc(leg, mouse, radius: float, count: int) -> list:
    """Positions in the view around column 18, row 20."""
    angles = np.arange(count) * 2 * np.pi / count
    columns, rows = 18 + radius * np.cos(angles), 20 + radius * np.sin(angles)
    return [mouse.at(tissue_regions.world(leg.stirVolume, *place, 3)) for place in zip(columns, rows, strict=True)]


def drag(mouse, places) -> None:
    mouse.press(*places[0])
    for place in places:
        mouse.move(*place)
    mouse.release(*places[-1])


def click_each(mouse, places) -> None:
    for place in places:
        mouse.click(*place)


@pytest.mark.parametrize("gesture", [drag, click_each])
@pytest.mark.parametrize("shape", ["freehand", "circle"])
def test_drawing_with_the_mouse_in_a_slice_view(panel, leg, mouse, gesture, shape):
    """Uses Slicer's own markups in the view: a disc of radius 11 on slice 3, drawn by its border or by centre and rim."""
    slicer_host.click(getattr(panel.cnr.ui, f"{shape}Button"))
    places = disc(leg, mouse, 11, 40)
    if shape == "circle":
        places = [mouse.at(tissue_regions.world(leg.stirVolume, 18, 20, 3)), places[0]]
    gesture(mouse, places)
    if gesture is click_each and shape == "freehand":
        mouse.right_click(*places[-1])
    slicer_host.process_events()
    (outline,) = outlinesOf(leg)
    assert panel.cnr._drawing.node is None and not getattr(panel.cnr.ui, f"{shape}Button").checked
    voxels = np.unravel_index(OutlineRegion(outline).voxels(leg.stirVolume), slicer.util.arrayFromVolume(leg.stirVolume).shape)
    assert set(voxels[0]) == {3}
    assert len(voxels[0]) == pytest.approx(math.pi * 11**2, rel=0.04)
    assert (voxels[2].mean(), voxels[1].mean()) == pytest.approx((18, 20), abs=0.2)


def test_list_chooses_and_deletes_outlines(panel, leg):
    muscle, fat = draw_pair(panel, leg, fat_slice=4)
    ui = panel.cnr.ui
    assert [ui.regionList.item(row).text() for row in range(2)] == ["muscle (drawn)", "fat (drawn)"]
    ui.regionList.currentRow = 1
    slicer_host.click(ui.removeButton)
    settle()
    assert outlinesOf(leg) == [muscle] and not slicer.mrmlScene.IsNodePresent(fat)
    assert not ui.removeButton.enabled and "Not drawn yet: fat" in status(panel)


def test_edit_creates_a_segment_for_each_tissue_and_opens_the_segment_editor(panel, leg, monkeypatch):
    assert not panel.cnr.ui.editButton.enabled  # the host does not have a Segment Editor
    editor, opened = Mock(), []
    module = SimpleNamespace(widgetRepresentation=lambda: SimpleNamespace(self=lambda: SimpleNamespace(editor=editor)))
    monkeypatch.setattr(slicer.modules, "segmenteditor", module, raising=False)
    monkeypatch.setattr(slicer.util, "selectModule", opened.append)
    panel.cnr.refresh()
    slicer_host.click(panel.cnr.ui.editButton)
    segmentation = leg.regionSegmentation.GetSegmentation()
    assert [segmentation.GetNthSegment(i).GetName() for i in range(segmentation.GetNumberOfSegments())] == ["muscle", "fat"]
    assert opened == ["SegmentEditor"]
    editor.setSegmentationNode.assert_called_once_with(leg.regionSegmentation)
    editor.setSourceVolumeNode.assert_called_once_with(leg.stirVolume)
    settle()
    assert "The muscle region contains no voxel" in status(panel)


def test_module_reload_while_drawing(panel, leg):
    from testing_host import application

    slicer_host.click(panel.cnr.ui.freehandButton)
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    again = application.reload_module("CCDNNSynth")
    slicer_host.process_events()
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform
    node = again.logic.getParameterNode()
    again.cnr.ui.cnrSection.collapsed = False
    slicer_host.process_events()
    draw_pair(again, node)
    assert table_of(node)["muscle–fat"]["Voxels foreground acquired"] == 63


def test_closing_the_scene_while_drawing(panel, leg):
    slicer_host.click(panel.cnr.ui.circleButton)
    slicer.mrmlScene.Clear(0)
    slicer_host.process_events()
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform and not panel.cnr.ui.circleButton.checked
    assert not panel.cnr.ui.circleButton.enabled


def test_small_leg_is_as_these_tests_assume():
    assert small_study.volumes()[Role.STIR].array.shape == (6, 40, 36)
