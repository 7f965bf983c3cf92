"""`slicer.app.layoutManager()`: slice views based on Slicer's own layout logic, slice logics and displayable managers.

Every slice node of the scene has a slice widget, as in `qMRMLLayoutManager`. Those of the current layout are mapped and get their
share of a viewport of fixed size. Views can be rendered off screen (`grab`) if the machine supports it: tests that check pixels
call `can_render` first. There are no controller bars, and 3D, table and plot views are empty.
"""

from __future__ import annotations

import functools
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import slicer
import vtk
from PySide6 import QtCore
from vtk.util import numpy_support

VIEWPORT = (1200, 800)  # pixels
DISPLAYABLE_MANAGERS = ("VolumeGlyphSlice", "ModelSlice", "Crosshair", "OrientationMarker", "Ruler", "ScalarBar", "Markups")
_RENDER_SOMETHING = (
    "import vtk; window = vtk.vtkRenderWindow(); window.SetOffScreenRendering(1); window.SetSize(8, 8); "
    "window.AddRenderer(vtk.vtkRenderer()); window.Render()"
)


@functools.cache
def can_render() -> bool:
    """Whether VTK can render off screen here. Checked in another process, which crashes if libraries are missing."""
    return subprocess.run([sys.executable, "-c", _RENDER_SOMETHING], capture_output=True, check=False).returncode == 0


class SliceView:
    """The used part of `qMRMLSliceView`: the render window of one slice view and its interactor."""

    def __init__(self):
        self._window = vtk.vtkRenderWindow() if can_render() else vtk.vtkGenericOpenGLRenderWindow()
        self._window.SetOffScreenRendering(True)
        self._window.SetNumberOfLayers(2)
        self._renderer, self._overlay = vtk.vtkRenderer(), vtk.vtkRenderer()
        self._overlay.SetLayer(1)
        for renderer in (self._renderer, self._overlay):
            renderer.GetActiveCamera().ParallelProjectionOn()
            self._window.AddRenderer(renderer)
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self._interactor.SetRenderWindow(self._window)
        self._interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
        self._interactor.SetEnableRender(False)
        self._mapper, actor = vtk.vtkImageMapper(), vtk.vtkActor2D()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        actor.SetMapper(self._mapper)
        actor.GetProperty().SetDisplayLocationToBackground()
        self._image_actor = actor
        self._corner_annotation = vtk.vtkCornerAnnotation()
        self._corner_annotation.SetMaximumLineHeight(0.07)
        self._corner_annotation.ClearAllTexts()
        self._renderer.AddViewProp(actor)
        self._renderer.AddViewProp(self._corner_annotation)
        self._group = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance().InstantiateDisplayableManagers(self._renderer)

    def setImageDataConnection(self, connection):
        self._mapper.SetInputConnection(connection)
        self._image_actor.SetVisibility(connection is not None)

    def renderWindow(self):
        return self._window

    def interactor(self):
        return self._interactor

    def cornerAnnotation(self):
        return self._corner_annotation

    def displayableManagerGroup(self):
        return self._group

    def setViewCursor(self, cursor):
        self._cursor = cursor

    def unsetViewCursor(self):
        self._cursor = None

    def scheduleRender(self):
        """Does nothing: the view is only rendered when a picture is grabbed."""

    def forceRender(self):
        if can_render():
            self._window.Render()

    def resize(self, width, height):
        self._window.SetSize(width, height)
        self._interactor.SetSize(width, height)


class SliceWidget:
    """The used part of `qMRMLSliceWidget`."""

    def __init__(self, node, logics, application_logic):
        self._view = SliceView()
        self._logic = slicer.vtkMRMLSliceLogic()
        self._logic.SetMRMLApplicationLogic(application_logic)
        logics.AddItem(self._logic)
        self._logic.SetDisplayableManagerGroup(self._view.displayableManagerGroup())
        self._logic.SetSliceNode(node)
        self._logic.SetMRMLScene(node.GetScene())
        self._view.displayableManagerGroup().SetMRMLDisplayableNode(node)
        self._logic.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._take_image())
        self._composite, self._hot = self._logic.GetSliceCompositeNode(), False
        self._tag = self._composite.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._spread_hot_link())
        self.resize(256, 256)

    def sliceLogic(self):
        return self._logic

    def sliceView(self):
        return self._view

    def mrmlSliceNode(self):
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self):
        return self._logic.GetSliceCompositeNode()

    def fitSliceToBackground(self):
        width, height = self._view.renderWindow().GetSize()
        self._logic.FitSliceToBackground(width, height)

    def resize(self, width, height):
        self._view.resize(width, height)
        self._logic.ResizeSliceNode(width, height)

    def close(self):
        self._view.displayableManagerGroup().SetMRMLDisplayableNode(None)
        self._composite.RemoveObserver(self._tag)
        self._logic.RemoveAllObservers()
        self._logic.SetMRMLScene(None)

    def _spread_hot_link(self):
        """Like the switch in a view's controller: hot-linking one view, or ending it, applies to all others."""
        if self._hot != bool(self._composite.GetHotLinkedControl()):
            self._hot = not self._hot
            for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
                composite.SetHotLinkedControl(self._hot)

    def _take_image(self):
        self._view.setImageDataConnection(self._logic.GetImageDataConnection())


class PlotView(QtCore.QObject):
    """The used part of `qMRMLPlotView`: clicks give a vtkStringArray of series IDs and a vtkCollection of point indices."""

    dataSelected = QtCore.Signal(object, object)

    def connect(self, signature, slot):
        getattr(self, signature.partition("(")[0]).connect(slot)

    def disconnect(self, signature, slot):
        getattr(self, signature.partition("(")[0]).disconnect(slot)


