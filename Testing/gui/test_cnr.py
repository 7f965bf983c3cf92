"""CNR in the panel: regions from segments and drawings, on any grid and under any transform; live updates, plot, file, errors."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest
import slicer
import vtk
from cnr_scene import (
    HIGH,
    LOW,
    draw_pair,
    draw_region,
    expected_cnr,
    masks,
    open_leg,
    open_sample,
    settle,
    status,
    table_of,
    wait_for_table,
)
from testing_host import qt_stand_in, slicer_host, tissue_regions

from ccdnn.cli.main import main as ccdnn
from ccdnn.measure.cnr import PAPER_PAIRS, CnrForm
from CCDNNSynthLib.Inputs.SampleStudy import SAMPLE_FOLDER
from CCDNNSynthLib.Scene.Regions import OutlineRegion


@pytest.fixture
def leg(panel):
    return open_leg(panel)


def test_sample_study_by_segments_agrees_with_an_independent_recomputation(panel):
    node = open_sample(panel)
    node.regionSegmentation = tissue_regions.add_segmentation()
    rows = wait_for_table(node)
    labels = tissue_regions.label_array()
    assert list(rows) == [str(pair) for pair in PAPER_PAIRS]
    for pair in PAPER_PAIRS:
        f, b = (labels == tissue_regions.LABEL_OF_TISSUE[name] for name in (pair.foreground, pair.background))
        row = rows[str(pair)]
        for name, volume in (("acquired", node.stirVolume), ("synthetic", node.syntheticVolume)):
            image = slicer.util.arrayFromVolume(volume)
            assert row[f"CNR {name}"] == pytest.approx(expected_cnr(image, f, b), rel=1e-6)
            assert row[f"Voxels foreground {name}"] == f.sum() and row[f"Voxels background {name}"] == b.sum()
        assert row["Ratio synthetic/acquired"] == pytest.approx(row["CNR synthetic"] / row["CNR acquired"])
    chart = node.cnrChart
    assert [chart.GetNthPlotSeriesNode(i).GetName() for i in range(2)] == ["acquired", "synthetic"]
    assert panel.cnr.ui.cnrTableView.mrmlTableNode() is node.cnrTable


def test_sample_study_by_segments_agrees_with_the_command_line(panel, tmp_path):
    node = open_sample(panel)
    node.regionSegmentation = tissue_regions.add_segmentation()
    rows = wait_for_table(node)
    tissues = [f"--labels={SAMPLE_FOLDER / 'labels.nrrd'}", f"--names={SAMPLE_FOLDER / 'labels.json'}"]
    for name, file in (("acquired", "stir.nrrd"), ("synthetic", "t2.nrrd")):  # one by one, because two would also be compared
        folder = tmp_path / name
        assert ccdnn(["measure", f"--{name}={SAMPLE_FOLDER / file}", *tissues, "--csv", str(folder), "-q"]) == 0
        (path,) = folder.glob("*.csv")
        printed = {row["Pair"]: row for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines())}
        assert list(printed) == list(rows)
        for pair, row in rows.items():
            assert row[f"CNR {name}"] == pytest.approx(float(printed[pair][f"CNR {name}"]), rel=1e-6)


def test_drawn_outlines_contain_the_voxels_of_their_slice(panel, leg):
    draw_pair(panel, leg, fat_slice=4)
    row = wait_for_table(leg)["muscle–fat"]
    for name, volume in (("acquired", leg.stirVolume), ("synthetic", leg.syntheticVolume)):
        image = slicer.util.arrayFromVolume(volume)
        assert row[f"CNR {name}"] == pytest.approx(expected_cnr(image, *masks(image.shape, 4)), rel=1e-6)
        assert row[f"Voxels foreground {name}"] == row[f"Voxels background {name}"] == 63


def test_a_circle_has_the_area_of_a_circle(panel, leg):
    volume = leg.stirVolume
    centre, rim = tissue_regions.world(volume, 18, 20, 3), tissue_regions.world(volume, 18, 31, 3)
    outline = draw_region(panel, "muscle", [centre, rim], "circle")
    assert outline.GetNumberOfControlPoints() == 8
    voxels = np.unravel_index(OutlineRegion(outline).voxels(volume), slicer.util.arrayFromVolume(volume).shape)
    assert set(voxels[0]) == {3}
    assert len(voxels[0]) == pytest.approx(math.pi * 11**2, rel=0.02)
    assert np.hypot(voxels[2] - 18, voxels[1] - 20).max() <= 11.2
    assert not panel.cnr.ui.circleButton.checked


def test_a_circle_lies_in_the_plane_of_the_view_it_was_drawn_in(panel, leg):
    """In a view across the slices, through column 18; outside all views, on a slice of the volume."""
    volume = leg.stirVolume
    i, j, k = (np.array(tissue_regions.world(volume, *axis)) - tissue_regions.world(volume, 0, 0, 0) for axis in np.eye(3))
    view = slicer.mrmlScene.GetSingletonNode("Red", "vtkMRMLSliceNode")
    matrix = np.eye(4)
    matrix[:3, :3] = np.column_stack([axis / np.linalg.norm(axis) for axis in (j, k, i)])
    matrix[:3, 3] = tissue_regions.world(volume, 18, 3, 2)
    slicer.util.updateVTKMatrixFromArray(view.GetSliceToRAS(), matrix)
    view.UpdateMatrices()
    found = []
    for column in (18, 20):
        ends = [tissue_regions.world(volume, column, row, 3) for row in (20, 29)]
        voxels = OutlineRegion(draw_region(panel, "muscle", ends, "circle")).voxels(volume)
        found.append(np.unravel_index(voxels, slicer.util.arrayFromVolume(volume).shape))
    in_view, elsewhere = found
    assert set(in_view[2]) == {18} and len(set(in_view[0])) > 1
    assert set(elsewhere[0]) == {3} and len(set(elsewhere[2])) > 1


def test_several_outlines_and_a_segment_of_one_tissue_are_combined(panel, leg):
    draw_pair(panel, leg)
    tissue_regions.make_straight(draw_region(panel, "Muscle", tissue_regions.square(leg.stirVolume, 3, LOW, HIGH)))
    image = slicer.util.arrayFromVolume(leg.stirVolume)
    muscle, fat = masks(image.shape)
    both = muscle | tissue_regions.box_mask(image.shape, 3, LOW, HIGH)
    settle()
    assert table_of(leg)["muscle–fat"]["Voxels foreground acquired"] == 126
    segment = tissue_regions.box_mask(image.shape, 1, LOW, HIGH)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.SetReferenceImageGeometryParameterFromVolumeNode(leg.stirVolume)
    identifier = node.GetSegmentation().AddEmptySegment("", "muscle")
    slicer.util.updateSegmentBinaryLabelmapFromArray(segment.astype(np.uint8), node, identifier, leg.stirVolume)
    leg.regionSegmentation = node
    slicer_host.process_events()
    settle()
    row = table_of(leg)["muscle–fat"]
    assert row["Voxels foreground acquired"] == 189
    assert row["CNR acquired"] == pytest.approx(expected_cnr(image, both | segment, fat), rel=1e-6)


def linear_transform():
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform = vtk.vtkTransform()
    transform.Translate(11, -7, 4)
    transform.RotateX(25)
    transform.RotateZ(-40)
    node.SetMatrixTransformToParent(transform.GetMatrix())
    return node


def bending_transform():
    """Non-linear: a grid that shifts by some millimetres, more in the middle."""
    grid = vtk.vtkImageData()
    grid.SetDimensions(5, 5, 5)
    grid.SetOrigin(-200, -200, -200)
    grid.SetSpacing(100, 100, 100)
    grid.AllocateScalars(vtk.VTK_DOUBLE, 3)
    shifts = np.zeros((5, 5, 5, 3))
    shifts[1:4, 1:4, 1:4] = (3, -2, 1)
    shifts[2, 2, 2] = (5, -3, 2)
    vtk.util.numpy_support.vtk_to_numpy(grid.GetPointData().GetScalars())[:] = shifts.reshape(-1, 3)
    transform = vtk.vtkGridTransform()
    transform.SetDisplacementGridData(grid)
    transform.SetInterpolationModeToLinear()
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode")
    node.SetAndObserveTransformToParent(transform)
    return node


@pytest.mark.parametrize("make_transform", [linear_transform, bending_transform])
@pytest.mark.parametrize("above", ["everything", "volumes", "regions hardened"])
def test_transforms_above_volumes_and_regions(panel, leg, make_transform, above):
    """Wherever the volume is shown, an outline drawn over it and a segment under its transform contain the same voxels."""
    image = slicer.util.arrayFromVolume(leg.stirVolume)
    muscle, fat = masks(image.shape)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.SetReferenceImageGeometryParameterFromVolumeNode(leg.stirVolume)
    identifier = node.GetSegmentation().AddEmptySegment("", "fat")
    slicer.util.updateSegmentBinaryLabelmapFromArray(fat.astype(np.uint8), node, identifier, leg.stirVolume)
    leg.regionSegmentation = node
    transform = make_transform()
    for volume in (leg.stirVolume, leg.syntheticVolume):
        volume.SetAndObserveTransformNodeID(transform.GetID())
    node.SetAndObserveTransformNodeID(transform.GetID())
    outline = draw_region(panel, "muscle", tissue_regions.square(leg.stirVolume, 2, LOW, HIGH, per_side=12))
    tissue_regions.make_straight(outline)
    if above == "everything":
        inverse = [list(outline.GetNthControlPointPositionWorld(index)) for index in range(outline.GetNumberOfControlPoints())]
        outline.SetAndObserveTransformNodeID(transform.GetID())
        for index, point in enumerate(inverse):
            outline.SetNthControlPointPositionWorld(index, *point)
    if above == "regions hardened" and make_transform is linear_transform:
        node.HardenTransform()
    slicer_host.process_events()
    settle()
    row = table_of(leg)["muscle–fat"]
    assert row["Note"] == ""
    assert row["CNR acquired"] == pytest.approx(expected_cnr(image, muscle, fat), rel=1e-6)


def test_volumes_of_different_grids_are_sampled_in_their_own_voxels(panel, leg):
    """The synthetic volume has pixels half as large: the same squares contain four times as many."""
    fine = np.kron(slicer.util.arrayFromVolume(leg.syntheticVolume), np.ones((1, 2, 2), np.float32))
    fine += np.random.default_rng(0).normal(0, 1, fine.shape).astype(np.float32)
    matrix = slicer.util.arrayFromVTKMatrix(_matrix(leg.syntheticVolume))
    matrix[:3, 3] -= 0.25 * (matrix[:3, 0] + matrix[:3, 1])
    matrix[:3, :2] /= 2
    leg.syntheticVolume = slicer.util.addVolumeFromArray(fine, matrix, "fine")
    draw_pair(panel, leg)
    row = wait_for_table(leg)["muscle–fat"]
    muscle, fat = (np.kron(mask, np.ones((1, 2, 2), bool)) for mask in masks(slicer.util.arrayFromVolume(leg.stirVolume).shape))
    assert (row["Voxels foreground acquired"], row["Voxels foreground synthetic"]) == (63, 252)
    assert row["CNR synthetic"] == pytest.approx(expected_cnr(fine, muscle, fat), rel=1e-6)


def _matrix(volume):
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return matrix


def test_segments_of_a_surface_are_measured_and_stay_a_surface(panel, leg):
    sphere = vtk.vtkSphereSource()
    sphere.SetCenter(tissue_regions.world(leg.stirVolume, 18, 20, 3))
    sphere.SetRadius(6)
    sphere.SetPhiResolution(24)
    sphere.SetThetaResolution(24)
    sphere.Update()
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.GetSegmentation().SetSourceRepresentationName("Closed surface")
    node.SetReferenceImageGeometryParameterFromVolumeNode(leg.stirVolume)
    node.AddSegmentFromClosedSurfaceRepresentation(sphere.GetOutput(), "muscle", [1, 0, 0])
    leg.regionSegmentation = node
    row = wait_for_table(leg)["muscle–fat"]
    spacing = leg.stirVolume.GetSpacing()
    assert row["Voxels foreground acquired"] * np.prod(spacing) == pytest.approx(4 / 3 * math.pi * 6**3, rel=0.1)
    assert not node.GetSegmentation().ContainsRepresentation("Binary labelmap")


@pytest.mark.parametrize(("chosen", "column"), [("stirVolume", "CNR acquired"), ("syntheticVolume", "CNR synthetic")])
def test_one_image_alone(panel, leg, chosen, column):
    for member in {"stirVolume", "syntheticVolume"} - {chosen}:
        setattr(leg, member, None)
    slicer_host.process_events()
    volume = getattr(leg, chosen)
    for tissue, low, high in (("muscle", LOW, HIGH), ("fat", (20, 12), (26, 20))):
        tissue_regions.make_straight(draw_region(panel, tissue, tissue_regions.square(volume, 2, low, high)))
    settle()
    row = table_of(leg)["muscle–fat"]
    image = slicer.util.arrayFromVolume(volume)
    assert row[column] == pytest.approx(expected_cnr(image, *masks(image.shape)), rel=1e-6)
    assert "Ratio synthetic/acquired" not in row


def test_table_follows_a_moved_outline_and_a_painted_segment(panel, leg):
    muscle, _fat = draw_pair(panel, leg)
    image = slicer.util.arrayFromVolume(leg.stirVolume)
    for index, point in enumerate(tissue_regions.square(leg.stirVolume, 2, (3, 22), (9, 30))):
        muscle.SetNthControlPointPositionWorld(index, *point)
    settle()
    moved = tissue_regions.box_mask(image.shape, 2, (3, 22), (9, 30))
    assert table_of(leg)["muscle–fat"]["CNR acquired"] == pytest.approx(expected_cnr(image, moved, masks(image.shape)[1]), rel=1e-6)
    slicer.mrmlScene.RemoveNode(muscle)
    leg.regionSegmentation = node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.SetReferenceImageGeometryParameterFromVolumeNode(leg.stirVolume)
    identifier = node.GetSegmentation().AddEmptySegment("", "muscle")
    settle()
    for mask in (*masks(image.shape)[:1], moved):
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), node, identifier, leg.stirVolume)
        settle()
        assert table_of(leg)["muscle–fat"]["CNR acquired"] == pytest.approx(
            expected_cnr(image, mask, masks(image.shape)[1]), rel=1e-6
        )


def test_table_follows_voxels_and_definition(panel, leg):
    draw_pair(panel, leg)
    volume = leg.stirVolume
    slicer.util.arrayFromVolume(volume)[:] = np.random.default_rng(1).normal(5, 1, slicer.util.arrayFromVolume(volume).shape)
    slicer.util.arrayFromVolumeModified(volume)
    settle()
    image = slicer.util.arrayFromVolume(volume)
    expected = expected_cnr(image, *masks(image.shape))
    assert table_of(leg)["muscle–fat"]["CNR acquired"] == pytest.approx(expected, rel=1e-6)
    panel.cnr.ui.formSelector.currentIndex = list(CnrForm).index(CnrForm.PRINTED)
    slicer_host.process_events()
    settle()
    row = table_of(leg)["muscle–fat"]
    f, b = (image[mask].astype(np.float64) for mask in masks(image.shape))
    assert row["CNR acquired"] == pytest.approx((f.mean() + b.mean()) / b.std(ddof=1), rel=1e-6)
    assert "as printed in Eq. 11" in row["Definition"] and "as printed" in leg.cnrChart.GetYAxisTitle()


def test_without_live_the_table_waits_for_the_button(panel, leg):
    muscle, _fat = draw_pair(panel, leg)
    before = table_of(leg)
    panel.cnr.ui.liveCheckBox.click()
    slicer_host.process_events()
    assert leg.cnrLive is False
    muscle.SetNthControlPointPositionWorld(0, *tissue_regions.world(leg.stirVolume, 2, 2, 2))
    settle()
    assert table_of(leg) == before
    slicer_host.click(panel.cnr.ui.measureButton)
    assert table_of(leg) != before


def test_nothing_is_added_to_the_scene_before_there_is_something_to_measure(panel, leg):
    settle()
    assert leg.cnrTable is None and leg.cnrChart is None
    assert not panel.cnr.ui.measureButton.enabled and not panel.cnr.ui.csvButton.enabled


def test_pairs_that_cannot_be_measured_are_explained(panel, leg):
    muscle, fat = draw_pair(panel, leg)
    for index, point in enumerate(tissue_regions.square(leg.stirVolume, 2, (14, 12), (26, 20))):
        fat.SetNthControlPointPositionWorld(index, *point)
    settle()
    assert "muscle and fat overlap by 27 voxels" in status(panel)
    assert math.isnan(table_of(leg)["muscle–fat"]["CNR acquired"])
    slicer.mrmlScene.RemoveNode(muscle)
    slicer_host.process_events()
    settle()
    assert "Not drawn yet: muscle" in status(panel)
    panel.cnr.ui.pairsEdit.text = "muscle"
    slicer_host.process_events()
    settle()
    assert "“muscle” is not a pair of tissues" in status(panel)
    panel.cnr.ui.pairsEdit.text = "fat/skin"
    slicer_host.process_events()
    settle()
    assert "Not drawn yet: skin" in status(panel) and list(table_of(leg)) == ["fat–skin"]


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
    assert values.GetColumnByName("y0").GetValue(0) == table_of(leg)["muscle–fat"]["CNR acquired"]


def test_csv_contains_the_whole_table_or_is_not_written(panel, leg, tmp_path):
    draw_pair(panel, leg)
    qt_stand_in.dialog_answers["save"] = str(tmp_path / "cnr")
    slicer_host.click(panel.cnr.ui.csvButton)
    (row,) = csv.DictReader((tmp_path / "cnr.csv").read_text(encoding="utf-8").splitlines())
    measured = table_of(leg)["muscle–fat"]
    assert float(row["CNR synthetic"]) == measured["CNR synthetic"] and row["Definition"] == measured["Definition"]
    assert "Written: " in status(panel)
    qt_stand_in.dialog_answers["save"] = str(tmp_path / "none" / "cnr.csv")
    slicer_host.click(panel.cnr.ui.csvButton)
    assert "there is no such folder" in status(panel) and [path.name for path in tmp_path.iterdir()] == ["cnr.csv"]
    qt_stand_in.dialog_answers["save"] = ""
    slicer_host.click(panel.cnr.ui.csvButton)
    assert [path.name for path in tmp_path.iterdir()] == ["cnr.csv"]
