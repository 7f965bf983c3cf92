"""Slicer module that computes a synthetic STIR volume from three MR volumes of a knee. The implementation is in CCDNNSynthLib."""

import unittest
from pathlib import Path

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


class CCDNNSynth(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("CC-DNN Synthetic STIR")
        self.parent.categories = ["Image Synthesis"]
        self.parent.dependencies = []
        self.parent.contributors = ["CCDNNSynth contributors"]
        self.parent.helpText = _("""
<p>Computes a synthetic STIR (short tau inversion recovery) volume of the knee from a T1-weighted, a T2-weighted and a gradient-echo
volume with the CC-DNN convolutional network.</p>
<p>Choose the three volumes (or press Detect), then press Apply. The result is computed, not acquired. For research use only,
not for diagnosis.</p>
""")
        self.parent.acknowledgementText = _("""
<p>The method was published by Kim, Jang, Jang, Lee and Hwang: Deep-learned short tau inversion recovery imaging using
multi-contrast MR images, Magnetic Resonance in Medicine, 2020, doi:10.1002/mrm.28327.</p>
""")
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerSampleData():
    """Add the bundled study to the Sample Data module."""
    from CCDNNSynthLib.Inputs.SampleStudy import registerSampleStudy

    registerSampleStudy()


class CCDNNSynthWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._guiTags = []

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        from CCDNNSynthLib.Inputs.InputsPanel import InputsPanel
        from CCDNNSynthLib.Measure.CnrPanel import CnrPanel
        from CCDNNSynthLib.Measure.ProfilesPanel import ProfilesPanel
        from CCDNNSynthLib.Measure.SimilarityPanel import SimilarityPanel
        from CCDNNSynthLib.Readers.ReaderStudyPanel import ReaderStudyPanel
        from CCDNNSynthLib.Report.ReportPanel import ReportPanel
        from CCDNNSynthLib.Review.ReviewPanel import ReviewPanel
        from CCDNNSynthLib.Synthesis.SynthesisPanel import SynthesisPanel

        self.logic = CCDNNSynthLogic()
        self.inputs = InputsPanel(self._section("Inputs"))
        self.synthesis = SynthesisPanel(
            self._section("Synthesis"), self.logic, self.resourcePath("requirements.txt"), self.inputs, self.onRunning
        )
        self.review = ReviewPanel(self._section("Review"))
        self.cnr = CnrPanel(self._section("Cnr"))
        self.lineProfiles = ProfilesPanel(self._section("Profiles"))
        self.similarity = SimilarityPanel(self._section("Similarity"))
        self.report = ReportPanel(self._section("Report"), self.inputs.acquisitions, lambda: self.lineProfiles.profiles)
        self.readerStudy = ReaderStudyPanel(self._section("ReaderStudy"))
        # From top to bottom. Each panel shows and edits the parameter node, and refreshes when the node changes.
        measuring = (self.cnr, self.lineProfiles, self.similarity, self.report)
        self.panels = (self.inputs, self.synthesis, self.review, *measuring, self.readerStudy)
        self.layout.addStretch(1)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeAboutToBeRemovedEvent, self.onNodeAboutToBeRemoved)
        self.initializeParameterNode()

    def _section(self, name):
        """Load Resources/UI/`name`.ui and add it below the others; returns the widget."""
        widget = slicer.util.loadUI(self.resourcePath(f"UI/{name}.ui"))
        self.layout.addWidget(widget)
        widget.setMRMLScene(slicer.mrmlScene)
        return widget

    def cleanup(self):
        """Called when the module is reloaded and when the application closes."""
        self.logic.close()
        self.setParameterNode(None)
        for panel in self.panels:
            panel.close()
        self.removeObservers()

    def enter(self):
        self.initializeParameterNode()

    def exit(self):
        """Stop following the parameter node while another module is shown, to save time. A run continues."""
        self._disconnect()
        for panel in self.panels:
            panel.exit()

    def onSceneStartClose(self, caller, event):
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        if self.parent.isEntered:
            self.initializeParameterNode()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAboutToBeRemoved(self, caller, event, node):
        """Clear the parameters that refer to the removed node. Slicer's selectors would otherwise select the next node, so that an
        acquired volume could be mistaken for a synthetic one."""
        if self._parameterNode is not None:
            for name in self._parameterNode.allParameters:
                if getattr(self._parameterNode, name) is node:
                    setattr(self._parameterNode, name, None)

    def onRunning(self, running):
        self.inputs.setEnabled(not running)

    def initializeParameterNode(self):
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, parameterNode):
        """Show and observe `parameterNode`, a CCDNNSynthParameterNode or None, instead of the previous one."""
        self._disconnect()
        self._parameterNode = parameterNode
        for panel in self.panels:
            panel.setParameterNode(parameterNode)
        if parameterNode is not None:
            self._guiTags = [parameterNode.connectGui(panel.ui) for panel in self.panels]
            self.addObserver(parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParameterNodeModified)

    def onParameterNodeModified(self, caller=None, event=None):
        for panel in self.panels:
            panel.refreshSoon()

    def _disconnect(self):
        if self._parameterNode is not None and self._guiTags:
            for tag in self._guiTags:
                self._parameterNode.disconnectGui(tag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParameterNodeModified)
        self._guiTags = []