class PlotWidget:
    """The used part of `qMRMLPlotWidget`."""

    def __init__(self):
        self._view = PlotView()

    def plotView(self):
        return self._view


class LayoutManager(QtCore.QObject):
    """The used part of `qMRMLLayoutManager`: slice views, and an empty widget for each plot view."""

    layoutChanged = QtCore.Signal(int)

    def __init__(self, scene, application_logic):
        super().__init__()
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        factory.SetMRMLApplicationLogic(application_logic)
        for name in DISPLAYABLE_MANAGERS:
            if not factory.IsDisplayableManagerRegistered(f"vtkMRML{name}DisplayableManager"):
                factory.RegisterDisplayableManager(f"vtkMRML{name}DisplayableManager")
        self._scene, self._application_logic, self._widgets, self._plot_widgets = scene, application_logic, {}, {}
        self._logics = vtk.vtkCollection()
        application_logic.SetSliceLogics(self._logics)
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLApplicationLogic(application_logic)
        self._logic.SetMRMLScene(scene)
        scene.AddObserver(scene.NodeAddedEvent, lambda *_: self._look())
        scene.AddObserver(scene.NodeRemovedEvent, lambda *_: self._look())
        scene.AddObserver(scene.EndBatchProcessEvent, lambda *_: self._look(changed=True))
        self._shown, self._layout_node, self._looking = "", None, False
        self._look(changed=True)

    def layoutLogic(self):
        return self._logic

    def setLayout(self, layout):
        self._logic.GetLayoutNode().SetViewArrangement(layout)

    @property
    def layout(self):
        return self._logic.GetLayoutNode().GetViewArrangement()

    def sliceViewNames(self):
        return [node.GetName() for node in self._widgets]

    def sliceWidget(self, name):
        return next((widget for node, widget in self._widgets.items() if node.GetName() == name), None)

    @property
    def plotViewCount(self):
        return len(slicer.util.getNodesByClass("vtkMRMLPlotViewNode", self._scene))

    def plotWidget(self, index):
        node = slicer.util.getNodesByClass("vtkMRMLPlotViewNode", self._scene)[index]
        return self._plot_widgets.setdefault(node.GetID(), PlotWidget())

    def _look(self, changed=False) -> None:
        """Create a widget for each slice node, remove those of removed nodes, and apply the layout of the layout node."""
        if self._scene.IsBatchProcessing() or self._looking:
            return
        self._looking = True  # a widget adds nodes when it is created
        nodes = slicer.util.getNodesByClass("vtkMRMLSliceNode", self._scene)
        for node in [node for node in self._widgets if node not in nodes]:
            widget = self._widgets.pop(node)
            self._logics.RemoveItem(widget.sliceLogic())
            widget.close()
        for node in nodes:
            if node not in self._widgets:
                self._widgets[node] = SliceWidget(node, self._logics, self._application_logic)
                changed = True
        if self._layout_node is not self._logic.GetLayoutNode():
            self._layout_node = self._logic.GetLayoutNode()
            self._layout_node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._apply())
            changed = True
        self._looking = False
        if changed:
            self._shown = ""
            self._apply()

    def _apply(self) -> None:
        """Map the views of the layout and set their sizes; emit a signal if the layout has changed."""
        if self._scene.IsBatchProcessing():
            return
        description = self._layout_node.GetCurrentLayoutDescription() or ""
        if description == self._shown:
            return
        self._shown = description
        places = dict(self._places())
        for node in slicer.util.getNodesByClass("vtkMRMLAbstractViewNode", self._scene):
            node.SetMappedInLayout(node.GetLayoutName() in places)
        for node, widget in self._widgets.items():
            if node.GetLayoutName() in places:
                _x, _y, width, height = places[node.GetLayoutName()]
                widget.resize(width, height)
        self.layoutChanged.emit(self.layout)

    def _places(self):
        return _places(ElementTree.fromstring(self._shown), 0, 0, *VIEWPORT) if self._shown else ()

    def grab(self) -> np.ndarray:
        """The slice views of the layout as on the screen, (row, column, RGB) uint8. For pictures and tests only."""
        picture = np.full((VIEWPORT[1], VIEWPORT[0], 3), 40, np.uint8)
        for name, (x, y, width, height) in self._places():
            widget = next((widget for node, widget in self._widgets.items() if node.GetLayoutName() == name), None)
            if widget is not None:
                picture[y : y + height, x : x + width] = grab_view(widget.sliceView())
        return picture


def grab_view(view) -> np.ndarray:
    """The picture of one slice view, (row, column, RGB) uint8."""
    view.forceRender()
    image = vtk.vtkWindowToImageFilter()
    image.SetInput(view.renderWindow())
    image.ReadFrontBufferOff()
    image.Update()
    output = image.GetOutput()
    columns, rows, _ = output.GetDimensions()
    return numpy_support.vtk_to_numpy(output.GetPointData().GetScalars()).reshape(rows, columns, -1)[::-1]


def _places(element, x, y, width, height):
    """View name and (left, top, width, height) in pixels of each view of a layout; items share their row or column evenly."""
    if element.tag == "view":
        yield element.get("singletontag"), (x, y, width, height)
    items = [item for item in element if item.tag in ("item", "layout", "view")]
    horizontal = element.tag == "layout" and element.get("type") == "horizontal"
    for index, item in enumerate(items):
        if horizontal:
            first, last = (width * edge // len(items) for edge in (index, index + 1))
            yield from _places(item, x + first, y, last - first, height)
        else:
            first, last = (height * edge // len(items) for edge in (index, index + 1))
            yield from _places(item, x, y + first, width, last - first)
