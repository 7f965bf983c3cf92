"""Slicer's module `qt`, based on PySide6.

PythonQt exposes properties as attributes, and so does PySide6 in modules for which `use_python_qt_style` was called. This module
emulates the other differences of PythonQt (signatures as text, plain return values of dialogs, `name` for the object's name).
"""

from __future__ import annotations

import sys
import types
import xml.etree.ElementTree as ElementTree
from typing import ClassVar

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

# Answers of the next file dialogs, in place of a user: "" is Cancel.
dialog_answers = {"open": "", "save": "", "directory": ""}


def use_python_qt_style(module_name: str) -> None:
    """Expose properties as attributes to the module of that name. Call this before the module is imported.

    PySide6 then reads the source of every loaded module, which fails for some of torch's, so these are removed temporarily.
    """
    aside = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "torch"}
    try:
        exec("from __feature__ import true_property", {"__name__": module_name})
    finally:
        sys.modules.update(aside)


class QProcess(QtCore.QProcess):
    def connect(self, signature: str, slot) -> None:
        """Signals are named as in PythonQt: "finished(int,QProcess::ExitStatus)"."""
        getattr(self, signature.partition("(")[0]).connect(slot)

    def disconnect(self, signature: str, slot) -> None:
        getattr(self, signature.partition("(")[0]).disconnect(slot)


class QTimer(QtCore.QTimer):
    def __setattr__(self, name, value):
        """In PythonQt, the function `singleShot` hides the property.

        Properties are set by name, because `use_python_qt_style` applies to the module that wrote `timer.interval = …`, not to this one.
        """
        if name == "singleShot":
            raise AttributeError("Slot 'singleShot' can not be overwritten on QTimer object")
        if self.metaObject().indexOfProperty(name) >= 0:
            self.setProperty(name, value)
        else:
            super().__setattr__(name, value)


class QFileDialog(QtWidgets.QFileDialog):
    @staticmethod
    def getOpenFileName(*_arguments) -> str:
        return dialog_answers["open"]

    @staticmethod
    def getSaveFileName(*_arguments) -> str:
        return dialog_answers["save"]

    @staticmethod
    def getExistingDirectory(*_arguments) -> str:
        return dialog_answers["directory"]


class QUiLoader(QtUiTools.QUiLoader):
    """Creates Slicer's own widget classes, and makes scene connections whose C++ signature a Python signal cannot have."""

    custom_widgets: ClassVar[dict[str, type]] = {}

    def createWidget(self, class_name, parent=None, name=""):
        if class_name in self.custom_widgets:
            widget = self.custom_widgets[class_name](parent)
            widget.setObjectName(name)
            return widget
        return super().createWidget(class_name, parent, name)

    def load(self, file, parent=None):
        content = bytes(file.readAll())
        buffer = QtCore.QBuffer()
        buffer.setData(content)
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        tree = ElementTree.fromstring(content)
        connections = tree.find("connections")
        scene_connections = []
        for connection in list(connections) if connections is not None else []:
            if connection.findtext("signal") == "mrmlSceneChanged(vtkMRMLScene*)":
                scene_connections.append((connection.findtext("sender"), connection.findtext("receiver")))
                connections.remove(connection)
        buffer.close()
        buffer.setData(ElementTree.tostring(tree))
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        widget = super().load(buffer, parent)
        by_name = {child.objectName(): child for child in [widget, *widget.findChildren(QtWidgets.QWidget)]}
        for sender, receiver in scene_connections:
            by_name[sender].mrmlSceneChanged.connect(by_name[receiver].setMRMLScene)
        return widget


def make_module() -> types.ModuleType:
    """Create the module for `sys.modules["qt"]`."""
    module = types.ModuleType("qt")
    for source in (QtCore, QtGui, QtWidgets):
        module.__dict__.update({name: getattr(source, name) for name in dir(source) if name.startswith("Q")})
    module.QProcess, module.QTimer, module.QFileDialog, module.QUiLoader = QProcess, QTimer, QFileDialog, QUiLoader
    # PythonQt exposes the object name of every object as `name`.
    QtCore.QObject.name = property(lambda self: self.property("objectName"))
    # PythonQt treats a layout without visible content as false, so `slicer.util.childWidgetVariables` skips it.
    QtWidgets.QLayout.__bool__ = lambda self: not self.isEmpty()
    return module
