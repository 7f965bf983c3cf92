"""The section "Contrast (CNR)": tissue regions, and a table and plot of their contrast in acquired and synthetic STIR."""

import slicer
from slicer.i18n import tr as _

from ccdnn.errors import CcdnnError
from ccdnn.measure.cnr import PAPER_PAIRS, cnr_chart, parse_pairs
from CCDNNSynthLib import Messages
from CCDNNSynthLib.Delay import Delay
from CCDNNSynthLib.Measure.CnrMeasurement import SYNTHETIC, CnrMeasurement
from CCDNNSynthLib.Measure.OutlineDrawing import OutlineDrawing, OutlineShape
from CCDNNSynthLib.Measure.TableFiles import chooseFile, saveTables
from CCDNNSynthLib.Panel import Panel
from CCDNNSynthLib.Scene import Tables
from CCDNNSynthLib.Scene.Regions import addOutline, addTissueSegmentation, outlinesOf, regionsOf, removeOutline, sliceNormal
from CCDNNSynthLib.Scene.UncertaintyVolume import uncertaintyOf
from CCDNNSynthLib.Scene.Watch import Watch
from CCDNNSynthLib.Views import Plots

# Delay of a measurement after a change: a dragged point moves more often than the screen is redrawn.
LIVE_MS = 20


