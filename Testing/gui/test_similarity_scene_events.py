"""Image similarity reports when its values are out of date, and handles changes to the scene."""

from __future__ import annotations

import math
import sys
import unittest.mock

import numpy as np
import pytest
import similarity_scene as ss
import slicer
from testing_host import slicer_host

from ccdnn.measure.scaling import Scaling
from ccdnn.measure.similarity import Measure, similarity
from CCDNNSynthLib.Packages import PackagesMissing


@pytest.fixture
def ui(panel):
    return ss.open_pair(panel)


def test_empty_or_missing_mask_gives_a_message(panel, ui):
    node, _masks = ss.add_mask(panel)
    empty = node.GetSegmentation().AddEmptySegment("", "nothing")
    slicer_host.process_events()
    ss.choose_mask(panel, node, "nothing")
    slicer_host.click(ui.computeButton)
    assert "nothing contains no voxel of leg stir" in ss.text(ui.similarityLabel)
    node.GetSegmentation().RemoveSegment(empty)
    slicer_host.process_events()
    slicer_host.click(ui.computeButton)
    assert "no longer exists" in ss.text(ui.similarityLabel)
    assert ss.parameters(panel).similarityTable is None
    ui.maskSelector.setCurrentNode(None)
    slicer_host.process_events()
    ss.compute(panel)
    assert ss.table(panel).column("voxels")[0] == ss.arrays(panel)[0].size


def test_values_are_marked_when_a_volume_the_mask_or_the_scaling_changes(panel, ui):
    node, _masks = ss.add_mask(panel)
    ss.choose_mask(panel, node, "knee")
    ss.compute(panel)
    assert not ss.is_stale(panel)
    synthetic = ss.parameters(panel).syntheticVolume
    array = slicer.util.arrayFromVolume(synthetic)
    before = array[3, 20, 20]
    array[3, 20, 20] = before + 5
    slicer.util.arrayFromVolumeModified(synthetic)
    assert ss.is_stale(panel)
    array[3, 20, 20] = before
    slicer.util.arrayFromVolumeModified(synthetic)
    assert not ss.is_stale(panel)
    synthetic.SetName("another name")
    assert not ss.is_stale(panel)
    ui.scalingSelector.currentIndex = list(Scaling).index(Scaling.MINMAX)
    assert ss.is_stale(panel)
    ui.scalingSelector.currentIndex = list(Scaling).index(Scaling.TISSUE)
    assert not ss.is_stale(panel)
    ss.choose_mask(panel, node, "meniscus")
    assert ss.is_stale(panel)
    ss.choose_mask(panel, node, "knee")
    assert not ss.is_stale(panel)
    node.GetSegmentation().RemoveSegment(ss.parameters(panel).maskSegment)
    assert ss.is_stale(panel)
    ui.maskSelector.setCurrentNode(None)
    ss.compute(panel)
    assert not ss.is_stale(panel)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    for volume in (synthetic, ss.parameters(panel).stirVolume):
        volume.SetAndObserveTransformNodeID(transform.GetID())
    ss.move(transform, (0, 5, 0))
    assert not ss.is_stale(panel)  # both moved
    synthetic.SetAndObserveTransformNodeID(None)
    assert ss.is_stale(panel)


def test_painting_in_the_mask_is_noticed(panel, ui):
    node, masks = ss.add_mask(panel)
    ss.choose_mask(panel, node, "meniscus")
    ss.compute(panel)
    painted = masks["meniscus"].astype(np.uint8)
    painted[2, 25, 25] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        painted, node, ss.parameters(panel).maskSegment, ss.parameters(panel).stirVolume
    )
    assert ss.is_stale(panel)
    ss.compute(panel)
    assert ss.table(panel).column("voxels")[0] == painted.sum() and not ss.is_stale(panel)


def test_other_grids_without_simpleitk_give_a_message(panel, ui):
    synthetic = ss.parameters(panel).syntheticVolume
    synthetic.SetOrigin(*(value + 2 for value in synthetic.GetOrigin()))
    slicer_host.process_events()
    with unittest.mock.patch.dict(sys.modules, {"ccdnn.resample": None}):
        slicer_host.click(ui.computeButton)
    assert "requires SimpleITK" in ss.text(ui.similarityLabel)
    assert ss.parameters(panel).similarityTable is None and ui.computeButton.text == "Compute"


def test_without_scikit_image_the_rest_is_measured(panel, ui):
    def refuse():
        raise PackagesMissing("refused")

    panel.similarity.ensureScikitImage = refuse
    with unittest.mock.patch.dict(sys.modules, {"skimage": None, "skimage.metrics": None, "skimage.filters": None}):
        ss.compute(panel)
    shown = ss.table(panel)
    assert math.isfinite(shown.column("PSNR")[0]) and math.isnan(shown.column("SSIM")[0])
    assert "need scikit-image" in ui.notesLabel.text


