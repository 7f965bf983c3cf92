"""The panel as a user operates it, driven by clicks, with the real worker."""

from __future__ import annotations

import numpy as np
import panel_scene
import pydicom
import pytest
import qt
import slicer
import small_study
import vtk
from testing_host import qt_stand_in, slicer_host

from ccdnn.cli.main import main as ccdnn
from ccdnn.files import write_volume
from ccdnn.normalisation import robust_maximum
from ccdnn.series import Role


def command_line_result(tmp_path, model_path) -> np.ndarray:
    """The result of `ccdnn synthesize` for the leg."""
    paths = {role: tmp_path / f"{role.value}.nrrd" for role in (Role.T1, Role.T2, Role.GRE)}
    for role, path in paths.items():
        write_volume(small_study.volumes()[role], path)
    arguments = [f"--{role.value}={path}" for role, path in paths.items()]
    assert ccdnn(["synthesize", *arguments, "--model", str(model_path), "-q", "-o", str(tmp_path / "out.nrrd")]) == 0
    return small_study.read_array(tmp_path / "out.nrrd")


def matrix_of(node) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def test_panel_opens_on_an_empty_scene_and_says_what_is_missing(panel):
    ui = panel.synthesis.ui
    assert not ui.applyButton.enabled and not ui.previewButton.enabled and not ui.exportButton.enabled
    slicer_host.click(panel.inputs.ui.detectButton)
    assert "load a study first" in panel_scene.detection(panel)


def test_detect_chooses_by_name_and_says_why(ready):
    node = ready.logic.getParameterNode()
    chosen = [node.t1Volume, node.t2Volume, node.greVolume, node.stirVolume]
    assert [volume.GetName() for volume in chosen] == ["leg t1", "leg t2", "leg gre", "leg stir"]
    assert "T1-w: leg t1 (called “leg t1”" in panel_scene.detection(ready)
    assert "36×40×6 at 0.8×0.8×3 mm, sagittal" in ready.inputs.ui.t1Grid.text
    assert ready.synthesis.ui.applyButton.enabled


def test_apply_gives_the_voxels_of_the_command_line_on_the_grid_of_the_reference(ready, model_path, tmp_path):
    panel_scene.apply(ready)
    (result,) = panel_scene.results()
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(result), command_line_result(tmp_path, model_path))
    np.testing.assert_array_equal(matrix_of(result), matrix_of(ready.logic.getParameterNode().t1Volume))
    assert panel_scene.is_ready(ready)
    assert "synthetic, not acquired" in panel_scene.message(ready)


def test_result_says_what_it_is_and_is_shown(ready):
    panel_scene.apply(ready)
    (result,) = panel_scene.results()
    assert result.GetName() == "synthetic STIR (tiny 0.0.1)"
    assert "SYNTHETIC" in result.GetAttribute("CCDNN_Notice")
    assert result.GetAttribute("CCDNN_Model") == "tiny 0.0.1"
    assert result.GetAttribute("CCDNN_Input_T1").startswith("covers 1.0000, voxels ")  # without a name, which could be a patient's
    assert result.GetNodeReference("CCDNN_gre").GetName() == "leg gre"
    # Not all views: those of an earlier review still exist, but are empty.
    for view in ("Red", "Yellow", "Green"):
        composite = slicer.app.layoutManager().sliceWidget(view).mrmlSliceCompositeNode()
        assert composite.GetBackgroundVolumeID() == result.GetID()


def test_inputs_of_different_patients_are_computed_only_when_confirmed(ready, monkeypatch):
    node, asked = ready.logic.getParameterNode(), []
    node.t1Volume.SetName("sub-01_T1w")
    node.t2Volume.SetName("sub-02_T2w")
    monkeypatch.setattr(slicer.util, "confirmYesNoDisplay", lambda question, **_: asked.append(question))
    slicer_host.click(ready.synthesis.ui.applyButton)
    slicer_host.process_events()
    assert not ready.logic.running and panel_scene.results() == []
    assert "different patients" in asked[0] and "different patients" in panel_scene.message(ready)
    monkeypatch.setattr(slicer.util, "confirmYesNoDisplay", lambda question, **_: True)
    panel_scene.apply(ready)
    (result,) = panel_scene.results()
    assert result.GetAttribute("CCDNN_Forced")


def test_names_with_markup_are_shown_as_they_are(ready):
    node = ready.logic.getParameterNode()
    for volume in (node.t1Volume, node.t2Volume, node.greVolume, node.stirVolume):
        volume.SetName("<img src=x><h1>knee\x1b[31m")
    panel_scene.apply(ready)
    for section in (ready.inputs, ready.synthesis, ready.report):
        for label in (widget for widget in vars(section.ui).values() if hasattr(widget, "textFormat")):
            assert "<img" not in label.text or label.textFormat == qt.Qt.PlainText
            assert "\x1b" not in label.text


