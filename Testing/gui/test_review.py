"""The review in the test host: the views' content down to the pixel, and what happens when nodes are removed.

The user's workflow is tested in `Testing/slicer/review_stories.py`, which runs here (test_stories.py) and in a real Slicer.
"""

from __future__ import annotations

import builtins

import numpy as np
import panel_scene
import pytest
import slicer
import small_study
import vtk
from testing_host import application, layout, slicer_host

from ccdnn.measure.scaling import Scaling
from ccdnn.resample import resample_onto
from ccdnn.series import Role
from ccdnn.volume import Volume
from CCDNNSynthLib.Parameters import CompareMode, ReviewLayout
from CCDNNSynthLib.Scene.DifferenceVolume import COLORS_NAME, isDifference, makeDifference, removeDifference, updateDifference

needs_rendering = pytest.mark.skipif(
    not layout.can_render(),
    reason="this machine cannot render; on Debian or Ubuntu, `apt-get install libegl1 libgl1-mesa-dri` installs what is missing",
)


def synthetic_volume() -> Volume:
    """The acquired STIR upside down and one fifth as bright."""
    stir = small_study.volumes()[Role.STIR]
    return Volume(stir.array[:, ::-1] / 5, stir.ijk_to_ras, name="synthetic")


@pytest.fixture
def reviewed(panel):
    """The panel with the small leg and a synthetic STIR of it."""
    nodes = panel_scene.add_leg()
    parameters = panel.logic.getParameterNode()
    parameters.t1Volume, parameters.t2Volume = nodes[Role.T1], nodes[Role.T2]
    parameters.greVolume, parameters.stirVolume = nodes[Role.GRE], nodes[Role.STIR]
    parameters.syntheticVolume = panel_scene.add(synthetic_volume(), "synthetic STIR (test)")
    parameters.syntheticVolume.SetAttribute("CCDNN_Notice", "SYNTHETIC")
    slicer_host.process_events()
    return panel


def open_review(panel, button: str) -> None:
    slicer_host.click(getattr(panel.review.ui, button))
    slicer_host.process_events()


def widget(name: str):
    return slicer.app.layoutManager().sliceWidget(name)


def picture(name: str) -> np.ndarray:
    """The volumes in a view, (row, column) from 0 to 255, without anything drawn over them."""
    view = widget(name).sliceView()
    crosshair = slicer.vtkMRMLCrosshairDisplayableManager.FindCrosshairNode(slicer.mrmlScene)
    crosshair.SetCrosshairMode(crosshair.NoCrosshair)
    return layout.grab_view(view)[..., :3].mean(axis=2)


def compare_by(panel, mode: CompareMode, **settings) -> None:
    parameters = panel.logic.getParameterNode()
    parameters.compareMode = mode
    for name, value in settings.items():
        setattr(parameters, name, value)
    slicer_host.process_events()
    slicer_host.process_events()


def alone(panel) -> tuple:
    """The pictures of the acquired and of the synthetic volume alone, in the view of both."""
    compare_by(panel, CompareMode.FADE, comparePosition=0.0)
    acquired = picture("ReviewBoth")
    compare_by(panel, CompareMode.FADE, comparePosition=1.0)
    return acquired, picture("ReviewBoth")


def below_labels(image: np.ndarray) -> np.ndarray:
    return image[80:]


@needs_rendering
def test_swipe_shows_the_synthetic_left_of_the_line(reviewed):
    open_review(reviewed, "singleButton")
    acquired, synthetic = alone(reviewed)
    assert (np.abs(acquired - synthetic) > 20).mean() > 0.02
    compare_by(reviewed, CompareMode.SWIPE, comparePosition=0.4)
    swiped = below_labels(picture("ReviewBoth"))
    line = round(0.4 * swiped.shape[1])
    np.testing.assert_array_equal(swiped[:, : line - 20], below_labels(synthetic)[:, : line - 20])
    np.testing.assert_array_equal(swiped[:, line + 20 :], below_labels(acquired)[:, line + 20 :])
    assert swiped[:, line - 2 : line + 3].max() == 255


