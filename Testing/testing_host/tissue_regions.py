"""Tissue regions in the scene: the labels of the sample study as segments, places and shapes to draw, and masks."""

from __future__ import annotations

import json

import numpy as np
import slicer
import vtk

from CCDNNSynthLib.Inputs.SampleStudy import SAMPLE_FOLDER
from testing_host import slicer_host

NAMES = {int(value): name for value, name in json.loads((SAMPLE_FOLDER / "labels.json").read_text(encoding="utf-8")).items()}
LABEL_OF_TISSUE = {"bone" if name == "bone marrow" else name: value for value, name in NAMES.items()}


def label_array() -> np.ndarray:
    node = slicer.util.loadVolume(str(SAMPLE_FOLDER / "labels.nrrd"), {"labelmap": True, "show": False})
    array = slicer.util.arrayFromVolume(node).copy()
    slicer.mrmlScene.RemoveNode(node)
    return array


def add_segmentation():
    """The label map of the sample study as a segmentation whose segments are named after the labels."""
    labels = slicer.util.loadVolume(str(SAMPLE_FOLDER / "labels.nrrd"), {"labelmap": True, "show": False})
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "knee tissues")
    slicer.modules.segmentations.logic().ImportLabelmapToSegmentationNode(labels, node)
    segmentation = node.GetSegmentation()
    for index in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(index)
        segment.SetName(NAMES[segment.GetLabelValue()])
    slicer.mrmlScene.RemoveNode(labels)
    return node


def world(volume, *ijk) -> list:
    """World position of a continuous voxel coordinate, with the parent transforms of the volume applied."""
    matrix, transform = vtk.vtkMatrix4x4(), vtk.vtkGeneralTransform()
    volume.GetIJKToRASMatrix(matrix)
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(volume.GetParentTransformNode(), None, transform)
    return list(transform.TransformPoint(matrix.MultiplyPoint([*ijk, 1])[:3]))


def square(volume, slice_index: int, low: tuple, high: tuple, per_side: int = 6) -> list:
    """Points along a square in a slice, half a voxel outside the voxels low … high (column, row), `per_side` on each side."""
    (i0, j0), (i1, j1) = (np.array(low) - 0.5, np.array(high) + 0.5)
    corners = [(i0, j0), (i1, j0), (i1, j1), (i0, j1)]
    return [
        world(volume, *(np.array(corners[side]) * (1 - t) + np.array(corners[(side + 1) % 4]) * t), slice_index)
        for side in range(4)
        for t in np.arange(per_side) / per_side
    ]


def make_straight(outline) -> None:
    """Connect the points by straight lines, so that a square stays a square."""
    outline.SetCurveTypeToLinear()
    slicer_host.process_events()


def box_mask(shape, slice_index: int, low: tuple, high: tuple) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[slice_index, low[1] : high[1] + 1, low[0] : high[0] + 1] = True
    return mask
