"""Python packages Slicer does not bring, installed when they are first needed and the user agrees. Nothing here imports them."""

from importlib.util import find_spec

import slicer
from slicer.i18n import tr as _

TORCH_REQUIREMENT = ">=2.2"
SCIKIT_IMAGE = "scikit-image>=0.22"


class PackagesMissing(RuntimeError):
    """A package is not there and was not installed; the message is a sentence that says what to do."""


def ensurePackages(requirementsPath: str) -> None:
    """Make sure that the worker can run, asking before anything is installed.

    :param requirementsPath: requirements.txt with all but PyTorch, which needs a build that fits the machine.
    Raises PackagesMissing when something is still missing in the end.
    """
    _ensureTorch()
    _ensureRequirements(requirementsPath)


def ensureScikitImage() -> None:
    """Make sure that SSIM can be measured, asking before anything is installed. Raises PackagesMissing."""
    if find_spec("skimage") is None:
        _ensure(SCIKIT_IMAGE)


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
        from slicer.packaging import load_requirements
    except ImportError:  # before Slicer 5.12; the worker names what it misses
        return
    _ensure(load_requirements(path))


def _ensure(requirements) -> None:
    try:
        from slicer.packaging import pip_ensure
    except ImportError:  # before Slicer 5.12; what needs a package says so
        return
    try:
        pip_ensure(requirements, requester="CCDNNSynth")
    except Exception as error:  # refused, or pip failed
        raise PackagesMissing(_("A Python package is missing: {reason}").format(reason=error)) from error
