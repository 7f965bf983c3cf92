"""The layouts of the review: their custom slice views, and the variant with a plot below."""

from CCDNNSynthLib.Parameters import ReviewLayout
from CCDNNSynthLib.Views.OwnLayouts import OwnView, isOwnView, layoutNode, register

# View name → text in its bar. Each kind of content has its own view, which keeps its settings across layouts.
T1, T2, GRE = "ReviewT1", "ReviewT2", "ReviewGRE"
ACQUIRED, SYNTHETIC, DIFFERENCE, BOTH = "ReviewAcquired", "ReviewSynthetic", "ReviewDifference", "ReviewBoth"
VIEW_LABELS = {T1: "T1", T2: "T2", GRE: "GRE", ACQUIRED: "A", SYNTHETIC: "S", DIFFERENCE: "S−A", BOTH: "A/S"}
VIEW_GROUP = 2017
_FIRST_ID = 20170
_ORDER = (ReviewLayout.SIDE_BY_SIDE, ReviewLayout.GRID, ReviewLayout.SINGLE)
_LAYOUT_IDS = {layout: _FIRST_ID + 2 * index for index, layout in enumerate(_ORDER)}


def isReviewLayout(layoutID: int) -> bool:
    return _FIRST_ID <= layoutID < _FIRST_ID + 2 * len(_ORDER)


def hasPlot(layoutID: int) -> bool:
    """Whether a layout is a review layout with a plot below."""
    return isReviewLayout(layoutID) and bool((layoutID - _FIRST_ID) % 2)


def keepsItsVolume(composite) -> bool:
    """Whether runs and previews must not be shown in a view: one of our own, unless it shows the synthetic volume."""
    name = composite.GetLayoutName()
    return isOwnView(name) and (name != SYNTHETIC or composite.GetBackgroundVolumeID() is None)


def showLayout(layout: ReviewLayout, rows, plot: bool) -> None:
    """Show a layout with `rows` of views, each a list of view names."""
    views = [[_view(name) for name in row] for row in rows]
    register(_LAYOUT_IDS[layout], views)
    register(_LAYOUT_IDS[layout] + 1, views, plot=True)
    layoutNode().SetViewArrangement(_LAYOUT_IDS[layout] + plot)


def showPlotBelow() -> bool:
    """Add a plot view below the views of the review; returns False if no review is shown."""
    node = layoutNode()
    if node is None or not isReviewLayout(node.GetViewArrangement()):
        return False
    if not hasPlot(node.GetViewArrangement()):
        node.SetViewArrangement(node.GetViewArrangement() + 1)
    return True


def _view(name: str) -> OwnView:
    return OwnView(name, VIEW_LABELS[name], VIEW_GROUP, synthetic=name in (SYNTHETIC, DIFFERENCE, BOTH))
