"""The section "Line profiles", driven by clicks and dragged points."""

from __future__ import annotations

import csv

import numpy as np
import panel_scene
import pytest
import slicer
import small_study
import vtk
from scipy.ndimage import map_coordinates
from scipy.stats import pearsonr
from testing_host import qt_stand_in, slicer_host
from transforms import add_linear_transform, add_warp, rigid

from ccdnn.measure.line import MAX_STEPS
from ccdnn.measure.profile import Image, compare, measure_profiles
from ccdnn.measure.scaling import Scaling, scale_pair
from ccdnn.series import Role

# Through the leg from front to back, in voxels (column, row, slice).
ENDS = ((6.0, 18.0, 2.0), (31.0, 23.0, 3.0))


def synthetic_volume():
    """Stands in for a result: the acquired STIR, shifted by half a pixel, in another unit, with noise."""
    stir = small_study.volumes()[Role.STIR]
    moved = (stir.array + np.roll(stir.array, 1, axis=2)) / 2
    noise = np.random.default_rng(0).normal(scale=0.01 * stir.array.max(), size=stir.array.shape)
    return stir.with_array(0.01 * (moved + noise), name="synthetic")


def to_ras(ijk) -> np.ndarray:
    matrix = small_study.volumes()[Role.STIR].ijk_to_ras
    return np.asarray(ijk) @ matrix[:3, :3].T + matrix[:3, 3]


@pytest.fixture(autouse=True)
def unfolded(panel):
    panel.lineProfiles.ui.profilesSection.collapsed = False
    slicer_host.process_events()


def draw(panel, ends=ENDS, button="drawLineButton"):
    """Click the button and place points, as clicks in a slice view would."""
    slicer_host.click(getattr(panel.lineProfiles.ui, button))
    line = panel.logic.getParameterNode().profileLine
    for point in to_ras(ends):
        line.AddControlPointWorld(*point)
    settle(panel)
    return line


def settle(panel) -> None:
    """Wait until the change has been measured."""
    slicer_host.process_events()
    slicer_host.wait_until(lambda: not panel.lineProfiles._throttle.active and not panel.lineProfiles._pause.active)
    slicer_host.process_events()


def message(panel) -> str:
    return panel_scene.plain(panel.lineProfiles.ui.profilesLabel)


def numbers(panel) -> dict:
    """The table node's value for each name."""
    table = panel.logic.getParameterNode().profileTable
    if table is None:
        return {}
    names, values = (table.GetTable().GetColumnByName(name) for name in ("name", "value"))
    return {names.GetValue(row): values.GetValue(row) for row in range(table.GetNumberOfRows())} if values is not None else {}


def curves(panel) -> dict:
    """Name → (x, y) as the plot shows them."""
    chart = panel.logic.getParameterNode().profileChart
    found = {}
    for index in range(chart.GetNumberOfPlotSeriesNodes() if chart is not None else 0):
        series = chart.GetNthPlotSeriesNode(index)
        columns = (
            series.GetTableNode().GetTable().GetColumnByName(name) for name in (series.GetXColumnName(), series.GetYColumnName())
        )
        found[series.GetName()] = tuple(vtk.util.numpy_support.vtk_to_numpy(column) for column in columns)
    return found


@pytest.fixture
def compared(ready):
    """The panel with acquired and synthetic STIR chosen."""
    ready.logic.getParameterNode().syntheticVolume = panel_scene.add(synthetic_volume(), "my synthetic")
    slicer_host.process_events()
    return ready


def test_empty_scene_asks_for_a_line_and_offers_no_plot(panel):
    ui = panel.lineProfiles.ui
    assert "Draw a line" in message(panel)
    assert not ui.plotButton.enabled and not ui.csvButton.enabled and not ui.profilesTable.visible
    slicer_host.click(ui.drawLineButton)
    assert "Compute a synthetic STIR first" in message(panel)


