"""Image similarity, driven by clicks: the panel's numbers are the engine's, and it says when they no longer hold."""

from __future__ import annotations

import csv
import math
import sys
import unittest.mock

import numpy as np
import pytest
import qt_stand_in
import scene
import SimpleITK as sitk
import skimage.metrics
import slicer
import slicer_host
import vtk
from PySide6 import QtCore, QtTest

from ccdnn.measure.scaling import Scaling, scale_pair
from ccdnn.measure.similarity import Measure, similarity
from ccdnn.resample import resample_onto
from ccdnn.series import Role
from ccdnn.volume import Volume
from CCDNNSynthLib.Packages import PackagesMissing
from CCDNNSynthLib.Tables import tableOf


@pytest.fixture
def ui(panel):
    """The section, with the small leg's STIR as acquired and a noisy, dimmer copy of it as synthetic."""
    nodes = scene.add_leg((Role.STIR,))
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
    """Wait until it has been looked at whether the numbers hold."""
    slicer_host.process_events()
    slicer_host.wait_until(lambda: not panel.similarity._check.active)


def table(panel):
    return tableOf(parameters(panel).similarityTable)


def text(label) -> str:
    return scene._plain(label)


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


def test_nothing_can_be_computed_without_both_volumes(panel):
    slicer_host.process_events()
    ui = panel.similarity.ui
    assert not ui.computeButton.enabled and not ui.plotButton.enabled and not ui.csvButton.enabled
    assert "acquired STIR" in text(ui.volumesLabel)


def test_table_holds_the_numbers_of_the_engine_and_of_scikit_image(panel, ui):
    compute(panel)
    image, reference = arrays(panel)
    assert_volume_row(panel, similarity(image, reference, Scaling.TISSUE))
    first, second = (x.array for x in scale_pair(image, reference, Scaling.TISSUE, names=("a", "b")))
    shown = table(panel)
    assert shown.column("slice") == ("volume", "1", "2", "3", "4", "5", "6")
    for index, (x, y) in enumerate(zip(first, second, strict=True), start=1):
        assert shown.column("MSE")[index] == pytest.approx(skimage.metrics.mean_squared_error(y, x), abs=1e-6)
        assert shown.column("PSNR")[index] == pytest.approx(skimage.metrics.peak_signal_noise_ratio(y, x, data_range=1), abs=1e-4)
        expected = skimage.metrics.structural_similarity(
            x.astype(float), y.astype(float), data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        assert shown.column("SSIM")[index] == pytest.approx(expected, abs=1e-6)
    assert "90th percentile" in ui.notesLabel.text and "too small for MS-SSIM" in ui.notesLabel.text
    assert "SSIM 0." in text(ui.similarityLabel)
    assert not is_stale(panel)
    assert ui.similarityTableView.visible and not ui.progressBar.visible


def test_every_scaling_is_the_engine_s(panel, ui):
    for index, scaling in enumerate(Scaling):
        ui.scalingSelector.currentIndex = index
        slicer_host.process_events()
        assert scaling.meaning == ui.scalingLabel.text
        compute(panel)
        assert_volume_row(panel, similarity(*arrays(panel), scaling))


def test_inside_a_segment(panel, ui):
    node, masks = add_mask(panel)
    choose_mask(panel, node, "meniscus")
    compute(panel)
    assert_volume_row(panel, similarity(*arrays(panel), Scaling.TISSUE, mask=masks["meniscus"]))
    shown = table(panel)
    assert shown.column("voxels")[0] == masks["meniscus"].sum()
    assert math.isnan(shown.column("MSE")[1]) and math.isfinite(shown.column("MSE")[3])
    assert "Inside the mask" in text(ui.similarityLabel)


def test_mask_that_is_empty_or_gone_is_told_in_a_sentence(panel, ui):
    node, _masks = add_mask(panel)
    empty = node.GetSegmentation().AddEmptySegment("", "nothing")
    slicer_host.process_events()
    choose_mask(panel, node, "nothing")
    slicer_host.click(ui.computeButton)
    assert "nothing holds no voxel of leg stir" in text(ui.similarityLabel)
    node.GetSegmentation().RemoveSegment(empty)
    slicer_host.process_events()
    slicer_host.click(ui.computeButton)
    assert "no longer there" in text(ui.similarityLabel)
    assert parameters(panel).similarityTable is None
    ui.maskSelector.setCurrentNode(None)
    slicer_host.process_events()
    compute(panel)
    assert table(panel).column("voxels")[0] == arrays(panel)[0].size


def test_another_segmentation_begins_with_the_whole_volume(panel, ui):
    first, _masks = add_mask(panel)
    second = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "other")
    second.GetSegmentation().AddEmptySegment("another", "another")
    choose_mask(panel, first, "knee")
    ui.maskSelector.setCurrentNode(second)
    slicer_host.process_events()
    assert parameters(panel).maskSegment == "" and ui.segmentSelector.currentText == "Whole volume"


