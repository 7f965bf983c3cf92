"""The content of the review's views. Each builder sets the layout and returns volume node → name of the view that shows it.

All views show the same slice in the acquisition plane with the same zoom. They are linked, so this does not change.
"""

from dataclasses import dataclass
from typing import Any

from CCDNNSynthLib.Parameters import ReviewLayout
from CCDNNSynthLib.Review import ReviewLayouts
from CCDNNSynthLib.Views.OwnViews import align, assign
from CCDNNSynthLib.Views.SliceViews import sliceInView


@dataclass(frozen=True)
class ReviewVolumes:
    """The volume nodes of a review; a missing one is None. A review requires a synthetic volume."""

    t1: Any
    t2: Any
    gre: Any
    acquired: Any
    synthetic: Any

    @classmethod
    def of(cls, parameterNode) -> "ReviewVolumes":
        """The chosen volumes that have voxels, each only once, because each volume has one view."""
        volumes = []
        for name in ("syntheticVolume", "stirVolume", "t1Volume", "t2Volume", "greVolume"):
            node = getattr(parameterNode, name)
            usable = node is not None and node.GetImageData() is not None and node not in volumes
            volumes.append(node if usable else None)
        synthetic, acquired, t1, t2, gre = volumes
        return cls(t1, t2, gre, acquired, synthetic)

    @property
    def compared(self):
        """What the synthetic volume is compared with: the acquired STIR, or else the first input."""
        return next((node for node in (self.acquired, self.t1, self.t2, self.gre) if node is not None), None)

    @property
    def reference(self):
        """The volume whose slices the views show."""
        return self.compared or self.synthetic

    @property
    def all(self) -> list:
        return [node for node in (self.t1, self.t2, self.gre, self.acquired, self.synthetic) if node is not None]

    def viewOf(self, node) -> str:
        """Name of the view of a volume, by its role in the review."""
        names = (ReviewLayouts.T1, ReviewLayouts.T2, ReviewLayouts.GRE, ReviewLayouts.ACQUIRED, ReviewLayouts.SYNTHETIC)
        return dict(zip((self.t1, self.t2, self.gre, self.acquired, self.synthetic), names, strict=True))[node]


def show(layout: ReviewLayout, volumes: ReviewVolumes, difference=None, plot: bool = False) -> dict:
    """Show a layout with one of the three builders below.

    :param difference: volume node of synthetic − acquired, shown in the grid.
    :param plot: whether there is a plot below.
    """
    if layout is ReviewLayout.SIDE_BY_SIDE:
        return showSideBySide(volumes, plot)
    if layout is ReviewLayout.GRID:
        return showGrid(volumes, difference, plot)
    return showSingle(volumes, plot)


def showSideBySide(volumes: ReviewVolumes, plot: bool = False) -> dict:
    """Acquired | synthetic; without an acquired STIR, T1-w | synthetic."""
    return _show(ReviewLayout.SIDE_BY_SIDE, volumes, [[volumes.compared, volumes.synthetic]], plot)


def showGrid(volumes: ReviewVolumes, difference=None, plot: bool = False) -> dict:
    """T1-w, T2-w, GRE above acquired, synthetic, difference; without an acquired STIR, inputs and synthetic in rows of two."""
    inputs = [volumes.t1, volumes.t2, volumes.gre]
    if volumes.acquired is not None:
        rows = [inputs, [volumes.acquired, volumes.synthetic, difference]]
    else:
        shown = [node for node in (*inputs, volumes.synthetic) if node is not None]
        rows = [shown[:2], shown[2:]]
    return _show(ReviewLayout.GRID, volumes, rows, plot, difference)


def showSingle(volumes: ReviewVolumes, plot: bool = False) -> dict:
    """Both in one view: the compared volume as background and the synthetic as foreground, which is transparent at first."""
    index = sliceInView(volumes.reference)
    ReviewLayouts.showLayout(ReviewLayout.SINGLE, [[ReviewLayouts.BOTH]], plot)
    assign(ReviewLayouts.BOTH, volumes.reference, volumes.synthetic)
    align([ReviewLayouts.BOTH], volumes.reference, index)
    return {node: ReviewLayouts.BOTH for node in (volumes.reference, volumes.synthetic)}


def _show(layout: ReviewLayout, volumes: ReviewVolumes, rows, plot: bool, difference=None) -> dict:
    """Lay out rows of volume nodes, leaving out those that are None."""
    views = {node: volumes.viewOf(node) for node in volumes.all}
    if difference is not None:
        views[difference] = ReviewLayouts.DIFFERENCE
    rows = [[node for node in row if node is not None] for row in rows]
    index = sliceInView(volumes.reference)
    ReviewLayouts.showLayout(layout, [[views[node] for node in row] for row in rows if row], plot)
    shown = {node: views[node] for row in rows for node in row}
    for node, name in shown.items():
        assign(name, node)
    align(shown.values(), volumes.reference, index)
    return shown
