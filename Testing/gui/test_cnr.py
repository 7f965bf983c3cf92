"""CNR in the panel: regions by segment and by drawing, on any grid and under any transform; live; saved; and what goes wrong."""

from __future__ import annotations

import csv
import html
import math
import re
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import qt_stand_in
import regions
import scene
import slicer
import slicer_host
import small_study
import vtk
from mouse import Mouse

from ccdnn.cli.main import main as ccdnn
from ccdnn.measure.cnr import PAPER_PAIRS, CnrForm
from ccdnn.series import Role
from CCDNNSynthLib import OutlineDrawing
from CCDNNSynthLib.Regions import OutlineRegion, outlinesOf
from CCDNNSynthLib.SampleStudy import SAMPLE_FOLDER

LOW, HIGH = (10, 12), (16, 20)  # voxels (column, row) of a region in the small leg


def wait_for_table(parameters) -> dict:
    slicer_host.wait_until(lambda: parameters.cnrTable is not None, 10)
    settle()
    return regions.table_of(parameters)


def settle() -> None:
    """Let the live measurement come."""
    cnr = slicer.modules.CCDNNSynthWidget.cnr
    slicer_host.process_events()
    slicer_host.wait_until(lambda: not (cnr._pause.active or cnr._live.active), 10)


def status(panel) -> str:
    return html.unescape(re.sub("<[^>]+>", " ", panel.cnr.ui.cnrStatusLabel.text))


@pytest.fixture
def leg(panel):
    """The small leg's STIR as acquired and its T2 as synthetic; pair muscle/fat. Returns the parameter node."""
    nodes = scene.add_leg()
    node = panel.logic.getParameterNode()
    node.stirVolume, node.syntheticVolume, node.cnrPairs = nodes[Role.STIR], nodes[Role.T2], "muscle/fat"
    panel.cnr.ui.cnrSection.collapsed = False
    slicer_host.process_events()
    return node


def draw_pair(panel, parameters, fat_slice=2):
    """Muscle in slice 2 and fat in another place of a slice, as squares; returns both outlines."""
    volume = parameters.stirVolume
    muscle = regions.draw(panel, "muscle", regions.square(volume, 2, LOW, HIGH))
    fat = regions.draw(panel, "fat", regions.square(volume, fat_slice, (20, 12), (26, 20)))
    for outline in (muscle, fat):
        regions.make_straight(outline)
    settle()
    return muscle, fat


def masks(shape, fat_slice=2):
    return regions.box_mask(shape, 2, LOW, HIGH), regions.box_mask(shape, fat_slice, (20, 12), (26, 20))


def test_sample_study_by_segments_agrees_with_an_independent_recomputation(panel):
    node = regions.open_sample(panel)
    node.regionSegmentation = regions.add_segmentation()
    rows = wait_for_table(node)
    labels = regions.label_array()
    assert list(rows) == [str(pair) for pair in PAPER_PAIRS]
    for pair in PAPER_PAIRS:
        f, b = (labels == regions.LABEL_OF_TISSUE[name] for name in (pair.foreground, pair.background))
        row = rows[str(pair)]
        for name, volume in (("acquired", node.stirVolume), ("synthetic", node.syntheticVolume)):
            image = slicer.util.arrayFromVolume(volume)
            assert row[f"CNR {name}"] == pytest.approx(regions.expected_cnr(image, f, b), rel=1e-6)
            assert row[f"Voxels foreground {name}"] == f.sum() and row[f"Voxels background {name}"] == b.sum()
        assert row["Ratio synthetic/acquired"] == pytest.approx(row["CNR synthetic"] / row["CNR acquired"])
    chart = node.cnrChart
    assert [chart.GetNthPlotSeriesNode(i).GetName() for i in range(2)] == ["acquired", "synthetic"]
    assert panel.cnr.ui.cnrTableView.mrmlTableNode() is node.cnrTable


