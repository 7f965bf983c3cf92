"""The module `slicer.parameterNodeWrapper`: typed access to a vtkMRMLScriptedModuleNode, bound to widgets.

Supports the types that this extension uses (node, str, float, bool, Enum) with the storage of the real one: a node as a node
reference with the parameter's name, the rest as a parameter of that name, an enumeration by its member's name.
"""

from __future__ import annotations

import enum
import types
import typing
from dataclasses import dataclass

import ctk
import qt
import slicer
import vtk


@dataclass(frozen=True)
class WithinRange:
    """Annotation of a number; a connected widget adopts its range."""

    minimum: float
    maximum: float


class _NodeSerializer:
    default = None

    @staticmethod
    def is_in(node, name):
        return node.HasParameter(name)

    @staticmethod
    def write(node, name, value):
        # None is a value too, so an empty parameter marks that one is stored.
        node.SetParameter(name, "")
        node.SetNodeReferenceID(name, value.GetID() if value else None)

    @staticmethod
    def read(node, name):
        return node.GetNodeReference(name)


class _TextSerializer:
    default = ""

    @staticmethod
    def is_in(node, name):
        return node.HasParameter(name)

    @staticmethod
    def write(node, name, value):
        node.SetParameter(name, value)

    @staticmethod
    def read(node, name):
        return node.GetParameter(name)


class _BoolSerializer(_TextSerializer):
    default = False

    @staticmethod
    def write(node, name, value):
        node.SetParameter(name, str(bool(value)))

    @staticmethod
    def read(node, name):
        return node.GetParameter(name).lower() == "true"


class _FloatSerializer(_TextSerializer):
    default = 0.0

    @staticmethod
    def write(node, name, value):
        node.SetParameter(name, str(float(value)))

    @staticmethod
    def read(node, name):
        return float(node.GetParameter(name))


class _EnumSerializer(_TextSerializer):
    def __init__(self, kind):
        self.kind, self.default = kind, next(iter(kind))

    def write(self, node, name, value):
        node.SetParameter(name, value.name)

    def read(self, node, name):
        return self.kind[node.GetParameter(name)]


def _serializer_of(kind):
    if isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode):
        return _NodeSerializer()
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _EnumSerializer(kind)
    if kind is str:
        return _TextSerializer()
    if kind is bool:
        return _BoolSerializer()
    if kind is float:
        return _FloatSerializer()
    raise TypeError(f"Unable to create serializer for {kind}; the host knows nodes, str, bool, float and Enum")


class _NodeConnector:
    def __init__(self, widget):
        self.widget, self.changed = widget, widget.currentNodeChanged

    def read(self):
        return self.widget.currentNode()

    def write(self, value):
        self.widget.setCurrentNode(value)


class _EnumConnector:
    def __init__(self, widget, kind):
        self.widget, self.changed, self.members = widget, widget.currentIndexChanged, list(kind)
        widget.clear()
        for member in kind:
            widget.addItem(kind.label(member) if hasattr(kind, "label") else member.name)

    def read(self):
        return self.members[self.widget.property("currentIndex")]

    def write(self, value):
        self.widget.setCurrentIndex(self.members.index(value))


class _SwitchConnector:
    def __init__(self, widget):
        self.widget, self.changed = widget, widget.toggled

    def read(self):
        return self.widget.property("checked")

    def write(self, value):
        self.widget.setChecked(value)


class _LineConnector:
    def __init__(self, widget):
        self.widget, self.changed = widget, widget.textChanged

    def read(self):
        return self.widget.property("text")

    def write(self, value):
        if value != self.widget.property("text"):
            self.widget.setText(value)


class _ValueConnector:
    def __init__(self, widget, bounds):
        self.widget, self.changed = widget, widget.valueChanged
        if bounds is None and type(widget) is not qt.QDoubleSpinBox:
            raise RuntimeError("Cannot have a connection to ctkSliderWidget where the float types is unbounded.")
        widget.setRange(*((bounds.minimum, bounds.maximum) if bounds else (float("-inf"), float("inf"))))

    def read(self):
        return float(self.widget.property("value"))

    def write(self, value):
        self.widget.setProperty("value", value)


