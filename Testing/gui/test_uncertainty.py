"""The uncertainty of a result in the panel: that of the command line, in its place, and seen and measured as it should be.

The user's workflow is tested in `Testing/slicer/uncertainty_stories.py`, which runs here (test_stories.py) and in a real Slicer.
"""

from __future__ import annotations

import csv
import html
import re
import sys
from pathlib import Path

import numpy as np
import panel_scene
import pytest
import slicer
import small_network
import small_study
import vtk
from cnr_scene import draw_region, settle, table_of
from testing_host import layout, qt_stand_in, slicer_host, tissue_regions

from ccdnn.cli.main import main as ccdnn
from ccdnn.errors import InputError
from ccdnn.files import write_volume
from ccdnn.measure.contrast import DIFFERENCE, HALF_WIDTH, PROBABILITY
from ccdnn.model.familiarity import BINS, Familiarity
from ccdnn.report.colours import coloured, uncertainty_colours, uncertainty_limit
from ccdnn.series import Role
from ccdnn.trust import compare_regions, region_error_of, typical_half_width
from CCDNNSynthLib.Parameters import CompareMode
from CCDNNSynthLib.Scene.Result import replaceVoxels
from CCDNNSynthLib.Scene.UncertaintyVolume import COLORS_NAME, isUncertainty, uncertaintyOf
from CCDNNSynthLib.Synthesis.DicomExport import lastResult
from CCDNNSynthLib.Synthesis.Staging import Staging
from CCDNNSynthLib.Views.Plots import chartOf

INPUTS = (Role.T1, Role.T2, Role.GRE)
ENDS = ((4.0, 18.0, 2.0), (31.0, 23.0, 3.0))

needs_rendering = pytest.mark.skipif(
    not layout.can_render(),
    reason="this machine cannot render; on Debian or Ubuntu, `apt-get install libegl1 libgl1-mesa-dri` installs what is missing",
)


@pytest.fixture(scope="module")
def estimating(tmp_path_factory):
    """A model with random weights that estimates its error."""
    path = tmp_path_factory.mktemp("model") / "estimating.safetensors"
    return small_study.write_model(path, name="estimating", uncertainty=small_network.uncertainty())


@pytest.fixture
def computed(ready, estimating):
    """The panel after a run with that model."""
    panel_scene.choose_model(ready, estimating)
    panel_scene.apply(ready)
    return ready


def result_of(panel):
    return panel.logic.getParameterNode().syntheticVolume


def voxels(node) -> np.ndarray:
    return slicer.util.arrayFromVolume(node)


def header_of(node) -> dict:
    return {name: node.GetAttribute(name) for name in node.GetAttributeNames()}


# ------------------------------------------------------------------------------------------------------------------ run


def test_the_uncertainty_is_that_of_the_command_line_on_the_grid_of_the_result(computed, estimating, tmp_path):
    paths = {role: tmp_path / f"{role.value}.nrrd" for role in INPUTS}
    for role, path in paths.items():
        write_volume(small_study.volumes()[role], path)
    outputs = ["-o", str(tmp_path / "out.nrrd"), "--uncertainty", str(tmp_path / "map.nrrd")]
    arguments = [f"--{role.value}={path}" for role, path in paths.items()]
    assert ccdnn(["synthesize", *arguments, "--model", str(estimating), "-q", *outputs]) == 0
    result, uncertainty = result_of(computed), uncertaintyOf(result_of(computed))
    np.testing.assert_array_equal(voxels(uncertainty), small_study.read_array(tmp_path / "map.nrrd"))
    own, wanted = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    uncertainty.GetIJKToRASMatrix(own)
    result.GetIJKToRASMatrix(wanted)
    np.testing.assert_array_equal(slicer.util.arrayFromVTKMatrix(own), slicer.util.arrayFromVTKMatrix(wanted))
    assert uncertainty.GetName() == "uncertainty of synthetic STIR (estimating 0.0.1)"
    assert uncertainty.GetAttribute("CCDNN_Image") == "uncertainty of the synthetic STIR"
    assert "SYNTHETIC" in uncertainty.GetAttribute("CCDNN_Notice") and "95%" in uncertainty.GetDescription()
    region_error_of(header_of(uncertainty), "map")
    assert result.GetAttribute("CCDNN_Image") == "synthetic STIR"
    assert "can be shown over it in Review" in panel_scene.message(computed)


