"""The section "Reader study" in the test host: keys and clicks, the content of the views, removed nodes and files, blinding.

The user's workflow is tested in `Testing/slicer/reader_stories.py`, which runs here (test_stories.py) and in a real Slicer.
"""

from __future__ import annotations

import csv

import numpy as np
import panel_scene
import pytest
import qt
import slicer
import small_study
import vtk
from PySide6 import QtTest, QtWidgets
from reader_scene import METHODS, message, visible, write_cases
from testing_host import application, qt_stand_in, slicer_host

from ccdnn.readers.scores import read_scores
from ccdnn.readers.study import create_study, open_study
from ccdnn.series import Role
from CCDNNSynthLib.Parameters import CCDNNSynthParameterNode, ReviewLayout

CONVENTIONAL = slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView


@pytest.fixture
def source(tmp_path):
    return write_cases(tmp_path)


@pytest.fixture
def folder(source, tmp_path):
    """The folder of a study, which is the answer of the file dialog."""
    create_study(source, tmp_path / "readers", tmp_path / "key.json", seed=5)
    qt_stand_in.dialog_answers["directory"] = str(tmp_path / "readers")
    return tmp_path / "readers"


@pytest.fixture
def reading(panel, folder):
    """The section with the study open."""
    slicer.app.layoutManager().setLayout(CONVENTIONAL)
    return begin(panel)


def begin(panel, reader="reader one"):
    section = panel.readerStudy
    section.ui.readerSection.collapsed = False
    section.ui.readerEdit.text = reader
    slicer_host.process_events()
    slicer_host.click(section.ui.openButton)
    slicer_host.process_events()
    return section


def press(section, *keys) -> None:
    """Press keys in the application's window."""
    window = section.ui.readerSection.window()
    window.activateWindow()
    slicer_host.process_events()
    for key in keys:
        QtTest.QTest.keySequence(window, qt.QKeySequence(key))
        slicer_host.process_events()


def place(section) -> tuple:
    item = section.session.item
    return item.number, str(item.region), item.letter


def rows(path) -> list:
    with path.open(newline="") as file:
        return [(row["case"], row["image"], row["region"], int(row["score"])) for row in csv.DictReader(file)]


def background(name):
    view = slicer.app.layoutManager().sliceWidget(name)
    return slicer.mrmlScene.GetNodeByID(view.mrmlSliceCompositeNode().GetBackgroundVolumeID() or "")


def scores_file(folder, reader="reader-one"):
    return folder.parent / f"{folder.name}-scores-{reader}.csv"


# ----------------------------------------------------------------------------------------------------------------- reading


def test_section_is_the_last_one_and_collapsed_and_asks_for_a_name(panel):
    section = panel.readerStudy
    assert panel.panels[-1] is section and section.ui.readerSection.collapsed
    section.ui.readerSection.collapsed = False
    assert not section.ui.openButton.enabled and not section.ui.readingWidget.visible
    section.ui.readerEdit.text = "  "
    assert not section.ui.openButton.enabled


def test_keys_score_in_reading_order_and_every_score_is_saved_at_once(reading, folder):
    assert place(reading) == (1, "Cartilage: MFC", "A")
    for count, key in enumerate("4251", start=1):
        press(reading, key)
        assert len(rows(scores_file(folder))) == count
    assert place(reading) == (1, "Cartilage: LFC", "B")
    assert rows(scores_file(folder)) == [
        ("case-01", "A", "Cartilage: LFC", 1),
        ("case-01", "A", "Cartilage: MFC", 4),
        ("case-01", "B", "Cartilage: MFC", 2),
        ("case-01", "C", "Cartilage: MFC", 5),
    ]
    assert (reading.ui.scoredBar.value, reading.ui.scoredBar.maximum) == (4, 2 * 3 * 19)