def test_result_is_filed_in_the_study_of_the_reference(ready):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "visit 1")
    hierarchy.CreateItem(study, ready.logic.getParameterNode().t1Volume)
    panel_scene.apply(ready)
    (result,) = panel_scene.results()
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(result)) == study


def test_window_is_the_acquired_one_scaled_to_the_result(ready):
    acquired = ready.logic.getParameterNode().stirVolume
    brightest = robust_maximum(slicer.util.arrayFromVolume(acquired)[:, ::4, ::4])
    acquired.GetDisplayNode().AutoWindowLevelOff()
    acquired.GetDisplayNode().SetWindowLevel(brightest / 2, brightest / 4)
    panel_scene.apply(ready)
    (result,) = panel_scene.results()
    shown = robust_maximum(slicer.util.arrayFromVolume(result)[:, ::4, ::4])
    assert np.isclose(result.GetDisplayNode().GetWindow(), shown / 2)
    assert np.isclose(result.GetDisplayNode().GetLevel(), shown / 4)


def test_second_run_uses_the_warm_worker(ready):
    panel_scene.apply(ready)
    pid = ready.logic.worker.pid
    panel_scene.apply(ready)
    assert pid and ready.logic.worker.pid == pid
    first, second = panel_scene.results()
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(first), slicer.util.arrayFromVolume(second))
    assert first.GetName() != second.GetName()


def test_chosen_output_is_replaced_and_stays_where_it_is_used(ready):
    panel_scene.apply(ready)
    (first,) = panel_scene.results()
    output = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "my STIR")
    ready.logic.getParameterNode().outputVolume = output
    slicer_host.process_events()
    panel_scene.apply(ready)
    assert panel_scene.results() == [first, output]
    assert output.GetName() == "my STIR"
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(output), slicer.util.arrayFromVolume(first))
    np.testing.assert_array_equal(matrix_of(output), matrix_of(first))


def test_preview_shows_one_slice_with_the_voxels_of_the_full_run(ready):
    ui = ready.synthesis.ui
    view = slicer.mrmlScene.GetSingletonNode("Yellow", "vtkMRMLSliceNode")
    middle = slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS())
    middle[:3, 3] = (matrix_of(ready.logic.getParameterNode().t1Volume) @ [18, 20, 2, 1])[:3]
    slicer.util.updateVTKMatrixFromArray(view.GetSliceToRAS(), middle)
    view.UpdateMatrices()
    slicer_host.click(ui.previewButton)
    panel_scene.finish(ready)
    (preview,) = panel_scene.results()
    assert preview.GetName() == "synthetic STIR (preview of slice 3)"
    image = slicer.util.arrayFromVolume(preview).copy()
    assert image.shape == (1, 40, 36)
    panel_scene.apply(ready)
    (result,) = panel_scene.results()  # the preview was removed
    np.testing.assert_array_equal(image[0], slicer.util.arrayFromVolume(result)[2])


@pytest.mark.parametrize("member", ["outputVolume", "stirVolume", "t1Volume"])
def test_a_preview_is_not_overwritten_or_read_by_a_run(ready, member):
    slicer_host.click(ready.synthesis.ui.previewButton)
    panel_scene.finish(ready)
    (preview,) = panel_scene.results()
    setattr(ready.logic.getParameterNode(), member, preview)
    panel_scene.apply(ready)
    assert "is a preview, which the end of a run removes" in panel_scene.message(ready)
    assert panel_scene.results() == [preview]


def test_cancel_during_a_run_leaves_the_scene_unchanged(ready):
    big = {role: np.tile(volume.array, (30, 4, 4)) for role, volume in small_study.volumes().items()}
    node = ready.logic.getParameterNode()
    for volume, role in ((node.t1Volume, Role.T1), (node.t2Volume, Role.T2), (node.greVolume, Role.GRE)):
        slicer.util.updateVolumeFromArray(volume, big[role])
    slicer_host.process_events()
    before = panel_scene.snapshot()
    ui = ready.synthesis.ui
    slicer_host.click(ui.applyButton)
    assert ui.applyButton.text == "Cancel"
    slicer_host.wait_until(lambda: ui.progressBar.value > 0)
    slicer_host.click(ui.applyButton)
    panel_scene.finish(ready)
    assert panel_scene.snapshot() == before
    assert "cancelled" in panel_scene.message(ready)
    assert panel_scene.is_ready(ready)


