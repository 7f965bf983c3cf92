"""Custom slice views: sets the volumes they show and aligns them to one slice of a volume, with the same zoom."""

import slicer

from ccdnn.series import plane_of
from CCDNNSynthLib.Scene.Transforms import linearIJKToWorld
from CCDNNSynthLib.Views.SliceViews import moveToSlice


def assign(name: str, background, foreground=None) -> None:
    """Set the volumes of a view and link it to the others. It then ignores volumes that are loaded or chosen elsewhere."""
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
    """Align the views with the slices of `reference` and show its slice `index`."""
    ijkToWorld = linearIJKToWorld(reference)
    plane = plane_of(slicer.util.arrayFromVTKMatrix(ijkToWorld)).split()[-1].capitalize()  # "oblique sagittal" gives "Sagittal"
    for name in viewNames:
        node = slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode()
        # Start from Slicer's orientation, which defines what is up, then rotate to the exact axes of the slices.
        node.SetOrientation(plane)
        node.RotateToAxes(ijkToWorld, 2)
    fit(viewNames, reference)
    for name in viewNames:
        moveToSlice(slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode(), reference, index)


def fit(viewNames, reference) -> None:
    """Zoom all views so that the whole of `reference` is visible; the slice is kept. Call again after a change of size."""
    for name in viewNames:
        widget = slicer.app.layoutManager().sliceWidget(name)
        offset = widget.sliceLogic().GetSliceOffset()
        width, height = widget.mrmlSliceNode().GetDimensions()[:2]
        widget.sliceLogic().FitSliceToVolume(reference, width, height)
        widget.sliceLogic().SetSliceOffset(offset)


def release(viewNames) -> None:
    """Clear the views. Their nodes stay in the scene, as those of Slicer's own layouts do, but are not saved."""
    for name in viewNames:
        if slicer.app.layoutManager().sliceWidget(name) is not None:
            assign(name, None)
