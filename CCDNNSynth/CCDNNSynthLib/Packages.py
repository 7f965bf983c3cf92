"""Python packages that Slicer does not include, installed on first use if the user agrees. This module does not import them."""

from importlib.util import find_spec

import slicer
from slicer.i18n import tr as _

TORCH_REQUIREMENT = ">=2.2"
SCIKIT_IMAGE = "scikit-image>=0.22"


class PackagesMissing(RuntimeError):
    """A required package is missing and was not installed; the message says what to do."""


def ensurePackages(requirementsPath: str) -> None:
    """Install the packages that the worker needs, after asking the user.

    :param requirementsPath: requirements.txt without PyTorch, whose build depends on the machine.
    Raises PackagesMissing if a package is still missing afterwards.
    """
    _ensureTorch()
    _ensureRequirements(requirementsPath)


def ensureScikitImage() -> None:
    """Install scikit-image, which SSIM needs, after asking the user. Raises PackagesMissing."""
    if find_spec("skimage") is None:
        _ensure(SCIKIT_IMAGE)


def _ensureTorch() -> None:
    if find_spec("torch") is not None:
        return
    try:
        import PyTorchUtils
    except ImportError:
        raise PackagesMissing(
            _("PyTorch is not installed; install the PyTorch extension (Extensions Manager) and restart Slicer.")
        ) from None
    if slicer.app.testingEnabled():
        raise PackagesMissing(_("PyTorch is not installed, and a test run does not install packages."))
    question = _("PyTorch is needed to compute the synthetic image. It will be downloaded (up to 3 GB) and installed. Continue?")
    if not slicer.util.confirmOkCancelDisplay(question, windowTitle="CCDNNSynth"):
        raise PackagesMissing(_("PyTorch was not installed; press Apply again to install it."))
    try:
        with slicer.util.WaitCursor():
            PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=False, torchVersionRequirement=TORCH_REQUIREMENT)
    except Exception as error:  # pip can fail in many ways
        raise PackagesMissing(_("PyTorch could not be installed: {reason}").format(reason=error)) from error
    if find_spec("torch") is None:
        raise PackagesMissing(_("PyTorch could not be installed; see the application log."))


def _ensureRequirements(path: str) -> None:
    try:
        from slicer.packaging import load_requirements
    except ImportError:  # before Slicer 5.12; the worker reports missing packages
        return
    _ensure(load_requirements(path))


def _ensure(requirements) -> None:
    try:
        from slicer.packaging import pip_ensure
    except ImportError:  # before Slicer 5.12; the code that needs a package reports it
        return
    try:
        pip_ensure(requirements, requester="CCDNNSynth")
    except Exception as error:  # the user declined, or pip failed
        raise PackagesMissing(_("A Python package is missing: {reason}").format(reason=error)) from error
