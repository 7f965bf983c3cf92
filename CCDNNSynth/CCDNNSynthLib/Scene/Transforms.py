"""Transforms between world and voxel coordinates, including parent transforms, which may be non-linear."""

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy


def worldToLocal(node):
    """The transform from the world into the coordinates that a node is stored in."""
    transform = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(None, node.GetParentTransformNode(), transform)
    return transform


def worldToIJK(volume):
    """The transform from the world to continuous voxel coordinates."""
    toIJK, transform = vtk.vtkMatrix4x4(), vtk.vtkGeneralTransform()
    volume.GetRASToIJKMatrix(toIJK)
    transform.Concatenate(toIJK)
    transform.Concatenate(worldToLocal(volume))
    return transform


def linearIJKToWorld(volume):
    """4×4 matrix. A non-linear parent transform is ignored, because slices under it are not planes in the world."""
    matrix, toWorld = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    transform = volume.GetParentTransformNode()
    if transform is not None and transform.IsTransformToWorldLinear():
        transform.GetMatrixTransformToWorld(toWorld)
    vtk.vtkMatrix4x4.Multiply4x4(toWorld, matrix, matrix)
    return matrix


def transformed(points: np.ndarray, transform) -> np.ndarray:
    """Apply a transform to (n, 3) points, in double precision."""
    before, after = vtk.vtkPoints(), vtk.vtkPoints()
    before.SetData(numpy_to_vtk(np.ascontiguousarray(points, np.float64), deep=True))
    after.SetDataTypeToDouble()
    transform.TransformPoints(before, after)
    return vtk_to_numpy(after.GetData()).copy()