def test_buttons_do_what_the_keys_do(reading):
    ui = reading.ui
    slicer_host.click(ui.scoreButton3)
    assert place(reading)[2] == "B"
    slicer_host.click(ui.previousButton)
    assert place(reading)[2] == "A" and ui.scoreButton3.checked and not ui.scoreButton4.checked
    slicer_host.click(ui.scoreButton4)  # a changed score; then the next item without one
    assert place(reading)[2] == "B" and reading.session.sheet.done == 1
    slicer_host.click(reading._imageButtons["A"])
    assert ui.scoreButton4.checked and reading._imageButtons["A"].text == "A: 4"
    slicer_host.click(ui.clearButton)
    assert reading.session.sheet.done == 0 and place(reading)[2] == "A" and not ui.scoreButton4.checked
    slicer_host.click(ui.nextButton)
    slicer_host.click(ui.nextButton)
    slicer_host.click(ui.missingButton)
    assert place(reading) == (1, "Cartilage: MFC", "A")


def test_letters_and_page_keys_move_and_stop_at_the_ends(reading):
    press(reading, "C")
    assert place(reading) == (1, "Cartilage: MFC", "C")
    press(reading, "PgDown")
    assert place(reading) == (1, "Cartilage: LFC", "A")
    press(reading, "PgUp", "PgUp", "PgUp", "PgUp", "PgUp")
    assert place(reading) == (1, "Cartilage: MFC", "A")
    press(reading, "5", "0")
    assert reading.session.sheet.done == 1  # B had no score to clear
    press(reading, "A", "0", "Home")
    assert reading.session.sheet.done == 0 and place(reading)[2] == "A"
    assert "medial femoral condyle (MFC)" in reading.ui.regionLabel.text


def test_text_fields_keep_their_keys(reading, panel):
    field = QtWidgets.QLineEdit(panel.parent)
    field.show()
    panel.parent.activateWindow()
    field.setFocus()
    slicer_host.process_events()
    QtTest.QTest.keyClicks(field, "4A1")
    slicer_host.process_events()
    assert field.text == "4A1" and reading.session.sheet.done == 0


def test_keys_do_nothing_if_the_section_is_not_visible(reading, panel):
    reading.ui.readerSection.collapsed = True
    press(reading, "4", "B")
    reading.ui.readerSection.collapsed = False
    panel.cnr.ui.cnrSection.collapsed = False
    slicer.app.layoutManager().setLayout(CONVENTIONAL)  # the images are not visible either
    slicer_host.process_events()
    press(reading, "4", "B")
    assert reading.session.sheet.done == 0 and place(reading)[2] == "A"


def test_completed_study_names_the_file_to_return(reading, folder):
    for item in reading.session.items[:-1]:
        reading.session.sheet.set(item.case.name, item.letter, item.region, 3)
    slicer_host.click(reading.ui.missingButton)
    assert place(reading) == (2, "Fat pad: infrapatellar", "C")
    press(reading, "5")
    assert "All 114 items are scored" in message(reading.ui.readerLabel)
    assert str(scores_file(folder)) in message(reading.ui.readerLabel)
    reader, scores = read_scores(scores_file(folder), open_study(folder).identifier)
    assert reader == "reader one" and len(scores) == 114


# ------------------------------------------------------------------------------------------------------- interrupted readers


def test_two_readers_interrupted_during_a_case_lose_nothing(panel, folder):
    given = {}
    for reader, keys in (("reader one", "45123"), ("Reader 2", "1112")):
        section = begin(panel, reader)
        press(section, *keys)
        given[reader] = (place(section), rows(section.session.sheet.path))
        panel = application.reload_module("CCDNNSynth")  # while reading
        slicer_host.process_events()
        assert not panel_scene.volume_nodes()
    for reader, (where, scored) in given.items():
        section = begin(panel, reader)
        assert place(section) == where and rows(section.session.sheet.path) == scored
        press(section, "5")
        assert len(rows(section.session.sheet.path)) == len(scored) + 1
        slicer_host.click(section.ui.closeButton)