def test_it_has_the_transform_and_the_study_of_the_result(ready, estimating):
    node = ready.logic.getParameterNode()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    visit = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "visit")
    hierarchy.CreateItem(visit, node.t1Volume)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    for volume in (node.t1Volume, node.t2Volume, node.greVolume):
        volume.SetAndObserveTransformNodeID(transform.GetID())
    panel_scene.choose_model(ready, estimating)
    panel_scene.apply(ready)
    uncertainty = uncertaintyOf(result_of(ready))
    assert uncertainty.GetParentTransformNode() is transform
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(uncertainty)) == visit


def test_it_is_offered_detected_exported_and_shown_nowhere_by_itself(computed):
    node, uncertainty = computed.logic.getParameterNode(), uncertaintyOf(result_of(computed))
    for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        assert uncertainty.GetID() not in (composite.GetBackgroundVolumeID(), composite.GetForegroundVolumeID())
    inputs = computed.inputs.ui
    others = (computed.synthesis.ui.outputSelector, computed.review.ui.syntheticSelector)
    for selector in (inputs.t1Selector, inputs.t2Selector, inputs.greSelector, inputs.stirSelector, *others):
        assert uncertainty not in selector.nodes() and result_of(computed) in selector.nodes()
    node.stirVolume = None
    slicer.mrmlScene.RemoveNode(slicer.util.getNode("leg stir"))
    slicer_host.click(inputs.detectButton)
    assert node.stirVolume is None and uncertainty.GetName() not in panel_scene.detection(computed)
    assert lastResult() is result_of(computed)


def test_a_closed_scene_hides_nothing_in_the_next_one(computed):
    hidden = computed.inputs.ui.t1Selector.sortFilterProxyModel()
    assert list(hidden.hiddenNodeIDs) == [uncertaintyOf(result_of(computed)).GetID()]
    slicer.mrmlScene.Clear(0)
    assert not list(hidden.hiddenNodeIDs)


@pytest.mark.parametrize("member", ["t1Volume", "outputVolume", "stirVolume"])
def test_a_run_does_not_read_or_overwrite_it(computed, member):
    uncertainty = uncertaintyOf(result_of(computed))
    setattr(computed.logic.getParameterNode(), member, uncertainty)
    before = voxels(uncertainty).copy()
    panel_scene.apply(computed)
    assert "is the uncertainty of a synthetic STIR" in panel_scene.message(computed)
    np.testing.assert_array_equal(voxels(uncertainty), before)


def test_an_overwritten_result_gets_the_new_one_and_a_model_without_removes_it(computed, model_path):
    node, result = computed.logic.getParameterNode(), result_of(computed)
    uncertainty, before = uncertaintyOf(result), voxels(uncertaintyOf(result)).copy()
    uncertainty.SetName("my name")
    node.outputVolume, node.t1Volume = result, node.t2Volume
    panel_scene.apply(computed)
    assert uncertaintyOf(result) is uncertainty and uncertainty.GetName() == "my name"
    assert np.abs(voxels(uncertainty) - before).max() > 0
    panel_scene.choose_model(computed, model_path)
    panel_scene.apply(computed)
    assert uncertaintyOf(result) is None and not [volume for volume in panel_scene.volume_nodes() if isUncertainty(volume)]
    assert slicer.mrmlScene.GetFirstNodeByName(COLORS_NAME) is None
    assert "can be shown" not in panel_scene.message(computed)


def test_a_copy_of_a_result_keeps_its_uncertainty_when_the_result_is_overwritten(computed):
    node, result = computed.logic.getParameterNode(), result_of(computed)
    uncertainty = uncertaintyOf(result)
    before = voxels(uncertainty).copy()
    copy = replaceVoxels(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "copy"), result)
    copy.SetNodeReferenceID("CCDNN_uncertainty", uncertainty.GetID())
    node.outputVolume, node.t1Volume = result, node.t2Volume
    panel_scene.apply(computed)
    assert uncertaintyOf(copy) is uncertainty and uncertaintyOf(result) is not uncertainty
    np.testing.assert_array_equal(voxels(uncertainty), before)


