"""The result in the scene: a volume node that says what it is, lies where its reference lies, and is filed beside it."""

import numpy as np
import slicer
import vtk

from ccdnn.errors import InputError
from ccdnn.normalisation import robust_maximum
from ccdnn.provenance import NOTICE, synthetic_name
from ccdnn.series import Role

NOTICE_ATTRIBUTE = "CCDNN_Notice"
# Up to which quantile of its values a result is shown, when there is no acquired STIR to show it like.
SHOWN_QUANTILE = 0.995


def isSynthetic(node) -> bool:
    """Whether a volume node is a result of ours, as its attributes say, which are saved with the scene."""
    return bool(node.GetAttribute(NOTICE_ATTRIBUTE))


def addVolume(reference, name):
    """A new, empty (0) float32 volume node on the grid and under the transform of `reference`, filed in the same study."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", slicer.mrmlScene.GenerateUniqueName(name))
    # Window and level are set by us, so nothing need be computed for them when the voxels come.
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().AutoWindowLevelOff()
    slicer.util.updateVolumeFromArray(node, np.zeros(tuple(reversed(reference.GetImageData().GetDimensions())), np.float32))
    placeLike(node, reference)
    node.SetAttribute(NOTICE_ATTRIBUTE, NOTICE)
    return node


def removeVolume(node) -> None:
    """Take a volume of ours out of the scene, with its display node, which would stay behind."""
    display = node.GetDisplayNode()
    for gone in (node, display):
        if gone is not None and slicer.mrmlScene.IsNodePresent(gone):
            slicer.mrmlScene.RemoveNode(gone)


def replaceVoxels(node, other):
    """Give the voxels of `other`, which they then share, and its place, to `node`; returns `node`."""
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
    """Write into attributes what the volume is: the entries of the engine's header, and which nodes it was made from.

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
    """What to call a new result: that it is synthetic, what it was made without, and by which model."""
    return f"{synthetic_name(header)} ({header['CCDNN_Model']})"


def showLike(node, acquired=None) -> None:
    """Set window and level: those of the acquired STIR, as shares of each volume's robust maximum, or by the values themselves.

    A model may give intensities on another scale than the scanner's, so the acquired numbers themselves need not fit.
    """
    display = node.GetDisplayNode()
    display.AutoWindowLevelOff()
    shown = acquired.GetDisplayNode() if acquired is not None else None
    ratio = brightnessRatio(node, acquired) if shown is not None else None
    if ratio is not None:
        display.SetWindowLevel(shown.GetWindow() * ratio, shown.GetLevel() * ratio)
    else:
        showValues(node, slice(None))


def brightnessRatio(node, acquired):
    """The robust maximum of a volume over that of another one; None where one of them is nowhere positive or not finite."""
    try:
        return robust_maximum(_sample(node)) / robust_maximum(_sample(acquired))
    except InputError:
        return None


def showValues(node, slices) -> None:
    """Set window and level so that the values of some `slices` are seen from 0 to their largest, a few outliers apart."""
    values = _sample(node, slices)
    highest = float(np.quantile(values, SHOWN_QUANTILE)) if values.size else 0.0
    if highest > 0:
        node.GetDisplayNode().SetWindowLevel(highest, highest / 2)


def _sample(node, slices=slice(None)) -> np.ndarray:
    """One pixel of sixteen: it tells enough of the brightness, in a fraction of the time."""
    return slicer.util.arrayFromVolume(node)[slices, ::4, ::4]
