"""CNR in the panel: drawing with the mouse, plot, file, and changes to the scene: saved, removed, reloaded."""

from __future__ import annotations

import csv
import math
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import qt_stand_in
import regions
import slicer
import slicer_host
import small_study
from cnr_scene import HIGH, LOW, draw_pair, open_leg, settle, status
from mouse import Mouse

from ccdnn.measure.cnr import CnrForm
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
    assert regions.draw(panel, "fat", [[0, 0, 0], [1, 0, 0]]) is not None
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
    view.node.JumpSliceByCentering(*regions.world(leg.stirVolume, 18, 20, 3))
    monkeypatch.setattr(OutlineDrawing, "_isButtonHeld", lambda: view.held)
    slicer_host.process_events()
    return view


def disc(leg, mouse, radius: float, count: int) -> list:
    """Positions in the view around column 18, row 20."""
    angles = np.arange(count) * 2 * np.pi / count
    return [
        mouse.at(regions.world(leg.stirVolume, 18 + radius * np.cos(angle), 20 + radius * np.sin(angle), 3)) for angle in angles
    ]


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
        places = [mouse.at(regions.world(leg.stirVolume, 18, 20, 3)), places[0]]
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


def test_plot_is_shown_in_the_layout(panel, leg):
    draw_pair(panel, leg)
    slicer_host.click(panel.cnr.ui.plotButton)
    assert slicer.app.applicationLogic().GetSelectionNode().GetActivePlotChartID() == leg.cnrChart.GetID()
    assert any(view.GetPlotChartNodeID() == leg.cnrChart.GetID() for view in slicer.util.getNodesByClass("vtkMRMLPlotViewNode"))


def test_plot_says_which_bars_are_which_and_how_they_were_measured(panel, leg):
    draw_pair(panel, leg)
    leg.cnrPairs = "muscle/fat;fat/cortical bone"
    slicer_host.process_events()
    settle()
    chart = leg.cnrChart
    assert chart.GetXAxisTitle().splitlines()[1] == "1\xa0muscle–fat, 2\xa0fat–cortical\xa0bone"
    assert chart.GetYAxisTitle() == "CNR = abs(mean_f − mean_b) / SD_b"
    values = chart.GetNthPlotSeriesNode(0).GetTableNode().GetTable()
    assert [values.GetColumnByName("x0").GetValue(row) for row in range(2)] == [1, 2]
    assert values.GetColumnByName("y0").GetValue(0) == regions.table_of(leg)["muscle–fat"]["CNR acquired"]


def test_csv_contains_the_whole_table_or_is_not_written(panel, leg, tmp_path):
    draw_pair(panel, leg)
    qt_stand_in.dialog_answers["save"] = str(tmp_path / "cnr")
    slicer_host.click(panel.cnr.ui.csvButton)
    (row,) = csv.DictReader((tmp_path / "cnr.csv").read_text(encoding="utf-8").splitlines())
    measured = regions.table_of(leg)["muscle–fat"]
    assert float(row["CNR synthetic"]) == measured["CNR synthetic"] and row["Definition"] == measured["Definition"]
    assert "was written to" in status(panel)
    qt_stand_in.dialog_answers["save"] = str(tmp_path / "none" / "cnr.csv")
    slicer_host.click(panel.cnr.ui.csvButton)
    assert "there is no such folder" in status(panel) and [path.name for path in tmp_path.iterdir()] == ["cnr.csv"]
    qt_stand_in.dialog_answers["save"] = ""
    slicer_host.click(panel.cnr.ui.csvButton)
    assert [path.name for path in tmp_path.iterdir()] == ["cnr.csv"]


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


