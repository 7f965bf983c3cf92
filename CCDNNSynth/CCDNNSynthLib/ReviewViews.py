"""What the views of the review show. Each builder sets the layout up and returns volume node → name of the view that shows it.

All views lie in the plane the study was acquired in, on one slice and with one zoom, and stay so: they are linked.
"""

from dataclasses import dataclass
from typing import Any

import slicer
import vtk

from ccdnn.series import plane_of
from CCDNNSynthLib import ReviewLayouts
from CCDNNSynthLib.Parameters import ReviewLayout
from CCDNNSynthLib.PreviewSlice import sliceInView


@dataclass(frozen=True)
class ReviewVolumes:
    """The volume nodes of a review; None for those there are none of. There is no review without a synthetic one."""

    t1: Any
    t2: Any
    gre: Any
    acquired: Any
    synthetic: Any

    @classmethod
    def of(cls, parameterNode) -> "ReviewVolumes":
        """Those that are chosen and have voxels, each once, for a view shows one of them."""
        volumes = []
        for name in ("syntheticVolume", "stirVolume", "t1Volume", "t2Volume", "greVolume"):
            node = getattr(parameterNode, name)
            usable = node is not None and node.GetImageData() is not None and node not in volumes
            volumes.append(node if usable else None)
        synthetic, acquired, t1, t2, gre = volumes
        return cls(t1, t2, gre, acquired, synthetic)

    @property
    def compared(self):
        """What the synthetic volume is compared with: the acquired STIR, else the first input there is."""
        return next((node for node in (self.acquired, self.t1, self.t2, self.gre) if node is not None), None)

    @property
    def reference(self):
        """Whose slices the views show."""
        return self.compared or self.synthetic

    @property
    def all(self) -> list:
        return [node for node in (self.t1, self.t2, self.gre, self.acquired, self.synthetic) if node is not None]

    def viewOf(self, node) -> str:
        """The view of a volume, by what it is here."""
        names = (ReviewLayouts.T1, ReviewLayouts.T2, ReviewLayouts.GRE, ReviewLayouts.ACQUIRED, ReviewLayouts.SYNTHETIC)
        return dict(zip((self.t1, self.t2, self.gre, self.acquired, self.synthetic), names, strict=True))[node]


def show(layout: ReviewLayout, volumes: ReviewVolumes, difference=None, plot: bool = False) -> dict:
    """The builder of a layout, of the three below.

    :param difference: volume node of synthetic − acquired, shown among all volumes.
    :param plot: whether there is a plot below.
    """
    if layout is ReviewLayout.SIDE_BY_SIDE:
        return showSideBySide(volumes, plot)
    if layout is ReviewLayout.GRID:
        return showGrid(volumes, difference, plot)
    return showSingle(volumes, plot)


def showSideBySide(volumes: ReviewVolumes, plot: bool = False) -> dict:
    """Acquired | synthetic; without an acquired STIR T1-w | synthetic."""
    return _show(ReviewLayout.SIDE_BY_SIDE, volumes, [[volumes.compared, volumes.synthetic]], plot)


def showGrid(volumes: ReviewVolumes, difference=None, plot: bool = False) -> dict:
    """T1-w, T2-w, GRE above acquired, synthetic, difference; without an acquired STIR the inputs and the synthetic, two a row."""
    inputs = [volumes.t1, volumes.t2, volumes.gre]
    if volumes.acquired is not None:
        rows = [inputs, [volumes.acquired, volumes.synthetic, difference]]
    else:
        shown = [node for node in (*inputs, volumes.synthetic) if node is not None]
        rows = [shown[:2], shown[2:]]
    return _show(ReviewLayout.GRID, volumes, rows, plot, difference)


def showSingle(volumes: ReviewVolumes, plot: bool = False) -> dict:
    """Both in one view: what is compared as the background, the synthetic as the foreground, which is transparent at first."""
    index = sliceInView(volumes.reference)
    ReviewLayouts.showLayout(ReviewLayout.SINGLE, [[ReviewLayouts.BOTH]], plot)
    _assign(ReviewLayouts.BOTH, volumes.reference, volumes.synthetic)
    _align([ReviewLayouts.BOTH], volumes.reference, index)
    return {node: ReviewLayouts.BOTH for node in (volumes.reference, volumes.synthetic)}


def fit(viewNames, reference) -> None:
    """One zoom for all views, in which the whole of `reference` is seen; the slice stays. To be done again at another size."""
    for name in viewNames:
        widget = slicer.app.layoutManager().sliceWidget(name)
        offset = widget.sliceLogic().GetSliceOffset()
        width, height = widget.mrmlSliceNode().GetDimensions()[:2]
        widget.sliceLogic().FitSliceToVolume(reference, width, height)
        widget.sliceLogic().SetSliceOffset(offset)


def release() -> None:
    """Empty the views; their nodes stay, as those of Slicer's own layouts do, unseen and unsaved."""
    for name in ReviewLayouts.VIEW_LABELS:
        widget = slicer.app.layoutManager().sliceWidget(name)
        if widget is not None:
            _assign(name, None)


def _show(layout: ReviewLayout, volumes: ReviewVolumes, rows, plot: bool, difference=None) -> dict:
    """Lay out rows of volume nodes, those that are None being left out."""
    views = {node: volumes.viewOf(node) for node in volumes.all}
    if difference is not None:
        views[difference] = ReviewLayouts.DIFFERENCE
    rows = [[node for node in row if node is not None] for row in rows]
    index = sliceInView(volumes.reference)
    ReviewLayouts.showLayout(layout, [[views[node] for node in row] for row in rows if row], plot)
    shown = {node: views[node] for row in rows for node in row}
    for node, name in shown.items():
        _assign(name, node)
    _align(shown.values(), volumes.reference, index)
    return shown


def _assign(name: str, background, foreground=None) -> None:
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


def _align(viewNames, reference, index: int) -> None:
    """Put the views into the plane of `reference`'s slices and on its slice `index`."""
    ijkToWorld = _ijkToWorld(reference)
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


def _ijkToWorld(volume):
    """4×4; a non-linear transform above the volume counts as none, for its slices are no planes in the world."""
    matrix, toWorld = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    transform = volume.GetParentTransformNode()
    if transform is not None and transform.IsTransformToWorldLinear():
        transform.GetMatrixTransformToWorld(toWorld)
    vtk.vtkMatrix4x4.Multiply4x4(toWorld, matrix, matrix)
    return matrix
