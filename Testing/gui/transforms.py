"""Transforms in the scene, for volumes to be moved or warped by."""

from __future__ import annotations

import numpy as np
import slicer
import vtk


def rigid() -> np.ndarray:
    """A rotation by 0.3 rad about the body's axis and a shift."""
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]]
    matrix[:3, 3] = [11, -7, 5]
    return matrix


def add_linear_transform(matrix) -> object:
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    slicer.util.updateTransformMatrixFromArray(node, matrix)
    return node


def add_warp() -> object:
    """A non-linear transform: a thin-plate spline with one point displaced."""
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    corners = [(0, 0, 0), (60, 0, 0), (0, 60, 0), (0, 0, 60), (60, 60, 60), (20, 30, 10)]
    for n, point in enumerate(corners):
        source.InsertNextPoint(point)
        target.InsertNextPoint([c + (4 if n == 5 else 0) for c in point])
    spline = vtk.vtkThinPlateSplineTransform()
    spline.SetSourceLandmarks(source)
    spline.SetTargetLandmarks(target)
    spline.SetBasisToR()
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode")
    node.SetAndObserveTransformToParent(spline)
    return node
