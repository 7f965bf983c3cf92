"""Measure how soon tables and plots of measurements follow a change, in the test host, for volumes of 24×384×384 voxels.

    python Testing/benchmarks/measure.py [--changes 30]

For each measurement: the time from a change of the scene (a point of a region or line is moved, a segment is painted) until the
table and plot nodes contain the new measurement, including the delay of the live timer (goal: within 100 ms). The time that Slicer
needs to make the change itself and to draw on the screen is not included. Other load on the machine increases the times.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Testing"))

import numpy as np  # noqa: E402
from testing_host import slicer_host  # noqa: E402

SHAPE = (24, 384, 384)
IJK_TO_RAS = np.array([[0, 0, 4.0, -46], [0.42, 0, 0, -80], [0, -0.42, 0, 80], [0, 0, 0, 1]])  # sagittal slices of a knee
GOAL_MS = 100.0
TISSUES = ("cartilage", "bone", "meniscus", "muscle", "fat")


def open_study(panel):
    """Load noisy blocks of tissue as acquired and synthetic STIR; returns the parameter node and the blocks' labels."""
    import slicer

    labels = (np.arange(SHAPE[2]) * len(TISSUES) // SHAPE[2] + 1).astype(np.uint8) * np.ones(SHAPE, np.uint8)
    generator = np.random.default_rng(0)
    parameters = panel.logic.getParameterNode()
    for member, name in (("stirVolume", "acquired"), ("syntheticVolume", "synthetic")):
        voxels = (100 * labels + generator.normal(0, 10, SHAPE)).astype(np.float32)
        setattr(parameters, member, slicer.util.addVolumeFromArray(voxels, IJK_TO_RAS, name))
    slicer_host.process_events()
    return parameters, labels


def cnr_changes(panel) -> Iterator[tuple[str, Callable[[int], None], Callable[[], int]]]:
    """Move a region and paint a segment, next to segments that fill the whole volume."""
    import slicer

    parameters, labels = open_study(panel)
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(parameters.stirVolume)
    identifiers = []
    for value, tissue in enumerate(TISSUES, start=1):
        identifiers.append(segmentation.GetSegmentation().AddEmptySegment("", tissue))
        # A third of each tissue's block, to leave room for a region to move in.
        mask = ((labels == value) & (np.arange(SHAPE[1])[:, None] % 3 == 0)).astype(np.uint8)
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, identifiers[-1], parameters.stirVolume)
    parameters.regionSegmentation = segmentation

    panel.cnr.ui.cnrSection.setProperty("collapsed", False)
    panel.cnr.ui.tissueSelector.setProperty("currentText", "muscle")
    slicer_host.click(panel.cnr.ui.circleButton)
    place = slicer.app.applicationLogic().GetSelectionNode().GetActivePlaceNodeID()
    outline = slicer.mrmlScene.GetNodeByID(place)
    for i in (280, 310):
        outline.AddControlPointWorld(*(IJK_TO_RAS @ [i, 190, 12, 1])[:3])
    slicer_host.process_events()
    slicer_host.wait_until(lambda: parameters.cnrChart is not None)

    def move_region(step: int) -> None:
        outline.SetNthControlPointPositionWorld(0, *(IJK_TO_RAS @ [285 + step % 30, 190, 12, 1])[:3])

    painted = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, identifiers[0], parameters.stirVolume).copy()

    def paint(step: int) -> None:
        painted[12, 10 + step, :50] ^= 1
        slicer.util.updateSegmentBinaryLabelmapFromArray(painted, segmentation, identifiers[0], parameters.stirVolume)

    def when_shown() -> int:
        series = parameters.cnrChart.GetNthPlotSeriesNode(0)
        return min(parameters.cnrTable.GetTable().GetMTime(), series.GetTableNode().GetTable().GetMTime())

    yield "CNR, a region moved", move_region, when_shown
    yield "CNR, a segment painted", paint, when_shown


def profile_changes(panel) -> Iterator[tuple[str, Callable[[int], None], Callable[[], int]]]:
    """Move an end of a line that crosses all tissues, first with the two STIRs plotted, then with the inputs too."""
    import slicer

    parameters, _labels = open_study(panel)
    for member in ("t1Volume", "t2Volume", "greVolume"):
        setattr(parameters, member, parameters.stirVolume)
    line = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsLineNode")
    for i in (20, 360):
        line.AddControlPointWorld(*(IJK_TO_RAS @ [i, 190, 12, 1])[:3])
    parameters.profileLine = line
    slicer_host.process_events()
    slicer_host.wait_until(lambda: parameters.profileChart is not None)

    def move_end(step: int) -> None:
        line.SetNthControlPointPositionWorld(1, *(IJK_TO_RAS @ [360 - step % 30, 200, 12, 1])[:3])

    def when_shown() -> int:
        series = parameters.profileChart.GetNthPlotSeriesNode(0)
        return min(parameters.profileTable.GetTable().GetMTime(), series.GetTableNode().GetTable().GetMTime())

    yield "line profile, an end moved", move_end, when_shown
    parameters.profileInputs = True
    slicer_host.wait_until(lambda: parameters.profileChart.GetNumberOfPlotSeriesNodes() == 5)
    yield "line profile of five volumes, an end moved", move_end, when_shown


# Each function opens its study in the panel and yields (what is changed, function that makes change number n, function that returns
# the time stamp of table and plot). The stamp increases when both are updated.
MEASUREMENTS = (cnr_changes, profile_changes)


def latencies(change: Callable[[int], None], when_shown: Callable[[], int], changes: int) -> list[float]:
    """Milliseconds from each change until table and plot are updated."""
    found = []
    for step in range(changes + 1):
        shown = when_shown()
        change(step)
        before = time.perf_counter()
        while when_shown() <= shown:
            slicer_host.process_events()
            if time.perf_counter() - before > 10:
                raise TimeoutError(f"Table and plot did not follow change {step} within 10 s.")
        found.append(1000 * (time.perf_counter() - before))
        slicer_host.process_events()
    return found[1:]  # the first change includes one-time set-up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--changes", type=int, default=30, help="number of changes of each kind (default: 30)")
    options = parser.parse_args()
    for measurement in MEASUREMENTS:
        panel = slicer_host.start()
        for name, change, when_shown in measurement(panel):
            found = latencies(change, when_shown, options.changes)
            met = "met" if max(found) <= GOAL_MS else "MISSED"
            print(f"{name}: median {statistics.median(found):.0f} ms, longest {max(found):.0f} ms (goal ≤ {GOAL_MS:g}): {met}")
        panel.cleanup()
        panel.parent.hide()


if __name__ == "__main__":
    main()
