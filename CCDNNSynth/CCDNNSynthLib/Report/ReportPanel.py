"""The section "Report": writes a folder with a page of volumes, pictures, tables and plots, and the tables as CSV."""

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from ccdnn.errors import CcdnnError
from ccdnn.report.write import write_report
from ccdnn.writing import new_folder
from CCDNNSynthLib import Messages
from CCDNNSynthLib.Panel import Panel
from CCDNNSynthLib.Report.ReportContent import measuredNodes, reportOf, volumesOfReport

FOLDER_NAME = "STIR-report"


class ReportPanel(Panel):
    def __init__(self, widget, acquisitions, profiles):
        """
        :param widget: loaded from Report.ui.
        :param acquisitions: returns role → how the chosen input was acquired.
        :param profiles: returns the line profiles that are shown, a ccdnn.measure.profile.LineProfiles or None.
        """
        super().__init__(widget)
        self._acquisitions, self._profiles, self._page = acquisitions, profiles, None
        self.ui.reportButton.clicked.connect(self.onWrite)
        self.ui.openLabel.linkActivated.connect(self.onOpen)
        self._showPage(None)
        Messages.show(self.ui.reportLabel, "note")
        self.refresh()

    def setParameterNode(self, parameterNode) -> None:
        if parameterNode is None:
            # The next scene may be another patient's, so this choice must not be kept.
            self._forget()
        super().setParameterNode(parameterNode)

    def exit(self) -> None:
        self.ui.identityBox.checked = False

    def refresh(self) -> None:
        """Show what a report would contain."""
        node = self._parameterNode
        volumes = volumesOfReport(node) if node is not None else {}
        self.ui.reportButton.enabled = bool(volumes)
        measured = measuredNodes(node) if node is not None else {}
        content = _("Choose volumes first.")
        if volumes:
            content = _("Volumes: {volumes}. Measured: {measured}.").format(
                volumes=", ".join(volumes), measured=", ".join(measured) or _("nothing yet")
            )
        Messages.showPlain(self.ui.contentLabel, content)

    def onWrite(self) -> None:
        parent = qt.QFileDialog.getExistingDirectory(None, _("Choose where to create the folder of the report"))
        if not parent or self._parameterNode is None:
            return
        self._showPage(None)
        try:
            with slicer.util.WaitCursor():
                report = reportOf(self._parameterNode, self._acquisitions(), self._profiles(), self.ui.identityBox.checked)
                page = write_report(new_folder(Path(parent), FOLDER_NAME), report)
        except CcdnnError as error:
            Messages.show(self.ui.reportLabel, "error", str(error))
            return
        identity = _("It names the patient.") if report.identity else _("It does not name the patient.")
        Messages.show(self.ui.reportLabel, "done", _("Written: {folder}.").format(folder=page.parent), identity)
        self._showPage(page)

    def onOpen(self, _link: str = "") -> None:
        if not qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self._page))):
            Messages.show(self.ui.reportLabel, "warning", _("No browser opened; open {page} manually.").format(page=self._page))

    def _forget(self) -> None:
        self.ui.identityBox.checked = False
        self._showPage(None)
        Messages.show(self.ui.reportLabel, "note")

    def _showPage(self, page) -> None:
        self._page = page
        self.ui.openLabel.visible = page is not None
