"""Helpers of the CNR tests: actions on the section and the scene."""

from __future__ import annotations

import html
import re

import regions
import scene
import slicer
import slicer_host

from ccdnn.series import Role

LOW, HIGH = (10, 12), (16, 20)  # voxels (column, row) of a region in the small leg


def wait_for_table(parameters) -> dict:
    slicer_host.wait_until(lambda: parameters.cnrTable is not None, 10)
    settle()
    return regions.table_of(parameters)


def settle() -> None:
    """Wait for the live measurement."""
    cnr = slicer.modules.CCDNNSynthWidget.cnr
    slicer_host.process_events()
    slicer_host.wait_until(lambda: not (cnr._pause.active or cnr._live.active), 10)


def status(panel) -> str:
    return html.unescape(re.sub("<[^>]+>", " ", panel.cnr.ui.cnrStatusLabel.text))


def open_leg(panel):
    """The small leg's STIR as acquired and its T2 as synthetic; pair muscle/fat. Returns the parameter node."""
    nodes = scene.add_leg()
    node = panel.logic.getParameterNode()
    node.stirVolume, node.syntheticVolume, node.cnrPairs = nodes[Role.STIR], nodes[Role.T2], "muscle/fat"
    panel.cnr.ui.cnrSection.collapsed = False
    slicer_host.process_events()
    return node


def draw_pair(panel, parameters, fat_slice=2):
    """Draw muscle in slice 2 and fat elsewhere in a slice, as squares; returns both outlines."""
    volume = parameters.stirVolume
    muscle = regions.draw(panel, "muscle", regions.square(volume, 2, LOW, HIGH))
    fat = regions.draw(panel, "fat", regions.square(volume, fat_slice, (20, 12), (26, 20)))
    for outline in (muscle, fat):
        regions.make_straight(outline)
    settle()
    return muscle, fat


def masks(shape, fat_slice=2):
    return regions.box_mask(shape, 2, LOW, HIGH), regions.box_mask(shape, fat_slice, (20, 12), (26, 20))
