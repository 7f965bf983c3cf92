"""A run that a script or another module waits for, see `CCDNNSynthLogic.process`."""

import logging
from collections.abc import Callable

import qt
from slicer.i18n import tr as _

from ccdnn.errors import Cancelled, CcdnnError, InputError, ModelError
from ccdnn.model.catalog import list_models
from ccdnn.series import Role
from ccdnn.worker.messages import ERROR_KINDS
from CCDNNSynthLib.Inputs.Detection import describe
from CCDNNSynthLib.Inputs.ModelChoices import chosenModel
from CCDNNSynthLib.Parameters import Device
from CCDNNSynthLib.Synthesis.Run import Job, Outcome


def jobOf(volumes: dict, output, acquired, model: str, device: str, force: bool) -> Job:
    """The job for volumes that a script chose.

    :param volumes: role → volume node, or None.
    :param model: id of a bundled model or path of a model file; empty for the default model.
    Raises ccdnn.errors.CcdnnError if the model or the device does not exist.
    """
    choice = chosenModel(_parameterOf(str(model)))
    card = choice.card()
    if device not in [known.value for known in Device]:
        devices = ", ".join(known.value for known in Device)
        raise InputError(_("The device {device} is unknown; use one of {devices}.").format(device=repr(device), devices=devices))
    inputs = {Role(role): volumes.get(Role(role)) for role in card.roles}
    inputs = {role: node for role, node in inputs.items() if node is not None or role.value in card.required}
    described = {role: describe(node) for role, node in inputs.items() if node is not None}
    return Job(
        inputs,
        output=output,
        acquired=acquired,
        model=choice.request,
        device=device,
        acquisitions={role: found.acquisition for role, found in described.items()},
        patients={role: found.patient for role, found in described.items()},
        force=force,
        uncertainty=card.uncertainty is not None,
    )


def _parameterOf(model: str) -> str:
    """The parameter node's value for a model, which is empty for the default one."""
    try:
        return "" if model in [entry.id for entry in list_models() if entry.default] else model
    except ModelError:  # no bundled model
        return model


def finished(logic, job: Job, onProgress: Callable):
    """Run a job of `CCDNNSynthLogic`, and return the result's node once it is complete.

    The application's events are handled meanwhile, except those of the user, who could start another run or change the scene.

    Raises ccdnn.errors.CcdnnError, see `CCDNNSynthLogic.process`.
    """
    waiting = _Waiting(onProgress)
    logic.start(job, waiting)
    loop = qt.QEventLoop()
    while waiting.outcome is None:
        loop.processEvents(qt.QEventLoop.ExcludeUserInputEvents | qt.QEventLoop.WaitForMoreEvents)
    outcome = waiting.outcome
    if outcome.node is None:
        raise _error(outcome)
    for warning in outcome.result["warnings"]:
        logging.warning("CCDNNSynth: %s", warning)
    return outcome.node


class _Waiting:
    """The listener of a run, which keeps its outcome."""

    def __init__(self, onProgress: Callable):
        self.onProgress = onProgress
        self.outcome: Outcome | None = None

    def onLog(self, level: str, text: str) -> None:
        logging.debug("CCDNNSynth: %s: %s", level, text)

    def onEnd(self, outcome: Outcome) -> None:
        self.outcome = outcome


def _error(outcome: Outcome) -> CcdnnError:
    if outcome.cancelled:
        return Cancelled(outcome.text)
    return next((error for error, kind in ERROR_KINDS.items() if kind == outcome.kind), CcdnnError)(outcome.text)