def test_overlap_follows_the_threshold_and_agrees_with_simpleitk(panel, ui):
    node, masks = add_mask(panel)
    choose_mask(panel, node, "knee")
    compute(panel)
    first, second = (x.array for x in scale_pair(*arrays(panel), Scaling.TISSUE, names=("a", "b")))
    for threshold in (0.3, 0.15):
        ui.thresholdSlider.value = threshold
        slicer_host.process_events()
        below = [sitk.GetImageFromArray(((x < threshold) & masks["knee"]).astype(np.uint8)) for x in (first, second)]
        measures = sitk.LabelOverlapMeasuresImageFilter()
        measures.Execute(*below)
        assert table(panel).column("Dice")[0] == pytest.approx(measures.GetDiceCoefficient(), abs=1e-9)
        assert f"Dice {measures.GetDiceCoefficient():.4f}" in ui.overlapLabel.text
        assert not is_stale(panel)
    ui.thresholdSlider.value = 0
    slicer_host.process_events()
    assert "Neither image" in ui.overlapLabel.text and math.isnan(table(panel).column("Dice")[0])


@pytest.mark.parametrize("cancelled", [True, False])
def test_window_stays_free_and_cancel_changes_nothing(panel, ui, cancelled):
    before = scene.snapshot()
    values = []
    ui.progressBar.valueChanged.connect(values.append)
    slicer_host.click(ui.computeButton)
    assert ui.computeButton.text == "Cancel" and ui.progressBar.visible
    if cancelled:
        slicer_host.click(ui.computeButton)
        assert ui.computeButton.text == "Compute" and "Stopped" in text(ui.similarityLabel)
        slicer_host.process_events()
        assert scene.snapshot() == before and parameters(panel).similarityTable is None
    else:
        slicer_host.wait_until(lambda: ui.computeButton.text == "Compute")
        assert len(set(values)) >= 5  # a slice at a time, with the application's turn between


def test_numbers_are_marked_when_a_volume_the_mask_or_the_scaling_changes(panel, ui):
    node, _masks = add_mask(panel)
    choose_mask(panel, node, "knee")
    compute(panel)
    assert not is_stale(panel)
    synthetic = parameters(panel).syntheticVolume
    array = slicer.util.arrayFromVolume(synthetic)
    before = array[3, 20, 20]
    array[3, 20, 20] = before + 5
    slicer.util.arrayFromVolumeModified(synthetic)
    assert is_stale(panel)
    array[3, 20, 20] = before
    slicer.util.arrayFromVolumeModified(synthetic)
    assert not is_stale(panel)
    synthetic.SetName("another name")
    assert not is_stale(panel)
    ui.scalingSelector.currentIndex = list(Scaling).index(Scaling.MINMAX)
    assert is_stale(panel)
    ui.scalingSelector.currentIndex = list(Scaling).index(Scaling.TISSUE)
    assert not is_stale(panel)
    choose_mask(panel, node, "meniscus")
    assert is_stale(panel)
    choose_mask(panel, node, "knee")
    assert not is_stale(panel)
    node.GetSegmentation().RemoveSegment(parameters(panel).maskSegment)
    assert is_stale(panel)
    ui.maskSelector.setCurrentNode(None)
    compute(panel)
    assert not is_stale(panel)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    for volume in (synthetic, parameters(panel).stirVolume):
        volume.SetAndObserveTransformNodeID(transform.GetID())
    move(transform, (0, 5, 0))
    assert not is_stale(panel)  # both moved
    synthetic.SetAndObserveTransformNodeID(None)
    assert is_stale(panel)


def move(transform, offset) -> None:
    matrix = vtk.vtkMatrix4x4()
    for row, value in enumerate(offset):
        matrix.SetElement(row, 3, value)
    transform.SetMatrixTransformToParent(matrix)


