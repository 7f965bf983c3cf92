"""The uncertainty of a result as a volume node: half the width of the 95 % interval at every voxel, see `ccdnn.trust`.

The result refers to it. It belongs to the result voxel by voxel: where it lies in the scene follows from where the result lies.
"""

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ccdnn.report.colours import uncertainty_colours, uncertainty_limit
from ccdnn.trust import INTERVAL_ENTRY, UNCERTAINTY_NAME
from CCDNNSynthLib.Delay import Delay
from CCDNNSynthLib.Scene.ColorTables import colorTable, removeColorTable
from CCDNNSynthLib.Scene.Result import addVolume, placeLike, removeVolume, sampleOf

UNCERTAINTY_ROLE = "CCDNN_uncertainty"
IMAGE_ATTRIBUTE = "CCDNN_Image"
COLORS_NAME = "CC-DNN uncertainty"


def isUncertainty(node) -> bool:
    """Whether a volume node is the uncertainty of a result, according to its attributes, which are saved with the scene."""
    return node.GetAttribute(IMAGE_ATTRIBUTE) == UNCERTAINTY_NAME


def uncertaintyOf(result):
    """The uncertainty of a volume node, or None: the volume, which may be None, has none, or one of another size."""
    node = result.GetNodeReference(UNCERTAINTY_ROLE) if result is not None else None
    images = [volume.GetImageData() for volume in (node, result)] if node is not None else []
    if not images or None in images or not isUncertainty(node):
        return None
    return node if images[0].GetDimensions() == images[1].GetDimensions() else None


def fileUncertainty(result, array: np.ndarray, header) -> None:
    """Give `result` the uncertainty `array`, (slice, row, column), in a new volume node or in the one that it has.

    :param header: entry → text, stored as attributes.
    """
    node = result.GetNodeReference(UNCERTAINTY_ROLE)
    if node is None or _isShared(node, result):
        node = addVolume(result, _("uncertainty of {volume}").format(volume=result.GetName()))
        result.SetNodeReferenceID(UNCERTAINTY_ROLE, node.GetID())
    node.CreateDefaultDisplayNodes()
    slicer.util.updateVolumeFromArray(node, array)
    placeLike(node, result)
    for name in node.GetAttributeNames():
        if name.startswith("CCDNN_"):
            node.RemoveAttribute(name)
    for name, text in header.items():
        node.SetAttribute(name, text)
    node.SetDescription(header.get(INTERVAL_ENTRY, ""))
    colors = [(f"{index / 255:.2f}", *color) for index, color in enumerate(uncertainty_colours().tolist())]
    display, limit = node.GetDisplayNode(), uncertainty_limit(sampleOf(result), sampleOf(node))
    display.AutoWindowLevelOff()
    display.SetAndObserveColorNodeID(colorTable(COLORS_NAME, colors, saved=True).GetID())
    display.SetWindowLevel(limit, limit / 2)


def removeUncertainty(result) -> None:
    """Remove the uncertainty of a result, which has become another image, unless another volume has the same."""
    node = result.GetNodeReference(UNCERTAINTY_ROLE)
    if node is None:
        return
    result.SetNodeReferenceID(UNCERTAINTY_ROLE, None)
    if not _isShared(node, result):
        removeVolume(node)
        removeColorTable(COLORS_NAME)


def placeLikeResult(node, result) -> None:
    """Move the uncertainty `node` to where `result` is now."""
    own, wanted = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(own)
    result.GetIJKToRASMatrix(wanted)
    moved = not np.array_equal(slicer.util.arrayFromVTKMatrix(own), slicer.util.arrayFromVTKMatrix(wanted))
    if moved or node.GetTransformNodeID() != result.GetTransformNodeID():
        placeLike(node, result)


def shownLimit(node) -> float | None:
    """The half width that is shown in the lightest colour; None if the node is not displayed."""
    display = node.GetDisplayNode()
    if display is None or display.GetWindow() <= 0:
        return None
    return display.GetLevel() + display.GetWindow() / 2


class HiddenUncertainties(VTKObservationMixin):
    """Keeps the uncertainties in the scene from being offered where a STIR or an input is chosen."""

    def __init__(self, *selectors):
        """:param selectors: qMRMLNodeComboBoxes."""
        VTKObservationMixin.__init__(self)
        self._selectors = selectors
        self._soon = Delay(self._hide)
        scene = slicer.mrmlScene
        for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndImportEvent):
            self.addObserver(scene, event, self._onNodes)
        self.addObserver(scene, scene.EndCloseEvent, self._onClosed)
        self._hide()

    def close(self) -> None:
        self._soon.stop()
        self.removeObservers()

    def _onNodes(self, caller, event) -> None:
        """A node that was added gets its attributes only now."""
        self._soon.start()

    def _onClosed(self, caller, event) -> None:
        """At once: a volume of the next scene may have the ID of an uncertainty of this one."""
        self._hide()

    def _hide(self) -> None:
        hidden = [node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if isUncertainty(node)]
        for selector in self._selectors:
            model = selector.sortFilterProxyModel()
            if list(model.hiddenNodeIDs) != hidden:
                model.hiddenNodeIDs = hidden


def _isShared(node, result) -> bool:
    """Whether another volume, such as a copy of the result, refers to the same uncertainty."""
    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    return any(volume is not result and volume.GetNodeReference(UNCERTAINTY_ROLE) is node for volume in volumes)
