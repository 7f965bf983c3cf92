"""The mouse in a slice view: sends events as the view's interactor style does to the displayable managers, e.g. of markups."""

from __future__ import annotations

import slicer
import vtk

from testing_host import slicer_host


class Mouse:
    """Mouse over one slice view, in display coordinates (from the lower left corner)."""

    def __init__(self, view_name: str):
        widget = slicer.app.layoutManager().sliceWidget(view_name)
        group = widget.sliceView().displayableManagerGroup()
        self.node = widget.mrmlSliceNode()
        self.held = False  # the left button
        self._managers = [group.GetNthDisplayableManager(index) for index in range(group.GetDisplayableManagerCount())]

    def at(self, position) -> tuple[int, int]:
        """Display position of a world position (r, a, s)."""
        inverse = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.node.GetXYToRAS(), inverse)
        return tuple(round(value) for value in inverse.MultiplyPoint([*position, 1])[:2])

    def move(self, x: int, y: int) -> None:
        self._send(vtk.vtkCommand.MouseMoveEvent, x, y)

    def press(self, x: int, y: int) -> None:
        self.move(x, y)
        self.held = True
        self._send(vtk.vtkCommand.LeftButtonPressEvent, x, y)

    def release(self, x: int, y: int) -> None:
        self.held = False
        self._send(vtk.vtkCommand.LeftButtonReleaseEvent, x, y)

    def click(self, x: int, y: int) -> None:
        self.press(x, y)
        self.release(x, y)

    def right_click(self, x: int, y: int) -> None:
        self._send(vtk.vtkCommand.RightButtonPressEvent, x, y)
        self._send(vtk.vtkCommand.RightButtonReleaseEvent, x, y)

    def _send(self, kind: int, x: int, y: int) -> None:
        event = slicer.vtkMRMLInteractionEventData()
        event.SetType(kind)
        event.SetViewNode(self.node)
        event.SetDisplayPosition([x, y])
        event.SetWorldPosition(self.node.GetXYToRAS().MultiplyPoint([x, y, 0, 1])[:3])
        distances = {}
        for manager in self._managers:
            distance = vtk.reference(0.0)
            event.SetRenderer(manager.GetRenderer())
            if manager.CanProcessInteractionEvent(event, distance):
                distances[manager] = float(distance)
        if distances:
            closest = min(distances, key=distances.get)
            event.SetRenderer(closest.GetRenderer())
            closest.ProcessInteractionEvent(event)
        slicer_host.process_events()