def test_draw_line_starts_the_placement_of_a_new_line(compared):
    slicer_host.click(compared.lineProfiles.ui.drawLineButton)
    line = compared.logic.getParameterNode().profileLine
    logic = slicer.app.applicationLogic()
    assert line.GetClassName() == "vtkMRMLMarkupsLineNode" and line.GetDisplayNode() is not None
    assert logic.GetSelectionNode().GetActivePlaceNodeID() == line.GetID()
    assert logic.GetInteractionNode().GetCurrentInteractionMode() == logic.GetInteractionNode().Place
    assert compared.lineProfiles.ui.lineSelector.currentNode() is line
    assert "no point yet" in message(compared)
    line.AddControlPointWorld(*to_ras(ENDS[0]))
    settle(compared)
    assert "one point" in message(compared)


def test_selector_lists_lines_and_curves_and_no_other_markups(compared):
    for kind in ("Line", "Curve", "ClosedCurve", "Fiducial", "Plane"):
        slicer.mrmlScene.AddNewNodeByClass(f"vtkMRMLMarkups{kind}Node", kind)
    selector = compared.lineProfiles.ui.lineSelector
    listed = [selector.itemText(index) for index in range(selector.count)]
    assert sorted(listed) == ["ClosedCurve", "Curve", "Line", "None"]


def test_numbers_are_those_of_the_engine_and_of_an_independent_computation(compared):
    draw(compared)
    volumes = {Image.ACQUIRED: small_study.volumes()[Role.STIR], Image.SYNTHETIC: synthetic_volume()}
    engine = {row.name: row.value for row in compare(measure_profiles(volumes, to_ras(ENDS)))}
    found = numbers(compared)
    np.testing.assert_allclose([found[name] for name in engine], list(engine.values()), atol=1e-6)

    stir, synthetic = volumes[Image.ACQUIRED], volumes[Image.SYNTHETIC]
    scaled = scale_pair(synthetic.array, stir.array, Scaling.TISSUE, names=("synthetic", "acquired"))
    length = np.linalg.norm(np.diff(to_ras(ENDS), axis=0))
    count = int(np.ceil(length / (min(stir.grid.spacing[:2]) / 2)))
    ijk = np.array(ENDS[0])[:, None] + np.linspace(0, 1, count + 1) * np.subtract(ENDS[1], ENDS[0])[:, None]
    s, a = (map_coordinates(image.array.astype(float), ijk[::-1], order=1) for image in scaled)
    assert found["Pearson r"] == pytest.approx(pearsonr(s, a).statistic, abs=1e-6)
    assert found["RMSE"] == pytest.approx(np.sqrt(np.mean((s - a) ** 2)), abs=1e-6)
    x, y = curves(compared)["synthetic STIR"]
    np.testing.assert_allclose(y, s, atol=1e-6)
    np.testing.assert_allclose(x, np.linspace(0, length, count + 1), atol=1e-9)


def test_table_and_plot_follow_a_dragged_point(compared):
    line = draw(compared)
    before, plotted = numbers(compared), curves(compared)["acquired STIR"][0][-1]
    ids = [compared.logic.getParameterNode().profileTable.GetID(), compared.logic.getParameterNode().profileChart.GetID()]
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    for step in range(5):
        line.SetNthControlPointPositionWorld(1, *to_ras([24.0 - step, 23, 3]))
        settle(compared)
    assert numbers(compared)["Pearson r"] != before["Pearson r"]
    assert curves(compared)["acquired STIR"][0][-1] < plotted
    node = compared.logic.getParameterNode()
    assert [node.profileTable.GetID(), node.profileChart.GetID()] == ids and slicer.mrmlScene.GetNumberOfNodes() == nodes


def test_without_live_the_table_waits_for_update(compared):
    line = draw(compared)
    ui = compared.lineProfiles.ui
    ui.liveSwitch.click()
    settle(compared)
    before = numbers(compared)
    line.SetNthControlPointPositionWorld(1, *to_ras([20, 23, 3]))
    settle(compared)
    assert numbers(compared) == before and ui.updateButton.enabled
    slicer_host.click(ui.updateButton)
    assert numbers(compared) != before and not ui.updateButton.enabled