def _connector_of(widget, annotated):
    kind, *annotations = typing.get_args(annotated) if typing.get_origin(annotated) is typing.Annotated else (annotated,)
    if type(widget) in (qt.QCheckBox, qt.QPushButton) and kind is bool:
        return _SwitchConnector(widget)
    if type(widget) in (qt.QDoubleSpinBox, ctk.ctkSliderWidget) and kind is float:
        return _ValueConnector(widget, next((note for note in annotations if isinstance(note, WithinRange)), None))
    if type(widget) is qt.QLineEdit and kind is str:
        return _LineConnector(widget)
    if type(widget) is slicer.qMRMLNodeComboBox and issubclass(kind, slicer.vtkMRMLNode):
        return _NodeConnector(widget)
    if type(widget) is qt.QComboBox and issubclass(kind, enum.Enum):
        return _EnumConnector(widget, kind)
    raise RuntimeError(f"Unable to create GUI connector from datatype {kind} to widget type {type(widget)}")


def parameterNodeWrapper(cls):
    """Turn a class with annotated members into a wrapper that reads its members from a node and writes them to it."""
    kinds = typing.get_type_hints(cls)
    annotated = typing.get_type_hints(cls, include_extras=True)
    serializers = {name: _serializer_of(kind) for name, kind in kinds.items()}
    defaults = {name: getattr(cls, name, serializer.default) for name, serializer in serializers.items()}

    def __init__(self, parameterNode, prefix=None):
        self.parameterNode, self._guis, self._updating = parameterNode, {}, False
        for name, serializer in serializers.items():
            if not serializer.is_in(parameterNode, name):
                serializer.write(parameterNode, name, defaults[name])

    def connectGui(self, gui):
        connected = {}
        for widget in list(vars(gui).values()):
            name = widget.property("SlicerParameterName")
            if not name:
                continue
            if name not in kinds:
                raise ValueError(f"Cannot find a param with the given name: {name}")
            connector = _connector_of(widget, annotated[name])
            connector.write(getattr(self, name))
            connector.slot = _slot(self, name, connector)
            connector.changed.connect(connector.slot)
            connected[name] = connector
        tag = self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: _update_gui(self, connected))
        self._guis[tag] = connected
        return tag

    def disconnectGui(self, tag):
        if tag in self._guis:
            for connector in self._guis.pop(tag).values():
                connector.changed.disconnect(connector.slot)
            self.RemoveObserver(tag)

    members = {
        "__init__": __init__,
        "allParameters": kinds,
        "connectGui": connectGui,
        "disconnectGui": disconnectGui,
        "AddObserver": lambda self, event, callback, priority=0.0: self.parameterNode.AddObserver(event, callback, priority),
        "RemoveObserver": lambda self, tag: self.parameterNode.RemoveObserver(tag),
        "StartModify": lambda self: self.parameterNode.StartModify(),
        "EndModify": lambda self, was_modified: self.parameterNode.EndModify(was_modified),
        "Modified": lambda self: self.parameterNode.Modified(),
    }
    for name, serializer in serializers.items():
        members[name] = property(
            lambda self, name=name, serializer=serializer: serializer.read(self.parameterNode, name),
            lambda self, value, name=name, serializer=serializer: serializer.write(self.parameterNode, name, value),
        )
    for name, member in members.items():
        setattr(cls, name, member)
    return cls


def _slot(wrapper, name, connector):
    def changed(*_arguments):
        if not wrapper._updating:
            setattr(wrapper, name, connector.read())

    return changed


def _update_gui(wrapper, connectors):
    if wrapper._updating:
        return
    wrapper._updating = True
    try:
        for name, connector in connectors.items():
            connector.write(getattr(wrapper, name))
    finally:
        wrapper._updating = False


def make_module() -> types.ModuleType:
    """Create the module for `sys.modules["slicer.parameterNodeWrapper"]`."""
    module = types.ModuleType("slicer.parameterNodeWrapper")
    module.parameterNodeWrapper, module.WithinRange = parameterNodeWrapper, WithinRange
    return module