def test_an_uncertainty_that_cannot_be_read_leaves_the_scene_unchanged(ready, estimating, monkeypatch):
    panel_scene.choose_model(ready, estimating)
    before = panel_scene.snapshot()

    def unreadable(staging, shape):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Staging, "wholeUncertainty", unreadable)
    panel_scene.apply(ready)
    assert panel_scene.snapshot() == before and panel_scene.is_ready(ready)
    assert "Input/output error" in panel_scene.message(ready)


def test_the_card_says_what_it_was_measured_on(ready, estimating):
    panel_scene.choose_model(ready, estimating)
    slicer_host.click(ready.synthesis.ui.cardButton)
    assert "measured on nobody" in panel_scene.plain(ready.synthesis.ui.cardLabel)


def test_a_preview_has_none(ready, estimating):
    panel_scene.choose_model(ready, estimating)
    slicer_host.click(ready.synthesis.ui.previewButton)
    panel_scene.finish(ready)
    assert len(panel_scene.results()) == 1


def test_a_script_gets_it_through_the_same_reference(panel, estimating):
    volumes = panel_scene.add_leg()
    logic = sys.modules["CCDNNSynth"].CCDNNSynthLogic()
    try:
        result = logic.process(*(volumes[role] for role in INPUTS), model=estimating)
        uncertainty = result.GetNodeReference("CCDNN_uncertainty")
        assert isUncertainty(uncertainty) and voxels(uncertainty).min() > 0
        with pytest.raises(InputError, match="is the uncertainty of a synthetic STIR"):
            logic.process(*(volumes[role] for role in INPUTS), model=estimating, acquiredVolume=uncertainty)
    finally:
        logic.close()


def test_a_study_unlike_the_training_and_a_missing_series_are_said_in_the_panel(panel, tmp_path):
    local = {role.value: np.ones((BINS, BINS), bool) for role in INPUTS}
    nothing_seen = Familiarity(("t1", "t2", "gre"), np.zeros((BINS,) * 3, bool), local, 0.02)
    model = small_study.write_model(tmp_path / "strange.safetensors", familiarity=nothing_seen, optional=("gre",))
    panel_scene.choose_model(panel, model)
    panel_scene.add_leg((Role.T1, Role.T2, Role.STIR))
    slicer_host.click(panel.inputs.ui.detectButton)
    panel_scene.apply(panel)
    said = panel_scene.message(panel)
    assert "100.0% of the tissue looks unlike the images that the model learned from (usual is up to 5%)." in said
    assert "made without GRE" in said and "synthetic, not acquired" in said
    assert result_of(panel).GetAttribute("CCDNN_Unfamiliar").startswith("1.0000 of the tissue")
    slicer_host.process_events()
    panel.exit()
    panel.enter()
    slicer_host.process_events()
    assert panel_scene.message(panel) == said


def test_a_saved_scene_restores_it_with_its_colours(computed, tmp_path):
    uncertainty = uncertaintyOf(result_of(computed))
    array, limit = voxels(uncertainty).copy(), uncertainty.GetDisplayNode().GetWindow()
    assert slicer.util.saveScene(str(tmp_path / "saved"))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "saved" / "saved.mrml"))
    computed.enter()
    slicer_host.process_events()
    restored = uncertaintyOf(result_of(computed))
    np.testing.assert_array_equal(voxels(restored), array)
    display = restored.GetDisplayNode()
    assert np.isclose(display.GetWindow(), limit, rtol=1e-4)
    table = display.GetColorNode().GetLookupTable()
    np.testing.assert_allclose(table.GetTableValue(255)[:3], uncertainty_colours()[-1], atol=0.01)
    assert restored not in computed.inputs.ui.t1Selector.nodes()


# --------------------------------------------------------------------------------------------------------------- review


def open_review(panel, button: str, shown: bool = True) -> None:
    slicer_host.click(getattr(panel.review.ui, button))
    slicer_host.process_events()
    show(panel, shown)


def show(panel, shown: bool) -> None:
    if panel.logic.getParameterNode().uncertaintyShown != shown:
        slicer_host.click(panel.review.ui.uncertaintyBox)
    slicer_host.process_events()
    slicer_host.process_events()


def picture(name: str) -> np.ndarray:
    """What a view shows, (row, column, RGB), without the cross-hair and below the labels."""
    crosshair = slicer.vtkMRMLCrosshairDisplayableManager.FindCrosshairNode(slicer.mrmlScene)
    crosshair.SetCrosshairMode(crosshair.NoCrosshair)
    return layout.grab_view(slicer.app.layoutManager().sliceWidget(name).sliceView())[80:].astype(int)