def test_file_of_another_reader_is_refused_and_another_can_be_chosen(panel, folder, tmp_path):
    press(begin(panel), "4")
    section = panel.readerStudy
    slicer_host.click(section.ui.closeButton)
    qt_stand_in.dialog_answers["save"] = str(scores_file(folder))
    slicer_host.click(section.ui.scoresButton)
    begin(panel, "reader two")
    assert section.session is None and "contains the scores of reader one" in message(section.ui.readerLabel)
    qt_stand_in.dialog_answers["save"] = str(tmp_path / "mine")
    slicer_host.click(section.ui.scoresButton)
    begin(panel, "reader two")
    press(section, "2")
    assert len(rows(tmp_path / "mine.csv")) == 1
    assert len(rows(scores_file(folder))) == 1
    qt_stand_in.dialog_answers["save"] = str(tmp_path / "second.csv")  # while the study is open
    slicer_host.click(section.ui.scoresButton)
    assert section.session.sheet.path == tmp_path / "second.csv" and section.session.sheet.done == 0


def test_score_that_cannot_be_written_gives_a_message_and_does_not_advance(panel, folder, tmp_path):
    (tmp_path / "stick").mkdir()
    qt_stand_in.dialog_answers["save"] = str(tmp_path / "stick" / "scores.csv")
    slicer_host.click(visible(panel, panel.readerStudy.ui.scoresButton))
    section = begin(panel)
    press(section, "4")
    (tmp_path / "stick" / "scores.csv").unlink()
    (tmp_path / "stick").rmdir()
    before = place(section)
    press(section, "5")
    assert place(section) == before and section.session.sheet.done == 1
    assert "The score was not saved" in message(section.ui.readerLabel) and "no such folder" in message(section.ui.readerLabel)
    (tmp_path / "stick").mkdir()
    press(section, "5")
    assert len(rows(tmp_path / "stick" / "scores.csv")) == 2


def test_folder_without_a_study_and_scores_that_cannot_be_written_give_one_sentence(panel, folder, tmp_path):
    qt_stand_in.dialog_answers["directory"] = str(tmp_path / "source")
    section = begin(panel)
    assert section.session is None and "is not a reader study" in message(section.ui.readerLabel)
    qt_stand_in.dialog_answers["directory"] = str(folder)
    qt_stand_in.dialog_answers["save"] = str(tmp_path / "nowhere" / "scores.csv")
    slicer_host.click(section.ui.scoresButton)
    begin(panel)
    assert section.session is None and "no such folder" in message(section.ui.readerLabel)
    assert not panel_scene.volume_nodes()


# ------------------------------------------------------------------------------------------------------- images and blinding


def test_views_show_acquired_beside_the_blinded_image_in_one_window(reading):
    session = reading.session
    assert slicer.app.layoutManager().layout == 20176
    assert background("ReaderAcquired") is session.volumes.acquired
    assert [background(f"Reader{name}") for name in ("T1", "T2", "GRE")] == [
        session.volumes.context[role] for role in (Role.T1, Role.T2, Role.GRE)
    ]
    for letter in "BCA":
        press(reading, letter)
        assert background("ReaderImage") is session.volumes.images[letter]
        assert reading.views.labels["ReaderImage"].texts[0] == f"SYNTHETIC STIR, image {letter}\nnot acquired"
    assert reading.views.labels["ReaderAcquired"].texts[0] == "ACQUIRED STIR"
    session.volumes.acquired.GetDisplayNode().SetWindowLevel(321, 123)
    shown = [node.GetDisplayNode() for node in session.volumes.images.values()]
    assert {(display.GetWindow(), display.GetLevel()) for display in shown} == {(321, 123)}
    shown[1].SetWindowLevel(200, 100)
    assert session.volumes.acquired.GetDisplayNode().GetWindow() == 200
    assert session.volumes.context[Role.T1].GetDisplayNode().GetWindow() != 200