def test_painting_in_the_mask_is_noticed(panel, ui):
    node, masks = add_mask(panel)
    choose_mask(panel, node, "meniscus")
    compute(panel)
    painted = masks["meniscus"].astype(np.uint8)
    painted[2, 25, 25] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(painted, node, parameters(panel).maskSegment, parameters(panel).stirVolume)
    assert is_stale(panel)
    compute(panel)
    assert table(panel).column("voxels")[0] == painted.sum() and not is_stale(panel)


def test_synthetic_volume_elsewhere_is_resampled_and_only_the_overlap_measured(panel, ui):
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    move(transform, (0, 4, 0))
    synthetic, acquired = parameters(panel).syntheticVolume, parameters(panel).stirVolume
    synthetic.SetAndObserveTransformNodeID(transform.GetID())
    compute(panel)
    shift = np.eye(4)
    shift[1, 3] = 4
    moved = resample_onto(
        Volume(slicer.util.arrayFromVolume(synthetic), shift @ matrix_of(synthetic)),
        Volume(slicer.util.arrayFromVolume(acquired), matrix_of(acquired)).grid,
    )
    first, second = scale_pair(moved.volume.array, slicer.util.arrayFromVolume(acquired), Scaling.TISSUE, names=("a", "b"))
    expected = ((first.array.astype(float) - second.array) ** 2)[moved.covered].mean()
    assert table(panel).column("MSE")[0] == pytest.approx(expected, abs=1e-6)
    assert table(panel).column("voxels")[0] == moved.covered.sum() < moved.covered.size
    assert "that both volumes cover" in ui.notesLabel.text


def test_other_grids_without_simpleitk_give_a_sentence(panel, ui):
    synthetic = parameters(panel).syntheticVolume
    synthetic.SetOrigin(*(value + 2 for value in synthetic.GetOrigin()))
    slicer_host.process_events()
    with unittest.mock.patch.dict(sys.modules, {"ccdnn.resample": None}):
        slicer_host.click(ui.computeButton)
    assert "only SimpleITK can compare" in text(ui.similarityLabel)
    assert parameters(panel).similarityTable is None and ui.computeButton.text == "Compute"


def test_without_scikit_image_the_rest_is_measured(panel, ui):
    def refuse():
        raise PackagesMissing("refused")

    panel.similarity.ensureScikitImage = refuse
    with unittest.mock.patch.dict(sys.modules, {"skimage": None, "skimage.metrics": None, "skimage.filters": None}):
        compute(panel)
    shown = table(panel)
    assert math.isfinite(shown.column("PSNR")[0]) and math.isnan(shown.column("SSIM")[0])
    assert "need scikit-image" in ui.notesLabel.text


def test_scikit_image_is_asked_for_only_when_it_is_missing(panel, ui, monkeypatch):
    import types

    from CCDNNSynthLib import Packages

    asked = []
    packaging = types.ModuleType("slicer.packaging")
    packaging.pip_ensure = lambda requirements, requester: asked.append((requirements, requester))
    monkeypatch.setitem(sys.modules, "slicer.packaging", packaging)
    Packages.ensureScikitImage()
    assert asked == []
    monkeypatch.setattr(Packages, "find_spec", lambda name: None)
    Packages.ensureScikitImage()
    assert asked == [("scikit-image>=0.22", "CCDNNSynth")]


def test_a_row_and_a_point_of_the_plot_lead_to_the_slice(panel, ui):
    compute(panel)
    acquired = parameters(panel).stirVolume
    red = slicer.mrmlScene.GetSingletonNode("Red", "vtkMRMLSliceNode").GetSliceOffset()
    for row in (5, 2):
        click_row(panel, row)
        assert slice_shown(acquired) == row - 1
    click_row(panel, 0)  # of the volume
    assert slice_shown(acquired) == 1
    assert slicer.mrmlScene.GetSingletonNode("Red", "vtkMRMLSliceNode").GetSliceOffset() == pytest.approx(red)
    slicer_host.click(ui.plotButton)
    chart = parameters(panel).similarityChart
    ids, points, indices = vtk.vtkStringArray(), vtk.vtkCollection(), vtk.vtkIdTypeArray()
    ids.InsertNextValue(chart.GetNthPlotSeriesNodeID(0))
    indices.InsertNextValue(3)
    points.AddItem(indices)
    slicer.app.layoutManager().plotWidget(0).plotView().dataSelected.emit(ids, points)
    assert slice_shown(acquired) == 3
    ids.SetValue(0, "another series")
    indices.SetValue(0, 0)
    slicer.app.layoutManager().plotWidget(0).plotView().dataSelected.emit(ids, points)
    assert slice_shown(acquired) == 3


