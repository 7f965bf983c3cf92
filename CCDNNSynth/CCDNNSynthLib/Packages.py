"""The Python packages the worker needs, installed when they are first needed and the user agrees. Nothing here imports them."""

from importlib.util import find_spec

import slicer
from slicer.i18n import tr as _

TORCH_REQUIREMENT = ">=2.2"


class PackagesMissing(RuntimeError):
    """A package is not there and was not installed; the message is a sentence that says what to do."""


def ensurePackages(requirementsPath: str) -> None:
    """Make sure that the worker can run, asking before anything is installed.

    :param requirementsPath: requirements.txt with all but PyTorch, which needs a build that fits the machine.
    Raises PackagesMissing when something is still missing in the end.
    """
    _ensureTorch()
    _ensureRequirements(requirementsPath)


def _ensureTorch() -> None:
    if find_spec("torch") is not None:
        return
    try:
        import PyTorchUtils
    except ImportError:
        raise PackagesMissing(
            _("PyTorch is needed and not installed; install the PyTorch extension (Extensions Manager) and restart Slicer.")
        ) from None
    if slicer.app.testingEnabled():
        raise PackagesMissing(_("PyTorch is needed and not installed, and nothing is installed in a test run."))
    question = _("PyTorch is needed to compute the synthetic image. It will be downloaded (up to 3 GB) and installed. Go on?")
    if not slicer.util.confirmOkCancelDisplay(question, windowTitle="CCDNNSynth"):
        raise PackagesMissing(_("PyTorch is needed and was not installed; press Apply again to install it."))
    try:
        with slicer.util.WaitCursor():
            PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=False, torchVersionRequirement=TORCH_REQUIREMENT)
    except Exception as error:  # what fails is pip, in many ways
        raise PackagesMissing(_("PyTorch could not be installed: {reason}").format(reason=error)) from error
    if find_spec("torch") is None:
        raise PackagesMissing(_("PyTorch could not be installed; the application log says why."))


def _ensureRequirements(path: str) -> None:
    try:
        from slicer.packaging import load_requirements, pip_ensure
    except ImportError:  # before Slicer 5.12; the worker names what it misses
        return
    try:
        pip_ensure(load_requirements(path), requester="CCDNNSynth")
    except Exception as error:  # refused, or pip failed
        raise PackagesMissing(_("A Python package is missing: {reason}").format(reason=error)) from error
