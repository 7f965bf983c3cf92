"""The section "Report": the contents of the folder, their agreement with the other sections, and the patient's privacy."""

from __future__ import annotations

import csv
import html
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import panel_scene
import pytest
import qt
import SimpleITK as sitk
import slicer
from cnr_scene import draw_region
from testing_host import qt_stand_in, slicer_host, tissue_regions

from ccdnn.provenance import NOTICE
from ccdnn.report.page import file_stem
from ccdnn.series import Role
from CCDNNSynthLib.Scene.Result import addVolume, fileResult, showLike
from CCDNNSynthLib.Scene.Tables import tableOf
from CCDNNSynthLib.Views.Plots import chartOf

SECRETS = ("DOE^", "JANE", "SECRET", "19700101")


HEADER = {
    "CCDNN_Notice": NOTICE,
    "CCDNN_Model": "tiny 0.0.1",
    "CCDNN_Model_SHA256": "0123",
    "CCDNN_Reference": "DOE^JANE T1",
    "CCDNN_Input_T1": "DOE^JANE T1 (covers 0.9876)",
}


def beside(folder, name):
    """The one file of that name, apart from its kind and number, beside the page."""
    (path,) = folder.glob(f"*-[0-9][0-9]-{name}")
    return path


@pytest.fixture
def study(panel, tmp_path):
    """The small leg of a patient, with names as in an archive, and a result; the output folder is chosen."""
    nodes = panel_scene.add_leg()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "DOE^JANE (SECRET-ID)")
    visit = hierarchy.CreateStudyItem(patient, "visit of DOE^JANE")
    for attribute, value in (("PatientName", "DOE^JANE"), ("PatientID", "SECRET-ID"), ("PatientBirthDate", "19700101")):
        hierarchy.SetItemAttribute(patient, f"DICOM.{attribute}", value)
    for role, volume in nodes.items():
        volume.SetName(f"DOE^JANE {role.label}")
        hierarchy.CreateItem(visit, volume)
        volume.GetDisplayNode().AutoWindowLevelOff()
        volume.GetDisplayNode().SetWindowLevel(600, 300)
    node = panel.logic.getParameterNode()
    node.t1Volume, node.t2Volume, node.greVolume, node.stirVolume = (nodes[role] for role in panel_scene.NAMES)
    result = addVolume(nodes[Role.T1], "synthetic STIR of DOE^JANE")
    slicer.util.updateVolumeFromArray(result, 0.01 * slicer.util.arrayFromVolume(nodes[Role.STIR])[:, ::-1])
    fileResult(result, HEADER, nodes)
    showLike(result, nodes[Role.STIR])
    node.syntheticVolume = result
    (tmp_path / "reports").mkdir()
    qt_stand_in.dialog_answers["directory"] = str(tmp_path / "reports")
    slicer_host.process_events()
    return panel


def measure(panel) -> None:
    """Measure the CNR of two drawn regions, a line profile and the similarity."""
    node = panel.logic.getParameterNode()
    node.cnrPairs = "muscle/fat"
    for section in (panel.cnr.ui.cnrSection, panel.similarity.ui.similaritySection, panel.lineProfiles.ui.profilesSection):
        section.collapsed = False
    slicer_host.process_events()
    for tissue, low, high in (("muscle", (10, 12), (16, 20)), ("fat", (20, 12), (26, 20))):
        draw_region(panel, tissue, tissue_regions.square(node.stirVolume, 2, low, high))
    slicer_host.click(panel.lineProfiles.ui.drawLineButton)
    for end in ((6.0, 18.0, 2.0), (31.0, 23.0, 3.0)):
        node.profileLine.AddControlPointWorld(*tissue_regions.world(node.stirVolume, *end))
    slicer_host.click(panel.similarity.ui.computeButton)
    slicer_host.wait_until(lambda: node.similarityTable is not None and node.cnrTable is not None, 30)
    slicer_host.wait_until(lambda: node.profileTable is not None and node.profileTable.GetNumberOfRows() > 0, 30)
    slicer_host.wait_until(lambda: not any(section._pause.active for section in panel.panels))