def test_row_leads_to_the_slice_of_a_moved_volume(panel, ui):
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    move(transform, (7, 0, 0))
    acquired = parameters(panel).stirVolume
    for volume in (acquired, parameters(panel).syntheticVolume):
        volume.SetAndObserveTransformNodeID(transform.GetID())
    compute(panel)
    click_row(panel, 4)
    node = slicer.mrmlScene.GetSingletonNode("Yellow", "vtkMRMLSliceNode")
    middle = [node.GetSliceToRAS().GetElement(row, 3) for row in range(3)]
    expected = (matrix_of(acquired) @ [0, 0, 3, 1])[0] + 7
    assert middle[0] == pytest.approx(expected)


def test_chart_shows_the_chosen_measure(panel, ui):
    compute(panel)
    chart = parameters(panel).similarityChart
    assert chart.GetYAxisTitle() == "SSIM"
    slicer_host.click(ui.plotButton)
    assert slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLPlotViewNode").GetPlotChartNodeID() == chart.GetID()
    ui.measureSelector.currentIndex = list(Measure).index(Measure.PSNR)
    slicer_host.process_events()
    assert chart.GetYAxisTitle() == "PSNR (dB)"
    series = chart.GetNthPlotSeriesNode(0)
    column = series.GetTableNode().GetTable().GetColumnByName(series.GetYColumnName())
    drawn = [column.GetValue(row) for row in range(column.GetNumberOfTuples())]
    assert drawn == pytest.approx(table(panel).column("PSNR")[1:])


