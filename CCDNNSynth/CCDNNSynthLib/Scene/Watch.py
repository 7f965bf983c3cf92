"""Observes nodes for changes of what is measured in them."""

from collections.abc import Callable

import slicer
import vtk
from slicer.util import VTKObservationMixin


class Watch(VTKObservationMixin):
    """All observers of one measurement. They are replaced only when other nodes are watched."""

    def __init__(self, onChanged: Callable[[], None], onPartsChanged: Callable[[], None] | None = None):
        """
        :param onChanged: called when voxels, points, segments or a transform have changed, and with them what is measured.
        :param onPartsChanged: called when a segment was added, removed, renamed or painted, an outline was modified, or a node
            was removed from a watched scene, so that the parts to choose from may differ; `onChanged` by default.
        """
        VTKObservationMixin.__init__(self)
        self._onChanged, self._onPartsChanged = onChanged, onPartsChanged or onChanged
        self._nodes: tuple = ()

    def watch(self, *nodes) -> None:
        """Observe these volumes, segmentations, markups and scenes instead of the earlier ones. None among them is ignored."""
        if nodes == self._nodes:
            return
        self.removeObservers()
        self._nodes = nodes
        for node in {node for node in nodes if node is not None}:
            changes, changesOfParts = _eventsOf(node)
            for event in changes:
                self.addObserver(node, event, self._reportChange)
            for event in changesOfParts:
                self.addObserver(node, event, self._reportChangeOfParts)

    def close(self) -> None:
        self.watch()

    def _reportChange(self, caller, event) -> None:
        self._onChanged()

    def _reportChangeOfParts(self, caller, event) -> None:
        self._onPartsChanged()


def _eventsOf(node) -> tuple[tuple, tuple]:
    """The events of a node after a change of what is measured, and of its parts."""
    if node.IsA("vtkMRMLScene"):
        return (), (node.NodeRemovedEvent,)
    if node.IsA("vtkMRMLSegmentationNode"):
        kinds = slicer.vtkSegmentation
        changesOfParts = (kinds.SegmentAdded, kinds.SegmentRemoved, kinds.SegmentModified, node.SegmentationChangedEvent)
        return (kinds.SourceRepresentationModified, node.TransformModifiedEvent), changesOfParts
    if node.IsA("vtkMRMLMarkupsNode"):
        return (node.PointModifiedEvent, node.PointRemovedEvent, node.TransformModifiedEvent), (vtk.vtkCommand.ModifiedEvent,)
    return (node.ImageDataModifiedEvent, node.TransformModifiedEvent, vtk.vtkCommand.ModifiedEvent), ()