def test_volumes_have_the_voxels_and_positions_of_the_files(reading):
    expected = small_study.volumes()
    for role, node in reading.session.volumes.context.items():
        np.testing.assert_allclose(slicer.util.arrayFromVolume(node), expected[role].array, rtol=1e-6)
        matrix = vtk.vtkMatrix4x4()
        node.GetIJKToRASMatrix(matrix)
        np.testing.assert_allclose(slicer.util.arrayFromVTKMatrix(matrix), expected[role].ijk_to_ras, atol=1e-5)


def test_scene_and_section_do_not_reveal_a_method_and_nothing_is_saved(reading, panel, tmp_path):
    press(reading, "3", "B")
    texts = [node.GetName() or "" for node in slicer.util.getNodesByClass("vtkMRMLNode")]
    for node in panel_scene.volume_nodes():
        assert node.GetHideFromEditors() and not node.GetSaveWithScene() and node.GetStorageNode() is None
        texts += [node.GetDescription() or "", *(node.GetAttribute(name) for name in node.GetAttributeNames())]
    for cls in (QtWidgets.QLabel, QtWidgets.QPushButton):
        texts += [shown.text + shown.toolTip for shown in reading.ui.readerSection.findChildren(cls)]
    assert not [text for text in texts for method in (*METHODS, "Smith", "Jones") if method in text]
    images = [node for node in panel_scene.volume_nodes() if node.GetAttribute("CCDNN_Notice")]
    assert sorted(node.GetName() for node in images) == ["Case 1, image A", "Case 1, image B", "Case 1, image C"]
    assert slicer.util.saveScene(str(tmp_path / "saved"))
    saved = (tmp_path / "saved" / "saved.mrml").read_text(encoding="utf-8")
    assert "Case 1" not in saved and "readers" not in saved


def test_hidden_volumes_are_not_inputs_of_the_other_sections(reading, panel):
    slicer_host.click(panel.inputs.ui.detectButton)
    node = panel.logic.getParameterNode()
    assert [node.t1Volume, node.t2Volume, node.greVolume, node.stirVolume, node.syntheticVolume] == [None] * 5


def test_another_case_replaces_the_previous_one(reading):
    first = reading.session.volumes
    reading._goTo(3 * 19)
    assert place(reading) == (2, "Cartilage: MFC", "A")
    assert len(panel_scene.volume_nodes()) == 7 and not any(slicer.mrmlScene.IsNodePresent(node) for node in first.nodes)
    assert {node.GetName().split(",")[0] for node in panel_scene.volume_nodes()} == {"Case 2"}
    assert background("ReaderImage").GetName() == "Case 2, image A"
    press(reading, "PgUp")
    assert background("ReaderImage").GetName() == "Case 1, image C"


def test_leaving_restores_the_layout_and_the_crosshair(panel, folder):
    slicer.app.layoutManager().setLayout(CONVENTIONAL)
    crosshair = slicer.vtkMRMLCrosshairDisplayableManager.FindCrosshairNode(slicer.mrmlScene)
    before = (crosshair.GetCrosshairMode(), crosshair.GetCrosshairBehavior(), panel_scene.snapshot().keys())
    section = begin(panel)
    displays = len(slicer.util.getNodesByClass("vtkMRMLVolumeDisplayNode"))
    assert crosshair.GetCrosshairMode() != before[0] and displays == 7
    slicer_host.click(section.ui.closeButton)
    assert slicer.app.layoutManager().layout == CONVENTIONAL
    assert (crosshair.GetCrosshairMode(), crosshair.GetCrosshairBehavior()) == before[:2]
    assert not panel_scene.volume_nodes() and not slicer.util.getNodesByClass("vtkMRMLVolumeDisplayNode")
    assert section.session is None and not section.ui.readingWidget.visible


# ---------------------------------------------------------------------------------------------------- removed nodes and files


def shows_images_again(section) -> None:
    assert section.session.volumes is None and not section.ui.itemWidget.visible and not panel_scene.volume_nodes()
    slicer_host.click(section.ui.imagesButton)
    slicer_host.process_events()
    assert background("ReaderImage").GetName().endswith(f"image {section.session.item.letter}")
    press(section, "4")