def test_csv_holds_all_digits(panel, ui, tmp_path):
    compute(panel)
    qt_stand_in.dialog_answers["save"] = str(tmp_path / "similarity")
    slicer_host.click(ui.csvButton)
    with (tmp_path / "similarity.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert float(rows[0]["MSE"]) == table(panel).column("MSE")[0]
    assert rows[1]["slice"] == "1" and rows[0]["MS-SSIM"] == ""
    assert "Written" in text(ui.similarityLabel)
    qt_stand_in.dialog_answers["save"] = str(tmp_path / "no folder" / "similarity.csv")
    slicer_host.click(ui.csvButton)
    assert "no such folder" in text(ui.similarityLabel)


def test_difference_volume_is_made_and_replaced(panel, ui):
    slicer_host.click(ui.differenceButton)
    first = parameters(panel).differenceVolume
    image, reference = (x.array for x in scale_pair(*arrays(panel), Scaling.TISSUE, names=("a", "b")))
    np.testing.assert_allclose(slicer.util.arrayFromVolume(first), image - reference, atol=1e-6)
    view = slicer.mrmlScene.GetSingletonNode("Red", "vtkMRMLSliceCompositeNode")
    assert view.GetForegroundVolumeID() == first.GetID()
    count = len(scene.volume_nodes())
    slicer_host.click(ui.differenceButton)
    assert len(scene.volume_nodes()) == count
    assert view.GetForegroundVolumeID() == parameters(panel).differenceVolume.GetID()


def test_saved_scene_restores_the_result_and_what_it_was_measured_on(panel, ui, tmp_path):
    node, _masks = add_mask(panel)
    choose_mask(panel, node, "knee")
    ui.thresholdSlider.value = 0.3
    compute(panel)
    before, notes, overlap = table(panel), ui.notesLabel.text, ui.overlapLabel.text
    assert slicer.util.saveScene(str(tmp_path / "saved"))
    slicer.mrmlScene.Clear(0)
    settle(panel)
    assert not ui.similarityTableView.visible and not is_stale(panel)
    slicer.util.loadScene(str(tmp_path / "saved" / "saved.mrml"))
    panel.enter()
    settle(panel)
    after = table(panel)
    assert after.column("slice") == before.column("slice")
    for name in ("MSE", "PSNR", "SSIM", "Dice"):
        np.testing.assert_allclose(after.column(name), before.column(name), rtol=1e-5)
    assert (ui.notesLabel.text, ui.overlapLabel.text) == (notes, overlap)
    assert ui.segmentSelector.currentText == "knee"
    assert not is_stale(panel)
    ui.measureSelector.currentIndex = list(Measure).index(Measure.MSE)
    slicer_host.process_events()
    assert parameters(panel).similarityChart.GetYAxisTitle() == "MSE"
    ui.thresholdSlider.value = 0.2  # the voxels that were measured are not in the scene: measure again
    assert is_stale(panel)
    compute(panel)
    assert not is_stale(panel)


def removed(panel, member):
    slicer.mrmlScene.RemoveNode(getattr(parameters(panel), member))


@pytest.mark.parametrize("member", ["syntheticVolume", "stirVolume", "maskSegmentation"])
def test_node_removed_in_mid_run_stops_it(panel, ui, member):
    node, _masks = add_mask(panel)
    choose_mask(panel, node, "knee")
    slicer_host.click(ui.computeButton)
    removed(panel, member)
    slicer_host.process_events()
    assert ui.computeButton.text == "Compute" and "Stopped" in text(ui.similarityLabel)
    assert parameters(panel).similarityTable is None


def test_nodes_removed_afterwards(panel, ui):
    node, _masks = add_mask(panel)
    choose_mask(panel, node, "knee")
    compute(panel)
    for member in ("maskSegmentation", "syntheticVolume", "stirVolume"):
        removed(panel, member)
        assert is_stale(panel)
        click_row(panel, 3)
    removed(panel, "similarityChart")
    slicer_host.click(ui.plotButton)
    assert parameters(panel).similarityChart is not None
    removed(panel, "similarityTable")
    settle(panel)
    assert not ui.similarityTableView.visible and not ui.plotButton.enabled and not is_stale(panel)


def test_scene_closed_in_mid_run(panel, ui):
    slicer_host.click(ui.computeButton)
    slicer.mrmlScene.Clear(0)
    slicer_host.process_events()
    assert ui.computeButton.text == "Compute" and not ui.computeButton.enabled and not ui.progressBar.visible
    assert not slicer.util.getNodesByClass("vtkMRMLTableNode")


def test_run_goes_on_while_another_module_is_shown(panel, ui):
    slicer_host.click(ui.computeButton)
    panel.exit()
    slicer_host.wait_until(lambda: parameters(panel).similarityTable is not None)
    panel.enter()
    settle(panel)
    assert_volume_row(panel, similarity(*arrays(panel), Scaling.TISSUE))


def test_second_parameter_set_has_its_own_result(panel, ui):
    compute(panel)
    first = parameters(panel)
    second = type(first)(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode"))
    second.stirVolume, second.syntheticVolume = first.syntheticVolume, first.stirVolume
    panel.setParameterNode(second)
    settle(panel)
    assert not ui.similarityTableView.visible and not ui.csvButton.enabled
    slicer_host.click(ui.computeButton)
    panel.setParameterNode(first)
    settle(panel)
    assert second.similarityTable is None and ui.similarityTableView.visible and not is_stale(panel)
    panel.setParameterNode(second)
    compute(panel)
    assert second.similarityTable is not first.similarityTable
    ui.thresholdSlider.value = 0.4
    settle(panel)
    assert first.overlapThreshold == pytest.approx(0.1)


def test_module_is_reloaded_in_mid_run(panel, ui):
    import application

    slicer_host.click(ui.computeButton)
    fresh = application.reload_module("CCDNNSynth")
    slicer_host.process_events()
    assert parameters(fresh).similarityTable is None
    for section in (fresh.inputs.ui.inputsSection, fresh.synthesis.ui.synthesisSection):
        section.collapsed = True
    compute(fresh)
    assert_volume_row(fresh, similarity(*arrays(fresh), Scaling.TISSUE))


def test_volume_that_cannot_be_measured_gives_a_sentence(panel, ui):
    synthetic = parameters(panel).syntheticVolume
    slicer.util.updateVolumeFromArray(synthetic, np.full((6, 40, 36), np.nan, np.float32))
    slicer_host.process_events()
    slicer_host.click(ui.computeButton)
    assert "synthetic STIR cannot be scaled" in text(ui.similarityLabel)
    slicer_host.click(ui.differenceButton)
    assert "cannot be scaled" in text(ui.similarityLabel)
    assert parameters(panel).differenceVolume is None