def test_scaling_and_inputs_are_switches_of_the_plot(compared):
    draw(compared)
    ui, node = compared.lineProfiles.ui, compared.logic.getParameterNode()
    assert list(curves(compared)) == ["acquired STIR", "synthetic STIR"]
    assert node.profileChart.GetYAxisTitle() == "Intensity, scaled to 0–1" and max(curves(compared)["acquired STIR"][1]) <= 1
    ui.scaledSwitch.click()
    settle(compared)
    assert node.profileChart.GetYAxisTitle() == "Intensity as stored"
    assert max(curves(compared)["acquired STIR"][1]) > 1
    ui.inputsSwitch.click()
    settle(compared)
    assert list(curves(compared)) == ["acquired STIR", "synthetic STIR", "T1-w", "T2-w", "GRE"]
    ui.inputsSwitch.click()
    settle(compared)
    assert len(curves(compared)) == 2


def test_a_curve_bends_through_its_points(compared):
    curve = draw(compared, ((6, 18, 2), (18, 25, 2), (31, 18, 2)), "drawCurveButton")
    assert curve.GetClassName() == "vtkMRMLMarkupsCurveNode"
    x, _y = curves(compared)["acquired STIR"]
    assert x[-1] == pytest.approx(curve.GetCurveLengthWorld(), rel=1e-4)


def test_a_closed_curve_ends_where_it_began(compared):
    closed = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsClosedCurveNode", "around")
    for point in to_ras([(8, 12, 2), (28, 12, 2), (28, 30, 2), (8, 30, 2)]):
        closed.AddControlPointWorld(*point)
    compared.lineProfiles.ui.lineSelector.setCurrentNode(closed)
    settle(compared)
    points = compared.lineProfiles.profiles.line.points
    np.testing.assert_allclose(points[0], points[-1], atol=1e-4)
    assert compared.lineProfiles.profiles.line.length == pytest.approx(closed.GetCurveLengthWorld(), rel=1e-4)