def test_sample_study_by_segments_agrees_with_the_command_line(panel, tmp_path):
    node = regions.open_sample(panel)
    node.regionSegmentation = regions.add_segmentation()
    rows = wait_for_table(node)
    tissues = [f"--labels={SAMPLE_FOLDER / 'labels.nrrd'}", f"--names={SAMPLE_FOLDER / 'labels.json'}"]
    for name, file in (("acquired", "stir.nrrd"), ("synthetic", "t2.nrrd")):  # one by one, for two are compared, too
        folder = tmp_path / name
        assert ccdnn(["measure", f"--{name}={SAMPLE_FOLDER / file}", *tissues, "--csv", str(folder), "-q"]) == 0
        (path,) = folder.glob("*.csv")
        printed = {row["Pair"]: row for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines())}
        assert list(printed) == list(rows)
        for pair, row in rows.items():
            assert row[f"CNR {name}"] == pytest.approx(float(printed[pair][f"CNR {name}"]), rel=1e-6)


def test_drawn_outlines_take_the_voxels_of_their_slice(panel, leg):
    draw_pair(panel, leg, fat_slice=4)
    row = wait_for_table(leg)["muscle–fat"]
    for name, volume in (("acquired", leg.stirVolume), ("synthetic", leg.syntheticVolume)):
        image = slicer.util.arrayFromVolume(volume)
        assert row[f"CNR {name}"] == pytest.approx(regions.expected_cnr(image, *masks(image.shape, 4)), rel=1e-6)
        assert row[f"Voxels foreground {name}"] == row[f"Voxels background {name}"] == 63


def test_a_circle_has_the_area_of_a_circle(panel, leg):
    volume = leg.stirVolume
    centre, rim = regions.world(volume, 18, 20, 3), regions.world(volume, 18, 31, 3)
    outline = regions.draw(panel, "muscle", [centre, rim], "circle")
    assert outline.GetNumberOfControlPoints() == 8
    voxels = np.unravel_index(OutlineRegion(outline).voxels(volume), slicer.util.arrayFromVolume(volume).shape)
    assert set(voxels[0]) == {3}
    assert len(voxels[0]) == pytest.approx(math.pi * 11**2, rel=0.02)
    assert np.hypot(voxels[2] - 18, voxels[1] - 20).max() <= 11.2
    assert not panel.cnr.ui.circleButton.checked


def test_a_circle_lies_in_the_plane_of_the_view_it_was_drawn_in(panel, leg):
    """In a view across the slices, through column 18; in no view, on a slice of the volume."""
    volume = leg.stirVolume
    i, j, k = (np.array(regions.world(volume, *axis)) - regions.world(volume, 0, 0, 0) for axis in np.eye(3))
    view = slicer.mrmlScene.GetSingletonNode("Red", "vtkMRMLSliceNode")
    matrix = np.eye(4)
    matrix[:3, :3] = np.column_stack([axis / np.linalg.norm(axis) for axis in (j, k, i)])
    matrix[:3, 3] = regions.world(volume, 18, 3, 2)
    slicer.util.updateVTKMatrixFromArray(view.GetSliceToRAS(), matrix)
    view.UpdateMatrices()
    in_view, elsewhere = (
        np.unravel_index(
            OutlineRegion(
                regions.draw(panel, "muscle", [regions.world(volume, at, 20, 3), regions.world(volume, at, 29, 3)], "circle")
            ).voxels(volume),
            slicer.util.arrayFromVolume(volume).shape,
        )
        for at in (18, 20)
    )
    assert set(in_view[2]) == {18} and len(set(in_view[0])) > 1
    assert set(elsewhere[0]) == {3} and len(set(elsewhere[2])) > 1


