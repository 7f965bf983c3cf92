"""The section "Line profiles": the volumes' intensities along a line or curve, and how similar acquired and synthetic STIR are."""

from dataclasses import dataclass

import slicer
from slicer.i18n import tr as _

from ccdnn.chart import Chart
from ccdnn.errors import InputError
from ccdnn.measure.profile import Image, profile_chart, profile_table, profile_values
from ccdnn.measure.table import Table
from CCDNNSynthLib import Messages
from CCDNNSynthLib.Delay import Delay
from CCDNNSynthLib.Measure.LineProfiles import ProfileMeter, profiledVolumes
from CCDNNSynthLib.Measure.TableFiles import chooseFile, saveTables
from CCDNNSynthLib.Panel import Panel
from CCDNNSynthLib.Scene.Tables import showTable, tableNode
from CCDNNSynthLib.Scene.UncertaintyVolume import uncertaintyOf
from CCDNNSynthLib.Scene.Watch import Watch
from CCDNNSynthLib.Views.Plots import canBeShown, chartNode, isInLayout, showChart, showInLayout

# Minimum time between updates of the plot; a dragged point moves with every mouse event.
INTERVAL_MS = 10

_NOTHING = Table("Line profile", (), ())
_NO_CHART = Chart("Line profiles", "", "", ())


@dataclass(frozen=True)
class _Chosen:
    """What is measured; when it changes, it is measured again."""

    parameters: str
    line: str
    volumes: tuple
    scaled: bool
    live: bool


class ProfilesPanel(Panel):
    def __init__(self, widget):
        """:param widget: loaded from Profiles.ui."""
        super().__init__(widget)
        self.profiles = None  # what the table and the plot show, a ccdnn.measure.profile.LineProfiles
        self._meter, self._chosen = ProfileMeter(), None
        self._shown = self._showing = False
        self._throttle = Delay(self.measure, INTERVAL_MS)
        self._watch, self._removals = Watch(self.onMoved), Watch(self.refreshSoon)
        # Connected manually: connectGui would offer all markups, because that is the parameter's type.
        self.ui.lineSelector.currentNodeChanged.connect(self.onLineChosen)
        self.ui.drawLineButton.clicked.connect(lambda: self.draw("vtkMRMLMarkupsLineNode", _("Profile line")))
        self.ui.drawCurveButton.clicked.connect(lambda: self.draw("vtkMRMLMarkupsCurveNode", _("Profile curve")))
        self.ui.updateButton.clicked.connect(self.measure)
        self.ui.plotButton.clicked.connect(self.onShowPlot)
        self.ui.csvButton.clicked.connect(self.onSave)
        self.refresh()

    def setParameterNode(self, parameterNode) -> None:
        self._throttle.stop()
        self.profiles, self._chosen = None, None
        self._shown = parameterNode is not None
        super().setParameterNode(parameterNode)

    def exit(self) -> None:
        """Called when the user leaves the module. From now on, only a plot that is still in the layout follows the line."""
        self._shown = False

    def close(self) -> None:
        self._throttle.stop()
        self._watch.close()
        self._removals.close()
        super().close()

    def refresh(self) -> None:
        """Show the choices, and measure again if they have changed."""
        node = self._parameterNode
        self._showing = True
        self.ui.lineSelector.setCurrentNode(node.profileLine if node is not None else None)
        self._showing = False
        line, volumes = (node.profileLine, profiledVolumes(node)) if node is not None else (None, {})
        uncertainty = uncertaintyOf(volumes.get(Image.SYNTHETIC))
        self._watch.watch(line, *volumes.values(), uncertainty)
        self._removals.watch(slicer.mrmlScene)
        if node is None:
            self._show(None)
            return
        shown = (*((image, volume.GetID()) for image, volume in volumes.items()), uncertainty and uncertainty.GetID())
        lineID = line.GetID() if line is not None else ""
        chosen = _Chosen(node.parameterNode.GetID(), lineID, shown, node.profileScaled, node.profileLive)
        if chosen != self._chosen:
            self._chosen = chosen
            self.measure()

    def draw(self, className: str, name: str) -> None:
        """Create a line or curve and let the user place its points."""
        line = slicer.mrmlScene.AddNewNodeByClass(className, slicer.mrmlScene.GenerateUniqueName(name))
        line.CreateDefaultDisplayNodes()
        self._parameterNode.profileLine = line
        logic = slicer.app.applicationLogic()
        logic.GetSelectionNode().SetReferenceActivePlaceNodeClassName(className)
        logic.GetSelectionNode().SetActivePlaceNodeID(line.GetID())
        logic.GetInteractionNode().SwitchToSinglePlaceMode()

    def measure(self) -> None:
        """Measure along the line and show table and plot. If that is not possible, clear them and show why."""
        self._throttle.stop()
        node = self._parameterNode
        if node is None:
            return
        self.profiles = None
        if node.profileLine is None:
            self._show(None, _("Draw a line across an edge, or choose one."))
            return
        try:
            self.profiles = self._meter.measure(profiledVolumes(node), node.profileLine)
        except InputError as error:
            self._show(None, str(error))
            return
        self._show(self.profiles)

    def onLineChosen(self, _node=None) -> None:
        if self._parameterNode is not None and not self._showing:
            self._parameterNode.profileLine = self.ui.lineSelector.currentNode()

    def onMoved(self) -> None:
        """Called when the line or a volume has changed since it was measured."""
        node = self._parameterNode
        if node is None or not (self._shown or isInLayout(node.profileChart)):
            return
        if not node.profileLive:
            self.ui.updateButton.enabled = True
        elif not self._throttle.active:
            self._throttle.start()

    def onShowPlot(self) -> None:
        if self._parameterNode is not None and self._parameterNode.profileChart is not None:
            showInLayout(self._parameterNode.profileChart)

    def onSave(self) -> None:
        path = chooseFile(_("Save line profiles"), "line-profile.csv") if self.profiles is not None else None
        if path is not None and self.profiles is not None:
            tables = {"": profile_table(self.profiles), "-samples": profile_values(self.profiles)}
            saveTables(self.ui.profilesLabel, path, tables)

    def _show(self, profiles, *sentences) -> None:
        node, ui = self._parameterNode, self.ui
        ui.drawLineButton.enabled = ui.drawCurveButton.enabled = ui.lineSelector.enabled = node is not None
        ui.updateButton.enabled = False
        ui.csvButton.enabled = profiles is not None
        ui.plotButton.enabled = profiles is not None and canBeShown()
        table = profile_table(profiles) if profiles is not None else _NOTHING
        if profiles is not None:
            showTable(tableNode(node, "profileTable", _("Line profile")), table)
            showChart(chartNode(node, "profileChart", _("Line profiles")), profile_chart(profiles, node.profileScaled))
        elif node is not None:
            # Clear the values of the previous line, which could be mistaken for this one's.
            if node.profileTable is not None:
                showTable(node.profileTable, table)
            if node.profileChart is not None:
                showChart(node.profileChart, _NO_CHART)
        ui.profilesTable.setMRMLTableNode(node.profileTable if node is not None else None)
        ui.profilesTable.visible = bool(table.rows)
        ui.profilesTable.resizeColumnsToContents()
        Messages.show(ui.profilesLabel, "note", *sentences, *table.notes)