def test_saved_scene_restores_regions_and_table(panel, leg, tmp_path):
    muscle, _fat = draw_pair(panel, leg)
    leg.regionSegmentation = node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.SetReferenceImageGeometryParameterFromVolumeNode(leg.stirVolume)
    identifier = node.GetSegmentation().AddEmptySegment("", "muscle")
    mask = regions.box_mask(slicer.util.arrayFromVolume(leg.stirVolume).shape, 3, LOW, HIGH)
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), node, identifier, leg.stirVolume)
    leg.cnrForm = CnrForm.POOLED
    slicer_host.process_events()
    settle()
    before = regions.table_of(leg)
    muscle.SetName("something else")
    assert slicer.util.saveScene(str(tmp_path / "saved"))
    slicer.mrmlScene.Clear(0)
    slicer_host.process_events()
    assert panel.cnr.ui.cnrTableView.mrmlTableNode() is None
    slicer.util.loadScene(str(tmp_path / "saved" / "saved.mrml"))
    panel.enter()
    slicer_host.process_events()
    settle()
    node = panel.logic.getParameterNode()
    assert [OutlineRegion(outline).tissue for outline in outlinesOf(node)] == ["muscle", "fat"]
    assert node.cnrForm is CnrForm.POOLED and panel.cnr.ui.cnrTableView.mrmlTableNode() is node.cnrTable
    after = regions.table_of(node)["muscle–fat"]
    assert after["Voxels foreground acquired"] == 126
    for name, value in before["muscle–fat"].items():
        assert after[name] == (pytest.approx(value, rel=1e-5) if isinstance(value, float) else value)
    assert len(slicer.util.getNodesByClass("vtkMRMLPlotChartNode")) == 1


@pytest.mark.parametrize(
    "member", ["stirVolume", "syntheticVolume", "regionSegmentation", "cnrTable", "cnrChart", "outline", "series", "display"]
)
def test_any_node_may_be_removed(panel, leg, member):
    _muscle, fat = draw_pair(panel, leg)
    leg.regionSegmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    leg.regionSegmentation.GetSegmentation().AddEmptySegment("", "muscle")
    settle()
    others = {"outline": fat, "series": leg.cnrChart.GetNthPlotSeriesNode(0), "display": fat.GetDisplayNode()}
    slicer.mrmlScene.RemoveNode(others[member] if member in others else getattr(leg, member))
    slicer_host.process_events()
    settle()
    slicer_host.click(panel.cnr.ui.measureButton)
    assert leg.cnrTable is not None and leg.cnrChart is not None
    assert panel.cnr.ui.cnrTableView.mrmlTableNode() is leg.cnrTable


def test_nothing_is_measured_while_another_module_is_shown(panel, leg):
    muscle, _fat = draw_pair(panel, leg)
    before = regions.table_of(leg)
    panel.exit()
    muscle.SetNthControlPointPositionWorld(0, *regions.world(leg.stirVolume, 2, 2, 2))
    settle()
    assert regions.table_of(leg) == before
    panel.enter()
    slicer_host.process_events()
    settle()
    assert regions.table_of(panel.logic.getParameterNode()) != before


def test_a_visible_plot_follows_painting_in_another_module(panel, leg):
    muscle, _fat = draw_pair(panel, leg)
    slicer_host.click(panel.cnr.ui.plotButton)
    before = regions.table_of(leg)
    panel.exit()
    muscle.SetNthControlPointPositionWorld(0, *regions.world(leg.stirVolume, 2, 2, 2))
    settle()
    assert regions.table_of(leg) != before


def test_second_parameter_set_has_its_own_regions_and_table(panel, leg):
    draw_pair(panel, leg)
    first = regions.table_of(leg)
    other = type(leg)(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "second"))
    other.stirVolume, other.cnrPairs = leg.stirVolume, "muscle/fat"
    panel.setParameterNode(other)
    slicer_host.process_events()
    settle()
    assert outlinesOf(other) == [] and other.cnrTable is None and len(outlinesOf(leg)) == 2
    regions.draw(panel, "muscle", regions.square(leg.stirVolume, 1, LOW, HIGH))
    settle()
    assert len(outlinesOf(other)) == 1 and other.cnrTable is not leg.cnrTable and regions.table_of(leg) == first


def test_module_reload_while_drawing(panel, leg):
    import application

    slicer_host.click(panel.cnr.ui.freehandButton)
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    again = application.reload_module("CCDNNSynth")
    slicer_host.process_events()
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform
    node = again.logic.getParameterNode()
    again.cnr.ui.cnrSection.collapsed = False
    slicer_host.process_events()
    draw_pair(again, node)
    assert regions.table_of(node)["muscle–fat"]["Voxels foreground acquired"] == 63


def test_closing_the_scene_while_drawing(panel, leg):
    slicer_host.click(panel.cnr.ui.circleButton)
    slicer.mrmlScene.Clear(0)
    slicer_host.process_events()
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform and not panel.cnr.ui.circleButton.checked
    assert not panel.cnr.ui.circleButton.enabled


def test_small_leg_is_as_these_tests_assume():
    assert small_study.volumes()[Role.STIR].array.shape == (6, 40, 36)
