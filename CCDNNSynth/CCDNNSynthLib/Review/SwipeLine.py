"""A vertical line in a slice view that can be dragged across it."""

import qt
import slicer
import vtk

# Distance from which the mouse can grab the line, and height of its handle, in pixels.
GRAB_PIXELS = 8
HANDLE_PIXELS = 28
# Higher than that of the view's own mouse handling (window and level, markups).
_PRIORITY = 2.0


class SwipeLine:
    def __init__(self, viewName: str, onDragged, onDropped):
        """
        :param onDragged: called with the new position, 0 (left edge) to 1, while the user drags.
        :param onDropped: called with the position when the user releases the mouse button.
        """
        self._view = slicer.app.layoutManager().sliceWidget(viewName).sliceView()
        self._onDragged, self._onDropped = onDragged, onDropped
        self._position, self._dragging, self._near = 0.5, False, False
        self._points = vtk.vtkPoints()
        self._points.SetNumberOfPoints(2 + 4)
        self._actors = [_actor(self._points, width, grey) for width, grey in ((3, 0.0), (1, 1.0))]
        self._renderer = self._view.renderWindow().GetRenderers().GetFirstRenderer()
        for actor in self._actors:
            self._renderer.AddViewProp(actor)
        self._interactor = self._view.interactor()
        self._tags = [
            self._interactor.AddObserver(event, reaction, _PRIORITY)
            for event, reaction in (
                (vtk.vtkCommand.MouseMoveEvent, self._onMove),
                (vtk.vtkCommand.LeftButtonPressEvent, self._onPress),
                (vtk.vtkCommand.LeftButtonReleaseEvent, self._onRelease),
            )
        ]

    def show(self, position: float) -> None:
        """Put the line at `position`, 0 (left edge) to 1."""
        self._position = position
        width, height = self._view.renderWindow().GetSize()
        x, middle, half = position * width, height / 2, HANDLE_PIXELS / 2
        corners = ((x, 0), (x, height), (x - half / 2, middle), (x, middle + half), (x + half / 2, middle), (x, middle - half))
        for index, (left, bottom) in enumerate(corners):
            self._points.SetPoint(index, left, bottom, 0)
        self._points.Modified()
        self._view.scheduleRender()

    def close(self) -> None:
        for tag in self._tags:
            self._interactor.RemoveObserver(tag)
        for actor in self._actors:
            self._renderer.RemoveViewProp(actor)
        self._showNear(False)
        self._view.scheduleRender()

    def _onMove(self, caller, event) -> None:
        if self._dragging:
            width = max(1, self._view.renderWindow().GetSize()[0])
            self._onDragged(min(max(caller.GetEventPosition()[0] / width, 0.0), 1.0))
            self._keepFromView(0)
        else:
            self._showNear(self._isNear(caller))

    def _onPress(self, caller, event) -> None:
        if self._isNear(caller):
            self._dragging = True
            self._keepFromView(1)

    def _onRelease(self, caller, event) -> None:
        if self._dragging:
            self._dragging = False
            self._keepFromView(2)
            self._onDropped(self._position)

    def _keepFromView(self, index: int) -> None:
        """Keep other observers from handling the current event."""
        self._interactor.GetCommand(self._tags[index]).SetAbortFlag(1)

    def _isNear(self, interactor) -> bool:
        x = self._position * self._view.renderWindow().GetSize()[0]
        return abs(interactor.GetEventPosition()[0] - x) <= GRAB_PIXELS

    def _showNear(self, near: bool) -> None:
        if near == self._near:
            return
        self._near = near
        if near:
            self._view.setViewCursor(qt.QCursor(qt.Qt.SizeHorCursor))
        else:
            self._view.unsetViewCursor()


def _actor(points, width: float, grey: float):
    """The line and its diamond-shaped handle, in pixels of the view."""
    cells = vtk.vtkCellArray()
    for line in ((0, 1), (2, 3, 4, 5, 2)):
        cells.InsertNextCell(len(line))
        for point in line:
            cells.InsertCellPoint(point)
    shape = vtk.vtkPolyData()
    shape.SetPoints(points)
    shape.SetLines(cells)
    pixels = vtk.vtkCoordinate()
    pixels.SetCoordinateSystemToViewport()
    mapper = vtk.vtkPolyDataMapper2D()
    mapper.SetInputData(shape)
    mapper.SetTransformCoordinate(pixels)
    actor = vtk.vtkActor2D()
    actor.SetMapper(mapper)
    actor.GetProperty().SetColor(grey, grey, grey)
    actor.GetProperty().SetLineWidth(width)
    return actor
