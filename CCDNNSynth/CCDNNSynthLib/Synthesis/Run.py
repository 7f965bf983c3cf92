"""One synthesis run, from the input nodes to the result node. However it ends, it leaves the scene in a consistent state.

voxels are written to files, one block per turn of the event loop → the worker computes and finished slices appear → the result is
added to the scene
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ccdnn.acquisition import Acquisition
from ccdnn.errors import InputError
from ccdnn.patient import Patient, require_one_patient
from ccdnn.series import Role
from ccdnn.worker.messages import ModelChoice, Synthesize
from CCDNNSynthLib.Scene import Result
from CCDNNSynthLib.Scene.SceneVolumes import gridOf, voxelsOf
from CCDNNSynthLib.Scene.UncertaintyVolume import fileUncertainty, isUncertainty, removeUncertainty
from CCDNNSynthLib.Synthesis.LiveVolume import LiveVolume
from CCDNNSynthLib.Synthesis.PreviewSlice import addPreview, isPreview, removePreviews
from CCDNNSynthLib.Synthesis.Staging import Staging
from CCDNNSynthLib.Synthesis.WorkerClient import WorkerUnavailable


@dataclass(frozen=True)
class Job:
    """What to compute.

    inputs - role → volume node, for each role that the model requires and the optional ones that are chosen. The result has the
             grid of the first.
    output - the volume node to overwrite; None creates a new one.
    acquired - the acquired STIR's volume node, if any.
    acquisitions - role → how it was acquired, as far as known.
    patients - role → patient, as far as known.
    force - compute even if the inputs are of different patients.
    uncertainty - whether the model estimates its error; a complete result then gets an uncertainty.
    slice - index of the one slice to preview; None computes all.
    """

    inputs: dict
    output: Any = None
    acquired: Any = None
    model: ModelChoice = field(default_factory=ModelChoice)
    device: str = "auto"
    acquisitions: dict = field(default_factory=dict)
    patients: dict = field(default_factory=dict)
    force: bool = False
    uncertainty: bool = False
    slice: int | None = None

    @property
    def reference(self):
        return next(iter(self.inputs.values()))

    def forced(self) -> "Job":
        """The same job, even if the inputs are of different patients."""
        return replace(self, force=True)

    def forSlice(self, index: int) -> "Job":
        """The same job for a single slice."""
        return replace(self, slice=index)

    def check(self) -> None:
        """Check that the job can be computed, before anything is done.

        Raises InputError with a message for the user; its subclass DifferentPatients if `force` would help.
        """
        for role, node in self.inputs.items():
            if node is None:
                raise InputError(_("Choose a {role} volume first.").format(role=role.label))
        for node in (*self.inputs.values(), self.acquired, self.output):
            if node is not None and isPreview(node):
                raise InputError(
                    _("{volume} is a preview, which the end of a run removes; choose another volume.").format(volume=node.GetName())
                )
        for node in (*self.inputs.values(), self.acquired, self.output):
            if node is not None and isUncertainty(node):
                raise InputError(
                    _("{volume} is the uncertainty of a synthetic STIR, not an image; choose another volume.").format(
                        volume=node.GetName()
                    )
                )
        for role, node in [*self.inputs.items(), (Role.STIR, self.acquired)]:
            if self.output is not None and node is self.output:
                raise InputError(
                    _("{volume} is the {role} input; choose another output volume.").format(volume=node.GetName(), role=role.label)
                )
        for node in self.inputs.values():
            voxelsOf(node)
            gridOf(node, self.reference)
        if not self.force:
            known = [role for role in self.inputs if role in self.patients]
            require_one_patient([_Named(self.inputs[role].GetName(), self.patients[role]) for role in known])


@dataclass(frozen=True)
class _Named:
    name: str
    patient: Patient


@dataclass(frozen=True)
class Outcome:
    """How a run ended: `node` is the result, or None with the reason in `text`; `result` is the worker's event."""

    node: Any = None
    text: str = ""
    cancelled: bool = False
    result: dict = field(default_factory=dict)
    kind: str = ""


