"""Which slice of a volume the slice views show, and what they show over it."""

import slicer

from CCDNNSynthLib.Scene.Transforms import linearIJKToWorld, worldToIJK


def showSlice(volume, index: int) -> None:
    """Move the slice views to a slice of `volume`, counted from 0. Views that cut across the slices stay where they are."""
    for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        moveToSlice(view, volume, index)


def moveToSlice(view, volume, index: int) -> None:
    """Move one view, a vtkMRMLSliceNode, to a slice of `volume`: its centre, only along the normal of the slices."""
    transform = worldToIJK(volume)
    i, j, _k = transform.TransformPoint(_centre(view))
    transform.Inverse()
    view.JumpSliceByOffsetting(*transform.TransformPoint((i, j, index)))


def sliceInView(volume) -> int:
    """Index of the slice of `volume` at the centre of a slice view, preferably of one that shows its plane."""
    views = slicer.util.getNodesByClass("vtkMRMLSliceNode")
    views = [view for view in views if view.IsMappedInLayout()] or views
    slices = volume.GetImageData().GetDimensions()[2]
    if not views:
        return slices // 2
    linearWorldToIJK = linearIJKToWorld(volume)
    linearWorldToIJK.Invert()

    def facing(view) -> float:
        """How much the view looks along the slices' normal, 0 to 1."""
        direction = linearWorldToIJK.MultiplyPoint([view.GetSliceToRAS().GetElement(row, 2) for row in range(3)] + [0])[:3]
        return abs(direction[2]) / max(1e-12, sum(component**2 for component in direction) ** 0.5)

    # Slicer lists Red, Green, Yellow; if several views have the same direction, use the first.
    view = max(views, key=lambda candidate: round(facing(candidate), 3))
    return min(max(round(worldToIJK(volume).TransformPoint(_centre(view))[2]), 0), slices - 1)


def showOver(volume, unless) -> None:
    """Show `volume` in front of what the slice views show.

    :param unless: whether a view, given as its vtkMRMLSliceCompositeNode, is left as it is.
    """
    for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        if not unless(view):
            view.SetForegroundVolumeID(volume.GetID())
            view.SetForegroundOpacity(1.0)


def _centre(view) -> list[float]:
    """In world coordinates."""
    return [view.GetSliceToRAS().GetElement(row, 3) for row in range(3)]