def is_coloured(image: np.ndarray) -> np.ndarray:
    """(row, column) bool, where a picture is not grey. The right tenth, with the legend, is left out."""
    return np.ptp(image, axis=2)[:, : int(0.85 * image.shape[1])] > 12


@pytest.fixture
def opened(computed):
    """The panel with an uncertainty that is easily seen: 0 in the upper half, the limit in the lower."""
    uncertainty = uncertaintyOf(result_of(computed))
    voxels(uncertainty)[:, :20] = 0
    voxels(uncertainty)[:, 20:] = 0.6 * uncertainty.GetDisplayNode().GetWindow()
    slicer.util.arrayFromVolumeModified(uncertainty)
    slicer_host.process_events()
    return computed


@needs_rendering
@pytest.mark.parametrize("button", ["sideBySideButton", "gridButton"])
def test_it_is_drawn_over_the_synthetic_stir_alone_and_off_restores_the_view(opened, button):
    open_review(opened, button, shown=False)
    before = {name: picture(name) for name in ("ReviewAcquired", "ReviewSynthetic")}
    show(opened, True)
    np.testing.assert_array_equal(picture("ReviewAcquired"), before["ReviewAcquired"])
    drawn = picture("ReviewSynthetic")
    assert is_coloured(drawn).mean() > 0.1
    rows = np.flatnonzero(is_coloured(drawn).any(axis=1))
    assert rows[0] > 0.3 * len(drawn)  # nothing where the uncertainty is 0
    opened.logic.getParameterNode().uncertaintyOpacity = 1.0
    slicer_host.process_events()
    slicer_host.process_events()
    image = picture("ReviewSynthetic")
    shade = image[is_coloured(image.copy()).nonzero()]
    np.testing.assert_allclose(np.median(shade, axis=0), 255 * uncertainty_colours()[round(0.6 * 255)], atol=4)
    show(opened, False)
    np.testing.assert_array_equal(picture("ReviewSynthetic"), before["ReviewSynthetic"])


@needs_rendering
def test_it_follows_the_comparison_in_one_view(opened):
    parameters = opened.logic.getParameterNode()
    open_review(opened, "singleButton")

    def compared(mode, **settings):
        parameters.compareMode = mode
        for name, value in settings.items():
            setattr(parameters, name, value)
        slicer_host.process_events()
        slicer_host.process_events()
        return is_coloured(picture("ReviewBoth"))

    whole = compared(CompareMode.FADE, comparePosition=1.0)
    assert whole.mean() > 0.05
    assert not compared(CompareMode.FADE, comparePosition=0.0).any()
    swiped = compared(CompareMode.SWIPE, comparePosition=0.5)
    middle = round(0.5 * picture("ReviewBoth").shape[1])
    np.testing.assert_array_equal(swiped[:, : middle - 20], whole[:, : middle - 20])
    assert not swiped[:, middle + 20 :].any()
    board = compared(CompareMode.CHECKERBOARD, tileSize=4.0)
    assert 0.3 < board.sum() / whole.sum() < 0.7 and not (board & ~whole).any()


@needs_rendering
def test_the_legend_has_the_limit_in_the_units_of_the_image(opened):
    open_review(opened, "sideBySideButton")
    display = uncertaintyOf(result_of(opened)).GetDisplayNode()
    overlay = opened.review.review.overlay
    assert overlay._legend.GetVisibility() and overlay._legend.GetLookupTable().GetTableRange() == (0, display.GetWindow())
    corner = picture("ReviewSynthetic")[-300:, -80:]
    assert (np.ptp(corner, axis=2) > 100).sum() > 500
    display.SetWindowLevel(2.0, 1.0)
    assert overlay._legend.GetLookupTable().GetTableRange() == (0, 2)


