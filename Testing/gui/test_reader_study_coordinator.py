"""The section "Reader study" in the test host: the coordinator makes a study from cases and methods."""

from __future__ import annotations

import sys

import pytest
import qt
from reader_scene import METHODS, message, visible, write_cases
from testing_host import application, qt_stand_in, slicer_host

from ccdnn.readers.study import open_study, read_key


@pytest.fixture
def source(tmp_path):
    return write_cases(tmp_path)


@pytest.fixture
def manifest(source, tmp_path):
    lines = [",".join(["case", *(role.value for role in source[0].context), *METHODS])]
    for candidate in source:
        files = [*candidate.context.values(), *candidate.images.values()]
        lines.append(",".join([candidate.name, *(str(file.relative_to(tmp_path)) for file in files)]))
    (tmp_path / "cases.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "cases.csv"


@pytest.fixture
def answers(manifest, tmp_path):
    """The answers of the save dialogs, one after the other: the folder and the key."""
    given = [str(tmp_path / "made"), str(tmp_path / "made-key.json")]
    qt_stand_in.dialog_answers["open"] = str(manifest)
    asked = qt.QFileDialog.getSaveFileName
    # Not with monkeypatch: PySide keeps separate class attributes for modules that use PythonQt-style properties.
    qt.QFileDialog.getSaveFileName = lambda *_arguments: given.pop(0)
    yield
    qt.QFileDialog.getSaveFileName = asked


def make(panel) -> None:
    slicer_host.click(visible(panel, panel.readerStudy.ui.makeButton))
    slicer_host.wait_until(lambda: panel.readerStudy.ui.makeButton.enabled, 30)


def test_coordinator_makes_a_study_and_is_asked_to_keep_the_key(panel, answers, tmp_path):
    make(panel)
    assert "Keep the key" in message(panel.readerStudy.ui.makingLabel)
    assert len(open_study(tmp_path / "made").cases) == 2
    assert set(read_key(tmp_path / "made-key.json").methods.values()) == set(METHODS)
    assert not panel.readerStudy.ui.makingBar.visible


def test_making_can_be_cancelled_between_files_and_leaves_nothing(panel, answers, tmp_path):
    ui = panel.readerStudy.ui
    slicer_host.click(visible(panel, ui.makeButton))
    slicer_host.wait_until(lambda: ui.makingBar.value >= 2, 30)
    assert ui.cancelButton.visible and not ui.makeButton.enabled
    slicer_host.click(ui.cancelButton)
    assert "Cancelled" in message(ui.makingLabel) and ui.makeButton.enabled
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cases.csv", "source"]


def test_module_closed_while_a_study_is_made_leaves_nothing(panel, answers, tmp_path):
    ui = panel.readerStudy.ui
    slicer_host.click(visible(panel, ui.makeButton))
    slicer_host.wait_until(lambda: ui.makingBar.value >= 2, 30)
    application.reload_module("CCDNNSynth")
    slicer_host.process_events()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cases.csv", "source"]


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda folder: (folder / "cases.csv").write_text("a,b\n"), "needs the columns case and stir"),
        (lambda folder: (folder / "made-key.json").write_text("mine"), "exists already"),
        (lambda folder: (folder / "source" / "Jones" / "U-Net.nii").write_bytes(b"no image"), "U-Net.nii"),
    ],
)
def test_invalid_source_of_a_study_gives_one_sentence(panel, answers, tmp_path, spoil, expected):
    spoil(tmp_path)
    make(panel)
    assert expected in message(panel.readerStudy.ui.makingLabel)
    assert not (tmp_path / "made").exists() and not list(tmp_path.glob(".made*"))


def test_without_simpleitk_the_coordinator_is_referred_to_the_command(panel, answers, monkeypatch):
    monkeypatch.setitem(sys.modules, "ccdnn.files", None)
    make(panel)
    assert "requires SimpleITK" in message(panel.readerStudy.ui.makingLabel)
