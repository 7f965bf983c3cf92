"""Helpers of the panel tests: the small leg in the scene, and runs of the panel."""

from __future__ import annotations

import html
import re

import numpy as np
import slicer
import small_study
from testing_host import qt_stand_in, slicer_host

from ccdnn.series import Role

NAMES = {Role.T1: "leg t1", Role.T2: "leg t2", Role.GRE: "leg gre", Role.STIR: "leg stir"}


def add_leg(roles=tuple(NAMES), dtype=np.float32) -> dict:
    """The small leg as volume nodes."""
    volumes = small_study.volumes()
    return {role: add(volumes[role], NAMES[role], dtype) for role in roles}


def add(volume, name, dtype=np.float32):
    """Add an engine volume as a volume node with a display node."""
    array = volume.array.astype(dtype)
    node = slicer.util.addVolumeFromArray(array, volume.ijk_to_ras, name)
    node.CreateDefaultDisplayNodes()
    return node


def choose_model(panel, path) -> None:
    """Choose a model file with the button and the file dialog."""
    qt_stand_in.dialog_answers["open"] = str(path)
    slicer_host.click(panel.synthesis.ui.modelFileButton)


def apply(panel, seconds: float = 120) -> None:
    """Click Apply and wait for the end of the run."""
    slicer_host.click(panel.synthesis.ui.applyButton)
    finish(panel, seconds)


def finish(panel, seconds: float = 120) -> None:
    slicer_host.wait_until(lambda: not panel.logic.running, seconds)
    slicer_host.process_events()


def results() -> list:
    """The results in the scene, oldest first."""
    return [node for node in volume_nodes() if node.GetAttribute("CCDNN_Notice")]


def volume_nodes() -> list:
    return slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")


def message(panel) -> str:
    """The message that the panel shows, without markup."""
    return plain(panel.synthesis.ui.statusLabel)


def warnings(panel) -> str:
    return plain(panel.inputs.ui.warningLabel)


def detection(panel) -> str:
    return plain(panel.inputs.ui.detectLabel)


def plain(label) -> str:
    """The text of a label, without markup."""
    return html.unescape(re.sub("<[^>]+>", "", label.text))


def snapshot() -> dict:
    """Everything that a failed run must leave unchanged: nodes, voxels, the content of the views."""
    nodes = {}
    for node in slicer.util.getNodesByClass("vtkMRMLNode"):
        entry = [node.GetName()]
        if node.IsA("vtkMRMLVolumeNode"):
            voxels = slicer.util.arrayFromVolume(node).tobytes() if node.GetImageData() is not None else None
            entry += [voxels, sorted(node.GetAttributeNames()), node.GetTransformNodeID()]
        if node.IsA("vtkMRMLSliceCompositeNode"):
            entry += [node.GetBackgroundVolumeID(), node.GetForegroundVolumeID()]
        # The parameter node is left out: a choice may be dropped because the user removed the node.
        if not node.IsA("vtkMRMLScriptedModuleNode"):
            nodes[node.GetID()] = entry
    return nodes


def is_ready(panel) -> bool:
    """Whether the panel can start another run."""
    ui = panel.synthesis.ui
    return ui.applyButton.text == "Apply" and not ui.progressBar.visible and not panel.logic.running


def close_panel(panel) -> None:
    panel.parent.hide()
    panel.parent.deleteLater()
    slicer_host.process_events()
    slicer.mrmlScene.Clear(0)