def test_several_outlines_and_a_segment_make_one_tissue(panel, leg):
    draw_pair(panel, leg)
    regions.make_straight(regions.draw(panel, "Muscle", regions.square(leg.stirVolume, 3, LOW, HIGH)))
    image = slicer.util.arrayFromVolume(leg.stirVolume)
    muscle, fat = masks(image.shape)
    both = muscle | regions.box_mask(image.shape, 3, LOW, HIGH)
    settle()
    assert regions.table_of(leg)["muscle–fat"]["Voxels foreground acquired"] == 126
    segment = regions.box_mask(image.shape, 1, LOW, HIGH)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.SetReferenceImageGeometryParameterFromVolumeNode(leg.stirVolume)
    identifier = node.GetSegmentation().AddEmptySegment("", "muscle")
    slicer.util.updateSegmentBinaryLabelmapFromArray(segment.astype(np.uint8), node, identifier, leg.stirVolume)
    leg.regionSegmentation = node
    slicer_host.process_events()
    settle()
    row = regions.table_of(leg)["muscle–fat"]
    assert row["Voxels foreground acquired"] == 189
    assert row["CNR acquired"] == pytest.approx(regions.expected_cnr(image, both | segment, fat), rel=1e-6)


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
    """Wherever the volume is shown, an outline drawn over it and a segment put under its transform take the same voxels."""
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
    outline = regions.draw(panel, "muscle", regions.square(leg.stirVolume, 2, LOW, HIGH, per_side=12))
    regions.make_straight(outline)
    if above == "everything":
        inverse = [list(outline.GetNthControlPointPositionWorld(index)) for index in range(outline.GetNumberOfControlPoints())]
        outline.SetAndObserveTransformNodeID(transform.GetID())
        for index, point in enumerate(inverse):
            outline.SetNthControlPointPositionWorld(index, *point)
    if above == "regions hardened" and make_transform is linear_transform:
        node.HardenTransform()
    slicer_host.process_events()
    settle()
    row = regions.table_of(leg)["muscle–fat"]
    assert row["Note"] == ""
    assert row["CNR acquired"] == pytest.approx(regions.expected_cnr(image, muscle, fat), rel=1e-6)


def test_volumes_of_different_grids_are_sampled_in_their_own_voxels(panel, leg):
    """The synthetic one has pixels half as large: the same squares hold four times as many of them."""
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
    assert row["CNR synthetic"] == pytest.approx(regions.expected_cnr(fine, muscle, fat), rel=1e-6)


def _matrix(volume):
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return matrix


def test_segments_of_a_surface_are_measured_and_stay_a_surface(panel, leg):
    sphere = vtk.vtkSphereSource()
    sphere.SetCenter(regions.world(leg.stirVolume, 18, 20, 3))
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
        regions.make_straight(regions.draw(panel, tissue, regions.square(volume, 2, low, high)))
    settle()
    row = regions.table_of(leg)["muscle–fat"]
    image = slicer.util.arrayFromVolume(volume)
    assert row[column] == pytest.approx(regions.expected_cnr(image, *masks(image.shape)), rel=1e-6)
    assert "Ratio synthetic/acquired" not in row


def test_table_follows_a_moved_outline_and_a_painted_segment(panel, leg):
    muscle, _fat = draw_pair(panel, leg)
    image = slicer.util.arrayFromVolume(leg.stirVolume)
    for index, point in enumerate(regions.square(leg.stirVolume, 2, (3, 22), (9, 30))):
        muscle.SetNthControlPointPositionWorld(index, *point)
    settle()
    moved = regions.box_mask(image.shape, 2, (3, 22), (9, 30))
    assert regions.table_of(leg)["muscle–fat"]["CNR acquired"] == pytest.approx(
        regions.expected_cnr(image, moved, masks(image.shape)[1]), rel=1e-6
    )
    slicer.mrmlScene.RemoveNode(muscle)
    leg.regionSegmentation = node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.SetReferenceImageGeometryParameterFromVolumeNode(leg.stirVolume)
    identifier = node.GetSegmentation().AddEmptySegment("", "muscle")
    settle()
    for mask in (*masks(image.shape)[:1], moved):
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), node, identifier, leg.stirVolume)
        settle()
        assert regions.table_of(leg)["muscle–fat"]["CNR acquired"] == pytest.approx(
            regions.expected_cnr(image, mask, masks(image.shape)[1]), rel=1e-6
        )


