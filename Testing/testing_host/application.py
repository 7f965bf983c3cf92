"""The parts of `slicer` that the running application adds: the scene, `slicer.app`, `slicer.modules`, file input and output."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import types
from pathlib import Path

import slicer
from PySide6 import QtCore, QtWidgets

from testing_host import layout


class Application(QtCore.QObject):
    """`slicer.app`."""

    startupCompleted = QtCore.Signal()
    aboutToQuit = QtCore.Signal()
    applicationName = "CCDNNSynth test host"
    majorVersion, minorVersion = 5, 12

    def __init__(self, qt_application):
        super().__init__()
        self._qt = qt_application
        self._temporary = tempfile.TemporaryDirectory(prefix="host-")
        self.temporaryPath = self._temporary.name

    def connect(self, signature, slot):
        getattr(self, signature.partition("(")[0]).connect(slot)

    @staticmethod
    def resourcePath(module_path, filename):
        return str(Path(module_path).parent / "Resources" / filename)

    def testingEnabled(self):
        return True

    def processEvents(self):
        self._qt.processEvents()

    def clipboard(self):
        return self._qt.clipboard()

    def layoutManager(self):
        return self._layout_manager

    def applicationLogic(self):
        return self.logics[0]

    def translate(self, _context, text):
        return text


def start_scene() -> None:
    """Create a scene as at the start of the application."""
    slicer.mrmlScene = slicer.vtkMRMLScene()
    _provide_subject_hierarchy()
    slicer.mrmlScene.AddObserver(slicer.mrmlScene.EndCloseEvent, lambda *_: _provide_subject_hierarchy())
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(slicer.mrmlScene)
    slicer.mrmlScene.AddNode(slicer.vtkMRMLCrosshairNode())


def _provide_subject_hierarchy() -> None:
    """Add a subject hierarchy, which the application always has."""
    slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)


def load_volume(path, properties=None):
    """`slicer.util.loadVolume`, implemented with the logic of the Volumes module."""
    properties = properties or {}
    options = 1 if properties.get("labelmap") else 0
    name = properties.get("name", Path(path).name.split(".")[0])
    node = slicer.modules.volumes.logic().AddArchetypeVolume(str(path), name, options)
    if node is None:
        raise RuntimeError(f"Failed to load node from file: {path}")
    if properties.get("show", True):
        logic = slicer.app.applicationLogic()
        logic.GetSelectionNode().SetActiveVolumeID(node.GetID())
        logic.PropagateVolumeSelection(1)
    return node


def save_scene(path) -> bool:
    """`slicer.util.saveScene` to a folder: a .mrml file of the same name, with voxels, points and tables in files beside it."""
    path = Path(path) / f"{Path(path).name}.mrml"
    path.parent.mkdir(parents=True, exist_ok=True)
    slicer.mrmlScene.SetRootDirectory(str(path.parent))
    for node in slicer.util.getNodesByClass("vtkMRMLStorableNode"):
        if node.GetSaveWithScene() and node.GetDefaultStorageNodeClassName():
            node.AddDefaultStorageNode()
            extension = node.GetStorageNode().GetDefaultWriteFileExtension()
            node.GetStorageNode().SetFileName(str(path.parent / f"{node.GetID()}.{extension}"))
            if not node.GetStorageNode().WriteData(node):
                return False
    slicer.mrmlScene.SetURL(str(path))
    return bool(slicer.mrmlScene.Commit(str(path)))


def load_scene(path) -> None:
    """`slicer.util.loadScene`: replaces the current scene."""
    slicer.mrmlScene.SetRootDirectory(str(Path(path).parent))
    slicer.mrmlScene.SetURL(str(path))
    slicer.mrmlScene.Connect()


def install(qt_application) -> None:
    """Add all of this to the module `slicer`."""
    slicer.app = Application(qt_application)
    slicer.modules = types.SimpleNamespace()
    start_scene()
    application_logic, colors = slicer.vtkSlicerApplicationLogic(), slicer.vtkSlicerColorLogic()
    logics = {
        "volumes": slicer.vtkSlicerVolumesLogic(),
        "plots": slicer.vtkSlicerPlotsLogic(),
        "markups": slicer.vtkSlicerMarkupsLogic(),
        "segmentations": slicer.vtkSlicerSegmentationsModuleLogic(),
    }
    Path(slicer.app.temporaryPath, "share", "ColorFiles").mkdir(parents=True)
    application_logic.SetHomeDirectory(slicer.app.temporaryPath)
    application_logic.SetShareDirectory("share")
    application_logic.SetModuleLogic("Colors", colors)
    application_logic.SetModuleLogic("Markups", logics["markups"])  # the slice views' markups use it
    application_logic.SetMRMLScene(slicer.mrmlScene)
    for logic in (colors, *logics.values()):
        logic.SetMRMLApplicationLogic(application_logic)
        logic.SetMRMLScene(slicer.mrmlScene)
    slicer.app.logics = (application_logic, colors, *logics.values())  # they refer to each other but do not own each other
    for name, logic in logics.items():
        setattr(slicer.modules, name, types.SimpleNamespace(logic=lambda logic=logic: logic))
    slicer.app._layout_manager = layout.LayoutManager(slicer.mrmlScene, application_logic)
    slicer.util.loadVolume, slicer.util.saveScene, slicer.util.loadScene = load_volume, save_scene, load_scene
    # Make the wheel's binary modules available under the names that Slicer's Python code imports.
    for name in ("vtkSegmentationCorePython", "vtkAddon"):
        sys.modules.setdefault(name, slicer)
    import slicer_core

    sys.modules.setdefault("vtkITK", slicer_core.vtkITK)


def open_module(path: Path, width: int = 400):
    """Load a scripted module's file as the application does, and open its panel; returns the module's widget."""
    path = Path(path)
    name = path.stem
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    info = types.SimpleNamespace(path=str(path))
    setattr(slicer.modules, name.lower(), info)
    setattr(slicer.modules, f"{name}Instance", getattr(module, name)(info))
    parent = slicer.qMRMLWidget()
    parent.setLayout(QtWidgets.QVBoxLayout())
    parent.setMRMLScene(slicer.mrmlScene)
    parent.isEntered = True
    parent.resize(width, 800)
    widget = getattr(module, f"{name}Widget")(parent)
    widget.setup()
    setattr(slicer.modules, f"{name}Widget", widget)
    info.widgetRepresentation = lambda: parent
    parent.show()
    widget.enter()
    return widget


def reload_module(name: str):
    """`slicer.util.reloadScriptedModule`: cleans up the panel and creates it again from the file."""
    old = getattr(slicer.modules, f"{name}Widget")
    old.cleanup()
    old.parent.hide()
    old.parent.deleteLater()
    return open_module(Path(getattr(slicer.modules, name.lower()).path))
