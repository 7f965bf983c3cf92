"""What the panel's choices are stored as: a parameter node, so that a saved scene restores them."""

from enum import Enum

from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import parameterNodeWrapper

from ccdnn.series import Role


class Device(Enum):
    """What to compute on; the value is the engine's name for it."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"

    def label(self) -> str:
        return {
            Device.AUTO: _("Automatic"),
            Device.CPU: _("Processor (CPU)"),
            Device.CUDA: _("NVIDIA graphics card (CUDA)"),
            Device.MPS: _("Apple graphics (MPS)"),
        }[self]


@parameterNodeWrapper
class CCDNNSynthParameterNode:
    """
    t1Volume, t2Volume, greVolume - the inputs; the result lies on the grid of the first.
    stirVolume - an acquired STIR of the same knee, where there is one, whose window the result is shown with.
    outputVolume - the volume to replace with the result; none for a new one.
    model - id of a bundled model or path of a model file; empty for the default model.
    device - what to compute on.
    """

    t1Volume: vtkMRMLScalarVolumeNode
    t2Volume: vtkMRMLScalarVolumeNode
    greVolume: vtkMRMLScalarVolumeNode
    stirVolume: vtkMRMLScalarVolumeNode
    outputVolume: vtkMRMLScalarVolumeNode
    model: str = ""
    device: Device = Device.AUTO


# The member that holds the volume of each role.
VOLUME_OF_ROLE = {Role.T1: "t1Volume", Role.T2: "t2Volume", Role.GRE: "greVolume", Role.STIR: "stirVolume"}


def volumeOf(parameterNode, role):
    """The volume node chosen for a role, or None."""
    return getattr(parameterNode, VOLUME_OF_ROLE[role])


def volumesOf(parameterNode) -> dict:
    """Role → the volume node chosen for it; roles without one are left out."""
    return {role: node for role in VOLUME_OF_ROLE if (node := volumeOf(parameterNode, role)) is not None}