@needs_rendering
def test_checkerboard_tiles_are_as_wide_as_chosen_and_the_upper_left_one_is_acquired(reviewed):
    open_review(reviewed, "singleButton")
    acquired, synthetic = alone(reviewed)
    compare_by(reviewed, CompareMode.CHECKERBOARD, tileSize=8.0)
    board = below_labels(picture("ReviewBoth"))
    node = widget("ReviewBoth").mrmlSliceNode()
    tile = 8 / (node.GetFieldOfView()[1] / node.GetDimensions()[1])
    rows, columns = np.indices(acquired.shape)
    is_synthetic = (np.floor(rows / tile) + np.floor(columns / tile)) % 2 == 1
    # Rounding decides on which side of a border a pixel lies.
    inside = (np.abs((rows / tile) % 1 - 0.5) < 0.45) & (np.abs((columns / tile) % 1 - 0.5) < 0.45)
    expected = np.where(is_synthetic, synthetic, acquired)
    np.testing.assert_array_equal(board[below_labels(inside)], below_labels(expected)[below_labels(inside)])


@needs_rendering
def test_fade_mixes_and_nothing_remains_of_another_mode(reviewed):
    open_review(reviewed, "singleButton")
    acquired, synthetic = alone(reviewed)
    compare_by(reviewed, CompareMode.SWIPE, comparePosition=0.5)
    compare_by(reviewed, CompareMode.FADE, comparePosition=0.5)
    mixed = below_labels(picture("ReviewBoth"))
    assert np.abs(mixed - below_labels((acquired + synthetic) / 2)).max() < 2


@needs_rendering
def test_swipe_follows_the_size_of_the_view_and_its_slice(reviewed):
    open_review(reviewed, "singleButton")
    compare_by(reviewed, CompareMode.SWIPE, comparePosition=0.5)
    both = widget("ReviewBoth")
    both.resize(500, 300)
    both.sliceLogic().SetSliceOffset(both.sliceLogic().GetSliceOffset() + small_study.SPACING_IJK[2])
    slicer_host.process_events()
    swiped = below_labels(picture("ReviewBoth"))
    acquired, synthetic = (below_labels(image) for image in alone(reviewed))
    assert swiped.shape == (220, 500)
    np.testing.assert_array_equal(swiped[:, :230], synthetic[:, :230])
    np.testing.assert_array_equal(swiped[:, 270:], acquired[:, 270:])


@needs_rendering
def test_difference_is_blue_where_the_synthetic_is_darker_and_orange_where_it_is_brighter(reviewed):
    open_review(reviewed, "gridButton")
    view = widget("ReviewDifference").sliceView()
    colours = layout.grab_view(view)[80:].reshape(-1, 3).astype(int)
    blue = colours[(colours[:, 2] > 60) & (colours[:, 2] > colours[:, 0] + 30)]
    orange = colours[(colours[:, 0] > 60) & (colours[:, 0] > colours[:, 2] + 30)]
    assert len(blue) > 100 and len(orange) > 100


@needs_rendering
def test_labels_are_drawn_and_those_of_synthetic_images_in_another_colour(reviewed):
    open_review(reviewed, "sideBySideButton")
    for name, is_synthetic in (("ReviewAcquired", False), ("ReviewSynthetic", True)):
        corner = layout.grab_view(widget(name).sliceView())[:40, :250].reshape(-1, 3).astype(int)
        written = corner[corner.max(axis=1) > 150]
        assert len(written) > 50
        assert (np.ptp(written, axis=1).mean() > 60) == is_synthetic


def test_data_probe_cannot_wipe_the_labels(reviewed):
    """Data Probe rewrites all corner annotations of the view whenever a slice changes."""
    open_review(reviewed, "sideBySideButton")
    view = widget("ReviewSynthetic").sliceView()
    for corner in range(4):
        view.cornerAnnotation().SetText(corner, "")
    props = view.renderWindow().GetRenderers().GetFirstRenderer().GetViewProps()
    texts = [prop.GetInput() for prop in props if prop.IsA("vtkTextActor") and prop.GetVisibility()]
    assert texts == ["SYNTHETIC STIR\nnot acquired"]


