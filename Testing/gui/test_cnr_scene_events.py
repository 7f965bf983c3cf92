"""CNR in the panel follows the scene: saved and restored, nodes removed, another module or parameter set shown."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from cnr_scene import HIGH, LOW, draw_pair, draw_region, open_leg, settle, table_of
from testing_host import slicer_host, tissue_regions

from ccdnn.measure.cnr import CnrForm
from CCDNNSynthLib.Scene.Regions import OutlineRegion, outlinesOf


@pytest.fixture
def leg(panel):
    return open_leg(panel)


def test_saved_scene_restores_regions_and_table(panel, leg, tmp_path):
    muscle, _fat = draw_pair(panel, leg)
    leg.regionSegmentation = node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.SetReferenceImageGeometryParameterFromVolumeNode(leg.stirVolume)
    identifier = node.GetSegmentation().AddEmptySegment("", "muscle")
    mask = tissue_regions.box_mask(slicer.util.arrayFromVolume(leg.stirVolume).shape, 3, LOW, HIGH)
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), node, identifier, leg.stirVolume)
    leg.cnrForm = CnrForm.POOLED
    slicer_host.process_events()
    settle()
    before = table_of(leg)
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
    after = table_of(node)["muscle–fat"]
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
    before = table_of(leg)
    panel.exit()
    muscle.SetNthControlPointPositionWorld(0, *tissue_regions.world(leg.stirVolume, 2, 2, 2))
    settle()
    assert table_of(leg) == before
    panel.enter()
    slicer_host.process_events()
    settle()
    assert table_of(panel.logic.getParameterNode()) != before


def test_a_visible_plot_follows_painting_in_another_module(panel, leg):
    muscle, _fat = draw_pair(panel, leg)
    slicer_host.click(panel.cnr.ui.plotButton)
    before = table_of(leg)
    panel.exit()
    muscle.SetNthControlPointPositionWorld(0, *tissue_regions.world(leg.stirVolume, 2, 2, 2))
    settle()
    assert table_of(leg) != before


def test_second_parameter_set_has_its_own_regions_and_table(panel, leg):
    draw_pair(panel, leg)
    first = table_of(leg)
    other = type(leg)(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "second"))
    other.stirVolume, other.cnrPairs = leg.stirVolume, "muscle/fat"
    panel.setParameterNode(other)
    slicer_host.process_events()
    settle()
    assert outlinesOf(other) == [] and other.cnrTable is None and len(outlinesOf(leg)) == 2
    draw_region(panel, "muscle", tissue_regions.square(leg.stirVolume, 1, LOW, HIGH))
    settle()
    assert len(outlinesOf(other)) == 1 and other.cnrTable is not leg.cnrTable and table_of(leg) == first
