"""Clicks on the points of a chart, in whichever plot view of the layout shows it."""

from collections.abc import Callable

import slicer

_SIGNAL = "dataSelected(vtkStringArray*,vtkCollection*)"


class PlotClicks:
    def __init__(self, onPoint: Callable[[int], None]):
        """:param onPoint: called with the index of a clicked point in its series."""
        self._onPoint, self._chart = onPoint, None
        self._views: list = []

    def follow(self, chart) -> None:
        """Listen to clicks on this chart, a vtkMRMLPlotChartNode; None is none. Call again after a change of the layout."""
        self._chart = chart
        manager = slicer.app.layoutManager()
        for number in range(manager.plotViewCount if manager is not None and chart is not None else 0):
            view = manager.plotWidget(number).plotView()
            if view not in self._views:
                view.connect(_SIGNAL, self._onSelected)
                self._views.append(view)

    def close(self) -> None:
        for view in self._views:
            view.disconnect(_SIGNAL, self._onSelected)
        self._views, self._chart = [], None

    def _onSelected(self, seriesIDs, points) -> None:
        """Called with a vtkStringArray of series IDs and a vtkCollection of the indices of their clicked points."""
        chart = self._chart
        if chart is None:
            return
        ours = {chart.GetNthPlotSeriesNodeID(number) for number in range(chart.GetNumberOfPlotSeriesNodes())}
        for number in range(seriesIDs.GetNumberOfValues()):
            indices = points.GetItemAsObject(number)
            if seriesIDs.GetValue(number) in ours and indices.GetNumberOfTuples():
                self._onPoint(indices.GetValue(indices.GetNumberOfTuples() - 1))