def test_another_layout_leaves_the_study_open_and_the_images_can_be_shown_again(reading):
    press(reading, "4")
    slicer.app.layoutManager().setLayout(CONVENTIONAL)
    slicer_host.process_events()
    slicer_host.process_events()
    shows_images_again(reading)
    assert reading.session.sheet.done == 2


def test_closed_scene_leaves_the_study_open(reading):
    press(reading, "4")
    slicer.mrmlScene.Clear(0)
    slicer_host.process_events()
    assert slicer.app.layoutManager().layout != 20176
    shows_images_again(reading)
    assert reading.session.sheet.done == 2


def test_volume_that_is_removed_leaves_the_study_open(reading):
    slicer.mrmlScene.RemoveNode(reading.session.volumes.images["B"])
    slicer_host.process_events()
    slicer_host.process_events()
    assert slicer.app.layoutManager().layout == CONVENTIONAL
    shows_images_again(reading)


def test_missing_study_folder_gives_a_message_and_scores_are_kept(reading, folder):
    for item in reading.session.items[: 3 * 19 - 1]:
        reading.session.sheet.set(item.case.name, item.letter, item.region, 3)
    slicer_host.click(reading.ui.missingButton)
    folder.rename(folder.with_name("unplugged"))
    press(reading, "5")  # the last item of the case; the next case is missing
    assert place(reading)[0] == 1 and reading.session.sheet.done == 3 * 19
    assert "case-02" in message(reading.ui.readerLabel) and "missing" in message(reading.ui.readerLabel)
    assert len(panel_scene.volume_nodes()) == 7
    folder.with_name("unplugged").rename(folder)
    slicer_host.click(reading.ui.missingButton)
    assert place(reading)[0] == 2


def test_truncated_file_is_not_shown_as_an_image(panel, folder):
    path = folder / "case-01" / "C.nii"
    path.write_bytes(path.read_bytes()[:5000])
    section = begin(panel)
    assert "C.nii is missing or truncated" in message(section.ui.readerLabel)
    assert section.session.volumes is None and not panel_scene.volume_nodes()


def test_another_parameter_set_and_another_module_change_nothing(reading, panel):
    second = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "second")
    panel.setParameterNode(CCDNNSynthParameterNode(second))
    panel.exit()
    panel.enter()
    slicer_host.process_events()
    press(reading, "4")
    assert reading.session.sheet.done == 1 and len(panel_scene.volume_nodes()) == 7
    assert not [name for name in second.GetParameterNames() if "readers" in second.GetParameter(name)]


def test_review_and_reading_close_each_other(panel, folder):
    slicer.app.layoutManager().setLayout(CONVENTIONAL)
    nodes = panel_scene.add_leg()
    parameters = panel.logic.getParameterNode()
    parameters.stirVolume, parameters.syntheticVolume = nodes[Role.STIR], nodes[Role.T1]
    slicer_host.process_events()
    slicer_host.click(panel.review.ui.sideBySideButton)
    section = begin(panel)
    slicer_host.process_events()
    assert parameters.reviewLayout is ReviewLayout.NONE and not panel.review.review.isOpen and section.views.isOpen
    slicer_host.click(panel.review.ui.sideBySideButton)
    slicer_host.process_events()
    assert panel.review.review.isOpen and not section.views.isOpen and section.session.volumes is None
    slicer_host.click(panel.review.ui.leaveButton)
    assert slicer.app.layoutManager().layout == CONVENTIONAL


def test_application_without_views(panel, folder, monkeypatch):
    monkeypatch.setattr(slicer.app, "_layout_manager", None)
    section = panel.readerStudy
    section.ui.readerSection.collapsed = False
    section.ui.readerEdit.text = "reader one"
    assert not section.ui.openButton.enabled and "without views" in message(section.ui.readerLabel)
