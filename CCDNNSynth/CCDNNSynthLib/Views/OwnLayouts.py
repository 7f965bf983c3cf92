"""Custom layouts of slice views, as Slicer layout descriptions: rows of views, and a variant with a plot below them.

The views have their own names and groups, so that the user's views keep their content and are not linked to them.
"""

from dataclasses import dataclass

import slicer

# Colours of the view bars: grey for acquired images, amber for synthetic ones.
_ACQUIRED_COLOR, _SYNTHETIC_COLOR = "#8C8C8C", "#E69F00"
_PLOT_VIEW = "vtkMRMLPlotViewNode"
# IDs that Slicer's layouts do not use: each section takes its own from these.
_IDS = range(20170, 20177)
_NAMES = ("Review", "Reader")
# The only one of our own views in which runs and previews are shown: that of the synthetic volume in the review.
RESULT_VIEW = "ReviewSynthetic"


@dataclass(frozen=True)
class OwnView:
    """A slice view: its name, which begins with one of `_NAMES`, the text in its bar, and its link group."""

    name: str
    bar: str
    group: int
    synthetic: bool = False


def layoutNode():
    """The layout node of the application, or None if it has no views."""
    manager = slicer.app.layoutManager()
    return manager.layoutLogic().GetLayoutNode() if manager is not None else None


def isOwnLayout(layoutID: int) -> bool:
    return layoutID in _IDS


def isOwnView(name) -> bool:
    return name is not None and name.startswith(_NAMES)


def keepsItsVolume(composite) -> bool:
    """Whether runs and previews must not be shown in a view: one of our own, unless it shows the synthetic volume."""
    name = composite.GetLayoutName()
    return isOwnView(name) and (name != RESULT_VIEW or composite.GetBackgroundVolumeID() is None)


def show(layoutID: int, rows, plot: bool = False, plotPossible: bool = False) -> None:
    """Register a layout with the application, and show it.

    :param rows: of `OwnView`.
    :param plot: whether it is shown with a plot below.
    :param plotPossible: whether it has a variant with a plot below, which then has the next ID.
    """
    _register(layoutID, _description(rows))
    if plotPossible:
        _register(layoutID + 1, _withPlotBelow(_description(rows)))
    layoutNode().SetViewArrangement(layoutID + plot)


def hasPlot(layoutID: int) -> bool:
    """Whether a layout is one of our own with a plot below."""
    node = layoutNode()
    known = isOwnLayout(layoutID) and node.IsLayoutDescription(layoutID)
    return known and _PLOT_VIEW in node.GetLayoutDescription(layoutID)


def showPlotBelow() -> bool:
    """Add a plot view below the views of our own that are shown; returns False if there are none, or no plot is possible."""
    node = layoutNode()
    if node is None or not isOwnLayout(node.GetViewArrangement()):
        return False
    if hasPlot(node.GetViewArrangement()):
        return True
    if not hasPlot(node.GetViewArrangement() + 1):
        return False
    node.SetViewArrangement(node.GetViewArrangement() + 1)
    return True


def _register(layoutID: int, description: str) -> None:
    node = layoutNode()
    if node.IsLayoutDescription(layoutID):
        node.SetLayoutDescription(layoutID, description)
    else:
        node.AddLayoutDescription(layoutID, description)


def _description(rows) -> str:
    views = "".join(f'<item><layout type="horizontal">{"".join(map(_view, row))}</layout></item>' for row in rows)
    return f'<layout type="vertical">{views}</layout>'


def _withPlotBelow(description: str) -> str:
    plot = f'<view class="{_PLOT_VIEW}" singletontag="PlotView1"><property name="viewlabel" action="default">P</property></view>'
    return f'<layout type="vertical" split="true"><item>{description}</item><item>{plot}</item></layout>'


def _view(view: OwnView) -> str:
    return (
        f'<item><view class="vtkMRMLSliceNode" singletontag="{view.name}">'
        '<property name="orientation" action="default">Sagittal</property>'
        f'<property name="viewlabel" action="default">{view.bar}</property>'
        f'<property name="viewcolor" action="default">{_SYNTHETIC_COLOR if view.synthetic else _ACQUIRED_COLOR}</property>'
        f'<property name="viewgroup" action="default">{view.group}</property>'
        "</view></item>"
    )
