"""Tissue regions in the scene (segments, and outlines drawn in the slice views) and the voxels of a volume inside them.

The name of a segment is its tissue. An outline is a closed curve that stores its tissue as an attribute. The parameter node refers
to the outlines, so that a saved scene restores them. Regions of the same tissue are combined.
"""

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy

from ccdnn.measure.cnr import tissue_name
from ccdnn.measure.outline import voxels_in_outline
from CCDNNSynthLib.Scene.Transforms import transformed, worldToIJK

TISSUE_ATTRIBUTE = "CCDNNSynth.Tissue"
OUTLINE_ROLE = "CCDNNSynth.Outline"

# Okabe and Ito's colours; tissues other than the paper's five are grey.
_COLOURS = {
    "cartilage": (0.34, 0.71, 0.91),
    "bone": (0.94, 0.89, 0.26),
    "meniscus": (0.84, 0.37, 0.0),
    "muscle": (0.8, 0.47, 0.65),
    "fat": (0.9, 0.62, 0.0),
}
_OTHER_COLOUR = (0.7, 0.7, 0.7)


class OutlineRegion:
    """A closed curve on a slice. It contains the one layer of voxels in its plane, see `ccdnn.measure.outline`."""

    def __init__(self, node):
        self.node = node
        self.key = node.GetID()
        self.tissue = tissue_name(node.GetAttribute(TISSUE_ATTRIBUTE) or node.GetName())
        self.title = _("{name} (drawn)").format(name=node.GetName())

    def stamp(self, volume):
        """A value that changes whenever the voxels of `volume` inside the region may have changed."""
        return self._corners(volume).tobytes()

    def voxels(self, volume) -> np.ndarray:
        """Ascending indices into the flattened (slice, row, column) array of `volume`."""
        return voxels_in_outline(self._corners(volume), tuple(reversed(volume.GetImageData().GetDimensions())))

    def _corners(self, volume) -> np.ndarray:
        """The curve as (n, 3) continuous voxel coordinates of `volume`, with the transforms of both applied."""
        world = self.node.GetCurvePointsWorld()
        if world is None or world.GetNumberOfPoints() == 0:
            return np.empty((0, 3))
        return transformed(vtk_to_numpy(world.GetData()), worldToIJK(volume))


class SegmentRegion:
    """A segment, resampled to the grid of a volume by nearest neighbour."""

    def __init__(self, node, segmentID: str):
        segment = node.GetSegmentation().GetSegment(segmentID)
        self.node, self._segmentID = node, segmentID
        self.key = f"{node.GetID()} {segmentID}"
        self.tissue = tissue_name(segment.GetName())
        self.title = _("{name} (segment)").format(name=segment.GetName())

    def stamp(self, volume):
        segmentation = self.node.GetSegmentation()
        segment = segmentation.GetSegment(self._segmentID)
        source = segment.GetRepresentation(segmentation.GetSourceRepresentationName())
        modified = source.GetMTime() if source is not None else 0
        return (modified, segment.GetMTime(), segment.GetLabelValue(), transformStamp(self.node), gridStamp(volume))

    def voxels(self, volume) -> np.ndarray:
        mask, onGrid = self._labelmap(), slicer.vtkOrientedImageData()
        if mask is None or mask.IsEmpty():
            return np.empty(0, np.int64)
        between = vtk.vtkGeneralTransform()
        slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(
            self.node.GetParentTransformNode(), volume.GetParentTransformNode(), between
        )
        grid = _orientedGrid(volume)
        slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(mask, grid, onGrid, False, False, between)
        if onGrid.GetDimensions() != grid.GetDimensions():  # the segment lies entirely outside the volume
            return np.empty(0, np.int64)
        return np.flatnonzero(vtk_to_numpy(onGrid.GetPointData().GetScalars()))

    def _labelmap(self):
        labelmap = slicer.vtkOrientedImageData()
        name = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
        if self.node.GetSegmentation().ContainsRepresentation(name):
            found = self.node.GetBinaryLabelmapRepresentation(self._segmentID, labelmap)
        else:  # for example, from a surface; converted without changing the segmentation
            found = slicer.vtkSlicerSegmentationsModuleLogic.GetSegmentBinaryLabelmapRepresentation(
                self.node, self._segmentID, labelmap, False
            )
        return labelmap if found else None


