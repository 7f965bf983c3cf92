"""Converts volume nodes to what the engine needs: voxels and grids."""

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from ccdnn.errors import InputError
from ccdnn.volume import Grid, Volume


def gridOf(node, reference=None) -> Grid:
    """The grid of `node`, in the coordinates in which the grid of `reference` is stored (default: its own).

    Parent transforms that the nodes share cancel out; others are applied.

    Raises:
        InputError: no voxels, or a non-linear transform between the two nodes.
    """
    image = node.GetImageData()
    if image is None or image.GetNumberOfPoints() == 0 or image.GetPointData().GetScalars() is None:
        raise InputError(_("{volume} has no voxels; load it again or choose another volume.").format(volume=node.GetName()))
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    ijkToRAS = slicer.util.arrayFromVTKMatrix(matrix)
    if reference is not None and node.GetParentTransformNode() is not reference.GetParentTransformNode():
        ijkToRAS = _linearTransform(node, reference) @ ijkToRAS
    return Grid(tuple(reversed(image.GetDimensions())), ijkToRAS)


def voxelsOf(node) -> np.ndarray:
    """The voxels as stored, (slice, row, column), not copied.

    Raises:
        InputError: no voxels, or several values per voxel.
    """
    gridOf(node)
    components = node.GetImageData().GetNumberOfScalarComponents()
    if components != 1:
        raise InputError(
            _("{volume} has {count} values per voxel (a colour or vector image); choose a grey-scale MR volume.").format(
                volume=node.GetName(), count=components
            )
        )
    return slicer.util.arrayFromVolume(node)


def voxelsOn(reference, node):
    """The voxels of `node` on the grid of `reference`, (slice, row, column), and a bool array of those it covers (None: all).

    If the grids are the same, the voxels are returned as stored, not copied; otherwise they are interpolated.

    Raises:
        InputError: see `gridOf` and `voxelsOf`; the volumes do not overlap; or the grids differ and SimpleITK is missing.
    """
    voxels, grid, own = voxelsOf(node), gridOf(reference), gridOf(node, reference)
    if own.same_as(grid):
        return voxels, None
    try:
        from ccdnn.resample import resample_onto
    except ImportError as error:
        raise InputError(
            _("{volume} and {reference} have different grids; comparing them requires SimpleITK, which this Slicer lacks.").format(
                volume=node.GetName(), reference=reference.GetName()
            )
        ) from error
    resampled = resample_onto(Volume(voxels, own.ijk_to_ras, name=node.GetName()), grid)
    return resampled.volume.array, resampled.covered


def _linearTransform(node, reference) -> np.ndarray:
    """4×4 matrix from the coordinates in which `node` is stored to those of `reference`."""
    general, linear = vtk.vtkGeneralTransform(), vtk.vtkTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(node.GetParentTransformNode(), reference.GetParentTransformNode(), general)
    if not slicer.vtkMRMLTransformNode.IsGeneralTransformLinear(general, linear):
        raise InputError(
            _(
                "{volume} and {reference} are under different transforms, one of which is not linear; "
                "harden it first (Transforms module) or put both volumes under the same transform."
            ).format(volume=node.GetName(), reference=reference.GetName())
        )
    return slicer.util.arrayFromVTKMatrix(linear.GetMatrix())
