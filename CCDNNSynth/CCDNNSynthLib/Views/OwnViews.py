"""Slice views of our own: what each shows, and that all lie in the plane of one volume's slices, on one slice, with one zoom."""

import slicer

from ccdnn.series import plane_of
from CCDNNSynthLib.Scene.Transforms import linearIJKToWorld


def assign(name: str, background, foreground=None) -> None:
    """What a view shows, and how it is tied to the others: linked, and left alone when a volume is loaded or chosen elsewhere."""
    widget = slicer.app.layoutManager().sliceWidget(name)
    composite = widget.mrmlSliceCompositeNode()
    modified = composite.StartModify()
    composite.SetDoPropagateVolumeSelection(False)
    composite.SetLinkedControl(True)
    composite.SetHotLinkedControl(True)
    composite.SetBackgroundVolumeID(background.GetID() if background is not None else None)
    composite.SetForegroundVolumeID(foreground.GetID() if foreground is not None else None)
    composite.SetForegroundOpacity(0)
    composite.SetLabelVolumeID(None)
    composite.EndModify(modified)
    for node in (composite, widget.mrmlSliceNode()):
        node.SetSaveWithScene(False)


def align(viewNames, reference, index: int) -> None:
    """Put the views into the plane of `reference`'s slices and on its slice `index`."""
    ijkToWorld = linearIJKToWorld(reference)
    columns, rows, _slices = reference.GetImageData().GetDimensions()
    middle = ijkToWorld.MultiplyPoint([(columns - 1) / 2, (rows - 1) / 2, index, 1])[:3]
    plane = plane_of(slicer.util.arrayFromVTKMatrix(ijkToWorld)).split()[-1].capitalize()  # of "oblique sagittal" the latter
    for name in viewNames:
        node = slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode()
        # Up is up as in Slicer's view of that plane; the axes then are exactly those of the slices, however oblique these are.
        node.SetOrientation(plane)
        node.RotateToAxes(ijkToWorld, 2)
        node.JumpSliceByOffsetting(*middle)
    fit(viewNames, reference)


def fit(viewNames, reference) -> None:
    """One zoom for all views, in which the whole of `reference` is seen; the slice stays. To be done again at another size."""
    for name in viewNames:
        widget = slicer.app.layoutManager().sliceWidget(name)
        offset = widget.sliceLogic().GetSliceOffset()
        width, height = widget.mrmlSliceNode().GetDimensions()[:2]
        widget.sliceLogic().FitSliceToVolume(reference, width, height)
        widget.sliceLogic().SetSliceOffset(offset)


def release(viewNames) -> None:
    """Empty the views; their nodes stay, as those of Slicer's own layouts do, unseen and unsaved."""
    for name in viewNames:
        if slicer.app.layoutManager().sliceWidget(name) is not None:
            assign(name, None)