def outlinesOf(parameterNode) -> list:
    """The closed curves drawn for this parameter node, oldest first."""
    node = parameterNode.parameterNode
    outlines = [node.GetNthNodeReference(OUTLINE_ROLE, index) for index in range(node.GetNumberOfNodeReferences(OUTLINE_ROLE))]
    return [outline for outline in outlines if outline is not None]


def regionsOf(parameterNode) -> list:
    """All regions of this parameter node: the segments of its segmentation, then the outlines of at least three points."""
    segmentation = parameterNode.regionSegmentation
    segments = []
    if segmentation is not None and segmentation.GetSegmentation() is not None:
        segments = [
            SegmentRegion(segmentation, segmentation.GetSegmentation().GetNthSegmentID(index))
            for index in range(segmentation.GetSegmentation().GetNumberOfSegments())
        ]
    outlines = [outline for outline in outlinesOf(parameterNode) if outline.GetNumberOfControlPoints() > 2]
    return segments + [OutlineRegion(outline) for outline in outlines]


def addOutline(parameterNode, tissue: str):
    """Add a closed curve without points for a region of this tissue."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsClosedCurveNode", slicer.mrmlScene.GenerateUniqueName(tissue))
    node.SetAttribute(TISSUE_ATTRIBUTE, tissue_name(tissue))
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    colour = _COLOURS.get(tissue_name(tissue), _OTHER_COLOUR)
    display.SetColor(colour)
    display.SetSelectedColor(colour)
    display.SetPointLabelsVisibility(False)
    display.SetPropertiesLabelVisibility(True)  # the tissue's name beside the curve
    display.SetGlyphScale(1.5)
    parameterNode.parameterNode.AddNodeReferenceID(OUTLINE_ROLE, node.GetID())
    return node


def removeOutline(node) -> None:
    """Remove an outline from the scene, with its display and storage nodes."""
    for part in (*(node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes())), node.GetStorageNode(), node):
        if part is not None:
            slicer.mrmlScene.RemoveNode(part)


def addTissueSegmentation(volume, tissues):
    """Add a segmentation on the grid of `volume` with an empty segment for each tissue, to paint in."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", slicer.mrmlScene.GenerateUniqueName(_("Tissues")))
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    # The segmentation must be shown at the same place as the volume.
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    for tissue in tissues:
        node.GetSegmentation().AddEmptySegment("", tissue, _COLOURS.get(tissue, _OTHER_COLOUR))
    return node


def sliceNormal(volume) -> np.ndarray:
    """Unit vector along which the slices of `volume` are stacked, in world coordinates, at the middle of the volume."""
    toWorld = worldToIJK(volume)
    toWorld.Inverse()
    columns, rows, slices = volume.GetImageData().GetDimensions()
    ends = [np.array(toWorld.TransformPoint((columns - 1) / 2, (rows - 1) / 2, k)) for k in (0, max(1, slices - 1))]
    return (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])


def gridStamp(volume):
    """A value that changes whenever the voxels of `volume` move."""
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return (volume.GetImageData().GetDimensions(), slicer.util.arrayFromVTKMatrix(matrix).tobytes(), transformStamp(volume))


def transformStamp(node):
    """A value that changes whenever a parent transform of `node` does."""
    stamps, transform = [], node.GetParentTransformNode()
    while transform is not None:
        toParent = transform.GetTransformToParent()
        stamps.append((transform.GetID(), toParent.GetMTime() if toParent is not None else 0))
        transform = transform.GetParentTransformNode()
    return tuple(stamps)


def _orientedGrid(volume):
    """An image without voxels on the grid of `volume`, without its parent transforms."""
    matrix, grid = vtk.vtkMatrix4x4(), slicer.vtkOrientedImageData()
    volume.GetIJKToRASMatrix(matrix)
    columns, rows, slices = volume.GetImageData().GetDimensions()
    grid.SetExtent(0, columns - 1, 0, rows - 1, 0, slices - 1)
    grid.SetGeometryFromImageToWorldMatrix(matrix)
    return grid
