"""The result in the scene: a volume node marked as synthetic, with the grid, transform and study of its reference."""

import numpy as np
import slicer
import vtk

from ccdnn.errors import InputError
from ccdnn.normalisation import robust_maximum
from ccdnn.provenance import NOTICE, synthetic_name
from ccdnn.series import Role

NOTICE_ATTRIBUTE = "CCDNN_Notice"
# Upper end of the display window, as a quantile of the values, if there is no acquired STIR to match.
SHOWN_QUANTILE = 0.995


def isSynthetic(node) -> bool:
    """Whether a volume node is one of our results, according to its attributes, which are saved with the scene."""
    return bool(node.GetAttribute(NOTICE_ATTRIBUTE))


def addVolume(reference, name):
    """Add a float32 volume node of zeros with the grid, transform and study of `reference`."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", slicer.mrmlScene.GenerateUniqueName(name))
    # We set window and level ourselves, so that Slicer does not compute them when the voxels change.
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().AutoWindowLevelOff()
    slicer.util.updateVolumeFromArray(node, np.zeros(tuple(reversed(reference.GetImageData().GetDimensions())), np.float32))
    placeLike(node, reference)
    node.SetAttribute(NOTICE_ATTRIBUTE, NOTICE)
    return node


def removeVolume(node) -> None:
    """Remove one of our volumes from the scene, with its display node, which would otherwise remain."""
    display = node.GetDisplayNode()
    for gone in (node, display):
        if gone is not None and slicer.mrmlScene.IsNodePresent(gone):
            slicer.mrmlScene.RemoveNode(gone)


def replaceVoxels(node, other):
    """Give `node` the voxels of `other` (shared, not copied) and its place; returns `node`."""
    node.SetAndObserveImageData(other.GetImageData())
    placeLike(node, other)
    node.CreateDefaultDisplayNodes()
    return node


def placeLike(node, reference) -> None:
    """Give `node` the grid, the transform and the study of `reference`."""
    matrix = vtk.vtkMatrix4x4()
    reference.GetIJKToRASMatrix(matrix)
    node.SetIJKToRASMatrix(matrix)
    node.SetAndObserveTransformNodeID(reference.GetTransformNodeID())
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    referenceItem = hierarchy.GetItemByDataNode(reference)
    if referenceItem:
        study = hierarchy.GetItemParent(referenceItem)
        item = hierarchy.GetItemByDataNode(node)
        if item:
            hierarchy.SetItemParent(item, study)
        else:
            hierarchy.CreateItem(study, node)


def fileResult(node, header, inputs) -> None:
    """Store what the volume is: the entries of the engine's header as attributes, and references to the input nodes.

    Args:
        header: entry → text, see `ccdnn.provenance`.
        inputs: role → input volume node.
    """
    for name in node.GetAttributeNames():
        if name.startswith(("CCDNN_", "DICOM.")):
            node.RemoveAttribute(name)
    for name, text in header.items():
        node.SetAttribute(name, text)
    for role in Role:
        volume = inputs.get(role)
        node.SetNodeReferenceID(f"CCDNN_{role.value}", volume.GetID() if volume is not None else None)
    node.SetDescription(NOTICE)


def resultName(header) -> str:
    """Name of a new result: "synthetic", the inputs left out, and the model."""
    return f"{synthetic_name(header)} ({header['CCDNN_Model']})"


def showLike(node, acquired=None) -> None:
    """Set window and level to those of the acquired STIR, relative to each volume's robust maximum, or else from the values.

    A model's intensities may be on a different scale from the scanner's, so the absolute numbers may not fit.
    """
    display = node.GetDisplayNode()
    display.AutoWindowLevelOff()
    shown = acquired.GetDisplayNode() if acquired is not None else None
    if shown is not None and (ratio := brightnessRatio(node, acquired)) is not None:
        display.SetWindowLevel(shown.GetWindow() * ratio, shown.GetLevel() * ratio)
    else:
        showValues(node, slice(None))


def brightnessRatio(node, acquired):
    """The robust maximum of a volume divided by that of another; None if either has no positive values or is not finite."""
    try:
        return robust_maximum(sampleOf(node)) / robust_maximum(sampleOf(acquired))
    except InputError:
        return None


def showValues(node, slices) -> None:
    """Set window and level to show the values of `slices` from 0 to their maximum, except for a few outliers."""
    values = sampleOf(node, slices)
    highest = float(np.quantile(values, SHOWN_QUANTILE)) if values.size else 0.0
    if highest > 0:
        node.GetDisplayNode().SetWindowLevel(highest, highest / 2)


def sampleOf(node, slices=slice(None)) -> np.ndarray:
    """One pixel in sixteen: enough to estimate the brightness, in a fraction of the time."""
    return slicer.util.arrayFromVolume(node)[slices, ::4, ::4]