class Run:
    def __init__(self, worker, job: Job, onEnd: Callable, onProgress: Callable, onLog: Callable):
        """
        :param worker: an idle `WorkerClient`.
        :param onEnd: called once with the `Outcome`, when the scene and the worker are ready for the next run.
        :param onProgress: called with (slices done, total slices).
        :param onLog: called with (level, sentence), see `ccdnn.worker.messages`.
        Raises InputError if the job cannot be computed; nothing is changed then.
        """
        job.check()
        self._worker, self._job = worker, job
        self._onEnd, self._onProgress, self._onLog = onEnd, onProgress, onLog
        self._shape = tuple(reversed(job.reference.GetImageData().GetDimensions()))
        self._live: LiveVolume | None = None
        self._submitted, self.ended = False, False
        self._watched = {node.GetID(): node.GetName() for node in (*job.inputs.values(), job.output, job.acquired) if node}
        scene = slicer.mrmlScene
        self._observations = [
            scene.AddObserver(scene.NodeRemovedEvent, self._onNodeRemoved),
            scene.AddObserver(scene.StartCloseEvent, self._onSceneClose),
        ]
        self._staging = Staging()
        self._steps = self._prepare()
        self._timer = qt.QTimer()
        self._timer.timeout.connect(self._step)
        self._timer.start(0)

    def cancel(self) -> None:
        """Stop the run; `onEnd` is called at once or when the worker has answered."""
        if self._submitted:
            self._worker.cancel()
        else:
            self._end(Outcome(text=_("The run was cancelled."), cancelled=True))

    def abandon(self, sentence: str) -> None:
        """Stop without waiting for the worker, whose answer would come too late."""
        if self._submitted and not self.ended:
            self._worker.stop()
        self._end(Outcome(text=sentence))

    def _step(self) -> None:
        try:
            next(self._steps)
        except StopIteration:
            self._timer.stop()
        except (InputError, WorkerUnavailable) as error:
            self._end(Outcome(text=str(error)))
        except OSError as error:
            self._end(Outcome(text=_("The volumes cannot be written for the worker: {reason}.").format(reason=error.strerror)))
        except Exception as error:
            self._endByBug(error)

    def _prepare(self):
        """Generator that prepares the run, one step per turn of the event loop, and sends the request to the worker."""
        job, arrays = self._job, {}
        for role, node in job.inputs.items():
            acquisition, patient = job.acquisitions.get(role) or Acquisition(), job.patients.get(role) or Patient()
            arrays[role] = yield from self._staging.write(role, node, job.reference, acquisition, patient)
        if job.slice is None:
            shown = [node for node in (*job.inputs.values(), job.acquired, job.output) if node is not None]
            self._live = LiveVolume(job.reference, shown, lambda index: self._staging.slice(self._shape, index))
            self._watched[self._live.node.GetID()] = self._live.node.GetName()
        self._worker.submit(
            lambda requestID: Synthesize(
                requestID,
                arrays,
                self._staging.output,
                next(iter(arrays)),
                job.model,
                job.device,
                force=job.force,
                slices=None if job.slice is None else (job.slice, job.slice + 1),
                uncertainty=self._staging.uncertainty if job.uncertainty and job.slice is None else None,
            ),
            self._onEvent,
            lambda sentence: self._end(Outcome(text=sentence)),
        )
        self._submitted = True

    def _onEvent(self, event: dict) -> None:
        try:
            self._follow(event)
        except Exception as error:
            self._endByBug(error)

    def _follow(self, event: dict) -> None:
        kind = event["event"]
        if kind == "log":
            self._onLog(event["level"], event["text"])
        elif kind == "progress":
            self._onProgress(event["done"], event["total"])
        elif kind == "slice" and self._live is not None:
            self._live.sliceFinished(event["index"])
        elif kind == "result":
            self._end(Outcome(node=self._file(event), result=event))
        elif kind == "cancelled":
            self._end(Outcome(text=event["text"], cancelled=True))
        elif kind == "error":
            self._end(Outcome(text=event["text"], kind=event["kind"]))

    def _file(self, event: dict):
        """Add the result to the scene; returns its node."""
        job = self._job
        if job.slice is not None:
            node = addPreview(job.reference, job.slice, self._staging.slice(self._shape, job.slice))
            Result.fileResult(node, event["header"], job.inputs)
            return node
        # Read it first: if that fails, the scene is as it was.
        told = event.get("uncertainty")
        uncertainty = (self._staging.wholeUncertainty(self._shape), told["header"]) if told else None
        removePreviews()
        assert self._live is not None
        self._live.complete()
        node = self._live.node
        if job.output is None:
            node.SetName(slicer.mrmlScene.GenerateUniqueName(Result.resultName(event["header"])))
            node.SetSaveWithScene(True)
        else:
            node = Result.replaceVoxels(job.output, self._live.node)
            self._live.showInstead(node)
            self._watched = {}
            self._live.discard()
        Result.fileResult(node, event["header"], job.inputs)
        Result.showLike(node, job.acquired)
        if uncertainty is not None:
            fileUncertainty(node, *uncertainty)
        else:
            removeUncertainty(node)
        self._live = None
        return node

    def _onNodeRemoved(self, caller, event) -> None:
        gone = next((name for nodeID, name in self._watched.items() if slicer.mrmlScene.GetNodeByID(nodeID) is None), None)
        if gone is not None:
            self.abandon(_("{volume} was removed from the scene, so the run was stopped.").format(volume=gone))

    def _onSceneClose(self, caller, event) -> None:
        self.abandon(_("The scene was closed, so the run was stopped."))

    def _endByBug(self, error: Exception) -> None:
        """End the run after an unexpected error, so that the panel does not stay busy nor the scene changed."""
        logging.exception("CCDNNSynth: the run failed")
        self.abandon(_("The run failed because of a program error ({error}); see the application log.").format(error=error))

    def _end(self, outcome: Outcome) -> None:
        if self.ended:
            return
        self._timer.stop()
        self._steps.close()
        for tag in self._observations:
            slicer.mrmlScene.RemoveObserver(tag)
        if self._live is not None:
            self._live.discard()
            self._live = None
        self._staging.close()
        self.ended = True
        self._onEnd(outcome)
