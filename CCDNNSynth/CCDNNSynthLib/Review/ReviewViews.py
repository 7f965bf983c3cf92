"""What the views of the review show. Each builder sets the layout up and returns volume node → name of the view that shows it.

All views lie in the plane the study was acquired in, on one slice and with one zoom, and stay so: they are linked.
"""

from dataclasses import dataclass
from typing import Any

from CCDNNSynthLib.Parameters import ReviewLayout
from CCDNNSynthLib.Views import ReviewLayouts
from CCDNNSynthLib.Views.OwnViews import align, assign
from CCDNNSynthLib.Views.PreviewSlice import sliceInView


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
    assign(ReviewLayouts.BOTH, volumes.reference, volumes.synthetic)
    align([ReviewLayouts.BOTH], volumes.reference, index)
    return {node: ReviewLayouts.BOTH for node in (volumes.reference, volumes.synthetic)}


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
        assign(name, node)
    align(shown.values(), volumes.reference, index)
    return shown