def test_views_are_empty_after_leaving_the_review(reviewed):
    names = ("ReviewBoth", "ReviewAcquired", "ReviewSynthetic")
    open_review(reviewed, "sideBySideButton")
    open_review(reviewed, "singleButton")
    open_review(reviewed, "leaveButton")
    counts = {name: widget(name).sliceView().renderWindow().GetRenderers().GetFirstRenderer().GetViewProps() for name in names}
    counts = {name: props.GetNumberOfItems() for name, props in counts.items()}
    for button in ("singleButton", "sideBySideButton", "leaveButton"):
        open_review(reviewed, button)
    again = {name: widget(name).sliceView().renderWindow().GetRenderers().GetFirstRenderer().GetViewProps() for name in names}
    assert {name: props.GetNumberOfItems() for name, props in again.items()} == counts
    interactor = widget("ReviewBoth").sliceView().interactor()
    for x, event in ((600, "LeftButtonPressEvent"), (900, "MouseMoveEvent")):
        interactor.SetEventInformation(x, 300)
        interactor.InvokeEvent(event)
    assert reviewed.logic.getParameterNode().comparePosition == 0.5


def test_module_reloaded_in_a_review_continues_it(reviewed):
    before = slicer.app.layoutManager().layout
    open_review(reviewed, "gridButton")
    again = application.reload_module("CCDNNSynth")
    slicer_host.process_events()
    assert len([node for node in panel_scene.volume_nodes() if isDifference(node)]) == 1
    assert again.review.review.isOpen
    open_review(again, "leaveButton")
    assert not [node for node in panel_scene.volume_nodes() if isDifference(node)]
    assert slicer.app.layoutManager().layout == before


def test_difference_removed_by_the_user_is_not_created_again(reviewed):
    open_review(reviewed, "gridButton")
    (difference,) = (node for node in panel_scene.volume_nodes() if isDifference(node))
    slicer.mrmlScene.RemoveNode(difference)
    slicer_host.process_events()
    slicer.util.arrayFromVolumeModified(reviewed.logic.getParameterNode().stirVolume)
    slicer_host.process_events()
    assert not [node for node in panel_scene.volume_nodes() if isDifference(node)]
    open_review(reviewed, "leaveButton")


def test_difference_and_windows_follow_the_voxels(reviewed):
    open_review(reviewed, "gridButton")
    parameters = reviewed.logic.getParameterNode()
    (difference,) = (node for node in panel_scene.volume_nodes() if isDifference(node))
    before = slicer.util.arrayFromVolume(difference).copy()
    slicer.util.updateVolumeFromArray(parameters.syntheticVolume, slicer.util.arrayFromVolume(parameters.stirVolume) * 2)
    slicer_host.process_events()
    assert np.abs(before).max() > 0.1
    np.testing.assert_allclose(slicer.util.arrayFromVolume(difference), 0, atol=1e-6)
    acquired, synthetic = (node.GetDisplayNode() for node in (parameters.stirVolume, parameters.syntheticVolume))
    np.testing.assert_allclose(synthetic.GetWindow(), 2 * acquired.GetWindow(), rtol=1e-5)


def test_volume_that_is_also_an_input_is_not_reviewed_against_itself(reviewed):
    parameters = reviewed.logic.getParameterNode()
    parameters.syntheticVolume = parameters.stirVolume
    slicer_host.process_events()
    open_review(reviewed, "gridButton")
    assert parameters.stirVolume in reviewed.review.review.views
    assert len(set(reviewed.review.review.views.values())) == 4