def write(panel) -> Path:
    """Click the button; returns the folder that was written."""
    panel.report.ui.reportSection.collapsed = False
    slicer_host.process_events()
    slicer_host.click(panel.report.ui.reportButton)
    folders = sorted(Path(qt_stand_in.dialog_answers["directory"]).iterdir(), key=lambda path: path.stat().st_mtime_ns)
    return folders[-1] if folders else None


def message(panel) -> str:
    return html.unescape(re.sub("<[^>]+>", " ", panel.report.ui.reportLabel.text))


def page_of(folder: Path) -> str:
    return html.unescape((folder / "index.html").read_text(encoding="utf-8"))


def everything_in(folder: Path) -> str:
    return " ".join(path.name + path.read_bytes().decode("utf-8", "replace") for path in folder.iterdir()).upper()


def test_empty_scene_has_nothing_to_report(panel):
    assert not panel.report.ui.reportButton.enabled
    assert "Choose volumes first" in panel.report.ui.contentLabel.text


def test_report_contains_volumes_pictures_measurements_and_provenance(study):
    measure(study)
    assert "Measured: Contrast-to-noise ratio, Line profiles, Image similarity" in study.report.ui.contentLabel.text
    folder = write(study)
    assert folder.name == "STIR-report" and "does not name the patient" in message(study)
    page = page_of(folder)
    for words in ("Research use only", "tiny 0.0.1", "acquired STIR", "36×40×6", "muscle–fat", "Pearson r", "MS-SSIM", "SHA-256"):
        assert words in page, words
    assert page.count("<svg") == 3 and page.count("<img") == 6
    assert page.count('<figure class="synthetic">') == 2  # the synthetic volume, and the difference


def test_tables_and_plots_are_those_of_the_sections(study):
    measure(study)
    folder, node = write(study), study.logic.getParameterNode()
    for shown in (node.cnrTable, node.profileTable, node.similarityTable):
        table = tableOf(shown)
        assert beside(folder, f"{file_stem(table.title)}.csv").read_text(encoding="utf-8") == table.to_csv()
    for shown in (node.cnrChart, node.profileChart, node.similarityChart):
        drawing = beside(folder, f"{file_stem(shown.GetTitle())}.svg").read_text(encoding="utf-8")
        chart = chartOf(shown)
        assert all(series.name in drawing and series.colour in drawing for series in chart.series)
    assert chartOf(node.cnrChart).x_title == "Tissue pair (foreground–background)"
    assert chartOf(node.cnrChart).categories == ("muscle–fat",)
    assert [series.dashed for series in chartOf(node.profileChart).series] == [False, True]
    with beside(folder, "line-profile-samples.csv").open(encoding="utf-8", newline="") as file:
        samples = [float(row["acquired STIR"]) for row in csv.DictReader(file)]
    np.testing.assert_array_equal(samples, study.lineProfiles.profiles.values["acquired STIR"])


def test_pictures_show_what_the_views_show(study):
    node = study.logic.getParameterNode()
    folder = write(study)
    picture = sitk.GetArrayFromImage(sitk.ReadImage(beside(folder, "acquired-stir.png")))
    index = int(re.search(r"slice (\d) of 6", page_of(folder))[1]) - 1
    image = slicer.util.arrayFromVolume(node.stirVolume)[index]
    np.testing.assert_array_equal(picture, np.rint(np.clip(image.astype(float) / 600, 0, 1) * 255))
    assert b"SYNTHETIC" in beside(folder, "synthetic-stir.png").read_bytes()


def test_report_does_not_name_the_patient_unless_requested(study):
    measure(study)
    written = everything_in(write(study))
    assert not [secret for secret in SECRETS if secret in written]
    assert not study.report.ui.identityBox.checked
    study.report.ui.identityBox.checked = True
    named = everything_in(write(study))
    assert all(secret in named for secret in SECRETS)
    assert "names the patient" in message(study)


