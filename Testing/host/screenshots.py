"""Pictures of the panel, light and dark, 400 pixels wide, with a finished run on the sample study.

python Testing/host/screenshots.py FOLDER [--model FILE]        (default: the bundled model)
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[2] / "CCDNNSynth")]

import slicer_host  # noqa: E402
from PySide6 import QtGui, QtWidgets  # noqa: E402

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
    """As high as the texts need at that width; the application lets one scroll."""
    widget.parent.resize(400, 2000)
    slicer_host.process_events()
    widget.parent.resize(400, max(640, widget.parent.layout().totalHeightForWidth(400), widget.parent.sizeHint().height()))
    slicer_host.process_events()
    widget.parent.grab().save(str(path))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path, help="a model file in place of the bundled model")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        slicer_host.provide_python_slicer(Path(folder))
        slicer_host.install()
        QtWidgets.QApplication.setStyle("Fusion")
        for name in ("light", "dark"):
            if name == "dark":
                use_dark_colours()
            widget = slicer_host.start()
            take(widget, options.folder / f"panel-{name}-empty.png")
            widget.inputs.onSampleLink()
            if options.model is not None:
                widget.logic.getParameterNode().model = str(options.model)
            slicer_host.process_events()
            slicer_host.click(widget.inputs.ui.detectButton)
            slicer_host.click(widget.synthesis.ui.applyButton)
            slicer_host.wait_until(lambda ui=widget.synthesis.ui: ui.progressBar.property("value") > 4, 300)
            take(widget, options.folder / f"panel-{name}-running.png")
            slicer_host.wait_until(lambda logic=widget.logic: not logic.running, 600)
            widget.synthesis.ui.cardButton.click()
            take(widget, options.folder / f"panel-{name}.png")
            widget.cleanup()
            widget.parent.hide()


if __name__ == "__main__":
    main()
