"""Image similarity, driven by clicks: the panel's values are the engine's."""

from __future__ import annotations

import csv
import math
import sys

import numpy as np
import panel_scene
import pytest
import similarity_scene as ss
import SimpleITK as sitk
import skimage.metrics
import slicer
import vtk
from testing_host import qt_stand_in, slicer_host

from ccdnn.measure.scaling import Scaling, scale_pair
from ccdnn.measure.similarity import Measure, similarity
from ccdnn.resample import resample_onto
from ccdnn.volume import Volume


@pytest.fixture
def ui(panel):
    return ss.open_pair(panel)


def test_nothing_can_be_computed_without_both_volumes(panel):
    slicer_host.process_events()
    ui = panel.similarity.ui
    assert not ui.computeButton.enabled and not ui.plotButton.enabled and not ui.csvButton.enabled
    assert "acquired STIR" in ss.text(ui.volumesLabel)


def test_table_contains_the_values_of_the_engine_and_of_scikit_image(panel, ui):
    ss.compute(panel)
    image, reference = ss.arrays(panel)
    ss.assert_volume_row(panel, similarity(image, reference, Scaling.TISSUE))
    first, second = (x.array for x in scale_pair(image, reference, Scaling.TISSUE, names=("a", "b")))
    shown = ss.table(panel)
    assert shown.column("slice") == ("volume", "1", "2", "3", "4", "5", "6")
    for index, (x, y) in enumerate(zip(first, second, strict=True), start=1):
        assert shown.column("MSE")[index] == pytest.approx(skimage.metrics.mean_squared_error(y, x), abs=1e-6)
        assert shown.column("PSNR")[index] == pytest.approx(skimage.metrics.peak_signal_noise_ratio(y, x, data_range=1), abs=1e-4)
        expected = skimage.metrics.structural_similarity(
            x.astype(float), y.astype(float), data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        assert shown.column("SSIM")[index] == pytest.approx(expected, abs=1e-6)
    assert "90th percentile" in ui.notesLabel.text and "too small for MS-SSIM" in ui.notesLabel.text
    assert "SSIM 0." in ss.text(ui.similarityLabel)
    assert not ss.is_stale(panel)
    assert ui.similarityTableView.visible and not ui.progressBar.visible


def test_every_scaling_is_the_engine_s(panel, ui):
    for index, scaling in enumerate(Scaling):
        ui.scalingSelector.currentIndex = index
        slicer_host.process_events()
        assert scaling.meaning == ui.scalingLabel.text
        ss.compute(panel)
        ss.assert_volume_row(panel, similarity(*ss.arrays(panel), scaling))


def test_inside_a_segment(panel, ui):
    node, masks = ss.add_mask(panel)
    ss.choose_mask(panel, node, "meniscus")
    ss.compute(panel)
    ss.assert_volume_row(panel, similarity(*ss.arrays(panel), Scaling.TISSUE, mask=masks["meniscus"]))
    shown = ss.table(panel)
    assert shown.column("voxels")[0] == masks["meniscus"].sum()
    assert math.isnan(shown.column("MSE")[1]) and math.isfinite(shown.column("MSE")[3])
    assert "Inside the mask" in ss.text(ui.similarityLabel)


def test_another_segmentation_starts_with_the_whole_volume(panel, ui):
    first, _masks = ss.add_mask(panel)
    second = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "other")
    second.GetSegmentation().AddEmptySegment("another", "another")
    ss.choose_mask(panel, first, "knee")
    ui.maskSelector.setCurrentNode(second)
    slicer_host.process_events()
    assert ss.parameters(panel).maskSegment == "" and ui.segmentSelector.currentText == "Whole volume"


def test_overlap_follows_the_threshold_and_agrees_with_simpleitk(panel, ui):
    node, masks = ss.add_mask(panel)
    ss.choose_mask(panel, node, "knee")
    ss.compute(panel)
    first, second = (x.array for x in scale_pair(*ss.arrays(panel), Scaling.TISSUE, names=("a", "b")))
    for threshold in (0.3, 0.15):
        ui.thresholdSlider.value = threshold
        slicer_host.process_events()
        below = [sitk.GetImageFromArray(((x < threshold) & masks["knee"]).astype(np.uint8)) for x in (first, second)]
        measures = sitk.LabelOverlapMeasuresImageFilter()
        measures.Execute(*below)
        assert ss.table(panel).column("Dice")[0] == pytest.approx(measures.GetDiceCoefficient(), abs=1e-9)
        assert f"Dice {measures.GetDiceCoefficient():.4f}" in ui.overlapLabel.text
        assert not ss.is_stale(panel)
    ui.thresholdSlider.value = 0
    slicer_host.process_events()
    assert "Neither image" in ui.overlapLabel.text and math.isnan(ss.table(panel).column("Dice")[0])


@pytest.mark.parametrize("cancelled", [True, False])
def test_application_stays_responsive_and_cancel_changes_nothing(panel, ui, cancelled):
    before = panel_scene.snapshot()
    values = []
    ui.progressBar.valueChanged.connect(values.append)
    slicer_host.click(ui.computeButton)
    assert ui.computeButton.text == "Cancel" and ui.progressBar.visible
    if cancelled:
        slicer_host.click(ui.computeButton)
        assert ui.computeButton.text == "Compute" and "Stopped" in ss.text(ui.similarityLabel)
        slicer_host.process_events()
        assert panel_scene.snapshot() == before and ss.parameters(panel).similarityTable is None
    else:
        slicer_host.wait_until(lambda: ui.computeButton.text == "Compute")
        assert len(set(values)) >= 5  # one slice per turn of the event loop


