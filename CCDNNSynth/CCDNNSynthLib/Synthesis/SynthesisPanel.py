"""The section "Synthesis": model, device and output; preview, apply and cancel; progress, messages and the log."""

import time

import qt
import slicer
from slicer.i18n import tr as _

from ccdnn.errors import CcdnnError
from ccdnn.patient import DifferentPatients
from ccdnn.series import Role
from CCDNNSynthLib import Messages
from CCDNNSynthLib.Inputs.ModelChoices import bundledModels, cardAsHtml, chosenModel, modelFile, summary
from CCDNNSynthLib.Packages import PackagesMissing
from CCDNNSynthLib.Panel import Panel
from CCDNNSynthLib.Parameters import volumeOf
from CCDNNSynthLib.Scene.UncertaintyVolume import HiddenUncertainties, uncertaintyOf
from CCDNNSynthLib.Synthesis.DicomExport import exportResult, isResult, lastResult
from CCDNNSynthLib.Synthesis.PreviewSlice import isPreview
from CCDNNSynthLib.Synthesis.Run import Job
from CCDNNSynthLib.Views.SliceViews import sliceInView


class SynthesisPanel(Panel):
    def __init__(self, widget, logic, requirementsPath: str, inputs, onRunning):
        """
        :param widget: loaded from Synthesis.ui.
        :param logic: `CCDNNSynthLogic`, which runs the jobs.
        :param requirementsPath: requirements.txt of the worker.
        :param inputs: the section "Inputs", which knows the acquisitions and the patients of the chosen volumes.
        :param onRunning: called with True when a run starts and with False when it ends.
        """
        super().__init__(widget)
        self._logic, self._requirementsPath, self._inputs, self._onRunning = logic, requirementsPath, inputs, onRunning
        self._started = 0.0
        self._models: list[str] = []
        self._hidden = HiddenUncertainties(self.ui.outputSelector)
        self.ui.modelSelector.currentIndexChanged.connect(self.onModelChosen)
        self.ui.modelFileButton.clicked.connect(self.onModelFile)
        self.ui.cardButton.toggled.connect(self.onCardToggled)
        self.ui.applyButton.clicked.connect(self.onApply)
        self.ui.previewButton.clicked.connect(self.onPreview)
        self.ui.exportButton.clicked.connect(self.onExport)
        self.ui.copyLogButton.clicked.connect(self.onCopyLog)
        self._showRunning(False)
        self._tell("note")

    def close(self) -> None:
        self._hidden.close()
        super().close()

    def refresh(self) -> None:
        """Update the model, its card and the buttons."""
        if self._parameterNode is None:
            self.ui.applyButton.enabled = self.ui.previewButton.enabled = self.ui.exportButton.enabled = False
            return
        self._showModels()
        running = self._logic.running
        ready = all(volumeOf(self._parameterNode, role) is not None for role in self._requiredRoles())
        self.ui.applyButton.enabled = ready or running
        self.ui.previewButton.enabled = ready and not running
        result = self._exported()
        self.ui.exportButton.enabled = result is not None and not running
        self.ui.exportButton.toolTip = (
            _("Write {volume} as DICOM files marked as synthetic.").format(volume=Messages.escaped(result.GetName()))
            if result is not None
            else _("Compute a synthetic STIR first.")
        )
        if not running:
            self.ui.applyButton.toolTip = (
                _("Compute the synthetic STIR.") if ready else _("Choose the input volumes first, manually or with Detect.")
            )

    def onModelChosen(self) -> None:
        index = self.ui.modelSelector.currentIndex
        if self._parameterNode is not None and 0 <= index < len(self._models):
            self._parameterNode.model = self._models[index]

    def onModelFile(self) -> None:
        path = qt.QFileDialog.getOpenFileName(None, _("Model file"), "", _("CC-DNN models (*.safetensors)"))
        if not path:
            return
        try:
            modelFile(path).card()
        except CcdnnError as error:
            self._tell("error", str(error))
            return
        self._parameterNode.model = str(path)

    def onCardToggled(self) -> None:
        self._showCard()

    def onExport(self) -> None:
        node = self._exported()
        parent = qt.QFileDialog.getExistingDirectory(None, _("Choose where to create the folder of the DICOM series"))
        if node is None or not parent:
            return
        try:
            folder, exported, hasSource = self._export(node, parent)
        except CcdnnError as error:
            self._tell("error", str(error))
            return
        except ImportError as error:
            self._tell("error", _("DICOM export needs the Python package {package}.").format(package=error.name))
            return
        written = _("{count} DICOM files were written to {folder}.").format(count=len(exported.files), folder=folder)
        alone = _("The inputs are not in the DICOM database, so the series has its own study and an anonymous patient.")
        self._tell("warning" if exported.changes else "done", written, "" if hasSource else alone, *exported.changes)

    @staticmethod
    def _export(node, parent) -> tuple:
        try:
            with slicer.util.WaitCursor():
                return exportResult(node, parent)
        except DifferentPatients as error:
            if not slicer.util.confirmYesNoDisplay(_("{problem}\n\nExport anyway?").format(problem=error)):
                raise
        with slicer.util.WaitCursor():
            return exportResult(node, parent, force=True)

    def onCopyLog(self) -> None:
        slicer.app.clipboard().setText(self.ui.logText.plainText)

    def onApply(self) -> None:
        if self._logic.running:
            self.ui.applyButton.enabled = False
            self._tell("note", _("Stopping…"))
            self._logic.cancel()
        else:
            self._start(preview=False)

    def onPreview(self) -> None:
        self._start(preview=True)

    def onEnd(self, outcome) -> None:
        """Called when a run has ended, see `CCDNNSynthLib.Synthesis.Run.Outcome`."""
        self._showRunning(False)
        if outcome.node is None:
            kind = "note" if outcome.cancelled else "error"
            self._tell(kind, outcome.text)
            self._log(kind, outcome.text)
            return
        if self._parameterNode is not None and not isPreview(outcome.node):
            self._parameterNode.syntheticVolume = outcome.node
        for reason in outcome.result["reasons"]:
            self._log("info", reason)
        done = _("{name} was computed in {seconds:.1f} s. It is synthetic, not acquired; research use only.").format(
            name=outcome.node.GetName(), seconds=time.monotonic() - self._started
        )
        self._log("info", done)
        trust = _("Its uncertainty can be shown over it in Review.") if uncertaintyOf(outcome.node) is not None else ""
        self._tell("warning" if outcome.result["warnings"] else "done", *outcome.result["warnings"], done, trust)

    def onProgress(self, done: int, total: int) -> None:
        bar = self.ui.progressBar
        bar.maximum, bar.value = total, done
        now = time.monotonic()
        if done == 0:
            self._networkStarted = now
            self._tell("note", _("Computing {total} slices…").format(total=total))
        else:
            left = (now - self._networkStarted) / done * (total - done)
            self._tell("note", _("Slice {done} of {total}, {left} left").format(done=done, total=total, left=_duration(left)))

    def onLog(self, level: str, text: str) -> None:
        self._log(level, text)

    def _start(self, preview: bool) -> None:
        self.ui.logText.clear()
        try:
            job = self._job(preview)
            self._logic.ensurePackages(self._requirementsPath, self._parameterNode.device)
            self._logic.start(job, self)
        except (CcdnnError, PackagesMissing) as error:
            self._tell("error", str(error))
            self._log("error", str(error))
            return
        self._started = time.monotonic()
        self._showRunning(True)
        self._tell("note", _("Preparing…") if self._logic.worker.running else _("Starting the worker…"))

    def _job(self, preview: bool) -> Job:
        model = chosenModel(self._parameterNode.model)
        card = model.card()
        inputs = {Role(role): volumeOf(self._parameterNode, Role(role)) for role in card.roles}
        # Leave out optional inputs that are not chosen. The job reports required ones that are missing.
        inputs = {role: node for role, node in inputs.items() if node is not None or role.value in card.required}
        job = Job(
            inputs,
            output=None if preview else self._parameterNode.outputVolume,
            acquired=self._parameterNode.stirVolume,
            model=model.request,
            device=self._parameterNode.device.value,
            acquisitions=self._inputs.acquisitions(),
            patients=self._inputs.patients(),
            uncertainty=card.uncertainty is not None,
        )
        try:
            job.check()
        except DifferentPatients as error:
            if not slicer.util.confirmYesNoDisplay(_("{problem}\n\nCompute anyway?").format(problem=error)):
                raise
            job = job.forced()
        return job.forSlice(sliceInView(job.reference)) if preview else job

    def _exported(self):
        """The volume that Export writes: the chosen output if it is a result, else the newest result."""
        output = self._parameterNode.outputVolume if self._parameterNode is not None else None
        return output if output is not None and isResult(output) else lastResult()

    def _requiredRoles(self) -> list:
        try:
            return [Role(role) for role in chosenModel(self._parameterNode.model).card().required]
        except CcdnnError:
            return [Role.T1, Role.T2, Role.GRE]

    def _showModels(self) -> None:
        """List the bundled models and the chosen model file, if any."""
        chosen = self._parameterNode.model
        listed = [(choice.value, choice.title) for choice in bundledModels()]
        if chosen not in [value for value, _title in listed]:
            listed.append((chosen, modelFile(chosen).title if chosen else _("No bundled model: choose a file")))
        selector = self.ui.modelSelector
        blocked = selector.blockSignals(True)
        if self._models != [value for value, _title in listed]:
            self._models = [value for value, _title in listed]
            selector.clear()
            for _value, title in listed:
                selector.addItem(title)
        selector.currentIndex = self._models.index(chosen)
        selector.blockSignals(blocked)
        self._showCard()

    def _showCard(self) -> None:
        if self._parameterNode is None:
            return
        try:
            card = chosenModel(self._parameterNode.model).card()
        except CcdnnError as error:
            Messages.showPlain(self.ui.cardLabel, str(error))
            return
        if self.ui.cardButton.checked:
            self.ui.cardLabel.textFormat = qt.Qt.RichText
            self.ui.cardLabel.text = cardAsHtml(card)
        else:
            Messages.showPlain(self.ui.cardLabel, summary(card))

    def _showRunning(self, running: bool) -> None:
        self.ui.applyButton.text = _("Cancel") if running else _("Apply")
        self.ui.applyButton.toolTip = _("Stop without changing the scene.") if running else _("Compute the synthetic STIR.")
        for name in ("modelSelector", "modelFileButton", "deviceSelector", "outputSelector"):
            getattr(self.ui, name).enabled = not running
        self.ui.progressBar.visible = running
        # The length is not known yet: show a busy indicator.
        self.ui.progressBar.maximum = 0
        self._onRunning(running)
        self.refresh()

    def _tell(self, kind: str, *sentences) -> None:
        Messages.show(self.ui.statusLabel, kind, *sentences)

    def _log(self, level: str, text: str) -> None:
        self.ui.logText.appendPlainText(f"{time.strftime('%H:%M:%S')} {level}: {text}")


def _duration(seconds: float) -> str:
    if seconds < 60:
        return _("about {count} s").format(count=max(1, round(seconds)))
    return _("about {count} min").format(count=max(1, round(seconds / 60)))
