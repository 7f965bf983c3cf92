"""Makes pictures of the panel (light and dark, 400 pixels wide, with a finished run on the sample study) and of the review.

python docs/tools/screenshots.py FOLDER [--model FILE] [--only panel|review]        (default: the bundled model, both)
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Testing"))

from PySide6 import QtCore, QtGui, QtWidgets
from testing_host import slicer_host

REVIEW_WIDTH = 900  # pixels

DARK = {"Window": 53, "Base": 35, "AlternateBase": 53, "Button": 53, "Text": 230, "WindowText": 230, "ButtonText": 230, "Mid": 90}


def use_dark_colours() -> None:
    """Slicer's dark style: light text on dark grey."""
    palette = QtGui.QPalette()
    for role, grey in DARK.items():
        palette.setColor(getattr(QtGui.QPalette.ColorRole, role), QtGui.QColor(grey, grey, grey))
    palette.setColor(QtGui.QPalette.ColorRole.Link, QtGui.QColor(90, 170, 255))
    palette.setColor(QtGui.QPalette.ColorGroup.Disabled, QtGui.QPalette.ColorRole.ButtonText, QtGui.QColor(128, 128, 128))
    QtWidgets.QApplication.setPalette(palette)


def take(widget, path: Path) -> None:
    """Picture a widget as high as its texts require at that width, because the application has a scroll bar."""
    widget.parent.resize(400, 2000)
    slicer_host.process_events()
    widget.parent.resize(400, max(640, widget.parent.layout().totalHeightForWidth(400), widget.parent.sizeHint().height()))
    slicer_host.process_events()
    widget.parent.grab().save(str(path))


def run(widget, model: Path | None) -> None:
    """Start a run on the sample study and wait for its first slices."""
    widget.inputs.onSampleLink()
    if model is not None:
        widget.logic.getParameterNode().model = str(model)
    slicer_host.process_events()
    slicer_host.click(widget.inputs.ui.detectButton)
    slicer_host.click(widget.synthesis.ui.applyButton)
    slicer_host.wait_until(lambda ui=widget.synthesis.ui: ui.progressBar.property("value") > 4, 300)


def finish(widget) -> None:
    slicer_host.wait_until(lambda: not widget.logic.running, 1200)
    slicer_host.process_events()


def take_review(widget, folder: Path) -> None:
    """Picture the slice views in each layout of the review."""
    import slicer
    from testing_host import layout

    from CCDNNSynthLib.Parameters import CompareMode

    if not layout.can_render():
        print("The review is skipped: this machine cannot render (see Testing/gui/test_review.py).")
        return
    parameters, ui = widget.logic.getParameterNode(), widget.review.ui
    for button, modes in ((ui.sideBySideButton, [None]), (ui.gridButton, [None]), (ui.singleButton, list(CompareMode))):
        slicer_host.click(button)
        for mode in modes:
            if mode is not None:
                parameters.compareMode = mode
            slicer_host.process_events()
            slicer_host.process_events()
            picture = slicer.app.layoutManager().grab()
            rows, columns, _ = picture.shape
            image = QtGui.QImage(picture.tobytes(), columns, rows, 3 * columns, QtGui.QImage.Format.Format_RGB888)
            name = mode.value if mode is not None else button.objectName().removesuffix("Button")
            image.scaledToWidth(REVIEW_WIDTH, QtCore.Qt.TransformationMode.SmoothTransformation).save(
                str(folder / f"review-{name}.png")
            )
    slicer_host.click(ui.leaveButton)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path, help="a model file to use instead of the bundled model")
    parser.add_argument("--only", choices=("panel", "review"), help="make only these pictures")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        slicer_host.provide_python_slicer(Path(folder))
        slicer_host.install()
        QtWidgets.QApplication.setStyle("Fusion")
        if options.only != "panel":
            widget = slicer_host.start()
            run(widget, options.model)
            finish(widget)
            take_review(widget, options.folder)
            widget.cleanup()
            widget.parent.hide()
        for name in ("light", "dark") if options.only != "review" else ():
            if name == "dark":
                use_dark_colours()
            widget = slicer_host.start()
            take(widget, options.folder / f"panel-{name}-empty.png")
            run(widget, options.model)
            take(widget, options.folder / f"panel-{name}-running.png")
            finish(widget)
            widget.synthesis.ui.cardButton.click()
            take(widget, options.folder / f"panel-{name}.png")
            widget.cleanup()
            widget.parent.hide()


if __name__ == "__main__":
    main()