def test_views_lie_exactly_in_oblique_slices(reviewed):
    parameters = reviewed.logic.getParameterNode()
    turn = vtk.vtkTransform()
    turn.RotateWXYZ(35, 1, 2, 3)
    for name in ("t1Volume", "t2Volume", "greVolume", "stirVolume", "syntheticVolume"):
        matrix = vtk.vtkMatrix4x4()
        getattr(parameters, name).GetIJKToRASMatrix(matrix)
        vtk.vtkMatrix4x4.Multiply4x4(turn.GetMatrix(), matrix, matrix)
        getattr(parameters, name).SetIJKToRASMatrix(matrix)
    open_review(reviewed, "sideBySideButton")
    parameters.stirVolume.GetIJKToRASDirectionMatrix(matrix)
    axes = slicer.util.arrayFromVTKMatrix(matrix)[:3, :3]
    view = slicer.util.arrayFromVTKMatrix(widget("ReviewAcquired").mrmlSliceNode().GetSliceToRAS())[:3, :3]
    np.testing.assert_allclose(np.abs(axes.T @ view).round(6), np.abs((axes.T @ view).round()), atol=1e-6)
    assert abs(axes[:, 2] @ view[:, 2]) > 0.999999
    # On a slice of the volume, not between two.
    toIJK = vtk.vtkMatrix4x4()
    parameters.stirVolume.GetRASToIJKMatrix(toIJK)
    middle = slicer.util.arrayFromVTKMatrix(widget("ReviewAcquired").mrmlSliceNode().GetSliceToRAS())[:, 3]
    index = (slicer.util.arrayFromVTKMatrix(toIJK) @ middle)[2]
    assert abs(index - round(index)) < 1e-4


def test_review_starts_at_the_slice_that_the_user_was_viewing(reviewed):
    stir = reviewed.logic.getParameterNode().stirVolume
    matrix = vtk.vtkMatrix4x4()
    stir.GetIJKToRASMatrix(matrix)
    widget("Yellow").mrmlSliceNode().JumpSliceByOffsetting(*matrix.MultiplyPoint([18, 20, 4, 1])[:3])
    open_review(reviewed, "sideBySideButton")
    toIJK = vtk.vtkMatrix4x4()
    stir.GetRASToIJKMatrix(toIJK)
    middle = slicer.util.arrayFromVTKMatrix(widget("ReviewSynthetic").mrmlSliceNode().GetSliceToRAS())[:, 3]
    assert round((slicer.util.arrayFromVTKMatrix(toIJK) @ middle)[2], 3) == 4


def test_application_without_views(reviewed, monkeypatch):
    monkeypatch.setattr(slicer.app, "_layout_manager", None)
    reviewed.review.refresh()
    assert not reviewed.review.ui.sideBySideButton.enabled
    assert "without views" in reviewed.review.ui.reviewLabel.text


