"""A small stand-in for the Slicer application that runs the module's own files, with real MRML (slicer-core) and Qt (PySide6).

    from testing_host import slicer_host
    widget = slicer_host.start()                     # the module's panel, as in the application
    slicer_host.click(widget.synthesis.ui.applyButton)
    slicer_host.wait_until(lambda: not widget.logic.running)

The parts: `qt_stand_in`, `ctk_stand_in`, `mrml_widgets`, `parameter_node`, `scripted_module`, `application`. Each provides only
what this extension uses of the real module, with the same behaviour.
"""

from __future__ import annotations

import os
import shlex
import stat
import sys
import time
import types
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6 import QtCore, QtTest, QtWidgets

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "CCDNNSynth" / "CCDNNSynth.py"


def install() -> None:
    """Make `import slicer`, `qt`, `ctk` and Slicer's own Python modules work in this process, once."""
    if "qt" in sys.modules:
        return
    qt_application = QtWidgets.QApplication.instance() or QtWidgets.QApplication([sys.argv[0]])
    from testing_host import ctk_stand_in, qt_stand_in

    sys.modules["qt"], sys.modules["ctk"] = qt_stand_in.make_module(), ctk_stand_in.make_module()
    # The package `slicer` includes every folder of that name on the path, and this project's tests have one.
    path, sys.path[:] = sys.path[:], [folder for folder in sys.path if Path(folder).resolve() != ROOT / "Testing"]
    import slicer
    import slicer.util
    import vtk.util.numpy_support  # noqa: F401

    sys.path[:] = path

    i18n = types.ModuleType("slicer.i18n")
    i18n.tr, i18n.translate = (lambda text: text), (lambda _context, text: text)
    slicer.i18n = sys.modules["slicer.i18n"] = i18n
    from testing_host import mrml_widgets

    for cls in mrml_widgets.WIDGETS:
        setattr(slicer, cls.__name__, cls)
    qt_stand_in.QUiLoader.custom_widgets = {
        cls.__name__: cls for cls in (*mrml_widgets.WIDGETS, ctk_stand_in.ctkCollapsibleButton, ctk_stand_in.ctkSliderWidget)
    }
    from testing_host import parameter_node, scripted_module

    slicer.ScriptedLoadableModule = sys.modules["slicer.ScriptedLoadableModule"] = scripted_module.make_module()
    slicer.parameterNodeWrapper = sys.modules["slicer.parameterNodeWrapper"] = parameter_node.make_module()
    from testing_host import application

    application.install(qt_application)
    # The application adds the folder of a module to the path.
    sys.path.insert(0, str(MODULE.parent))
    for path in [MODULE, *(MODULE.parent / "CCDNNSynthLib").rglob("*.py")]:
        qt_stand_in.use_python_qt_style(".".join(path.relative_to(MODULE.parent).with_suffix("").parts))


def start(width: int = 400):
    """Create a new scene and the module's panel; returns the module's widget."""
    install()
    import slicer

    from testing_host import application

    slicer.mrmlScene.Clear(0)
    widget = application.open_module(MODULE, width)
    process_events()
    return widget


def provide_python_slicer(folder: Path) -> None:
    """Put a `PythonSlicer` that runs this Python first on the PATH."""
    script = Path(folder) / "PythonSlicer"
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n', encoding="utf-8")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"


def process_events() -> None:
    QtWidgets.QApplication.processEvents()
    # Carry out deleteLater(), as between two turns of the application's event loop.
    QtWidgets.QApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)


def wait_until(condition, seconds: float = 60.0) -> None:
    """Run the event loop until `condition()` is true; fails after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"Not within {seconds:g} s.")
        QtWidgets.QApplication.processEvents(QtCore.QEventLoop.ProcessEventsFlag.AllEvents, 20)
        time.sleep(0.001)


def click(button) -> None:
    """Press and release the left mouse button in the middle of a visible and enabled button."""
    assert button.isVisible() and button.isEnabled(), f"{button.objectName()} cannot be clicked"
    QtTest.QTest.mouseClick(button, QtCore.Qt.MouseButton.LeftButton)
    process_events()