class CCDNNSynthLogic(ScriptedLoadableModuleLogic):
    """Runs jobs one at a time in a worker process that stays alive between jobs. Does not need a widget.

    Jobs and their outcomes are defined in `CCDNNSynthLib.Synthesis.Run`. The listener of a run has onProgress(done, total),
    onLog(level, text) and onEnd(outcome).
    """

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        from CCDNNSynthLib.Packages import ensurePackages
        from CCDNNSynthLib.Synthesis.WorkerClient import WorkerClient

        self.worker = WorkerClient(onLog=self._onWorkerLog)
        self.ensurePackages = ensurePackages
        self._run, self._listener = None, None

    def getParameterNode(self):
        from CCDNNSynthLib.Parameters import CCDNNSynthParameterNode

        return CCDNNSynthParameterNode(super().getParameterNode())

    @property
    def running(self):
        return self._run is not None

    def process(
        self,
        t1Volume,
        t2Volume,
        greVolume=None,
        model="",
        device="auto",
        outputVolume=None,
        acquiredVolume=None,
        force=False,
        onProgress=lambda done, total: None,
    ):
        """Compute the synthetic STIR of three volumes, and return its volume node once it is complete.

        For scripts and other modules. The application stays alive meanwhile, but does not react to the user, who cannot start
        another run. The result is shown as after Apply. Its attributes `CCDNN_…` state that it is synthetic, from which inputs and
        by which model. If the model estimates its error, `GetNodeReference("CCDNN_uncertainty")` of the result is a volume with
        half the width of the 95 % interval at every voxel. Warnings are written to the application log.

        :param t1Volume, t2Volume, greVolume: scalar volume nodes; None for one that the model does not need. The result has the
            grid of the first.
        :param model: id of a bundled model or path of a model file; empty for the default model.
        :param device: "auto", "cpu", "cuda" or "mps".
        :param outputVolume: the volume node to overwrite; None creates a new one.
        :param acquiredVolume: the acquired STIR, with whose window the result is shown.
        :param force: compute even if the volumes are of different patients.
        :param onProgress: called with (slices done, slices).

        Raises ccdnn.errors.CcdnnError if it cannot be computed, with a message for the user, and
        CCDNNSynthLib.Packages.PackagesMissing if a package is missing and was not installed. The scene is then as it was before.

        Example::

            from CCDNNSynth import CCDNNSynthLogic

            logic = CCDNNSynthLogic()
            for name in ("knee 1", "knee 2"):
                t1, t2, gre = (slicer.util.getNode(f"{name} {contrast}") for contrast in ("T1", "T2", "GRE"))
                stir = logic.process(t1, t2, gre)
                slicer.util.saveNode(stir, f"/tmp/{name} synthetic STIR.nrrd")
            logic.close()  # ends the worker process, which keeps the model between the runs
        """
        from ccdnn.errors import InputError
        from ccdnn.series import Role
        from CCDNNSynthLib.Parameters import Device
        from CCDNNSynthLib.Synthesis.Blocking import finished, jobOf

        if self.running:
            raise InputError(_("A run is in progress; wait for its end."))
        volumes = {Role.T1: t1Volume, Role.T2: t2Volume, Role.GRE: greVolume}
        job = jobOf(volumes, outputVolume, acquiredVolume, model, device, force)
        job.check()
        self.ensurePackages(str(Path(__file__).parent / "Resources" / "requirements.txt"), Device(device))
        return finished(self, job, onProgress)

    def start(self, job, listener):
        """Start a run. Raises ccdnn.errors.InputError if the job cannot be computed."""
        from CCDNNSynthLib.Synthesis.Run import Run

        if self.running:
            raise RuntimeError("A run is in progress.")
        self._listener = listener
        self._run = Run(self.worker, job, self._onEnd, listener.onProgress, listener.onLog)

    def cancel(self):
        """Stop the run in progress; the listener's onEnd is called afterwards."""
        if self.running:
            self._run.cancel()

    def close(self):
        """Stop the run in progress, if any, and end the worker."""
        if self.running:
            self._run.abandon(_("The module was closed, so the run was stopped."))
        self.worker.stop()

    def _onEnd(self, outcome):
        listener, self._listener, self._run = self._listener, None, None
        listener.onEnd(outcome)

    def _onWorkerLog(self, text):
        if self._listener is not None:
            self._listener.onLog("info", text)


class CCDNNSynthTest(ScriptedLoadableModuleTest):
    """Tests the panel as a user operates it. Runs in Slicer (Reload and Test, ctest) and in the project's test host."""

    def setUp(self):
        slicer.mrmlScene.Clear()
        slicer.modules.ccdnnsynth.widgetRepresentation()  # creates the panel if it was not opened yet
        self.widget = slicer.modules.CCDNNSynthWidget
        self.widget.enter()
        self.widget.inputs.onSampleLink()

    def runTest(self):
        for name in unittest.defaultTestLoader.getTestCaseNames(type(self)):
            self.delayDisplay(name)
            self.setUp()
            getattr(self, name)()

    def test_detectChoosesTheSampleVolumes(self):
        node = self.widget.logic.getParameterNode()
        expected = [node.t1Volume, node.t2Volume, node.greVolume, node.stirVolume]
        self.assertNotIn(None, expected)
        node.t1Volume = node.t2Volume = node.greVolume = node.stirVolume = None
        self.widget.inputs.onDetect()
        self.assertEqual([node.t1Volume, node.t2Volume, node.greVolume, node.stirVolume], expected)

    def test_outputThatIsAnInputIsRefused(self):
        node = self.widget.logic.getParameterNode()
        node.outputVolume = node.t2Volume
        before = slicer.util.arrayFromVolume(node.t2Volume).copy()
        self.widget.synthesis.onApply()
        self.assertFalse(self.widget.logic.running)
        self.assertTrue((slicer.util.arrayFromVolume(node.t2Volume) == before).all())
        self.assertNotEqual(self.widget.synthesis.ui.statusLabel.text, "")