class CnrPanel(Panel):
    def __init__(self, widget):
        """:param widget: loaded from Cnr.ui."""
        super().__init__(widget)
        self._measurement, self._shown = CnrMeasurement(), False
        self._drawing = OutlineDrawing(self._onDrawn)
        self._listed = []
        self._live = Delay(self._onLive, LIVE_MS)
        self._watch = Watch(self._onChanged, self.refreshSoon)
        self.ui.editButton.clicked.connect(self.onEdit)
        self.ui.freehandButton.clicked.connect(lambda *_checked: self.onDraw(OutlineShape.FREEHAND))
        self.ui.circleButton.clicked.connect(lambda *_checked: self.onDraw(OutlineShape.CIRCLE))
        self.ui.regionList.currentRowChanged.connect(self.onRegionChosen)
        self.ui.removeButton.clicked.connect(self.onRemove)
        self.ui.measureButton.clicked.connect(self.onMeasure)
        self.ui.plotButton.clicked.connect(self.onPlot)
        self.ui.csvButton.clicked.connect(self.onSave)

    def setParameterNode(self, parameterNode) -> None:
        if (
            parameterNode is None
            or self._parameterNode is None
            or parameterNode.parameterNode is not self._parameterNode.parameterNode
        ):
            self._drawing.finish()
        self._shown = parameterNode is not None
        super().setParameterNode(parameterNode)

    def exit(self) -> None:
        """Called when the user leaves the module. From now on, only a plot that is still in the layout follows the regions."""
        self._drawing.finish()
        self._shown = False

    def close(self) -> None:
        self._drawing.finish()
        self._live.stop()
        self._watch.close()
        super().close()

    def refresh(self) -> None:
        """Update the widgets, the observers and, in live mode, the measurement."""
        node = self._parameterNode
        if node is None:
            self._watch.close()
        else:
            watched = (*self._volumes().values(), uncertaintyOf(node.syntheticVolume))
            self._watch.watch(slicer.mrmlScene, node.regionSegmentation, *outlinesOf(node), *watched)
        regions = regionsOf(node) if node is not None else []
        self._showRegions(regions)
        self._showTissues()
        self._showVolumes()
        self.ui.cnrTableView.setMRMLTableNode(node.cnrTable if node is not None else None)
        for name in ("freehandButton", "circleButton"):
            getattr(self.ui, name).enabled = bool(self._volumes())
        self.ui.editButton.enabled = bool(self._volumes()) and hasattr(slicer.modules, "segmenteditor")
        measurable = bool(regions and self._volumes())
        self.ui.measureButton.enabled = self.ui.csvButton.enabled = measurable
        self.ui.plotButton.enabled = measurable and Plots.canBeShown()
        if node is None:
            Messages.show(self.ui.cnrStatusLabel, "note")
        elif node.cnrLive:
            self._live.start()

    def onEdit(self) -> None:
        """Paint the tissues in the Segment Editor."""
        node, volume = self._parameterNode, next(iter(self._volumes().values()))
        if node.regionSegmentation is None:
            node.regionSegmentation = addTissueSegmentation(volume, self._tissues())
        slicer.util.selectModule("SegmentEditor")
        editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
        editor.setSegmentationNode(node.regionSegmentation)
        editor.setSourceVolumeNode(volume)

    def onDraw(self, shape: OutlineShape) -> None:
        """Start an outline, or finish the one that is being drawn."""
        if self._drawing.node is not None:
            self._drawing.finish()
            return
        tissue = self.ui.tissueSelector.currentText.strip()
        if not tissue:
            self._showDrawing(None)
            self._tell("warning", _("Enter the tissue first."))
            return
        normal = sliceNormal(next(iter(self._volumes().values())))
        self._drawing.start(addOutline(self._parameterNode, tissue), shape, normal)
        self._showDrawing(shape)
        self.refreshSoon()

    def onRegionChosen(self, row: int) -> None:
        outline = self._outlineAt(row)
        self.ui.removeButton.enabled = outline is not None
        if outline is not None and outline is not self._drawing.node and outline.GetNumberOfControlPoints():
            slicer.modules.markups.logic().JumpSlicesToNthPointInMarkup(outline.GetID(), 0, True)

    def onRemove(self) -> None:
        outline = self._outlineAt(self.ui.regionList.currentRow)
        if outline is not None:
            removeOutline(outline)

    def onMeasure(self) -> None:
        self.measure()

    def onPlot(self) -> None:
        if self.measure() is not None:
            Plots.showInLayout(self._parameterNode.cnrChart)

    def onSave(self) -> None:
        path = chooseFile(_("Save CNR"), "CNR.csv")
        if path is not None and (table := self.measure()) is not None:
            saveTables(self.ui.cnrStatusLabel, path, {"": table})

    def measure(self):
        """Update table and plot; returns the table, or None after showing why there is none."""
        node = self._parameterNode
        try:
            pairs, regions = parse_pairs(node.cnrPairs), regionsOf(node)
            table = self._measurement.table(self._volumes(), regions, pairs, node.cnrForm)
        except CcdnnError as error:
            self._tell("error", str(error))
            return None
        Tables.showTable(Tables.tableNode(node, "cnrTable", _("CNR")), table)
        Plots.showChart(Plots.chartNode(node, "cnrChart", _("CNR plot")), cnr_chart(table))
        self._tellNotes(table, {region.tissue for region in regions})
        return table

    def _onLive(self) -> None:
        node = self._parameterNode
        if node is None or not node.cnrLive or not (self._shown or Plots.isInLayout(node.cnrChart)):
            return
        # Do not add nodes to the scene before there is something to measure.
        if node.cnrTable is not None or (self._volumes() and regionsOf(node)):
            self.measure()

    def _onChanged(self) -> None:
        # Do not restart the timer: continuous changes would delay the measurement until they end.
        if self._parameterNode is not None and self._parameterNode.cnrLive and not self._live.active:
            self._live.start()

    def _onDrawn(self, outline) -> None:
        self._showDrawing(None)
        self.refreshSoon()

    def _volumes(self) -> dict:
        """Name of an image → its volume node; acquired first."""
        node = self._parameterNode
        if node is None:
            return {}
        chosen = {"acquired": node.stirVolume, SYNTHETIC: node.syntheticVolume}
        return {name: volume for name, volume in chosen.items() if volume is not None}

    def _tissues(self) -> list:
        try:
            pairs = parse_pairs(self._parameterNode.cnrPairs)
        except CcdnnError:
            pairs = PAPER_PAIRS
        return list(dict.fromkeys(name for pair in pairs for name in (pair.foreground, pair.background)))

    def _outlineAt(self, row: int):
        node = self._listed[row].node if 0 <= row < len(self._listed) else None
        return node if node is not None and node.IsA("vtkMRMLMarkupsNode") and slicer.mrmlScene.IsNodePresent(node) else None

    def _showRegions(self, regions) -> None:
        """List the regions that are measured. Segments of other tissues are not."""
        shown, tissues = self.ui.regionList, self._tissues() if self._parameterNode is not None else []
        regions = [region for region in regions if region.tissue in tissues or region.node.IsA("vtkMRMLMarkupsNode")]
        if [(region.key, region.title) for region in regions] == [(region.key, region.title) for region in self._listed]:
            return
        self._listed = regions
        blocked = shown.blockSignals(True)
        shown.clear()
        for region in regions:
            shown.addItem(region.title)
        shown.blockSignals(blocked)
        self.ui.removeButton.enabled = False

    def _showTissues(self) -> None:
        selector = self.ui.tissueSelector
        tissues = self._tissues() if self._parameterNode is not None else []
        if [selector.itemText(index) for index in range(selector.count)] != tissues:
            typed = selector.currentText
            selector.clear()
            for tissue in tissues:
                selector.addItem(tissue)
            if typed:
                selector.currentText = typed

    def _showVolumes(self) -> None:
        titles = {"acquired": _("Acquired: {name}"), SYNTHETIC: _("Synthetic: {name}")}
        texts = [titles[name].format(name=volume.GetName()) for name, volume in self._volumes().items()]
        if uncertaintyOf(self._volumes().get(SYNTHETIC)) is not None:
            texts.append(
                _(
                    "Lesion check: draw a suspected lesion as foreground and normal marrow as background. P says how sure the "
                    "model is that the lesion is brighter than marrow in truth; it does not know what no input shows."
                )
            )
        missing = _("Choose an acquired STIR (Inputs), or compute a synthetic one.")
        Messages.show(self.ui.volumesLabel, "note" if texts else "warning", *(texts or [missing]))

    def _showDrawing(self, shape) -> None:
        self.ui.freehandButton.checked = shape is OutlineShape.FREEHAND
        self.ui.circleButton.checked = shape is OutlineShape.CIRCLE

    def _tellNotes(self, table, drawn) -> None:
        """Show why values are missing, with one sentence for all regions that are not drawn yet."""
        missing = [tissue for tissue in self._tissues() if tissue not in drawn]
        notes = [
            f"{pair}: {note}"
            for pair, note in zip(table.column("Pair"), table.column("Note"), strict=True)
            if note and not any(tissue in missing for tissue in str(pair).split("–"))
        ]
        if missing:
            notes.append(_("Not drawn yet: {tissues}.").format(tissues=", ".join(missing)))
        self._tell("note", *notes)

    def _tell(self, kind: str, *sentences) -> None:
        Messages.show(self.ui.cnrStatusLabel, kind, *sentences)