def test_synthetic_volume_elsewhere_is_resampled_and_only_the_overlap_measured(panel, ui):
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    ss.move(transform, (0, 4, 0))
    synthetic, acquired = ss.parameters(panel).syntheticVolume, ss.parameters(panel).stirVolume
    synthetic.SetAndObserveTransformNodeID(transform.GetID())
    ss.compute(panel)
    shift = np.eye(4)
    shift[1, 3] = 4
    moved = resample_onto(
        Volume(slicer.util.arrayFromVolume(synthetic), shift @ ss.matrix_of(synthetic)),
        Volume(slicer.util.arrayFromVolume(acquired), ss.matrix_of(acquired)).grid,
    )
    first, second = scale_pair(moved.volume.array, slicer.util.arrayFromVolume(acquired), Scaling.TISSUE, names=("a", "b"))
    expected = ((first.array.astype(float) - second.array) ** 2)[moved.covered].mean()
    assert ss.table(panel).column("MSE")[0] == pytest.approx(expected, abs=1e-6)
    assert ss.table(panel).column("voxels")[0] == moved.covered.sum() < moved.covered.size
    assert "that both volumes cover" in ui.notesLabel.text


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
    ss.compute(panel)
    acquired = ss.parameters(panel).stirVolume
    red = slicer.mrmlScene.GetSingletonNode("Red", "vtkMRMLSliceNode").GetSliceOffset()
    for row in (5, 2):
        ss.click_row(panel, row)
        assert ss.slice_shown(acquired) == row - 1
    ss.click_row(panel, 0)  # the row of the whole volume
    assert ss.slice_shown(acquired) == 1
    assert slicer.mrmlScene.GetSingletonNode("Red", "vtkMRMLSliceNode").GetSliceOffset() == pytest.approx(red)
    slicer_host.click(ui.plotButton)
    chart = ss.parameters(panel).similarityChart
    ids, points, indices = vtk.vtkStringArray(), vtk.vtkCollection(), vtk.vtkIdTypeArray()
    ids.InsertNextValue(chart.GetNthPlotSeriesNodeID(0))
    indices.InsertNextValue(3)
    points.AddItem(indices)
    slicer.app.layoutManager().plotWidget(0).plotView().dataSelected.emit(ids, points)
    assert ss.slice_shown(acquired) == 3
    ids.SetValue(0, "another series")
    indices.SetValue(0, 0)
    slicer.app.layoutManager().plotWidget(0).plotView().dataSelected.emit(ids, points)
    assert ss.slice_shown(acquired) == 3


def test_row_leads_to_the_slice_of_a_moved_volume(panel, ui):
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    ss.move(transform, (7, 0, 0))
    acquired = ss.parameters(panel).stirVolume
    for volume in (acquired, ss.parameters(panel).syntheticVolume):
        volume.SetAndObserveTransformNodeID(transform.GetID())
    ss.compute(panel)
    ss.click_row(panel, 4)
    node = slicer.mrmlScene.GetSingletonNode("Yellow", "vtkMRMLSliceNode")
    middle = [node.GetSliceToRAS().GetElement(row, 3) for row in range(3)]
    expected = (ss.matrix_of(acquired) @ [0, 0, 3, 1])[0] + 7
    assert middle[0] == pytest.approx(expected)


def test_chart_shows_the_chosen_measure(panel, ui):
    ss.compute(panel)
    chart = ss.parameters(panel).similarityChart
    assert chart.GetYAxisTitle() == "SSIM"
    slicer_host.click(ui.plotButton)
    assert slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLPlotViewNode").GetPlotChartNodeID() == chart.GetID()
    ui.measureSelector.currentIndex = list(Measure).index(Measure.PSNR)
    slicer_host.process_events()
    assert chart.GetYAxisTitle() == "PSNR (dB)"
    series = chart.GetNthPlotSeriesNode(0)
    column = series.GetTableNode().GetTable().GetColumnByName(series.GetYColumnName())
    drawn = [column.GetValue(row) for row in range(column.GetNumberOfTuples())]
    assert drawn == pytest.approx(ss.table(panel).column("PSNR")[1:])


def test_csv_contains_all_digits(panel, ui, tmp_path):
    ss.compute(panel)
    qt_stand_in.dialog_answers["save"] = str(tmp_path / "similarity")
    slicer_host.click(ui.csvButton)
    with (tmp_path / "similarity.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert float(rows[0]["MSE"]) == ss.table(panel).column("MSE")[0]
    assert rows[1]["slice"] == "1" and rows[0]["MS-SSIM"] == ""
    assert "Written" in ss.text(ui.similarityLabel)
    slicer_host.click(ui.csvButton)  # the file dialog did not ask about the name with the added suffix
    assert "similarity.csv already exists" in ss.text(ui.similarityLabel)
    qt_stand_in.dialog_answers["save"] = str(tmp_path / "no folder" / "similarity.csv")
    slicer_host.click(ui.csvButton)
    assert "no such folder" in ss.text(ui.similarityLabel)


def test_difference_volume_is_made_and_replaced(panel, ui):
    slicer_host.click(ui.differenceButton)
    first = ss.parameters(panel).differenceVolume
    image, reference = (x.array for x in scale_pair(*ss.arrays(panel), Scaling.TISSUE, names=("a", "b")))
    np.testing.assert_allclose(slicer.util.arrayFromVolume(first), image - reference, atol=1e-6)
    view = slicer.mrmlScene.GetSingletonNode("Red", "vtkMRMLSliceCompositeNode")
    assert view.GetForegroundVolumeID() == first.GetID()
    count = len(panel_scene.volume_nodes())
    slicer_host.click(ui.differenceButton)
    assert len(panel_scene.volume_nodes()) == count
    assert view.GetForegroundVolumeID() == ss.parameters(panel).differenceVolume.GetID()