def test_the_choice_to_include_the_identity_ends_with_the_scene_and_on_leaving_the_module(study):
    box = study.report.ui.identityBox
    box.checked = True
    study.exit()
    study.enter()
    assert not box.checked
    box.checked = True
    slicer.mrmlScene.Clear(0)
    slicer_host.process_events()
    assert not box.checked and not study.report.ui.openLabel.visible


def test_every_report_gets_a_folder_of_its_own(study):
    assert [write(study).name, write(study).name] == ["STIR-report", "STIR-report-2"]


def test_report_of_inputs_alone(study):
    node = study.logic.getParameterNode()
    node.stirVolume = node.syntheticVolume = None
    slicer_host.process_events()
    page = page_of(write(study))
    assert page.count("<img") == 3 and "<strong>synthetic STIR" not in page


def test_values_of_other_volumes_are_marked(study):
    measure(study)
    assert "have changed" not in page_of(write(study))
    node = study.logic.getParameterNode()
    slicer.util.arrayFromVolume(node.stirVolume)[2, 20, 18] += 500
    slicer.util.arrayFromVolumeModified(node.stirVolume)
    assert "The volumes, the mask or the scaling have changed since this was measured." in page_of(write(study))


def test_another_grid_and_a_transform_are_drawn_in_their_place(study):
    node = study.logic.getParameterNode()
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node.t1Volume.SetAndObserveTransformNodeID(transform.GetID())
    thickness = node.t1Volume.GetSpacing()[2]
    matrix = slicer.util.vtkMatrixFromArray(np.array([[1, 0, 0, -thickness], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], float))
    transform.SetMatrixTransformToParent(matrix)  # one slice further to the left
    notes = re.findall(r"slice (\d) of 6", page_of(write(study)))
    assert int(notes[0]) == int(notes[1]) + 1


def test_saved_scene_gives_the_same_report(study, tmp_path):
    measure(study)
    before = write(study)
    slicer.util.saveScene(str(tmp_path / "saved"))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "saved" / "saved.mrml"))
    slicer_host.process_events()
    slicer_host.wait_until(lambda: study.lineProfiles.profiles is not None, 10)
    after = write(study)
    assert {path.name for path in before.iterdir()} == {path.name for path in after.iterdir()}
    assert beside(before, "acquired-stir.png").read_bytes() == beside(after, "acquired-stir.png").read_bytes()
    mse = [
        float(re.search(r"volume,([^,]+),", beside(folder, "image-similarity.csv").read_text())[1]) for folder in (before, after)
    ]
    assert mse[0] == pytest.approx(mse[1], rel=1e-5)  # Slicer writes six digits of a table into a saved scene


def test_cancelled_dialog_writes_nothing(study, tmp_path):
    qt_stand_in.dialog_answers["directory"] = ""
    study.report.ui.reportSection.collapsed = False
    slicer_host.process_events()
    slicer_host.click(study.report.ui.reportButton)
    assert list((tmp_path / "reports").iterdir()) == [] and message(study) == ""


def test_volume_without_voxels_gives_one_sentence_and_nothing_is_written(study, tmp_path):
    study.logic.getParameterNode().t2Volume.SetAndObserveImageData(None)
    assert write(study) is None
    assert "has no voxels" in message(study)
    assert not study.report.ui.openLabel.visible


def test_folder_that_cannot_be_written_gives_one_sentence(study, tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(28, "no space")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    assert write(study) is None
    assert "STIR-report cannot be written: the disk is full" in message(study)


def test_link_opens_the_page(study, monkeypatch):
    opened = []
    answers = iter([True, False])

    def open_url(url):
        opened.append(url.toLocalFile())
        return next(answers)

    monkeypatch.setattr(qt, "QDesktopServices", SimpleNamespace(openUrl=open_url))
    folder = write(study)
    for _ in range(2):
        study.report.ui.openLabel.linkActivated.emit("open")
    assert opened == [str(folder / "index.html")] * 2
    assert "open " in message(study) and "manually" in message(study)
