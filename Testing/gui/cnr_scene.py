"""Helpers of the CNR tests: actions on the section and the scene, and CNR computed independently of the tested code."""

from __future__ import annotations

import numpy as np
import panel_scene
import slicer
from testing_host import slicer_host, tissue_regions

from ccdnn.series import Role

LOW, HIGH = (10, 12), (16, 20)  # voxels (column, row) of a region in the small leg


def open_sample(panel):
    """The sample study, its STIR as acquired and its T2 as a stand-in for a synthetic STIR; returns the parameter node."""
    panel.inputs.onSampleLink()
    node = panel.logic.getParameterNode()
    node.syntheticVolume = node.t2Volume
    panel.cnr.ui.cnrSection.collapsed = False
    slicer_host.process_events()
    return node


def wait_for_table(parameters) -> dict:
    slicer_host.wait_until(lambda: parameters.cnrTable is not None, 10)
    settle()
    return table_of(parameters)


def settle() -> None:
    """Wait for the live measurement."""
    cnr = slicer.modules.CCDNNSynthWidget.cnr
    slicer_host.process_events()
    slicer_host.wait_until(lambda: not (cnr._pause.active or cnr._live.active), 10)


def status(panel) -> str:
    return panel_scene.plain(panel.cnr.ui.cnrStatusLabel)


def open_leg(panel):
    """The small leg's STIR as acquired and its T2 as synthetic; pair muscle/fat. Returns the parameter node."""
    nodes = panel_scene.add_leg()
    node = panel.logic.getParameterNode()
    node.stirVolume, node.syntheticVolume, node.cnrPairs = nodes[Role.STIR], nodes[Role.T2], "muscle/fat"
    panel.cnr.ui.cnrSection.collapsed = False
    slicer_host.process_events()
    return node


def draw_pair(panel, parameters, fat_slice=2):
    """Draw muscle in slice 2 and fat elsewhere in a slice, as squares; returns both outlines."""
    volume = parameters.stirVolume
    muscle = draw_region(panel, "muscle", tissue_regions.square(volume, 2, LOW, HIGH))
    fat = draw_region(panel, "fat", tissue_regions.square(volume, fat_slice, (20, 12), (26, 20)))
    for outline in (muscle, fat):
        tissue_regions.make_straight(outline)
    settle()
    return muscle, fat


def masks(shape, fat_slice=2):
    return tissue_regions.box_mask(shape, 2, LOW, HIGH), tissue_regions.box_mask(shape, fat_slice, (20, 12), (26, 20))


def draw_region(panel, tissue: str, points, shape: str = "freehand"):
    """Press the button, place the points as the view does, and finish with a right click; returns the outline."""
    ui = panel.cnr.ui
    ui.tissueSelector.currentText = tissue
    slicer_host.click(getattr(ui, f"{shape}Button"))
    node = panel.cnr._drawing.node
    for point in points:
        node.AddControlPointWorld(*point)
    slicer.app.applicationLogic().GetInteractionNode().SwitchToViewTransformMode()
    slicer_host.process_events()
    return node


def table_of(parameters) -> dict:
    """Pair → heading → cell of the table node."""
    table = parameters.cnrTable.GetTable()
    columns = [table.GetColumn(index) for index in range(table.GetNumberOfColumns())]
    rows = [{column.GetName(): column.GetValue(row) for column in columns} for row in range(table.GetNumberOfRows())]
    return {row["Pair"]: row for row in rows}


def expected_cnr(image: np.ndarray, foreground: np.ndarray, background: np.ndarray) -> float:
    """|mean_f − mean_b| / SD_b of two masks, in plain numpy."""
    f, b = image[foreground].astype(np.float64), image[background].astype(np.float64)
    return abs(f.mean() - b.mean()) / np.sqrt(((b - b.mean()) ** 2).sum() / (b.size - 1))