@pytest.mark.parametrize("scaling", [Scaling.TISSUE, Scaling.PERCENTILE, Scaling.MINMAX, Scaling.NONE])
def test_difference_is_that_of_the_scaled_volumes(panel, scaling):
    acquired = panel_scene.add(small_study.volumes()[Role.STIR], "STIR")
    synthetic = panel_scene.add(synthetic_volume(), "synthetic")
    node = makeDifference(acquired, synthetic, scaling)
    x, y = synthetic_volume().array, small_study.volumes()[Role.STIR].array

    def tissue(array):
        return np.percentile(array[array > 0.2 * array.max()], 90)

    if scaling is Scaling.TISSUE:
        expected = x / tissue(x) * tissue(y) / y.max() - y / y.max()
    elif scaling is Scaling.MINMAX:
        expected = (x - x.min()) / np.ptp(x) - (y - y.min()) / np.ptp(y)
    elif scaling is Scaling.NONE:
        expected = x - y
    else:
        expected = None
    if expected is not None:
        tolerance = 0.02 if scaling is Scaling.TISSUE else 1e-6 * np.abs(expected).max()
        np.testing.assert_allclose(slicer.util.arrayFromVolume(node), expected, atol=tolerance)
    display = node.GetDisplayNode()
    assert display.GetLevel() == 0 and display.GetColorNode().GetName() == COLORS_NAME
    table = display.GetColorNode().GetLookupTable()
    middle = table.GetTableValue(table.GetNumberOfTableValues() // 2)
    assert middle[:3] == (0, 0, 0)
    assert "CCDNN_Notice" in node.GetAttributeNames()


def test_difference_of_other_grids_has_the_acquired_one(panel):
    stir = small_study.volumes()[Role.STIR]
    matrix = stir.ijk_to_ras.copy()
    matrix[:3, 0] *= 2
    coarse = Volume(stir.array[:, :, ::2], matrix, name="coarse")
    acquired, synthetic = panel_scene.add(stir, "STIR"), panel_scene.add(coarse, "coarse")
    node = makeDifference(acquired, synthetic, Scaling.NONE)
    expected = resample_onto(coarse, stir.grid).volume.array - stir.array
    np.testing.assert_allclose(slicer.util.arrayFromVolume(node)[:, :, :-1], expected[:, :, :-1], atol=1e-3)
    assert node.GetImageData().GetDimensions() == acquired.GetImageData().GetDimensions()


def test_difference_is_zero_outside_the_synthetic_volume(panel):
    stir = small_study.volumes()[Role.STIR]
    half = Volume(stir.array[:3], stir.ijk_to_ras, name="half")
    node = makeDifference(panel_scene.add(stir, "STIR"), panel_scene.add(half, "half"), Scaling.NONE)
    assert (slicer.util.arrayFromVolume(node)[3:] == 0).all()
    np.testing.assert_allclose(slicer.util.arrayFromVolume(node)[:3], 0, atol=1e-3)


def test_without_simpleitk_other_grids_give_a_message_and_the_other_views(reviewed, monkeypatch):
    parameters = reviewed.logic.getParameterNode()
    parameters.syntheticVolume.SetOrigin(1, 2, 3)
    real = builtins.__import__

    def without(name, *arguments, **keywords):
        if name == "ccdnn.resample":
            raise ImportError("No module named 'SimpleITK'", name="SimpleITK")
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    open_review(reviewed, "gridButton")
    assert "SimpleITK" in reviewed.review.ui.reviewLabel.text
    assert "ReviewDifference" not in reviewed.review.review.views.values()
    assert widget("ReviewSynthetic").mrmlSliceNode().IsMappedInLayout()


def test_volumes_without_a_common_scale_give_a_message(reviewed):
    slicer.util.updateVolumeFromArray(reviewed.logic.getParameterNode().syntheticVolume, np.zeros(small_study.SHAPE, np.float32))
    open_review(reviewed, "gridButton")
    assert "cannot be scaled" in reviewed.review.ui.reviewLabel.text
    assert reviewed.logic.getParameterNode().reviewLayout is ReviewLayout.GRID


def test_saved_difference_keeps_its_colours_after_leaving_the_review_and_reloading_the_scene(reviewed, tmp_path):
    parameters = reviewed.logic.getParameterNode()
    lasting = makeDifference(parameters.stirVolume, parameters.syntheticVolume, Scaling.TISSUE)
    lasting.SetName("lasting")
    open_review(reviewed, "gridButton")
    open_review(reviewed, "leaveButton")
    assert [node for node in panel_scene.volume_nodes() if isDifference(node)] == [lasting]
    colour = lasting.GetDisplayNode().GetColorNode().GetLookupTable().GetTableValue(0)
    assert slicer.util.saveScene(str(tmp_path / "saved"))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "saved" / "saved.mrml"))
    (restored,) = (node for node in panel_scene.volume_nodes() if isDifference(node))
    np.testing.assert_allclose(restored.GetDisplayNode().GetColorNode().GetLookupTable().GetTableValue(0), colour, atol=0.01)
    removeDifference(restored)
    assert slicer.mrmlScene.GetFirstNodeByName(COLORS_NAME) is None


def test_failed_update_leaves_the_difference_unchanged(panel):
    acquired = panel_scene.add(small_study.volumes()[Role.STIR], "STIR")
    synthetic = panel_scene.add(synthetic_volume(), "synthetic")
    node = makeDifference(acquired, synthetic, Scaling.TISSUE)
    before = slicer.util.arrayFromVolume(node).copy()
    slicer.util.updateVolumeFromArray(synthetic, np.zeros(small_study.SHAPE, np.float32))
    with pytest.raises(Exception, match="synthetic cannot be scaled"):
        updateDifference(node, acquired, synthetic, Scaling.TISSUE)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(node), before)
