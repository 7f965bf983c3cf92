"""The MRML widgets that this extension's panels use, based on PySide6 and a real MRML scene."""

from __future__ import annotations

import slicer
import vtk
from PySide6 import QtCore, QtWidgets


def _flag(name: str, default: bool) -> QtCore.Property:
    """A boolean Qt property stored as `_name`, which a .ui file may set."""

    def changed(self, value):
        setattr(self, f"_{name}", value)
        self.refresh()

    return QtCore.Property(bool, lambda self: getattr(self, f"_{name}", default), changed)


def _forget(observations: list) -> None:
    for scene, tag in observations:
        scene.RemoveObserver(tag)
    observations.clear()


class qMRMLWidget(QtWidgets.QWidget):
    mrmlSceneChanged = QtCore.Signal(object)

    def setMRMLScene(self, scene):
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)

    def mrmlScene(self):
        return getattr(self, "_scene", None)


class qMRMLSortFilterProxyModel(QtCore.QObject):
    """The used part of the model that filters the nodes of a combo box."""

    def __init__(self, box):
        super().__init__(box)
        self._box, self._hidden = box, []

    def _hide(self, node_ids):
        self._hidden = list(node_ids)
        self._box.refresh()

    hiddenNodeIDs = QtCore.Property("QStringList", lambda self: self._hidden, _hide)


class qMRMLNodeComboBox(QtWidgets.QComboBox):
    """Lists the scene's nodes of some classes, in the scene's order, after "None" and before "Create new …"."""

    currentNodeChanged = QtCore.Signal(object)
    nodeAddedByUser = QtCore.Signal(object)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._types, self._base_name, self._none_display = [], "", "None"
        self._model = qMRMLSortFilterProxyModel(self)
        self._scene, self._observations, self._shown = None, [], None
        self.activated.connect(self._choose)
        observations = self._observations
        self.destroyed.connect(lambda: _forget(observations))

    def _set_types(self, types):
        self._types = list(types)
        self.refresh()

    def _set_base_name(self, name):
        self._base_name = name

    def _set_none_display(self, text):
        self._none_display = text
        self.refresh()

    nodeTypes = QtCore.Property("QStringList", lambda self: self._types, _set_types)
    baseName = QtCore.Property(str, lambda self: self._base_name, _set_base_name)
    noneDisplay = QtCore.Property(str, lambda self: self._none_display, _set_none_display)
    noneEnabled = _flag("none_enabled", False)
    addEnabled = _flag("add_enabled", True)
    removeEnabled = _flag("remove_enabled", True)
    renameEnabled = _flag("rename_enabled", False)
    editEnabled = _flag("edit_enabled", False)
    showHidden = _flag("show_hidden", False)
    showChildNodeTypes = _flag("show_child_node_types", True)
    selectNodeUponCreation = _flag("select_node_upon_creation", True)

    def setMRMLScene(self, scene):
        _forget(self._observations)
        self._scene = scene
        if scene is not None:
            events = (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndCloseEvent, scene.EndImportEvent)
            self._observations += [(scene, scene.AddObserver(event, lambda *_: self.refresh())) for event in events]
            # After all observers with the default priority, as qMRMLSceneModel.
            self._observations.append((scene, scene.AddObserver(scene.NodeAboutToBeRemovedEvent, self._leave, -10.0)))
        self.refresh()

    def mrmlScene(self):
        return self._scene

    def currentNode(self):
        return self.itemData(self.currentIndex()) if self.currentIndex() >= 0 else None

    def setCurrentNode(self, node):
        self.refresh(node)

    def sortFilterProxyModel(self):
        return self._model

    def nodes(self):
        found = [] if self._scene is None else [n for kind in self._types for n in slicer.util.getNodesByClass(kind, self._scene)]
        if not self.showChildNodeTypes:
            found = [node for node in found if node.GetClassName() in self._types]
        found = [node for node in found if node.GetID() not in self._model._hidden]
        return [node for node in found if self.showHidden or not node.GetHideFromEditors()]

    def refresh(self, wanted=...):
        """List the nodes again, select `wanted` (default: the current node), and emit a signal if the selection changed."""
        before = self._shown
        wanted = before if wanted is ... else wanted
        blocked = self.blockSignals(True)
        self.clear()
        if self.noneEnabled:
            self.addItem(self._none_display, None)
        nodes = self.nodes()
        for node in nodes:
            self.addItem(node.GetName(), node)
        if self.addEnabled and self._types:
            self.addItem(f"Create new {self._base_name or 'Volume'}", "create")
        # Without "None", a node is always selected if the scene has one, as in Slicer.
        current = wanted if wanted in nodes else None if self.noneEnabled or not nodes else nodes[0]
        index = next((i for i in range(self.count()) if self.itemData(i) is current), -1)
        self.setCurrentIndex(index)
        self.blockSignals(blocked)
        self._shown = current
        if current is not before:
            self.currentNodeChanged.emit(current)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _leave(self, scene, _event, node):
        """Select the next node instead of a removed one, or the previous one after the last, even if "None" is available."""
        nodes = self.nodes()
        if node is self._shown and node in nodes and not scene.IsClosing():
            place = nodes.index(node)
            neighbours = [*nodes[place + 1 :], *nodes[:place][::-1]]
            self.refresh(neighbours[0] if neighbours else None)

    def _choose(self, index):
        chosen = self.itemData(index)
        if chosen == "create":
            chosen = self._scene.AddNewNodeByClass(self._types[0], self._scene.GenerateUniqueName(self._base_name or "Volume"))
            self.nodeAddedByUser.emit(chosen)
        self.refresh(chosen)


class qMRMLTableView(QtWidgets.QTableWidget):
    """Shows a vtkMRMLTableNode and follows its changes."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self._node, self._tags = None, []
        tags = self._tags
        self.destroyed.connect(lambda: _forget(tags))

    def setMRMLScene(self, scene):
        self._scene = scene

    def setMRMLTableNode(self, node):
        _forget(self._tags)
        self._node = node
        if node is not None:
            self._tags += [(node, node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._show()))]
        self._show()

    def mrmlTableNode(self):
        return self._node

    def _show(self):
        table = self._node.GetTable() if self._node is not None else vtk.vtkTable()
        self.setColumnCount(table.GetNumberOfColumns())
        self.setRowCount(table.GetNumberOfRows())
        self.setHorizontalHeaderLabels([table.GetColumnName(index) for index in range(table.GetNumberOfColumns())])
        for row in range(table.GetNumberOfRows()):
            for column in range(table.GetNumberOfColumns()):
                self.setItem(row, column, QtWidgets.QTableWidgetItem(self._node.GetCellText(row, column)))


WIDGETS = (qMRMLWidget, qMRMLNodeComboBox, qMRMLTableView)
