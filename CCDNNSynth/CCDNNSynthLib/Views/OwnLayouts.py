"""Custom layouts of slice views, as Slicer layout descriptions: rows of views, optionally with a plot below.

The views have their own names and groups, so that the user's views keep their content and are not linked to them.
"""

from dataclasses import dataclass

import slicer

# Colours of the view bars: grey for acquired images, amber for synthetic ones.
_ACQUIRED_COLOR, _SYNTHETIC_COLOR = "#8C8C8C", "#E69F00"
# IDs that Slicer's layouts do not use: 20170 to 20175 for the review, 20176 for the reader study.
_IDS = range(20170, 20177)
_NAMES = ("Review", "Reader")


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


def register(layoutID: int, rows, plot: bool = False) -> None:
    """Register a layout with the application: rows of `OwnView`."""
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


def _view(view: OwnView) -> str:
    return (
        f'<item><view class="vtkMRMLSliceNode" singletontag="{view.name}">'
        '<property name="orientation" action="default">Sagittal</property>'
        f'<property name="viewlabel" action="default">{view.bar}</property>'
        f'<property name="viewcolor" action="default">{_SYNTHETIC_COLOR if view.synthetic else _ACQUIRED_COLOR}</property>'
        f'<property name="viewgroup" action="default">{view.group}</property>'
        "</view></item>"
    )
