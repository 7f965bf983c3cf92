"""The layouts of the review, as Slicer describes layouts: rows of slice views of our own, with a plot below where one is wanted.

The views have names and a group of their own, so that the user's views keep what they show and links do not reach them.
"""

import slicer

from CCDNNSynthLib.Parameters import ReviewLayout

# Name of the view → what is written in its bar. One view a content, so that a view keeps its settings from one layout to another.
T1, T2, GRE = "ReviewT1", "ReviewT2", "ReviewGRE"
ACQUIRED, SYNTHETIC, DIFFERENCE, BOTH = "ReviewAcquired", "ReviewSynthetic", "ReviewDifference", "ReviewBoth"
VIEW_LABELS = {T1: "T1", T2: "T2", GRE: "GRE", ACQUIRED: "A", SYNTHETIC: "S", DIFFERENCE: "S−A", BOTH: "A/S"}
# Of the bars: grey for what was acquired, amber for what was not.
_ACQUIRED_COLOR, _SYNTHETIC_COLOR = "#8C8C8C", "#E69F00"
VIEW_GROUP = 2017
_FIRST_ID = 20170
_ORDER = (ReviewLayout.SIDE_BY_SIDE, ReviewLayout.GRID, ReviewLayout.SINGLE)
_LAYOUT_IDS = {layout: _FIRST_ID + 2 * index for index, layout in enumerate(_ORDER)}


def layoutNode():
    """The layout node of the application, or None where it has no views."""
    manager = slicer.app.layoutManager()
    return manager.layoutLogic().GetLayoutNode() if manager is not None else None


def isReviewLayout(layoutID: int) -> bool:
    return _FIRST_ID <= layoutID < _FIRST_ID + 2 * len(_ORDER)


def hasPlot(layoutID: int) -> bool:
    """Whether a layout of the review is the variant with a plot below."""
    return isReviewLayout(layoutID) and bool((layoutID - _FIRST_ID) % 2)


def keepsItsVolume(composite) -> bool:
    """Whether a run or a preview must not be shown in a slice view: one of ours, unless it shows the synthetic volume now."""
    name = composite.GetLayoutName()
    return name in VIEW_LABELS and (name != SYNTHETIC or composite.GetBackgroundVolumeID() is None)


def showLayout(layout: ReviewLayout, rows, plot: bool) -> None:
    """Let the application show `rows` of views, each a row of view names."""
    _register(_LAYOUT_IDS[layout], rows, plot=False)
    _register(_LAYOUT_IDS[layout] + 1, rows, plot=True)
    layoutNode().SetViewArrangement(_LAYOUT_IDS[layout] + plot)


def showPlotBelow() -> bool:
    """Make room for a plot below the views of the review; False where no review is shown."""
    node = layoutNode()
    if node is None or not isReviewLayout(node.GetViewArrangement()):
        return False
    if not hasPlot(node.GetViewArrangement()):
        node.SetViewArrangement(node.GetViewArrangement() + 1)
    return True


def _register(layoutID: int, rows, plot: bool) -> None:
    node, description = layoutNode(), _description(rows, plot)
    if node.IsLayoutDescription(layoutID):
        node.SetLayoutDescription(layoutID, description)
    else:
        node.AddLayoutDescription(layoutID, description)


def _description(rows, plot: bool) -> str:
    views = "".join(f'<item><layout type="horizontal">{"".join(map(_view, row))}</layout></item>' for row in rows)
    grid = f'<layout type="vertical">{views}</layout>'
    if not plot:
        return grid
    plotView = (
        '<view class="vtkMRMLPlotViewNode" singletontag="PlotView1"><property name="viewlabel" action="default">P</property></view>'
    )
    return f'<layout type="vertical" split="true"><item>{grid}</item><item>{plotView}</item></layout>'


def _view(name: str) -> str:
    color = _SYNTHETIC_COLOR if name in (SYNTHETIC, DIFFERENCE, BOTH) else _ACQUIRED_COLOR
    return (
        f'<item><view class="vtkMRMLSliceNode" singletontag="{name}">'
        '<property name="orientation" action="default">Sagittal</property>'
        f'<property name="viewlabel" action="default">{VIEW_LABELS[name]}</property>'
        f'<property name="viewcolor" action="default">{color}</property>'
        f'<property name="viewgroup" action="default">{VIEW_GROUP}</property>'
        "</view></item>"
    )