def test_saved_scene_restores_the_result_and_what_it_was_measured_on(panel, ui, tmp_path):
    node, _masks = ss.add_mask(panel)
    ss.choose_mask(panel, node, "knee")
    ui.thresholdSlider.value = 0.3
    ss.compute(panel)
    before, notes, overlap = ss.table(panel), ui.notesLabel.text, ui.overlapLabel.text
    assert slicer.util.saveScene(str(tmp_path / "saved"))
    slicer.mrmlScene.Clear(0)
    ss.settle(panel)
    assert not ui.similarityTableView.visible and not ss.is_stale(panel)
    slicer.util.loadScene(str(tmp_path / "saved" / "saved.mrml"))
    panel.enter()
    ss.settle(panel)
    after = ss.table(panel)
    assert after.column("slice") == before.column("slice")
    for name in ("MSE", "PSNR", "SSIM", "Dice"):
        np.testing.assert_allclose(after.column(name), before.column(name), rtol=1e-5)
    assert (ui.notesLabel.text, ui.overlapLabel.text) == (notes, overlap)
    assert ui.segmentSelector.currentText == "knee"
    assert not ss.is_stale(panel)
    ui.measureSelector.currentIndex = list(Measure).index(Measure.MSE)
    slicer_host.process_events()
    assert ss.parameters(panel).similarityChart.GetYAxisTitle() == "MSE"
    ui.thresholdSlider.value = 0.2  # the voxels that were measured are not in the scene: measure again
    assert ss.is_stale(panel)
    ss.compute(panel)
    assert not ss.is_stale(panel)


def removed(panel, member):
    slicer.mrmlScene.RemoveNode(getattr(ss.parameters(panel), member))


@pytest.mark.parametrize("member", ["syntheticVolume", "stirVolume", "maskSegmentation"])
def test_node_removed_during_a_run_stops_it(panel, ui, member):
    node, _masks = ss.add_mask(panel)
    ss.choose_mask(panel, node, "knee")
    slicer_host.click(ui.computeButton)
    removed(panel, member)
    slicer_host.process_events()
    assert ui.computeButton.text == "Compute" and "Stopped" in ss.text(ui.similarityLabel)
    assert ss.parameters(panel).similarityTable is None


def test_nodes_removed_afterwards(panel, ui):
    node, _masks = ss.add_mask(panel)
    ss.choose_mask(panel, node, "knee")
    ss.compute(panel)
    for member in ("maskSegmentation", "syntheticVolume", "stirVolume"):
        removed(panel, member)
        assert ss.is_stale(panel)
        ss.click_row(panel, 3)
    removed(panel, "similarityChart")
    slicer_host.click(ui.plotButton)
    assert ss.parameters(panel).similarityChart is not None
    removed(panel, "similarityTable")
    ss.settle(panel)
    assert not ui.similarityTableView.visible and not ui.plotButton.enabled and not ss.is_stale(panel)


def test_scene_closed_during_a_run(panel, ui):
    slicer_host.click(ui.computeButton)
    slicer.mrmlScene.Clear(0)
    slicer_host.process_events()
    assert ui.computeButton.text == "Compute" and not ui.computeButton.enabled and not ui.progressBar.visible
    assert not slicer.util.getNodesByClass("vtkMRMLTableNode")


def test_run_continues_while_another_module_is_shown(panel, ui):
    slicer_host.click(ui.computeButton)
    panel.exit()
    slicer_host.wait_until(lambda: ss.parameters(panel).similarityTable is not None)
    panel.enter()
    ss.settle(panel)
    ss.assert_volume_row(panel, similarity(*ss.arrays(panel), Scaling.TISSUE))


def test_second_parameter_set_has_its_own_result(panel, ui):
    ss.compute(panel)
    first = ss.parameters(panel)
    second = type(first)(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode"))
    second.stirVolume, second.syntheticVolume = first.syntheticVolume, first.stirVolume
    panel.setParameterNode(second)
    ss.settle(panel)
    assert not ui.similarityTableView.visible and not ui.csvButton.enabled
    slicer_host.click(ui.computeButton)
    panel.setParameterNode(first)
    ss.settle(panel)
    assert second.similarityTable is None and ui.similarityTableView.visible and not ss.is_stale(panel)
    panel.setParameterNode(second)
    ss.compute(panel)
    assert second.similarityTable is not first.similarityTable
    ui.thresholdSlider.value = 0.4
    ss.settle(panel)
    assert first.overlapThreshold == pytest.approx(0.1)


def test_module_reloaded_during_a_run(panel, ui):
    from testing_host import application

    slicer_host.click(ui.computeButton)
    fresh = application.reload_module("CCDNNSynth")
    slicer_host.process_events()
    assert ss.parameters(fresh).similarityTable is None
    for section in (fresh.inputs.ui.inputsSection, fresh.synthesis.ui.synthesisSection):
        section.collapsed = True
    ss.compute(fresh)
    ss.assert_volume_row(fresh, similarity(*ss.arrays(fresh), Scaling.TISSUE))


def test_volume_that_cannot_be_measured_gives_a_message(panel, ui):
    synthetic = ss.parameters(panel).syntheticVolume
    slicer.util.updateVolumeFromArray(synthetic, np.full((6, 40, 36), np.nan, np.float32))
    slicer_host.process_events()
    slicer_host.click(ui.computeButton)
    assert "synthetic STIR cannot be scaled" in ss.text(ui.similarityLabel)
    slicer_host.click(ui.differenceButton)
    assert "cannot be scaled" in ss.text(ui.similarityLabel)
    assert ss.parameters(panel).differenceVolume is None
