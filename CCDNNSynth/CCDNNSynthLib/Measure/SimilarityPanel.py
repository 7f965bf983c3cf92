"""The section "Image similarity": how similar acquired and synthetic STIR are, as a whole and slice by slice."""

from contextlib import suppress
from pathlib import Path

import qt
import slicer
import vtk
from slicer.i18n import tr as _

from ccdnn.errors import CcdnnError, InputError
from ccdnn.measure.similarity import Measure
from ccdnn.measure.similarity_table import similarity_chart
from ccdnn.measure.table import Cell
from ccdnn.writing import write_text
from CCDNNSynthLib import Messages
from CCDNNSynthLib.Measure.SimilarityMeasurement import SimilarityChoices, SimilarityRun
from CCDNNSynthLib.Packages import PackagesMissing, ensureScikitImage
from CCDNNSynthLib.Panel import Panel
from CCDNNSynthLib.Scene.DifferenceVolume import makeDifference, removeDifference
from CCDNNSynthLib.Scene.Tables import showTable, tableNode, tableOf
from CCDNNSynthLib.Views.OwnLayouts import isOwnView
from CCDNNSynthLib.Views.Plots import canBeShown, chartNode, showChart, showInLayout
from CCDNNSynthLib.Views.SliceViews import showSlice

# On the table node, so that a saved scene stores what its values were measured on.
STAMP_ATTRIBUTE, THRESHOLD_ATTRIBUTE = "CCDNNSynth.MeasuredOn", "CCDNNSynth.Threshold"
# Delay before checking whether a result is current. The check reads all voxels, so it waits until changes have paused.
CHECK_MS = 300
_PLOT_SIGNAL = "dataSelected(vtkStringArray*,vtkCollection*)"


