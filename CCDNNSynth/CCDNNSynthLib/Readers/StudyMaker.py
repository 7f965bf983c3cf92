"""The coordinator's part of the section "Reader study": makes the readers' folder and the key from a list of cases."""

from pathlib import Path

import qt
from slicer.i18n import tr as _

from ccdnn.errors import CcdnnError
from ccdnn.readers.manifest import read_manifest
from ccdnn.readers.study import creating_study
from CCDNNSynthLib import Messages


class StudyMaker:
    """Writes one file per turn of the application's event loop, so that the application stays responsive."""

    def __init__(self, ui):
        """:param ui: widgets of ReaderStudy.ui."""
        self._ui, self._steps, self._done = ui, None, ""
        self._timer = qt.QTimer()
        self._timer.interval = 0
        self._timer.timeout.connect(self._step)
        ui.makeButton.clicked.connect(self.onMake)
        ui.cancelButton.clicked.connect(self.onCancel)
        Messages.show(ui.makingLabel, "note")
        self._end()

    def onMake(self) -> None:
        """Ask for the list, the folder and the key, and start."""
        manifest = qt.QFileDialog.getOpenFileName(None, _("List of cases and methods"), "", _("Tables (*.csv)"))
        if not manifest:
            return
        place = Path(manifest).parent
        folder = qt.QFileDialog.getSaveFileName(None, _("Folder to create for the readers"), str(place / "readers"))
        if not folder:
            return
        title = _("Key file to create (do not give it to the readers)")
        key = qt.QFileDialog.getSaveFileName(None, title, str(place / "key.json"), _("Keys (*.json)"))
        if key:
            self._begin(Path(manifest), Path(folder), Path(key))

    def onCancel(self) -> None:
        self._end()
        Messages.show(self._ui.makingLabel, "note", _("Cancelled. The unfinished study was deleted."))

    def close(self) -> None:
        """Stop, and delete an unfinished study."""
        self._end()

    def _begin(self, manifest: Path, folder: Path, key: Path) -> None:
        try:
            self._steps = creating_study(read_manifest(manifest), folder, key)
        except CcdnnError as error:
            Messages.show(self._ui.makingLabel, "error", str(error))
            return
        self._done = _("The readers' folder is {folder}. Keep the key {key}: the methods cannot be identified without it.").format(
            folder=folder, key=key
        )
        Messages.show(self._ui.makingLabel, "note")
        self._ui.makingBar.maximum = 0
        self._showRunning(True)
        self._timer.start()

    def _step(self) -> None:
        try:
            done, total = next(self._steps)
        except StopIteration:
            self._end()
            Messages.show(self._ui.makingLabel, "done", self._done)
        except CcdnnError as error:
            self._end()
            Messages.show(self._ui.makingLabel, "error", str(error))
        except ImportError:
            self._end()
            missing = _("Making a study requires SimpleITK, which this Slicer lacks; use the command `ccdnn reader-study`.")
            Messages.show(self._ui.makingLabel, "error", missing)
        else:
            self._ui.makingBar.maximum, self._ui.makingBar.value = total, done

    def _end(self) -> None:
        self._timer.stop()
        if self._steps is not None:
            self._steps.close()
            self._steps = None
        self._showRunning(False)

    def _showRunning(self, running: bool) -> None:
        self._ui.makeButton.enabled = not running
        self._ui.cancelButton.visible = self._ui.makingBar.visible = running
