"""Moving the slice views."""

import slicer
import vtk


def showSlice(volume, index: int) -> None:
    """Move the slice views to a slice of `volume`, counted from 0. Views that cut across the slices stay where they are."""
    toIJK, toRAS = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    volume.GetRASToIJKMatrix(toIJK)
    volume.GetIJKToRASMatrix(toRAS)
    for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        # The centre of the view, moved only along the normal of the slices.
        point = [view.GetSliceToRAS().GetElement(row, 3) for row in range(3)]
        volume.TransformPointFromWorld(point, point)
        i, j, _k, _one = toIJK.MultiplyPoint([*point, 1])
        point = list(toRAS.MultiplyPoint([i, j, index, 1])[:3])
        volume.TransformPointToWorld(point, point)
        view.JumpSliceByOffsetting(*point)