def test_nothing_of_it_remains_after_the_review(opened):
    def props():
        names = ("ReviewBoth", "ReviewSynthetic")
        widgets = [slicer.app.layoutManager().sliceWidget(name) for name in names]
        return [w.sliceView().renderWindow().GetRenderers().GetFirstRenderer().GetViewProps().GetNumberOfItems() for w in widgets]

    for button in ("sideBySideButton", "singleButton", "leaveButton"):
        slicer_host.click(getattr(opened.review.ui, button))
        slicer_host.process_events()
    before, state = props(), panel_scene.snapshot()
    open_review(opened, "sideBySideButton")
    open_review(opened, "singleButton")
    slicer_host.click(opened.review.ui.leaveButton)
    slicer_host.process_events()
    assert props() == before and panel_scene.snapshot() == state
    assert not opened.review.ui.uncertaintyBox.enabled


def test_another_volume_chosen_in_the_view_is_not_covered(opened):
    open_review(opened, "sideBySideButton")
    overlay = opened.review.review.overlay
    composite = slicer.app.layoutManager().sliceWidget("ReviewSynthetic").mrmlSliceCompositeNode()
    composite.SetBackgroundVolumeID(opened.logic.getParameterNode().stirVolume.GetID())
    assert not overlay.visible
    composite.SetBackgroundVolumeID(result_of(opened).GetID())
    assert overlay.visible


# --------------------------------------------------------------------------------------------------------- measurements


def draw_lesion_and_marrow(panel):
    node = panel.logic.getParameterNode()
    node.cnrPairs = "lesion/marrow; marrow/fat"
    panel.cnr.ui.cnrSection.collapsed = False
    slicer_host.process_events()
    for tissue, low, high in (("lesion", (10, 12), (12, 14)), ("marrow", (16, 18), (22, 26))):
        outline = draw_region(panel, tissue, tissue_regions.square(node.stirVolume, 2, low, high))
        tissue_regions.make_straight(outline)
    settle()
    return table_of(node)


def test_the_cnr_table_says_how_sure_the_model_is_of_a_lesion(computed):
    rows = draw_lesion_and_marrow(computed)
    result, uncertainty = result_of(computed), uncertaintyOf(result_of(computed))
    shape = voxels(result).shape
    masks = [tissue_regions.box_mask(shape, 2, low, high) for low, high in (((10, 12), (12, 14)), ((16, 18), (22, 26)))]
    error = region_error_of(header_of(uncertainty), "map")

    def expected():
        return compare_regions(voxels(result), voxels(uncertainty), *masks, error, float(np.prod(small_study.SPACING_IJK)))

    row = rows["lesion–marrow"]
    assert row[DIFFERENCE] == pytest.approx(expected().difference, rel=1e-4)
    assert row[HALF_WIDTH] == pytest.approx(expected().interval[1] - expected().difference, rel=1e-4)
    assert row[PROBABILITY] == pytest.approx(expected().brighter, abs=1e-4)
    assert np.isnan(rows["marrow–fat"][HALF_WIDTH])  # no fat is drawn
    assert "Lesion check: draw a suspected lesion" in panel_scene.plain(computed.cnr.ui.volumesLabel)
    before = row[HALF_WIDTH]
    voxels(uncertainty)[:] *= 2
    slicer.util.arrayFromVolumeModified(uncertainty)
    settle()
    assert table_of(computed.logic.getParameterNode())["lesion–marrow"][HALF_WIDTH] == pytest.approx(2 * before)


def test_a_damaged_uncertainty_costs_only_its_columns(computed):
    uncertainty = uncertaintyOf(result_of(computed))
    uncertainty.SetAttribute("CCDNN_Region_Error", "{}")
    rows = draw_lesion_and_marrow(computed)
    assert HALF_WIDTH not in rows["lesion–marrow"] and rows["lesion–marrow"]["CNR synthetic"] > 0
    assert "CCDNN_Region_Error" in computed.logic.getParameterNode().cnrTable.GetDescription()


def test_without_an_uncertainty_the_table_has_no_such_columns(ready):
    panel_scene.apply(ready)
    assert HALF_WIDTH not in draw_lesion_and_marrow(ready)["lesion–marrow"]
    assert "Lesion check" not in panel_scene.plain(ready.cnr.ui.volumesLabel)


def draw_line(panel):
    node = panel.logic.getParameterNode()
    slicer_host.click(panel.lineProfiles.ui.drawLineButton)
    for end in ENDS:
        node.profileLine.AddControlPointWorld(*tissue_regions.world(node.stirVolume, *end))
    slicer_host.wait_until(lambda: panel.lineProfiles.profiles is not None, 10)
    slicer_host.wait_until(lambda: not panel.lineProfiles._throttle.active, 10)