def test_table_follows_voxels_and_definition(panel, leg):
    draw_pair(panel, leg)
    volume = leg.stirVolume
    slicer.util.arrayFromVolume(volume)[:] = np.random.default_rng(1).normal(5, 1, slicer.util.arrayFromVolume(volume).shape)
    slicer.util.arrayFromVolumeModified(volume)
    settle()
    image = slicer.util.arrayFromVolume(volume)
    expected = regions.expected_cnr(image, *masks(image.shape))
    assert regions.table_of(leg)["muscle–fat"]["CNR acquired"] == pytest.approx(expected, rel=1e-6)
    panel.cnr.ui.formSelector.currentIndex = list(CnrForm).index(CnrForm.PRINTED)
    slicer_host.process_events()
    settle()
    row = regions.table_of(leg)["muscle–fat"]
    f, b = (image[mask].astype(np.float64) for mask in masks(image.shape))
    assert row["CNR acquired"] == pytest.approx((f.mean() + b.mean()) / b.std(ddof=1), rel=1e-6)
    assert "as printed in Eq. 11" in row["Definition"] and "as printed" in leg.cnrChart.GetYAxisTitle()


def test_without_live_the_table_waits_for_the_button(panel, leg):
    muscle, _fat = draw_pair(panel, leg)
    before = regions.table_of(leg)
    panel.cnr.ui.liveCheckBox.click()
    slicer_host.process_events()
    assert leg.cnrLive is False
    muscle.SetNthControlPointPositionWorld(0, *regions.world(leg.stirVolume, 2, 2, 2))
    settle()
    assert regions.table_of(leg) == before
    slicer_host.click(panel.cnr.ui.measureButton)
    assert regions.table_of(leg) != before


def test_nothing_is_put_into_the_scene_before_there_is_something_to_measure(panel, leg):
    settle()
    assert leg.cnrTable is None and leg.cnrChart is None
    assert not panel.cnr.ui.measureButton.enabled and not panel.cnr.ui.csvButton.enabled


def test_what_cannot_be_measured_is_said(panel, leg):
    muscle, fat = draw_pair(panel, leg)
    for index, point in enumerate(regions.square(leg.stirVolume, 2, (14, 12), (26, 20))):
        fat.SetNthControlPointPositionWorld(index, *point)
    settle()
    assert "muscle and fat overlap by 27 voxels" in status(panel)
    assert math.isnan(regions.table_of(leg)["muscle–fat"]["CNR acquired"])
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
    assert "Not drawn yet: skin" in status(panel) and list(regions.table_of(leg)) == ["fat–skin"]


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
    """Over the Yellow view, which shows slice 3 of the acquired STIR."""
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
    """Places in the view around column 18, row 20."""
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
    """With Slicer's own markups in the view: a disc of radius 11 on slice 3, by its border or by centre and rim."""
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


def test_plot_comes_into_the_layout(panel, leg):
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


def test_csv_holds_the_table_and_never_half_of_it(panel, leg, tmp_path):
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


def test_edit_makes_a_segment_for_each_tissue_and_opens_the_segment_editor(panel, leg, monkeypatch):
    assert not panel.cnr.ui.editButton.enabled  # the host has no Segment Editor
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
    assert "The muscle region holds no voxel" in status(panel)


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


def test_another_module_costs_nothing_until_one_comes_back(panel, leg):
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


def test_a_plot_that_is_shown_follows_painting_in_another_module(panel, leg):
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


def test_module_reload_in_mid_drawing(panel, leg):
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


def test_closing_the_scene_in_mid_drawing(panel, leg):
    slicer_host.click(panel.cnr.ui.circleButton)
    slicer.mrmlScene.Clear(0)
    slicer_host.process_events()
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform and not panel.cnr.ui.circleButton.checked
    assert not panel.cnr.ui.circleButton.enabled


def test_small_leg_is_what_these_tests_think():
    assert small_study.volumes()[Role.STIR].array.shape == (6, 40, 36)
