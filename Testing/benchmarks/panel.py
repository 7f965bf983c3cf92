"""Measure the cost of a run through the panel, in the test host on the sample study.

    python Testing/benchmarks/panel.py [--model FILE] [--runs 50]        (default: the bundled model)

Prints the longest gap of a 20 ms timer during a run, which is how long the window did not respond (goal: below 100 ms); the time
from the click on Apply to the first finished slice on screen, with a warm worker (goal: below 1 s); the time of a run with a warm
worker against that of the bare engine (goal: at most 10 % more); and what remains after many runs in a row.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Testing"))

from PySide6 import QtCore  # noqa: E402
from testing_host import slicer_host  # noqa: E402

TICK_MS = 20
GAP_GOAL_MS, OVERHEAD_GOAL, FIRST_SLICE_GOAL_S = 100.0, 0.10, 1.0
REPEATS = 3


class Ticker:
    """A timer of the event loop, which records the longest time between two ticks."""

    def __init__(self):
        self.longest, self._last = 0.0, None
        self._timer = QtCore.QTimer()
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)

    def _tick(self):
        now = time.perf_counter()
        if self._last is not None:
            self.longest = max(self.longest, 1000 * (now - self._last))
        self._last = now

    def __enter__(self):
        self._last = time.perf_counter()
        self._timer.start()
        return self

    def __exit__(self, *_):
        self._timer.stop()


def run(panel) -> float:
    """One run through the panel; seconds from the click to the result."""
    return timed(panel, lambda: not panel.logic.running)


def first_slice(panel) -> float:
    """Seconds from the click to the first finished slice on screen; the run is then cancelled."""
    seconds = timed(panel, lambda: panel.synthesis.ui.progressBar.property("value") > 0)
    slicer_host.click(panel.synthesis.ui.applyButton)
    slicer_host.wait_until(lambda: not panel.logic.running)
    return seconds


def timed(panel, condition: Callable[[], bool]) -> float:
    """Seconds from the click on Apply until `condition()`."""
    before = time.perf_counter()
    slicer_host.click(panel.synthesis.ui.applyButton)
    loop = QtCore.QEventLoop()
    poll = QtCore.QTimer()
    poll.setInterval(1)
    poll.timeout.connect(lambda: condition() and loop.quit())
    poll.start()
    loop.exec()
    return time.perf_counter() - before


def bare_engine(model: Path | None) -> Callable[[], float]:
    """A function that runs the same study and preloaded model without worker and window, and returns the seconds."""
    from ccdnn.files import read_header
    from ccdnn.inference.synthesizer import Synthesizer
    from ccdnn.model.catalog import resolve_model
    from ccdnn.series import Role
    from ccdnn.synthesis import synthesize

    folder = ROOT / "CCDNNSynth" / "Resources" / "SampleData"
    volumes = {role: read_header(folder / f"{role.value}.nrrd").load() for role in (Role.T1, Role.T2, Role.GRE)}
    synthesizer = Synthesizer(resolve_model(model))

    def run_once() -> float:
        before = time.perf_counter()
        synthesize(volumes, synthesizer)
        return time.perf_counter() - before

    run_once()
    return run_once


def belongings(panel) -> dict[str, float]:
    """Counts of what could grow: nodes, observers of the scene, processes, temporary folders and memory."""
    import slicer

    slicer_host.process_events()
    gc.collect()
    scene_nodes = slicer.util.getNodesByClass("vtkMRMLNode")
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    worker = int(Path(f"/proc/{panel.logic.worker.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {
        "nodes": slicer.mrmlScene.GetNumberOfNodes(),
        "observers": sum(str(observed).count("Tag: ") for observed in (slicer.mrmlScene, *scene_nodes)),
        "processes": len(children),
        "temporary folders": len(list(Path(slicer.app.temporaryPath).glob("CCDNNSynth-*"))),
        "Python objects": len(gc.get_objects()),
        "memory MB": round(resident, 1),
        "worker's memory MB": round(worker, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="a model file to use instead of the bundled model")
    parser.add_argument("--runs", type=int, default=50, help="number of runs in a row to check for growth (default: 50)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        slicer_host.provide_python_slicer(Path(folder))
        panel = slicer_host.start()
        panel.inputs.onSampleLink()
        parameters = panel.logic.getParameterNode()
        if options.model is not None:
            parameters.model = str(options.model)
        slicer_host.process_events()

        with Ticker() as cold:
            seconds = run(panel)
        print(f"first run, including the start of the worker: {seconds:.1f} s, longest gap {cold.longest:.0f} ms")
        import slicer

        from CCDNNSynthLib.Scene.UncertaintyVolume import isUncertainty

        (parameters.outputVolume,) = [
            n
            for n in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
            if n.GetAttribute("CCDNN_Model") and not isUncertainty(n)
        ]
        slicer_host.process_events()
        with Ticker() as warm:
            run(panel)
        gap = max(cold.longest, warm.longest)
        print(f"longest gap of a {TICK_MS} ms timer: {gap:.0f} ms (goal < {GAP_GOAL_MS:g}): {verdict(gap < GAP_GOAL_MS)}")

        slices = [first_slice(panel) for _ in range(REPEATS)]
        met = verdict(min(slices) < FIRST_SLICE_GOAL_S)
        print(f"first slice on screen with a warm worker: {min(slices):.2f} s (goal < {FIRST_SLICE_GOAL_S:g}): {met}", flush=True)

        # Growth in only the first half is a buffer that reaches its size. A leak continues in the second half.
        marks = [belongings(panel)]
        for half in (options.runs // 2, options.runs - options.runs // 2):
            for _ in range(half):
                run(panel)
            marks.append(belongings(panel))
        print(f"before, after {options.runs // 2} and after {options.runs} more runs:")
        for name in marks[0]:
            print("  " + f"{name}: " + " → ".join(f"{mark[name]:g}" for mark in marks))
        engine = bare_engine(options.model)
        # They take turns, so that other load affects both equally.
        pairs = [(run(panel), engine()) for _ in range(REPEATS)]
        panel.cleanup()
    panel_seconds, engine_seconds = (statistics.median(seconds) for seconds in zip(*pairs, strict=True))
    overhead = panel_seconds / engine_seconds - 1
    print(f"run through the panel, warm: {panel_seconds:.2f} s; bare engine: {engine_seconds:.2f} s")
    print(f"overhead {overhead:+.0%} (goal ≤ {OVERHEAD_GOAL:.0%}): {verdict(overhead <= OVERHEAD_GOAL)}")


def verdict(met: bool) -> str:
    return "met" if met else "MISSED"


if __name__ == "__main__":
    main()