@pytest.mark.parametrize("make", [lambda: add_linear_transform(rigid()), add_warp], ids=["linear", "non-linear"])
def test_everything_under_one_transform_measures_the_same(compared, make):
    """The ends of the line stay on the image. Between them the line stays straight, but the image may be warped. A non-linear
    transform is inverted iteratively, to a thousandth of a voxel."""
    line = draw(compared)
    before = curves(compared)
    transform = make()
    for node in (line, *panel_scene.volume_nodes()):
        node.SetAndObserveTransformNodeID(transform.GetID())
    settle(compared)
    for name, (_x, y) in curves(compared).items():
        assert (y[0], y[-1]) == pytest.approx((before[name][1][0], before[name][1][-1]), rel=1e-3)
        if transform.IsLinear():
            np.testing.assert_allclose(y, before[name][1], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("make", [lambda: add_linear_transform(rigid()), add_warp], ids=["linear", "non-linear"])
def test_a_volume_under_its_own_transform_is_sampled_where_it_is_shown(compared, make):
    draw(compared)
    node = compared.logic.getParameterNode()
    transform = make()
    node.syntheticVolume.SetAndObserveTransformNodeID(transform.GetID())
    settle(compared)
    back = vtk.vtkGeneralTransform()
    transform.GetTransformFromWorld(back)
    points = np.array([back.TransformDoublePoint(point) for point in compared.lineProfiles.profiles.line.points])
    volume = synthetic_volume()
    ijk = np.linalg.inv(volume.ijk_to_ras) @ np.vstack([points.T, np.ones(len(points))])
    expected = map_coordinates(volume.array.astype(float), ijk[2::-1], order=1, mode="nearest")
    found = compared.lineProfiles.profiles.values[Image.SYNTHETIC]
    inside = np.isfinite(found)
    assert inside.sum() > 20
    np.testing.assert_allclose(found[inside], expected[inside], atol=1e-5)


def test_a_volume_with_changed_voxels_or_position_is_measured_again(compared):
    draw(compared)
    node = compared.logic.getParameterNode()
    before = numbers(compared)
    slicer.util.updateVolumeFromArray(node.syntheticVolume, small_study.volumes()[Role.STIR].array)
    settle(compared)
    assert numbers(compared)["Pearson r"] == pytest.approx(1) and numbers(compared)["RMSE"] == pytest.approx(0, abs=1e-6)
    node.syntheticVolume.SetOrigin(*np.add(node.syntheticVolume.GetOrigin(), 2))
    settle(compared)
    assert numbers(compared)["Pearson r"] < 0.999 and before["Pearson r"] != numbers(compared)["Pearson r"]


def test_without_an_acquired_stir_there_is_a_plot_and_a_message(compared):
    compared.logic.getParameterNode().stirVolume = None
    draw(compared)
    assert list(curves(compared)) == ["synthetic STIR"] and numbers(compared) == {}
    assert "no acquired STIR to compare with" in message(compared)
    assert not compared.lineProfiles.ui.profilesTable.visible and compared.lineProfiles.ui.plotButton.enabled


@pytest.mark.parametrize(
    ("ends", "sentence"),
    [
        (((6, 18, 2), (6, 18, 2)), "no length"),
        (((906, 18, 2), (931, 18, 2)), "outside the volumes"),
    ],
)
def test_a_line_that_cannot_be_measured_gives_a_message_and_clears_table_and_plot(compared, ends, sentence):
    line = draw(compared)
    assert numbers(compared) and curves(compared)
    for index, point in enumerate(to_ras(ends)):
        line.SetNthControlPointPositionWorld(index, *point)
    settle(compared)
    assert sentence in message(compared)
    assert numbers(compared) == {} and curves(compared) == {}
    line.SetNthControlPointPositionWorld(1, *to_ras(ENDS[1]))
    line.SetNthControlPointPositionWorld(0, *to_ras(ENDS[0]))
    settle(compared)
    assert numbers(compared) and curves(compared)


def test_a_line_of_metres_is_measured_with_a_bounded_number_of_samples(compared):
    draw(compared, ((6, 18, 2), (100_000, 18, 2)))
    assert len(compared.lineProfiles.profiles.line.distance) == MAX_STEPS + 1


@pytest.mark.parametrize("which", ["profileLine", "syntheticVolume", "stirVolume", "t1Volume", "profileTable", "profileChart"])
def test_any_node_may_be_removed(compared, which):
    line = draw(compared)
    node = compared.logic.getParameterNode()
    node.profileInputs = True
    settle(compared)
    slicer.mrmlScene.RemoveNode(getattr(node, which))
    settle(compared)
    if which == "profileLine":
        assert "Draw a line" in message(compared) and numbers(compared) == {}
        draw(compared)
    else:
        line.SetNthControlPointPositionWorld(1, *to_ras([25, 23, 3]))
        settle(compared)
    assert list(curves(compared))
    assert bool(numbers(compared)) == (which not in ("syntheticVolume", "stirVolume"))


def test_parts_of_the_plot_may_be_removed(compared):
    line = draw(compared)
    chart = compared.logic.getParameterNode().profileChart
    series = chart.GetNthPlotSeriesNode(0)
    slicer.mrmlScene.RemoveNode(series.GetTableNode())
    slicer.mrmlScene.RemoveNode(series)
    line.SetNthControlPointPositionWorld(1, *to_ras([25, 23, 3]))
    settle(compared)
    assert sorted(curves(compared)) == ["acquired STIR", "synthetic STIR"]


def test_csv_contains_the_table_and_a_second_file_all_samples(compared, tmp_path):
    draw(compared)
    qt_stand_in.dialog_answers["save"] = str(tmp_path / "mine")
    slicer_host.click(compared.lineProfiles.ui.csvButton)
    with (tmp_path / "mine.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert float(rows["Pearson r"]["value"]) == numbers(compared)["Pearson r"] and rows["shift"]["unit"] == "mm"
    with (tmp_path / "mine-samples.csv").open(encoding="utf-8", newline="") as file:
        samples = list(csv.DictReader(file))
    np.testing.assert_allclose([float(row["synthetic STIR, scaled"]) for row in samples], curves(compared)["synthetic STIR"][1])
    assert "mine-samples.csv" in message(compared)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine-samples.csv", "mine.csv"]


def test_csv_that_cannot_be_written_gives_a_message_and_nothing_is_overwritten_unasked(compared, tmp_path):
    draw(compared)
    (tmp_path / "a-samples.csv").write_text("mine", encoding="utf-8")
    qt_stand_in.dialog_answers["save"] = str(tmp_path / "a.csv")
    slicer_host.click(compared.lineProfiles.ui.csvButton)
    assert "already exists" in message(compared) and not (tmp_path / "a.csv").exists()
    assert (tmp_path / "a-samples.csv").read_text(encoding="utf-8") == "mine"
    qt_stand_in.dialog_answers["save"] = str(tmp_path / "no such folder" / "a.csv")
    slicer_host.click(compared.lineProfiles.ui.csvButton)
    assert "no such folder" in message(compared)
    qt_stand_in.dialog_answers["save"] = ""  # cancelled
    slicer_host.click(compared.lineProfiles.ui.csvButton)
    assert [path.name for path in tmp_path.iterdir()] == ["a-samples.csv"]


def test_show_plot_puts_the_chart_into_the_layout(compared):
    draw(compared)
    slicer_host.click(compared.lineProfiles.ui.plotButton)
    chart = compared.logic.getParameterNode().profileChart
    assert slicer.app.applicationLogic().GetSelectionNode().GetActivePlotChartID() == chart.GetID()


def test_saved_scene_restores_line_choices_table_and_plot(compared, tmp_path):
    draw(compared)
    compared.lineProfiles.ui.inputsSwitch.click()
    settle(compared)
    before, plotted = numbers(compared), curves(compared)
    assert slicer.util.saveScene(str(tmp_path / "saved"))
    slicer.mrmlScene.Clear(0)
    settle(compared)
    assert compared.lineProfiles.ui.lineSelector.currentNode() is None and "Draw a line" in message(compared)
    slicer.util.loadScene(str(tmp_path / "saved" / "saved.mrml"))
    compared.enter()
    settle(compared)
    assert compared.logic.getParameterNode().profileInputs and compared.lineProfiles.ui.inputsSwitch.checked
    assert numbers(compared) == pytest.approx(before, rel=1e-3, abs=1e-4, nan_ok=True)
    assert list(curves(compared)) == list(plotted)
    assert len(slicer.util.getNodesByClass("vtkMRMLPlotChartNode")) == 1


def test_while_another_module_is_shown_only_a_plot_in_the_layout_follows(compared):
    line = draw(compared)
    before = numbers(compared)
    compared.exit()
    line.SetNthControlPointPositionWorld(1, *to_ras([25, 23, 3]))
    settle(compared)
    assert numbers(compared) == before
    compared.enter()
    settle(compared)
    moved = numbers(compared)
    assert moved != before
    slicer_host.click(compared.lineProfiles.ui.plotButton)
    compared.exit()
    line.SetNthControlPointPositionWorld(1, *to_ras(ENDS[1]))
    settle(compared)
    assert numbers(compared) == before


def test_a_second_parameter_set_has_its_own_line_table_and_plot(compared):
    draw(compared)
    first = compared.logic.getParameterNode()
    before, table = numbers(compared), first.profileTable
    other = type(first)(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "second"))
    compared.setParameterNode(other)
    settle(compared)
    assert compared.lineProfiles.ui.lineSelector.currentNode() is None and "Draw a line" in message(compared)
    other.stirVolume, other.syntheticVolume = first.stirVolume, first.syntheticVolume
    other.profileLine = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsLineNode", "second line")
    for point in to_ras([(6, 10, 2), (31, 10, 2)]):
        other.profileLine.AddControlPointWorld(*point)
    settle(compared)
    assert other.profileTable is not table and other.profileTable.GetNumberOfRows() and numbers(compared) == before
    compared.setParameterNode(first)
    settle(compared)
    assert compared.lineProfiles.ui.profilesTable.mrmlTableNode() is table and numbers(compared) == before


def test_closed_and_reloaded_panels_leave_no_observer_behind(compared):
    from testing_host.application import reload_module

    line = draw(compared)
    observed = str(line).count("Tag: ")
    panel = reload_module("CCDNNSynth")
    settle(panel)
    assert panel.lineProfiles is not compared.lineProfiles
    assert str(line).count("Tag: ") == observed
    slicer.mrmlScene.RemoveNode(line)
    settle(panel)
    assert "Draw a line" in message(panel)