def test_thin_lines_bound_the_synthetic_profile(computed):
    computed.lineProfiles.ui.profilesSection.collapsed = False
    slicer_host.process_events()
    draw_line(computed)
    profiles = computed.lineProfiles.profiles
    inside = np.isfinite(profiles.values["synthetic STIR"])
    assert (profiles.half_width[inside] > 0).all()
    by_name = {series.name: series for series in chartOf(computed.logic.getParameterNode().profileChart).series}
    lower, upper = by_name["95 % interval, lower"], by_name["95 % interval, upper"]
    assert lower.thin and upper.thin and not by_name["synthetic STIR"].thin
    middle = (np.array(lower.y) + np.array(upper.y))[inside] / 2
    np.testing.assert_allclose(middle, np.array(by_name["synthetic STIR"].y)[inside], rtol=1e-5)
    assert not by_name["acquired STIR"].thin and by_name["synthetic STIR"].dashed
    slicer.mrmlScene.RemoveNode(uncertaintyOf(result_of(computed)))
    slicer_host.wait_until(lambda: computed.lineProfiles.profiles.half_width is None, 10)
    assert len(chartOf(computed.logic.getParameterNode().profileChart).series) == 2


# --------------------------------------------------------------------------------------------------------------- report


def written_page(panel, folder: Path) -> tuple[str, Path]:
    (folder / "reports").mkdir()
    qt_stand_in.dialog_answers["directory"] = str(folder / "reports")
    panel.report.ui.reportSection.collapsed = False
    slicer_host.process_events()
    slicer_host.click(panel.report.ui.reportButton)
    (report,) = (folder / "reports").iterdir()
    return html.unescape((report / "index.html").read_text(encoding="utf-8")), report


def test_the_report_shows_where_not_to_trust_it(computed, tmp_path):
    result = result_of(computed)
    result.SetAttribute("CCDNN_Unfamiliar", "0.0312 of the tissue (limit 0.0500)")
    draw_lesion_and_marrow(computed)
    page, folder = written_page(computed, tmp_path)
    section = page.partition("<h2>Where not to trust it</h2>")[2].partition("<h2>")[0]
    uncertainty = uncertaintyOf(result)
    typical, limit = typical_half_width(voxels(result), voxels(uncertainty)), uncertainty.GetDisplayNode().GetWindow()
    assert f"at most ± {typical:.2g}" in section and f"from 0 to {limit:.4g}" in section
    assert "0.0312 of the tissue (limit 0.0500)" in section and "it does not know what no input shows" in section
    assert section.count("<img") == 1
    assert b"SYNTHETIC" in next(folder.glob("picture-*-uncertainty-of-the-synthetic-stir.png")).read_bytes()
    with next(folder.glob("table-*-cnr*.csv")).open(encoding="utf-8", newline="") as file:
        assert float(next(csv.DictReader(file))[HALF_WIDTH]) > 0
    assert re.search(r"<h2>Where not.*<h2>Contrast-to-noise", page, re.S)


def test_a_report_without_an_uncertainty_has_no_such_section(ready, tmp_path):
    panel_scene.apply(ready)
    assert "Where not to trust it" not in written_page(ready, tmp_path)[0]


# -------------------------------------------------------------------------------------------------------------- colours


def test_the_colours_rise_in_brightness_from_black():
    colours = uncertainty_colours()
    brightness = colours @ [0.2126, 0.7152, 0.0722]
    assert brightness[0] < 0.01 and brightness[-1] > 0.9 and (np.diff(brightness) > 0).all()
    image = coloured(np.array([[0.0, 1.0, 5.0, np.nan]]), 1.0)
    np.testing.assert_array_equal(image[0, 1], image[0, 2])
    np.testing.assert_array_equal(image[0, 0], image[0, 3])


def test_the_limit_is_the_brightness_of_tissue_and_that_of_the_map_without_any():
    image = np.zeros((4, 20, 20), np.float32)
    image[:, 5:15, 5:15] = 0.5
    assert uncertainty_limit(image, image) == 0.5
    assert uncertainty_limit(np.zeros((4, 20, 20)), np.full((4, 20, 20), 0.123)) == 0.12
    assert uncertainty_limit(np.zeros((2, 2, 2)), np.zeros((2, 2, 2))) == 1.0
