"""Python packages that Slicer does not include, installed on first use if the user agrees. This module does not import them."""

from importlib.util import find_spec

import slicer
from slicer.i18n import tr as _

from CCDNNSynthLib.Parameters import Device

TORCH_REQUIREMENT = ">=2.2"
DOWNLOAD_SIZE = "30 MB"  # of the packages in requirements.txt that Slicer does not have; onnxruntime is nearly all of it
SCIKIT_IMAGE = "scikit-image>=0.22"


class PackagesMissing(RuntimeError):
    """A required package is missing and was not installed; the message says what to do."""


def ensurePackages(requirementsPath: str, device: Device) -> None:
    """Install the packages that the worker needs, after asking the user.

    :param requirementsPath: requirements.txt of what a CPU needs.
    :param device: a GPU needs PyTorch too, whose build depends on the machine.
    Raises PackagesMissing if a package is still missing afterwards.
    """
    _ensureRequirements(requirementsPath)
    if device in (Device.CUDA, Device.MPS):
        _ensureTorch()


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
            _(
                "A GPU needs PyTorch, which is not installed: install the PyTorch extension (Extensions Manager) and restart "
                "Slicer, or choose the processor as the device."
            )
        ) from None
    if slicer.app.testingEnabled():
        raise PackagesMissing(_("PyTorch is not installed, and a test run does not install packages."))
    question = _("A GPU needs PyTorch. It will be downloaded (up to 3 GB) and installed; the processor needs no PyTorch. Continue?")
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
        from slicer.packaging import load_requirements, pip_check
    except ImportError:  # before Slicer 5.12; the worker reports missing packages
        return
    requirements = load_requirements(path)
    if pip_check(requirements):
        return
    question = _(
        "Python packages are needed to compute the image: onnxruntime and smaller ones, a download of about {size}. Install them?"
    )
    if not slicer.app.testingEnabled() and not slicer.util.confirmOkCancelDisplay(
        question.format(size=DOWNLOAD_SIZE), windowTitle="CCDNNSynth"
    ):
        raise PackagesMissing(_("The Python packages were not installed; press Apply again to install them."))
    _ensure(requirements, prompt_install=False)


def _ensure(requirements, **settings) -> None:
    try:
        from slicer.packaging import pip_ensure
    except ImportError:  # before Slicer 5.12; the code that needs a package reports it
        return
    try:
        pip_ensure(requirements, requester="CCDNNSynth", **settings)
    except Exception as error:  # the user declined, or pip failed
        raise PackagesMissing(_("A Python package is missing: {reason}").format(reason=error)) from error
