"""Measure the speed of the review in the test host, on the sample study with a copy of its STIR as the synthetic volume.

    python Testing/benchmarks/review.py

Prints how long each layout takes to open. For a swipe line that is dragged across a view, it prints how long the view takes to
react to the mouse (goal: 30 ms) and, if this machine can render, to draw (slowest with software OpenGL).
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Testing"))

from testing_host import slicer_host  # noqa: E402

GOAL_MS = 30.0
STEPS = 60


def milliseconds(action) -> float:
    before = time.perf_counter()
    action()
    return 1000 * (time.perf_counter() - before)


def open_layout(button) -> None:
    slicer_host.click(button)
    slicer_host.process_events()


def main() -> None:
    panel = slicer_host.start()
    import slicer
    from testing_host import layout

    panel.inputs.onSampleLink()
    parameters = panel.logic.getParameterNode()
    array = slicer.util.arrayFromVolume(parameters.stirVolume)
    synthetic = slicer.modules.volumes.logic().CloneVolume(slicer.mrmlScene, parameters.stirVolume, "synthetic STIR")
    slicer.util.updateVolumeFromArray(synthetic, (array * 0.9).astype(np.float32))
    parameters.syntheticVolume = synthetic
    slicer_host.process_events()
    ui = panel.review.ui
    for button in (ui.sideBySideButton, ui.gridButton, ui.singleButton):
        print(f"{button.property('text')} opens in {milliseconds(lambda button=button: open_layout(button)):.0f} ms")
    view = slicer.app.layoutManager().sliceWidget("ReviewBoth").sliceView()
    (columns, rows), interactor = view.renderWindow().GetSize(), view.interactor()
    interactor.SetEventInformation(columns // 2, rows // 2)
    interactor.InvokeEvent("MouseMoveEvent")
    interactor.InvokeEvent("LeftButtonPressEvent")
    reactions, drawings = [], []
    for step in range(STEPS):
        interactor.SetEventInformation(columns // 4 + step * columns // (2 * STEPS), rows // 2)
        reactions.append(milliseconds(lambda: interactor.InvokeEvent("MouseMoveEvent")))
        if layout.can_render():
            drawings.append(milliseconds(view.forceRender))
        slicer_host.process_events()
    interactor.InvokeEvent("LeftButtonReleaseEvent")
    slow = " (slower than the goal)" if statistics.median(reactions) > GOAL_MS else ""
    print(
        f"A step of the swipe line in a view of {columns}×{rows}: median {statistics.median(reactions):.1f} ms, "
        f"longest {max(reactions):.1f} ms, goal {GOAL_MS:.0f} ms{slow}"
    )
    if drawings:
        print(f"Drawing it in software: median {statistics.median(drawings):.0f} ms")
    panel.cleanup()


if __name__ == "__main__":
    main()
