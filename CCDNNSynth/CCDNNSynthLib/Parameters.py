"""The parameter node that stores the panel's settings, so that a saved scene restores them."""

from enum import Enum
from typing import Annotated

from slicer import (
    vtkMRMLMarkupsNode,
    vtkMRMLPlotChartNode,
    vtkMRMLScalarVolumeNode,
    vtkMRMLSegmentationNode,
    vtkMRMLTableNode,
)
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

from ccdnn.measure.cnr import CnrForm
from ccdnn.measure.scaling import Scaling
from ccdnn.measure.similarity import Measure
from ccdnn.series import Role


class Device(Enum):
    """Device to compute on; the value is the engine's name for it."""

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


class ReviewLayout(Enum):
    """How the volumes are laid out for review; NONE is the user's own layout."""

    NONE = "none"
    SIDE_BY_SIDE = "side by side"
    GRID = "grid"
    SINGLE = "single"


class CompareMode(Enum):
    """How one view shows both STIRs."""

    SWIPE = "swipe"
    FADE = "fade"
    BLINK = "blink"
    CHECKERBOARD = "checkerboard"

    def label(self) -> str:
        return {
            CompareMode.SWIPE: _("Swipe"),
            CompareMode.FADE: _("Fade"),
            CompareMode.BLINK: _("Blink"),
            CompareMode.CHECKERBOARD: _("Checkerboard"),
        }[self]


@parameterNodeWrapper
class CCDNNSynthParameterNode:
    """
    t1Volume, t2Volume, greVolume - the inputs; the result has the grid of the first.
    stirVolume - optional acquired STIR of the same knee; the result is shown with its window.
    outputVolume - the volume to overwrite with the result; None creates a new one.
    model - id of a bundled model or path of a model file; empty for the default model.
    device - device to compute on.

    syntheticVolume - the synthetic STIR to review and measure; the newest result unless the user chose another.
    reviewLayout, compareMode - how the volumes are laid out, and how one view shows both STIRs.
    comparePosition - position of the swipe line or the fade, 0 (only acquired) to 1 (only synthetic).
    blinkRate - changes per second.
    tileSize - width of a checkerboard tile in mm.
    uncertaintyShown, uncertaintyOpacity - whether and how strongly the uncertainty is drawn over the synthetic volume in a review.

    regionSegmentation - segmentation whose segments are tissue ROIs.
    cnrPairs - tissue pairs as "foreground/background", separated by ";"; empty for the paper's five.
    cnrForm, cnrLive - the definition of CNR, and whether the table follows the ROIs.
    profileLine - line or curve along which profiles are taken.
    profileInputs, profileScaled, profileLive - whether to plot the inputs too, to scale to 0-1, and to follow the line.
    similarityScaling - how intensities are scaled to 0-1.
    similarityMeasure - the measure plotted over the slices.
    maskSegmentation, maskSegment - segment (by ID) inside which similarity is measured; none for the whole volume.
    overlapThreshold - the overlap of the voxels below this value is measured, on the scaled images.
    differenceVolume - synthetic minus acquired.
    …Table, …Chart - the measurements.
    """

    t1Volume: vtkMRMLScalarVolumeNode
    t2Volume: vtkMRMLScalarVolumeNode
    greVolume: vtkMRMLScalarVolumeNode
    stirVolume: vtkMRMLScalarVolumeNode
    outputVolume: vtkMRMLScalarVolumeNode
    model: str = ""
    device: Device = Device.AUTO

    syntheticVolume: vtkMRMLScalarVolumeNode
    reviewLayout: ReviewLayout = ReviewLayout.NONE
    compareMode: CompareMode = CompareMode.SWIPE
    comparePosition: Annotated[float, WithinRange(0, 1)] = 0.5
    blinkRate: Annotated[float, WithinRange(0.5, 5)] = 1.0
    tileSize: Annotated[float, WithinRange(2, 80)] = 20.0
    uncertaintyShown: bool = False
    uncertaintyOpacity: Annotated[float, WithinRange(0, 1)] = 0.7

    regionSegmentation: vtkMRMLSegmentationNode
    cnrPairs: str = ""
    cnrForm: CnrForm = CnrForm.DIFFERENCE
    cnrLive: bool = True
    cnrTable: vtkMRMLTableNode
    cnrChart: vtkMRMLPlotChartNode

    profileLine: vtkMRMLMarkupsNode
    profileInputs: bool = False
    profileScaled: bool = True
    profileLive: bool = True
    profileTable: vtkMRMLTableNode
    profileChart: vtkMRMLPlotChartNode

    similarityScaling: Scaling = Scaling.TISSUE
    similarityMeasure: Measure = Measure.SSIM
    maskSegmentation: vtkMRMLSegmentationNode
    maskSegment: str = ""
    overlapThreshold: Annotated[float, WithinRange(0, 1)] = 0.1
    similarityTable: vtkMRMLTableNode
    similarityChart: vtkMRMLPlotChartNode
    differenceVolume: vtkMRMLScalarVolumeNode


# Role → name of the parameter that holds its volume.
VOLUME_OF_ROLE = {Role.T1: "t1Volume", Role.T2: "t2Volume", Role.GRE: "greVolume", Role.STIR: "stirVolume"}


def volumeOf(parameterNode, role):
    """The volume node chosen for a role, or None."""
    return getattr(parameterNode, VOLUME_OF_ROLE[role])


def volumesOf(parameterNode) -> dict:
    """Role → the volume node chosen for it; roles without one are left out."""
    return {role: node for role in VOLUME_OF_ROLE if (node := volumeOf(parameterNode, role)) is not None}
