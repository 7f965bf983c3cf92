"""Preview: one slice of the result, shown over the slice views, so that the user sees what a full run will give."""

import slicer
import vtk
from slicer.i18n import tr as _

from CCDNNSynthLib.Scene.Result import addVolume, removeVolume, showValues
from CCDNNSynthLib.Views.OwnLayouts import keepsItsVolume
from CCDNNSynthLib.Views.SliceViews import showOver

PREVIEW_ATTRIBUTE = "CCDNNSynth.PreviewOfSlice"


def isPreview(node) -> bool:
    """Whether a volume node is the preview of one slice."""
    return bool(node.GetAttribute(PREVIEW_ATTRIBUTE))


def removePreviews() -> None:
    """Remove earlier previews from the scene; the views then show what they showed before."""
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
        if isPreview(node):
            removeVolume(node)


def addPreview(reference, index: int, image):
    """Add a volume node of one slice as the foreground of all views; in a review, only of the synthetic volume's view.

    :param image: (row, column) float32.
    """
    removePreviews()
    node = addVolume(reference, _("synthetic STIR (preview of slice {number})").format(number=index + 1))
    node.SetAttribute(PREVIEW_ATTRIBUTE, str(index))
    node.SetSaveWithScene(False)
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    origin = matrix.MultiplyPoint([0, 0, index, 1])
    slicer.util.updateVolumeFromArray(node, image[None])
    node.SetOrigin(origin[:3])
    showValues(node, slice(None))
    showOver(node, unless=keepsItsVolume)
    return node
