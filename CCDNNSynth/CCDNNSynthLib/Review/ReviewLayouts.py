"""The layouts of the review: which of our own views each has."""

from CCDNNSynthLib.Parameters import ReviewLayout
from CCDNNSynthLib.Views import OwnLayouts
from CCDNNSynthLib.Views.OwnLayouts import RESULT_VIEW, OwnView

# View name → text in its bar. Each kind of content has its own view, which keeps its settings across layouts.
T1, T2, GRE = "ReviewT1", "ReviewT2", "ReviewGRE"
ACQUIRED, SYNTHETIC, DIFFERENCE, BOTH = "ReviewAcquired", RESULT_VIEW, "ReviewDifference", "ReviewBoth"
VIEW_LABELS = {T1: "T1", T2: "T2", GRE: "GRE", ACQUIRED: "A", SYNTHETIC: "S", DIFFERENCE: "S−A", BOTH: "A/S"}
VIEW_GROUP = 2017
# Each layout has a variant with a plot below, which has the next ID.
_LAYOUT_IDS = {ReviewLayout.SIDE_BY_SIDE: 20170, ReviewLayout.GRID: 20172, ReviewLayout.SINGLE: 20174}


def isReviewLayout(layoutID: int) -> bool:
    return any(layoutID in (own, own + 1) for own in _LAYOUT_IDS.values())


def showLayout(layout: ReviewLayout, rows, plot: bool) -> None:
    """Show a layout with `rows` of views, each a list of view names."""
    views = [[_view(name) for name in row] for row in rows]
    OwnLayouts.show(_LAYOUT_IDS[layout], views, plot, plotPossible=True)


def _view(name: str) -> OwnView:
    return OwnView(name, VIEW_LABELS[name], VIEW_GROUP, synthetic=name in (SYNTHETIC, DIFFERENCE, BOTH))
