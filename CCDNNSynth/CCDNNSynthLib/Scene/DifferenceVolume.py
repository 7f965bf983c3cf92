"""Synthetic minus acquired as a volume node, in colours that colour-blind readers can distinguish."""

import numpy as np
import slicer
from slicer.i18n import tr as _

from ccdnn.chart import DIFFERENCE_SHOWN, LESS, MORE
from ccdnn.measure.scaling import Scaling, scale_pair
from CCDNNSynthLib.Scene.ColorTables import colorTable, removeColorTable
from CCDNNSynthLib.Scene.Result import addVolume, removeVolume
from CCDNNSynthLib.Scene.SceneVolumes import voxelsOf, voxelsOn

DIFFERENCE_ATTRIBUTE = "CCDNNSynth.Difference"
COLORS_NAME = "CC-DNN difference"
_STEPS = 255  # odd, so that one colour represents 0


def isDifference(node) -> bool:
    return bool(node.GetAttribute(DIFFERENCE_ATTRIBUTE))


def makeDifference(acquired, synthetic, scaling: Scaling, saved: bool = True):
    """A new volume node: synthetic − acquired, both on one scale, with the grid and transform of `acquired`.

    :param saved: whether the volume is saved with the scene.
    Raises InputError, with nothing added to the scene: see `differenceOf`.
    """
    array = differenceOf(acquired, synthetic, scaling)
    node = addVolume(acquired, _("synthetic − acquired"))
    node.SetAttribute(DIFFERENCE_ATTRIBUTE, scaling.value)
    node.SetDescription(_("Synthetic minus acquired STIR, each scaled to 0–1 ({scaling}).").format(scaling=scaling.value))
    slicer.util.updateVolumeFromArray(node, array)
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(colorTable(COLORS_NAME, _colors(), saved).GetID())
    display.SetWindowLevel(2 * DIFFERENCE_SHOWN, 0)
    for part in (node, display):
        part.SetSaveWithScene(saved)
    return node


def updateDifference(node, acquired, synthetic, scaling: Scaling) -> None:
    """Update a node made by `makeDifference`; its window is kept. Raises InputError, with the node unchanged."""
    array = differenceOf(acquired, synthetic, scaling)
    node.SetAttribute(DIFFERENCE_ATTRIBUTE, scaling.value)
    slicer.util.updateVolumeFromArray(node, array)


def removeDifference(node) -> None:
    """Remove a difference volume from the scene, and its colour table unless another volume uses it."""
    removeVolume(node)
    removeColorTable(COLORS_NAME)


def differenceOf(acquired, synthetic, scaling: Scaling) -> np.ndarray:
    """Synthetic − acquired on the acquired volume's grid, (slice, row, column) float32, each scaled to 0–1.

    0 outside the synthetic volume, where the difference is unknown.

    Raises InputError: the volumes cannot be scaled, do not overlap, or need SimpleITK, which is not installed.
    """
    array, covered = voxelsOn(acquired, synthetic)
    names = (synthetic.GetName(), acquired.GetName())
    image, reference = scale_pair(array, voxelsOf(acquired), scaling, names=names)
    difference = image.array - reference.array
    if covered is not None:
        difference[~covered] = 0
    return difference


def _colors() -> list:
    """The colours of all difference volumes: blue where the synthetic is darker, orange where it is brighter, black at 0."""
    colors = []
    for share in np.linspace(-1, 1, _STEPS):
        colour = LESS if share < 0 else MORE
        colors.append((f"{share:+.2f}", *(abs(share) * int(colour[first : first + 2], 16) / 255 for first in (1, 3, 5))))
    return colors
