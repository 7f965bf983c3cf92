"""The section "Image similarity": how similar acquired and synthetic STIR are, as a whole and slice by slice."""

from contextlib import suppress

import slicer
from slicer.i18n import tr as _

from ccdnn.errors import InputError
from ccdnn.measure.similarity_table import similarity_chart
from CCDNNSynthLib import Messages
from CCDNNSynthLib.Measure.PlotClicks import PlotClicks
from CCDNNSynthLib.Measure.SegmentSelector import SegmentSelector
from CCDNNSynthLib.Measure.SimilarityMeasurement import SimilarityChoices, SimilarityRun
from CCDNNSynthLib.Measure.SimilarityTable import SimilarityTable
from CCDNNSynthLib.Measure.Staleness import Staleness
from CCDNNSynthLib.Measure.TableFiles import chooseFile, saveTables
from CCDNNSynthLib.Packages import PackagesMissing, ensureScikitImage
from CCDNNSynthLib.Panel import Panel
from CCDNNSynthLib.Scene.DifferenceVolume import makeDifference, removeDifference
from CCDNNSynthLib.Scene.Tables import tableNode, tableOf
from CCDNNSynthLib.Views.OwnLayouts import isOwnView
from CCDNNSynthLib.Views.Plots import canBeShown, chartNode, showChart, showInLayout
from CCDNNSynthLib.Views.SliceViews import showOver, showSlice


class SimilarityPanel(Panel):
    """
    staleness - warns when the values no longer match the choices.
    """

    def __init__(self, widget):
        """:param widget: loaded from Similarity.ui."""
        super().__init__(widget)
        self.ensureScikitImage = ensureScikitImage
        self.staleness = Staleness(self.ui.staleLabel, self._problem)
        self._segments = SegmentSelector(self.ui.segmentSelector, self.onSegmentChosen, self.refreshSoon)
        self._points = PlotClicks(self._goTo)
        # The result of this session and the table that shows it; what the plot shows.
        self._run, self._result, self._measured, self._drawn = None, None, None, None
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
            self._result = None
            self._segments.forget()
            Messages.show(self.ui.similarityLabel, "note")
        super().setParameterNode(parameterNode)

    def close(self) -> None:
        self._stop()
        for part in (self.staleness, self._segments, self._points):
            part.close()
        super().close()

    def refresh(self) -> None:
        """Update the widgets, and stop a run whose choices have changed."""
        choices = SimilarityChoices.of(self._parameterNode) if self._parameterNode is not None else None
        if self._run is not None and self._run.choices != choices:
            self._stop(_("Stopped, because the volumes, the mask or the scaling have changed."))
        self._showChoices(choices)
        self._showResult(choices)

    def onSegmentChosen(self, segmentID: str) -> None:
        if self._parameterNode is not None:
            self._parameterNode.maskSegment = segmentID

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

    def onPlot(self) -> None:
        self._drawn = None
        self._showChart(create=True)
        showInLayout(self._parameterNode.similarityChart)
        self._points.follow(self._parameterNode.similarityChart)

    def onSave(self) -> None:
        path = chooseFile(_("Save image similarity"), "similarity.csv")
        if path is not None and self._parameterNode is not None and self._parameterNode.similarityTable is not None:
            saveTables(self.ui.similarityLabel, path, {"": tableOf(self._parameterNode.similarityTable)})

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
        showOver(difference, unless=lambda view: isOwnView(view.GetLayoutName()))
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
        self._measured = tableNode(self._parameterNode, "similarityTable", _("Image similarity"))
        table = SimilarityTable(self._measured)
        table.fill(result, self._parameterNode.overlapThreshold)
        self._drawn = None
        self._showChart(create=True)
        sentence = _("Inside the mask: {values}.") if result.masked else _("Whole volume: {values}.")
        self._tell("done", sentence.format(values=table.ofVolume()))
        self.refreshSoon()

    def _goTo(self, index: int) -> None:
        volume = self._parameterNode.stirVolume if self._parameterNode is not None else None
        if volume is not None and volume.GetImageData() is not None and 0 <= index < volume.GetImageData().GetDimensions()[2]:
            showSlice(volume, index)

    def _problem(self) -> str:
        """Why the values of the table are not what would be measured now."""
        table = SimilarityTable.of(self._parameterNode)
        if table is None or self._run is not None:
            return ""
        if table.isOf(SimilarityChoices.of(self._parameterNode)) and table.hasThreshold(self._parameterNode.overlapThreshold):
            return ""
        return _("The volumes, the mask, the scaling or the threshold have changed since this was measured; press Compute again.")

    def _showChoices(self, choices) -> None:
        complete = choices is not None and choices.complete
        self.ui.computeButton.enabled = self.ui.differenceButton.enabled = complete
        Messages.showPlain(self.ui.scalingLabel, choices.scaling.meaning if choices is not None else "")
        missing = _("Choose an acquired STIR (Inputs) and a synthetic one (Review) first.")
        Messages.show(self.ui.volumesLabel, "note", "" if complete or choices is None else missing)
        if choices is None:
            self._segments.show(None, "")
        elif (segment := self._segments.show(choices.segmentation, choices.segment)) != choices.segment:
            self._parameterNode.maskSegment = segment

    def _showResult(self, choices) -> None:
        """Show table, notes, overlap and plot. Apply a new threshold at once if the result of this session is still available."""
        node = self._parameterNode
        table = SimilarityTable.of(node)
        if table is None or table.node is not self._measured:
            self._result = None
        elif self._result is not None and not table.hasThreshold(node.overlapThreshold):
            table.fill(self._result, node.overlapThreshold)
        view, shown = self.ui.similarityTableView, table.node if table is not None else None
        if view.mrmlTableNode() is not shown:
            view.setMRMLTableNode(shown)
            view.resizeColumnsToContents()
        view.visible = self.ui.csvButton.enabled = self.ui.notesLabel.visible = table is not None
        self.ui.plotButton.enabled = table is not None and canBeShown()
        Messages.showPlain(self.ui.notesLabel, table.notes if table is not None else "")
        Messages.showPlain(self.ui.overlapLabel, table.overlap() if table is not None else "")
        self._showChart()
        self._points.follow(node.similarityChart if table is not None else None)
        nodes = (choices.synthetic, choices.acquired, choices.segmentation) if choices is not None else ()
        self.staleness.follow(nodes, (choices, node.overlapThreshold, table.version) if table is not None else None)

    def _showChart(self, create: bool = False) -> None:
        """Plot the chosen measure of the table's slices."""
        node, table = self._parameterNode, SimilarityTable.of(self._parameterNode)
        if table is None or (node.similarityChart is None and not create):
            return
        state = (node.similarityMeasure, table.version)
        if state != self._drawn:
            self._drawn = state
            title = _("Synthetic against acquired STIR, slice by slice")
            chart = similarity_chart(node.similarityMeasure, table.bySlice(node.similarityMeasure), title)
            showChart(chartNode(node, "similarityChart", _("Similarity by slice")), chart)

    def _showRunning(self, running: bool) -> None:
        self.ui.computeButton.text = _("Cancel") if running else _("Compute")
        self.ui.progressBar.visible = running
        if running:
            self._tell("note", _("Measuring slice by slice…"))

    def _tell(self, kind: str, *sentences) -> None:
        Messages.show(self.ui.similarityLabel, kind, *sentences)