class SimilarityPanel(Panel):
    def __init__(self, widget):
        """:param widget: loaded from Similarity.ui."""
        super().__init__(widget)
        self.ensureScikitImage = ensureScikitImage
        self._run, self._result, self._measured = None, None, None
        self._checked, self._drawn, self._observed = None, None, ()
        self._segments, self._segmentation, self._plotViews = [], None, []
        self._check = qt.QTimer()
        self._check.interval = CHECK_MS
        self._check.timeout.connect(self._onCheck)
        # connectGui does not support segment selectors, so this one is connected manually.
        self.ui.segmentSelector.currentIndexChanged.connect(self.onSegmentChosen)
        self.ui.computeButton.clicked.connect(self.onCompute)
        self.ui.plotButton.clicked.connect(self.onPlot)
        self.ui.csvButton.clicked.connect(self.onSave)
        self.ui.differenceButton.clicked.connect(self.onDifference)
        self.ui.similarityTableView.clicked.connect(self.onRowChosen)
        self.ui.similarityTableView.verticalHeader().hide()  # its row numbers could be mistaken for slice numbers
        self._showRunning(False)
        self.refresh()

    def setParameterNode(self, parameterNode) -> None:
        before, now = (node.parameterNode if node is not None else None for node in (self._parameterNode, parameterNode))
        if now is not before:
            self._stop()
            self._result, self._checked, self._segmentation = None, None, None
            Messages.show(self.ui.similarityLabel, "note")
        super().setParameterNode(parameterNode)

    def close(self) -> None:
        self._stop()
        self._check.stop()
        for view in self._plotViews:
            view.disconnect(_PLOT_SIGNAL, self.onPointChosen)
        self._plotViews = []
        super().close()

    def refresh(self) -> None:
        """Update the widgets, and stop a run whose choices have changed."""
        choices = SimilarityChoices.of(self._parameterNode) if self._parameterNode is not None else None
        if self._run is not None and self._run.choices != choices:
            self._stop(_("Stopped, because the volumes, the mask or the scaling have changed."))
        self._observe(choices)
        self._showChoices(choices)
        self._showSegments(choices)
        self._showResult(choices)

    def onSegmentChosen(self) -> None:
        index = self.ui.segmentSelector.currentIndex
        if self._parameterNode is not None and 0 <= index < len(self._segments):
            self._parameterNode.maskSegment = self._segments[index]

    def onCompute(self) -> None:
        if self._run is not None:
            self._stop(_("Stopped. Nothing was changed."))
            return
        with suppress(PackagesMissing):  # the rest is measured, and the table notes what SSIM needs
            self.ensureScikitImage()
        if self._parameterNode is None:  # the scene was closed while the user was asked
            return
        try:
            with slicer.util.WaitCursor():
                self._run = SimilarityRun(SimilarityChoices.of(self._parameterNode), self._onProgress, self._onEnd)
        except InputError as error:
            self._tell("error", str(error))
            return
        self._showRunning(True)
        self._onProgress(0, self._run.total)

    def onRowChosen(self, index) -> None:
        """Called with the QModelIndex of the clicked row. The first row is that of the whole volume."""
        if index.row() > 0:
            self._goTo(index.row() - 1)

    def onPointChosen(self, seriesIDs, points) -> None:
        """Called with the clicked points of a plot: a vtkStringArray of series IDs and a vtkCollection of their point indices."""
        chart = self._parameterNode.similarityChart if self._parameterNode is not None else None
        ours = set() if chart is None else {chart.GetNthPlotSeriesNodeID(n) for n in range(chart.GetNumberOfPlotSeriesNodes())}
        for number in range(seriesIDs.GetNumberOfValues()):
            indices = points.GetItemAsObject(number)
            if seriesIDs.GetValue(number) in ours and indices.GetNumberOfTuples():
                self._goTo(indices.GetValue(indices.GetNumberOfTuples() - 1))

    def onPlot(self) -> None:
        self._drawn = None
        self._showChart(create=True)
        showInLayout(self._parameterNode.similarityChart)
        self._listenToPlots()

    def onSave(self) -> None:
        path = qt.QFileDialog.getSaveFileName(None, _("Save image similarity"), "similarity.csv", _("Tables (*.csv)"))
        if not path or self._parameterNode is None or self._parameterNode.similarityTable is None:
            return
        path = Path(path) if Path(path).suffix else Path(f"{path}.csv")
        try:
            write_text(tableOf(self._parameterNode.similarityTable).to_csv(), path)
        except CcdnnError as error:
            self._tell("error", str(error))
            return
        self._tell("done", _("Written: {file}.").format(file=path))

    def onDifference(self) -> None:
        """Create the difference volume, in place of an earlier one, and show it over the slice views."""
        choices = SimilarityChoices.of(self._parameterNode)
        try:
            with slicer.util.WaitCursor():
                difference = makeDifference(choices.acquired, choices.synthetic, choices.scaling)
        except InputError as error:
            self._tell("error", str(error))
            return
        if self._parameterNode.differenceVolume is not None:
            removeDifference(self._parameterNode.differenceVolume)
        self._parameterNode.differenceVolume = difference
        for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            if not isOwnView(view.GetLayoutName()):
                view.SetForegroundVolumeID(difference.GetID())
                view.SetForegroundOpacity(1.0)
        shown = _("{name} is shown over the slice views: blue where the synthetic image is darker, orange where it is brighter.")
        self._tell("done", shown.format(name=difference.GetName()))

    def _stop(self, sentence: str = "") -> None:
        """Stop a run without changing anything."""
        if self._run is not None:
            self._run.stop()
            self._run = None
            self._showRunning(False)
            self._tell("note", sentence)

    def _onProgress(self, done: int, total: int) -> None:
        self.ui.progressBar.maximum, self.ui.progressBar.value = total, done

    def _onEnd(self, result) -> None:
        self._run, self._result = None, result
        self._showRunning(False)
        if result is None:
            self._tell("error", _("The measurement failed; see the application log."))
            return
        node = self._parameterNode
        self._measured = tableNode(node, "similarityTable", _("Image similarity"))
        self._fillTable()
        self._drawn = None
        self._showChart(create=True)
        table = tableOf(node.similarityTable)
        values = ", ".join(f"{m.value} {table.column(m.value)[0]:.4g}{f' {m.unit}' if m.unit != '1' else ''}" for m in Measure)
        self._tell(
            "done", (_("Inside the mask: {values}.") if result.masked else _("Whole volume: {values}.")).format(values=values)
        )
        self.refreshSoon()

    def _fillTable(self) -> None:
        """Show the result of this session at the current threshold."""
        threshold = self._parameterNode.overlapThreshold
        self._measured.SetAttribute(STAMP_ATTRIBUTE, self._result.stamp)
        self._measured.SetAttribute(THRESHOLD_ATTRIBUTE, str(threshold))
        showTable(self._measured, self._result.table(threshold))

    def _goTo(self, index: int) -> None:
        volume = self._parameterNode.stirVolume if self._parameterNode is not None else None
        if volume is not None and volume.GetImageData() is not None and 0 <= index < volume.GetImageData().GetDimensions()[2]:
            showSlice(volume, index)

    def _listenToPlots(self) -> None:
        """Observe clicks on the plots of the layout."""
        manager = slicer.app.layoutManager()
        for number in range(manager.plotViewCount if manager is not None else 0):
            view = manager.plotWidget(number).plotView()
            if view not in self._plotViews:
                view.connect(_PLOT_SIGNAL, self.onPointChosen)
                self._plotViews.append(view)

    def _observe(self, choices) -> None:
        """Observe everything that changes a measurement. All nodes are observed here."""
        nodes = () if choices is None else (choices.synthetic, choices.acquired, choices.segmentation)
        if nodes == self._observed:
            return
        self.removeObservers()
        self._observed = nodes
        kinds = slicer.vtkSegmentation
        for node in {node for node in nodes if node is not None}:
            events = [node.TransformModifiedEvent, vtk.vtkCommand.ModifiedEvent]
            if node.IsA("vtkMRMLSegmentationNode"):
                events += [node.SegmentationChangedEvent, kinds.SourceRepresentationModified, kinds.SegmentModified]
                for event in (kinds.SegmentAdded, kinds.SegmentRemoved, kinds.SegmentModified, node.SegmentationChangedEvent):
                    self.addObserver(node, event, self._onSegmentsChanged)
            else:
                events.append(node.ImageDataModifiedEvent)
            for event in events:
                self.addObserver(node, event, self._onChanged)

    def _onChanged(self, caller, event) -> None:
        self._check.start()

    def _onSegmentsChanged(self, caller, event) -> None:
        self.refreshSoon()

    def _onCheck(self) -> None:
        """Warn if the table no longer matches the choices."""
        self._check.stop()
        node = self._parameterNode
        table = node.similarityTable if node is not None else None
        if table is None or not table.GetNumberOfRows() or self._run is not None:
            Messages.show(self.ui.staleLabel, "warning")
            return
        choices = SimilarityChoices.of(node)
        holds = choices.complete and choices.stamp() == table.GetAttribute(STAMP_ATTRIBUTE)
        holds = holds and str(node.overlapThreshold) == table.GetAttribute(THRESHOLD_ATTRIBUTE)
        old = _("The volumes, the mask, the scaling or the threshold have changed since this was measured; press Compute again.")
        Messages.show(self.ui.staleLabel, "warning", "" if holds else old)

    def _showChoices(self, choices) -> None:
        complete = choices is not None and choices.complete
        self.ui.computeButton.enabled = self.ui.differenceButton.enabled = complete
        Messages.showPlain(self.ui.scalingLabel, choices.scaling.meaning if choices is not None else "")
        missing = _("Choose an acquired STIR (Inputs) and a synthetic one (Review) first.")
        Messages.show(self.ui.volumesLabel, "note", "" if complete or choices is None else missing)

    def _showSegments(self, choices) -> None:
        """List the segments of the chosen segmentation after "whole volume"."""
        segmentation = choices.segmentation if choices is not None else None
        ids, names = [""], [_("Whole volume")]
        if segmentation is not None and segmentation.GetSegmentation() is not None:
            segments = segmentation.GetSegmentation()
            ids += segments.GetSegmentIDs()
            names += [segments.GetSegment(each).GetName() for each in segments.GetSegmentIDs()]
        chosen = choices.segment if choices is not None else ""
        if chosen not in ids:
            if self._segmentation not in (None, segmentation):  # another segmentation was chosen
                self._parameterNode.maskSegment = chosen = ""
            else:
                ids, names = [*ids, chosen], [*names, _("(missing segment)")]
        self._segments, self._segmentation = ids, segmentation
        selector = self.ui.segmentSelector
        blocked = selector.blockSignals(True)
        if [selector.itemText(index) for index in range(selector.count)] != names:
            selector.clear()
            selector.addItems(names)
        selector.currentIndex = ids.index(chosen)
        selector.blockSignals(blocked)
        selector.enabled = segmentation is not None

    def _showResult(self, choices) -> None:
        """Show table, notes, overlap and plot. Apply a new threshold at once if the result of this session is still available."""
        node = self._parameterNode
        table = node.similarityTable if node is not None else None
        if table is None or table is not self._measured:
            self._result = None
        elif str(node.overlapThreshold) != table.GetAttribute(THRESHOLD_ATTRIBUTE) and self._result is not None:
            self._fillTable()
        there = table is not None and table.GetNumberOfRows() > 0
        view = self.ui.similarityTableView
        if view.mrmlTableNode() is not table:
            view.setMRMLTableNode(table)
            view.resizeColumnsToContents()
        view.visible = there
        self.ui.csvButton.enabled = there
        self.ui.plotButton.enabled = there and canBeShown()
        Messages.showPlain(self.ui.notesLabel, table.GetDescription() if table is not None and there else "")
        self.ui.notesLabel.visible = there
        Messages.showPlain(self.ui.overlapLabel, _overlapSentence(table) if there else "")
        self._showChart()
        if there and node.similarityChart is not None:
            self._listenToPlots()
        # Everything that is chosen; the observers report changes to it.
        state = (choices, node.overlapThreshold, _measuredOn(table)) if there else None
        if state != self._checked:
            self._checked = state
            self._check.start()

    def _showChart(self, create: bool = False) -> None:
        """Plot the chosen measure of the table's slices."""
        node = self._parameterNode
        if node is None or node.similarityTable is None or not node.similarityTable.GetNumberOfRows():
            return
        if node.similarityChart is None and not create:
            return
        state = (node.similarityMeasure, _measuredOn(node.similarityTable))
        if state != self._drawn:
            self._drawn = state
            values = [_number(cell) for cell in tableOf(node.similarityTable).column(node.similarityMeasure.value)[1:]]
            chart = similarity_chart(node.similarityMeasure, values, _("Synthetic against acquired STIR, slice by slice"))
            showChart(chartNode(node, "similarityChart", _("Similarity by slice")), chart)

    def _showRunning(self, running: bool) -> None:
        self.ui.computeButton.text = _("Cancel") if running else _("Compute")
        self.ui.progressBar.visible = running
        if running:
            self._tell("note", _("Measuring slice by slice…"))

    def _tell(self, kind: str, *sentences) -> None:
        Messages.show(self.ui.similarityLabel, kind, *sentences)


def _measuredOn(table) -> tuple:
    """Identifies the values in a table."""
    return table.GetID(), table.GetAttribute(STAMP_ATTRIBUTE), table.GetAttribute(THRESHOLD_ATTRIBUTE)


def _number(cell: Cell) -> float:
    """A cell of a column of numbers, which `tableOf` never leaves empty."""
    assert isinstance(cell, int | float)
    return cell


def _overlapSentence(node) -> str:
    table = tableOf(node)
    dice, synthetic, acquired, both = (_number(cell) for cell in (table.column("Dice")[0], *table.rows[0][-3:]))
    counts = _("{synthetic} voxels synthetic, {acquired} acquired, {both} in both").format(
        synthetic=synthetic, acquired=acquired, both=both
    )
    return _("Neither image has a voxel below the threshold.") if not synthetic + acquired else f"Dice {dice:.4f}: {counts}"
