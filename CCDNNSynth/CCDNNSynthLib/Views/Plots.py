"""Shows the engine's charts as plot nodes, updated in place so that a visible plot follows its data."""

import re
import textwrap

import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from ccdnn.chart import Chart, ChartKind, Series
from CCDNNSynthLib.Views.OwnLayouts import showPlotBelow

_TABLE_ROLE = "CCDNNSynth.ChartTable"
_THIN, _THICK = 1, 2  # lines
_TITLE_WIDTH = 60  # characters that fit below a plot


def chartNode(parameterNode, member: str, name: str):
    """The chart node in the parameter `member`; a new one, called `name`, if there is none."""
    if getattr(parameterNode, member) is None:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotChartNode", slicer.mrmlScene.GenerateUniqueName(name))
        setattr(parameterNode, member, node)
    return getattr(parameterNode, member)


def showChart(node, chart: Chart) -> None:
    """Show `chart` in `node`, a vtkMRMLPlotChartNode.

    The values are stored in a table node and the lines in series nodes. These nodes are created as needed, hidden from selectors,
    and reused when the chart changes.
    """
    table = _table(node)
    _fill(table, chart)
    modified = node.StartModify()
    for index, series in enumerate(chart.series):
        _showSeries(_series(node, index), chart, series, table, index)
    for index in reversed(range(len(chart.series), node.GetNumberOfPlotSeriesNodes())):
        spare = node.GetNthPlotSeriesNode(index)
        node.RemoveNthPlotSeriesNodeID(index)
        if spare is not None:
            slicer.mrmlScene.RemoveNode(spare)
    node.SetTitle(_drawable(chart.title))
    node.SetXAxisTitle(_drawable(_xTitle(chart)))
    node.SetYAxisTitle(_drawable(chart.y_title))
    node.SetLegendVisibility(True)
    node.EndModify(modified)


def chartOf(node) -> Chart:
    """The chart in a node filled by `showChart`, which a saved scene restores."""
    nodes = [node.GetNthPlotSeriesNode(index) for index in range(node.GetNumberOfPlotSeriesNodes())]
    nodes = [series for series in nodes if series is not None and series.GetTableNode() is not None]
    bars = any(series.GetPlotType() == series.PlotTypeBar for series in nodes)
    return Chart(
        node.GetTitle(),
        node.GetXAxisTitle().partition("\n")[0],  # without the names of the bars
        node.GetYAxisTitle(),
        tuple(_seriesOf(series, bars) for series in nodes),
        ChartKind.BAR if bars else ChartKind.LINE,
        _categoriesOf(nodes[0]) if bars else (),
    )


def canBeShown() -> bool:
    """Whether this application can draw plots; it may have been built without the Plots module."""
    return hasattr(slicer.modules, "plots")


def showInLayout(node) -> None:
    """Show a chart in the plot view of the layout, switching to a layout with a plot view if necessary.

    In a review, the plot is shown below the views.
    """
    if showPlotBelow():
        slicer.app.applicationLogic().GetSelectionNode().SetActivePlotChartID(node.GetID())
        slicer.app.applicationLogic().PropagatePlotChartSelection()
    else:
        slicer.modules.plots.logic().ShowChartInLayout(node)


def isInLayout(node) -> bool:
    """Whether a plot view of the layout shows the chart, which may be None."""
    return node is not None and any(
        view.GetPlotChartNodeID() == node.GetID() and view.IsMappedInLayout()
        for view in slicer.util.getNodesByClass("vtkMRMLPlotViewNode")
    )


def _drawable(title: str) -> str:
    """Replace |x| by abs(x): if VTK can draw formulas, it treats "|" as a separator and omits it."""
    return re.sub(r"\|([^|]*)\|", r"abs(\1)", title)


def _xTitle(chart: Chart) -> str:
    """Slicer's plots can only have numbers on their axes, so the title lists the bar that each number stands for."""
    names = [f"{number} {category}" for number, category in enumerate(chart.categories, start=1)]
    return "\n".join([chart.x_title, *textwrap.wrap(", ".join(name.replace(" ", "\xa0") for name in names), _TITLE_WIDTH)])


def _table(node):
    table = node.GetNodeReference(_TABLE_ROLE)
    if table is None:
        table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", f"{node.GetName()} values")
        table.SetHideFromEditors(True)
        node.SetNodeReferenceID(_TABLE_ROLE, table.GetID())
    return table


def _fill(table, chart: Chart) -> None:
    """Columns x0, y0, x1, y1, …: one pair per series, padded to the longest. The column "category" has the names of bars."""
    modified = table.StartModify()
    table.RemoveAllColumns()
    rows = max([len(chart.categories), *(len(series.y) for series in chart.series)], default=0)
    for index, series in enumerate(chart.series):
        x = range(1, len(series.y) + 1) if chart.kind is ChartKind.BAR else series.x
        table.AddColumn(_numbers(f"x{index}", x, rows))
        table.AddColumn(_numbers(f"y{index}", series.y, rows))
    if chart.kind is ChartKind.BAR:
        labels = vtk.vtkStringArray()
        labels.SetName("category")
        for category in chart.categories:
            labels.InsertNextValue(category)
        table.AddColumn(labels)
    table.EndModify(modified)


def _numbers(name: str, values, rows: int):
    array = vtk.vtkDoubleArray()
    array.SetName(name)
    for value in values:
        array.InsertNextValue(float(value))
    for _missing in range(rows - len(values)):
        array.InsertNextValue(float("nan"))
    return array


def _series(node, index: int):
    if index < node.GetNumberOfPlotSeriesNodes() and node.GetNthPlotSeriesNode(index) is not None:
        return node.GetNthPlotSeriesNode(index)
    series = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotSeriesNode")
    series.SetHideFromEditors(True)
    node.SetAndObserveNthPlotSeriesNodeID(index, series.GetID())
    return series


def _categoriesOf(node) -> tuple[str, ...]:
    names = node.GetTableNode().GetTable().GetColumnByName("category")
    return tuple(names.GetValue(row) for row in range(names.GetNumberOfValues()))


def _seriesOf(node, bars: bool) -> Series:
    table = node.GetTableNode().GetTable()
    x, y = (vtk_to_numpy(table.GetColumnByName(name)).tolist() for name in (node.GetXColumnName(), node.GetYColumnName()))
    colour = "#" + "".join(f"{round(255 * share):02X}" for share in node.GetColor())
    dashed, thin = node.GetLineStyle() == node.LineStyleDash, not bars and node.GetLineWidth() == _THIN
    return Series(node.GetName(), y, () if bars else x, colour, dashed, thin)


def _showSeries(node, chart: Chart, series, table, index: int) -> None:
    modified = node.StartModify()
    node.SetName(series.name)  # the legend shows it
    node.SetAndObserveTableNodeID(table.GetID())
    node.SetXColumnName(f"x{index}")
    node.SetYColumnName(f"y{index}")
    if chart.kind is ChartKind.BAR:
        node.SetPlotType(node.PlotTypeBar)
        node.SetLabelColumnName("category")
    else:
        node.SetPlotType(node.PlotTypeScatter)
        node.SetLabelColumnName("")
        node.SetMarkerStyle(node.MarkerStyleNone)
        node.SetLineWidth(_THIN if series.thin else _THICK)
        node.SetLineStyle(node.LineStyleDash if series.dashed else node.LineStyleSolid)
    red, green, blue = (int(series.colour[first : first + 2], 16) / 255 for first in (1, 3, 5))
    node.SetColor(red, green, blue)
    node.EndModify(modified)
