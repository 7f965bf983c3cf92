"""`CCDNNSynthLogic.process`, by which scripts and other modules make a result and wait for it."""

from __future__ import annotations

import os
import signal
import sys

import numpy as np
import panel_scene
import pytest
import qt
import slicer
import small_study
from testing_host import slicer_host

from ccdnn.errors import CcdnnError, InputError, ModelError
from ccdnn.patient import DifferentPatients
from ccdnn.series import Role

INPUTS = (Role.T1, Role.T2, Role.GRE)


@pytest.fixture
def logic():
    """A logic of a script, apart from the panel's."""
    made = sys.modules["CCDNNSynth"].CCDNNSynthLogic()
    yield made
    made.close()


@pytest.fixture
def leg(panel) -> list:
    """The three inputs in the scene; the panel, which is open too, chose nothing."""
    volumes = panel_scene.add_leg()
    return [volumes[role] for role in INPUTS]


def test_the_result_is_that_of_the_panel(ready, logic, model_path):
    panel_scene.apply(ready)
    (expected,) = panel_scene.results()
    inputs = [slicer.util.getNode(panel_scene.NAMES[role]) for role in INPUTS]
    done = []
    node = logic.process(*inputs, model=model_path, onProgress=lambda count, total: done.append((count, total)))
    np.testing.assert_allclose(slicer.util.arrayFromVolume(node), slicer.util.arrayFromVolume(expected), atol=1e-5)
    assert node is not expected and node.GetAttribute("CCDNN_Notice") == expected.GetAttribute("CCDNN_Notice")
    assert node.GetNodeReference("CCDNN_t1") is inputs[0] and done[0] == (0, 6) and done[-1] == (6, 6)
    assert not logic.running and logic.worker.running  # the next one starts at once


def test_a_given_output_is_overwritten(leg, logic, model_path):
    output = panel_scene.add(small_study.volumes()[Role.STIR], "mine")
    assert logic.process(*leg, model=model_path, outputVolume=output) is output
    assert output.GetName() == "mine" and output.GetAttribute("CCDNN_Model").startswith("tiny")


def test_events_go_on_and_those_of_the_user_wait(ready, logic, model_path):
    inputs = [slicer.util.getNode(panel_scene.NAMES[role]) for role in INPUTS]
    ticks, started = [], []
    timer = qt.QTimer()
    timer.timeout.connect(lambda: (ticks.append(1), started.append(ready.logic.running)))
    timer.start(5)

    def again(*_):
        with pytest.raises(InputError, match="A run is in progress"):
            logic.process(*inputs, model=model_path)

    logic.process(*inputs, model=model_path, onProgress=again)
    timer.stop()
    assert len(ticks) > 5 and not any(started)


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"t2Volume": None}, InputError, "Choose a T2-w volume first"),
        ({"model": "no/such.safetensors"}, ModelError, "no longer exists"),
        ({"device": "tpu"}, InputError, "The device 'tpu' is unknown; use one of auto, cpu, cuda, mps"),
    ],
)
def test_a_wrong_request_is_refused_and_changes_nothing(leg, logic, model_path, changes, error, said):
    before = panel_scene.snapshot()
    wanted = {"t1Volume": leg[0], "t2Volume": leg[1], "greVolume": leg[2], "model": model_path, **changes}
    with pytest.raises(error, match=said):
        logic.process(**wanted)
    assert panel_scene.snapshot() == before and not logic.running


def test_volumes_of_different_patients_need_force(leg, logic, model_path):
    leg[0].SetName("sub-01_T1w")
    leg[1].SetName("sub-02_T2w")
    with pytest.raises(DifferentPatients):
        logic.process(*leg, model=model_path)
    assert "different patients" in logic.process(*leg, model=model_path, force=True).GetAttribute("CCDNN_Forced")


def test_a_failed_run_leaves_the_scene_as_it_was(leg, logic, model_path):
    slicer.util.updateVolumeFromArray(leg[1], np.full((6, 40, 36), np.nan, np.float32))
    before = panel_scene.snapshot()
    with pytest.raises(InputError, match="leg t2"):
        logic.process(*leg, model=model_path)
    assert panel_scene.snapshot() == before and not logic.running


def test_a_killed_worker_is_an_error_and_the_next_run_works(leg, logic, model_path):
    before = panel_scene.snapshot()
    with pytest.raises(CcdnnError, match="ended the worker"):
        logic.process(*leg, model=model_path, onProgress=lambda *_: os.kill(logic.worker.pid, signal.SIGKILL))
    assert panel_scene.snapshot() == before
    node = logic.process(*leg, model=model_path)
    assert panel_scene.results() == [node]


def test_the_default_model_may_be_named(leg, logic):
    from CCDNNSynthLib.Synthesis.Blocking import jobOf

    volumes = dict(zip(INPUTS, leg, strict=True))
    assert jobOf(volumes, None, None, "small", "cpu", False) == jobOf(volumes, None, None, "", "cpu", False)
    slicer_host.process_events()
