"""Preview: one slice of the result, shown over the slice views, so that the user sees what a full run will give."""

import slicer
import vtk
from slicer.i18n import tr as _

from CCDNNSynthLib.Scene.Result import addVolume, removeVolume, showValues
from CCDNNSynthLib.Scene.Transforms import linearIJKToWorld
from CCDNNSynthLib.Views import ReviewLayouts

PREVIEW_ATTRIBUTE = "CCDNNSynth.PreviewOfSlice"


def sliceInView(reference) -> int:
    """Index of the slice of `reference` at the centre of a slice view, preferably of one that shows its plane."""
    views = slicer.util.getNodesByClass("vtkMRMLSliceNode")
    views = [view for view in views if view.IsMappedInLayout()] or views
    slices = reference.GetImageData().GetDimensions()[2]
    if not views:
        return slices // 2
    worldToIJK = linearIJKToWorld(reference)
    worldToIJK.Invert()

    def facing(view) -> float:
        """How much the view looks along the slices' normal, 0 to 1."""
        direction = worldToIJK.MultiplyPoint([view.GetSliceToRAS().GetElement(row, 2) for row in range(3)] + [0])[:3]
        return abs(direction[2]) / max(1e-12, sum(component**2 for component in direction) ** 0.5)

    # Slicer lists Red, Green, Yellow; if several views have the same direction, use the first.
    view = max(views, key=lambda candidate: round(facing(candidate), 3))
    middle = [view.GetSliceToRAS().GetElement(row, 3) for row in range(3)] + [1]
    return min(max(round(worldToIJK.MultiplyPoint(middle)[2]), 0), slices - 1)


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
    for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        if ReviewLayouts.keepsItsVolume(view):
            continue
        view.SetForegroundVolumeID(node.GetID())
        view.SetForegroundOpacity(1.0)
    return node