def test_saved_scene_restores_choices_and_result(ready, model_path, tmp_path):
    panel_scene.apply(ready)
    (result,) = panel_scene.results()
    node = ready.logic.getParameterNode()
    node.outputVolume = result
    node.device = type(node.device).CPU
    array, matrix, window = slicer.util.arrayFromVolume(result).copy(), matrix_of(result), result.GetDisplayNode().GetWindow()
    assert slicer.util.saveScene(str(tmp_path / "saved"))
    slicer.mrmlScene.Clear(0)
    assert ready.logic.getParameterNode().t1Volume is None
    slicer.util.loadScene(str(tmp_path / "saved" / "saved.mrml"))
    ready.enter()
    slicer_host.process_events()
    node = ready.logic.getParameterNode()
    assert [v.GetName() for v in (node.t1Volume, node.t2Volume, node.greVolume)] == ["leg t1", "leg t2", "leg gre"]
    assert node.device.name == "CPU" and node.model == str(model_path)
    (restored,) = panel_scene.results()
    assert node.outputVolume is restored and restored.GetAttribute("CCDNN_Model") == "tiny 0.0.1"
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(restored), array)
    np.testing.assert_allclose(matrix_of(restored), matrix, atol=1e-6)
    assert np.isclose(restored.GetDisplayNode().GetWindow(), window, rtol=1e-4)
    panel_scene.apply(ready)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(restored), array)


def test_export_writes_dicom_that_says_synthetic(ready, tmp_path):
    panel_scene.apply(ready)
    qt_stand_in.dialog_answers["directory"] = str(tmp_path)
    slicer_host.click(ready.synthesis.ui.exportButton)
    files = sorted((tmp_path / "synthetic-STIR").iterdir())
    assert len(files) == 6 and "6 DICOM files were written" in panel_scene.message(ready)
    dataset = pydicom.dcmread(files[0])
    assert dataset.ImageType[:2] == ["DERIVED", "SECONDARY"] and "ynthetic" in dataset.SeriesDescription


def test_sample_link_loads_and_chooses_the_bundled_study(panel, model_path):
    panel.inputs.ui.sampleLink.linkActivated.emit("sample")
    slicer_host.process_events()
    node = panel.logic.getParameterNode()
    assert node.t1Volume.GetName() == "Sample knee T1" and node.stirVolume.GetName() == "Sample knee STIR"
    assert node.t1Volume.GetStorageNode() is None
    assert panel_scene.warnings(panel) == ""


def test_log_can_be_copied(ready):
    panel_scene.apply(ready)
    ready.synthesis.ui.logSection.collapsed = False
    slicer_host.process_events()
    slicer_host.click(ready.synthesis.ui.copyLogButton)
    assert "Worker: ccdnn" in slicer.app.clipboard().text()


def optional_model(tmp_path):
    return small_study.write_model(tmp_path / "optional.safetensors", optional=("gre",))


def test_without_gre_where_the_model_allows_it(panel, tmp_path):
    panel_scene.choose_model(panel, optional_model(tmp_path))
    panel_scene.add_leg((Role.T1, Role.T2, Role.STIR))
    slicer_host.click(panel.inputs.ui.detectButton)
    assert "GRE: no volume fits; the model does not require one." in panel_scene.detection(panel)
    assert "made without GRE" in panel_scene.warnings(panel)
    panel_scene.apply(panel)
    (result,) = panel_scene.results()
    assert result.GetName() == "synthetic STIR without GRE (tiny 0.0.1)"
    assert result.GetAttribute("CCDNN_Made_Without") == "GRE"
    assert "made without GRE" in panel_scene.message(panel)
    qt_stand_in.dialog_answers["directory"] = str(tmp_path)
    slicer_host.click(panel.synthesis.ui.exportButton)
    dataset = pydicom.dcmread(next((tmp_path / "synthetic-STIR").iterdir()))
    assert dataset.SeriesDescription == "Synthetic STIR without GRE (CC-DNN) – not acquired"


def test_model_that_requires_a_gre_refuses_none(ready):
    ready.logic.getParameterNode().greVolume = None
    slicer_host.process_events()
    assert not ready.synthesis.ui.applyButton.enabled
    assert "made without" not in panel_scene.warnings(ready)


def test_model_with_an_optional_gre_uses_one_that_is_chosen(ready, tmp_path):
    panel_scene.choose_model(ready, optional_model(tmp_path))
    assert panel_scene.warnings(ready) == ""
    panel_scene.apply(ready)
    assert panel_scene.results()[0].GetName() == "synthetic STIR (tiny 0.0.1)"
