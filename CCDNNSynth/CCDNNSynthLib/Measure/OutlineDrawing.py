"""Draws one outline in a slice view with the point placement of Slicer's markups.

Freehand: click along the border and finish with a double or right click, or draw with the mouse button held down.
Circle: click the centre and a point on the rim, or drag from one to the other. The result is an ordinary closed curve with eight
points.
"""

from enum import Enum

import numpy as np
import qt
import slicer
from slicer.util import VTKObservationMixin

from CCDNNSynthLib.Delay import Delay
from CCDNNSynthLib.Scene.Regions import removeOutline

CIRCLE_POINTS = 8
# Distance in mm between points drawn with the button held: a few pixels of a knee image.
FREEHAND_STEP = 1.5
# In mm: a point placed in a view lies in its plane except for rounding.
IN_PLANE = 1e-3


class OutlineShape(Enum):
    FREEHAND = "freehand"
    CIRCLE = "circle"


class OutlineDrawing(VTKObservationMixin):
    def __init__(self, onEnd):
        """:param onEnd: called when the drawing has ended, with the node, or None if too few points were placed."""
        VTKObservationMixin.__init__(self)
        self._onEnd = onEnd
        self.node, self._shape, self._normal = None, None, (0.0, 0.0, 1.0)
        self._drawn, self._placing = False, False  # with the button held
        # The drawing ends during an event of the view, which must be handled completely first.
        self._end = Delay(self.finish)

    def start(self, node, shape: OutlineShape, normal) -> None:
        """
        :param node: closed curve without points.
        :param normal: normal of a circle's plane, in world coordinates, if no slice view defines it.
        """
        self.finish()
        self.node, self._shape, self._normal, self._drawn = node, shape, normal, False
        interaction, selection = _interactionNode(), slicer.app.applicationLogic().GetSelectionNode()
        selection.SetReferenceActivePlaceNodeClassName(node.GetClassName())
        selection.SetActivePlaceNodeID(node.GetID())
        interaction.SwitchToSinglePlaceMode()
        self.addObserver(node, node.PointModifiedEvent, self._onPointModified)
        self.addObserver(node, node.PointPositionDefinedEvent, self._onPointDefined)
        self.addObserver(interaction, interaction.InteractionModeChangedEvent, self._onModeChanged)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeRemovedEvent, self._onNodeRemoved)

    def finish(self) -> None:
        """Finish the drawing as if the user had. An outline with too few points is removed from the scene."""
        self._end.stop()
        if self.node is None:
            return
        self.removeObservers()
        node, self.node = self.node, None
        interaction = _interactionNode()
        if interaction.GetCurrentInteractionMode() == interaction.Place:
            interaction.SwitchToViewTransformMode()
        inScene = slicer.mrmlScene.IsNodePresent(node)
        if inScene:
            _removeUndefinedPoints(node)
        needed = 2 if self._shape is OutlineShape.CIRCLE else 3
        if not inScene or node.GetNumberOfControlPoints() < needed:
            if inScene:
                removeOutline(node)
            node = None
        elif self._shape is OutlineShape.CIRCLE:
            _makeCircle(node, self._normal)
        self._onEnd(node)

    def _onPointModified(self, caller, event) -> None:
        if self._placing or not _isButtonHeld():
            return
        preview = _previewPoint(self.node)
        defined = self.node.GetNumberOfDefinedControlPoints()
        if preview is None or (self._shape is OutlineShape.CIRCLE and defined):
            return
        position = np.array(self.node.GetNthControlPointPositionWorld(preview))
        if defined and np.linalg.norm(position - self.node.GetNthControlPointPositionWorld(preview - 1)) < FREEHAND_STEP:
            return
        self._drawn = self._placing = True  # setting the position triggers this callback again
        self.node.SetNthControlPointPositionWorld(preview, *position, self.node.PositionDefined)
        self._placing = False

    def _onPointDefined(self, caller, event) -> None:
        complete = self._shape is OutlineShape.CIRCLE and self.node.GetNumberOfDefinedControlPoints() >= 2
        letGo = self._drawn and not _isButtonHeld()
        if complete or letGo:
            self._end.start()

    def _onModeChanged(self, caller, event) -> None:
        if caller.GetCurrentInteractionMode() != caller.Place:
            self._end.start()

    def _onNodeRemoved(self, caller, event) -> None:
        if self.node is not None and not caller.IsNodePresent(self.node):
            self._end.start()


def _interactionNode():
    return slicer.app.applicationLogic().GetInteractionNode()


def _isButtonHeld() -> bool:
    return bool(qt.QApplication.mouseButtons() & qt.Qt.LeftButton)


def _previewPoint(node):
    for index in range(node.GetNumberOfControlPoints()):
        if node.GetNthControlPointPositionStatus(index) == node.PositionPreview:
            return index
    return None


def _removeUndefinedPoints(node) -> None:
    for index in reversed(range(node.GetNumberOfControlPoints())):
        if node.GetNthControlPointPositionStatus(index) != node.PositionDefined:
            node.RemoveNthControlPoint(index)


def _makeCircle(node, sliceNormal) -> None:
    """Replace the first two points, centre and rim, by points on the circle."""
    centre, rim = (np.array(node.GetNthControlPointPositionWorld(index)) for index in range(2))
    radius = rim - centre
    # The axes are a fallback for points outside all views and along the slices' normal.
    normals = [*_normalsOfViews(centre, rim, sliceNormal), np.array(sliceNormal), *np.eye(3)]
    size = np.linalg.norm(radius)
    upright = next(normal for normal in normals if abs(normal @ radius) <= max(0.7 * size, 1e-12))
    other = np.cross(upright, radius)
    other *= size / max(np.linalg.norm(other), 1e-12)
    angles = np.arange(CIRCLE_POINTS) * 2 * np.pi / CIRCLE_POINTS
    points = centre + np.cos(angles)[:, None] * radius + np.sin(angles)[:, None] * other
    modified = node.StartModify()
    node.RemoveAllControlPoints()
    for point in points:
        node.AddControlPointWorld(*point)
    node.EndModify(modified)


def _normalsOfViews(centre, rim, sliceNormal) -> list:
    """Normals of the slice views whose plane contains both points. Views that show whole slices of the volume come first."""
    normals = []
    for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        plane = slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS())
        if all(abs((point - plane[:3, 3]) @ plane[:3, 2]) < IN_PLANE for point in (centre, rim)):
            normals.append(plane[:3, 2])
    return sorted(normals, key=lambda normal: -abs(normal @ sliceNormal))
