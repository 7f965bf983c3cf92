"""Every failure ends with a message, a panel that is ready for the next run, and an unchanged scene."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType

import numpy as np
import panel_scene
import pytest
import slicer
import small_study
import vtk
from testing_host import slicer_host

from ccdnn.series import Role
from ccdnn.volume import Volume


def make_long(panel) -> None:
    """Make the inputs large, so that a run takes seconds."""
    node = panel.logic.getParameterNode()
    for member, role in (("t1Volume", Role.T1), ("t2Volume", Role.T2), ("greVolume", Role.GRE)):
        array = np.tile(small_study.volumes()[role].array, (30, 5, 5))
        slicer.util.updateVolumeFromArray(getattr(node, member), array)
    slicer_host.process_events()


def start_and_wait_for_slices(panel) -> None:
    make_long(panel)
    slicer_host.click(panel.synthesis.ui.applyButton)
    slicer_host.wait_until(lambda: panel.synthesis.ui.progressBar.value > 0)


def assert_failed(panel, words, before=None) -> None:
    panel_scene.finish(panel)
    assert words in panel_scene.message(panel)
    assert panel_scene.is_ready(panel)
    if before is not None:
        assert panel_scene.snapshot() == before


def assert_next_run_works(panel) -> None:
    count = len(panel_scene.results())
    panel_scene.apply(panel)
    assert len(panel_scene.results()) == count + 1, panel_scene.message(panel)


def temporary_folders() -> list:
    return list(Path(slicer.app.temporaryPath).glob("CCDNNSynth-*"))


def test_worker_killed_during_a_run(ready):
    make_long(ready)
    before = panel_scene.snapshot()
    start_and_wait_for_slices(ready)
    os.kill(ready.logic.worker.pid, signal.SIGKILL)
    assert_failed(ready, "The system ended the worker", before)
    assert not ready.logic.worker.running and not temporary_folders()
    assert_next_run_works(ready)


@pytest.mark.parametrize("script", ["silent_worker.py", None])
def test_worker_that_never_answers(ready, script):
    worker = ready.logic.worker
    arguments = [str(Path(__file__).with_name(script))] if script else ["-c", "import time; time.sleep(60)"]
    worker.command = lambda: (sys.executable, arguments)
    worker.limits.start = worker.limits.silence = 1
    before = panel_scene.snapshot()
    slicer_host.click(ready.synthesis.ui.applyButton)
    assert_failed(ready, "did not respond", before)
    assert not worker.running and not temporary_folders()


def test_worker_that_does_not_stop_when_asked(ready):
    worker = ready.logic.worker
    worker.command = lambda: (sys.executable, [str(Path(__file__).with_name("silent_worker.py"))])
    worker.limits.cancel = 0.5
    before = panel_scene.snapshot()
    slicer_host.click(ready.synthesis.ui.applyButton)
    slicer_host.wait_until(lambda: worker._ready)
    slicer_host.click(ready.synthesis.ui.applyButton)
    assert_failed(ready, "did not stop when asked", before)


def test_worker_that_cannot_be_started(ready):
    ready.logic.worker.command = lambda: ("/no/such/program", [])
    before = panel_scene.snapshot()
    slicer_host.click(ready.synthesis.ui.applyButton)
    assert_failed(ready, "could not be started", before)


def test_python_slicer_missing(ready, monkeypatch):
    monkeypatch.setenv("PATH", "")
    before = panel_scene.snapshot()
    slicer_host.click(ready.synthesis.ui.applyButton)
    assert_failed(ready, "PythonSlicer", before)


def test_worker_that_prints_and_dies(ready):
    code = "import sys; print('hello'); print('out of luck', file=sys.stderr); sys.exit(7)"
    ready.logic.worker.command = lambda: (sys.executable, ["-c", code])
    slicer_host.click(ready.synthesis.ui.applyButton)
    assert_failed(ready, "exit code 7")
    assert "out of luck" in ready.synthesis.ui.logText.plainText


@pytest.mark.parametrize(("agrees", "installed"), [(True, True), (False, False)])
def test_the_first_run_asks_for_the_small_packages_and_says_their_size(ready, monkeypatch, agrees, installed):
    from CCDNNSynthLib import Packages
    from CCDNNSynthLib.Parameters import Device

    asked, ensured = [], []
    packaging = ModuleType("slicer.packaging")
    packaging.load_requirements = lambda path: Path(path).read_text(encoding="utf-8").split()
    packaging.pip_check = lambda requirements: False
    packaging.pip_ensure = lambda requirements, **settings: ensured.append((requirements, settings))
    monkeypatch.setitem(sys.modules, "slicer.packaging", packaging)
    monkeypatch.setattr(slicer.app, "testingEnabled", lambda: False)
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, **_: asked.append(text) or agrees)
    monkeypatch.setattr(Packages, "_ensureTorch", lambda: pytest.fail("a CPU needs no PyTorch"))
    path = Path(__file__).parents[2] / "CCDNNSynth" / "Resources" / "requirements.txt"
    for device in (Device.AUTO, Device.CPU):
        with nullcontext() if agrees else pytest.raises(Packages.PackagesMissing, match="press Apply again"):
            Packages.ensurePackages(str(path), device)
    assert len(asked) == 2 and all("onnxruntime" in text and "30 MB" in text for text in asked)
    assert bool(ensured) is installed
    assert all("onnxruntime>=1.17" in requirements and not settings["prompt_install"] for requirements, settings in ensured)


def test_a_gpu_needs_torch(ready, monkeypatch):
    from CCDNNSynthLib import Packages
    from CCDNNSynthLib.Parameters import Device

    monkeypatch.setattr(Packages, "find_spec", lambda name: None)
    ready.logic.getParameterNode().device = Device.CUDA
    before = panel_scene.snapshot()
    slicer_host.click(ready.synthesis.ui.applyButton)
    assert_failed(ready, "install the PyTorch extension", before)
    assert not ready.logic.worker.running


def test_worker_ends_with_the_module(ready):
    panel_scene.apply(ready)
    pid = ready.logic.worker.pid
    os.kill(pid, 0)  # it stays alive between jobs
    ready.cleanup()  # as when the application closes
    assert not ready.logic.worker.running and not temporary_folders()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_torch_is_never_imported_by_the_panel():
    import subprocess

    code = (
        "import sys; sys.path[:0] = sys.argv[1:]; from testing_host import slicer_host; panel = slicer_host.start(); "
        "panel.inputs.onSampleLink(); panel.inputs.onDetect(); slicer_host.process_events(); panel.cleanup(); "
        "sys.exit('torch' in sys.modules)"
    )
    testing = Path(__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code, testing], check=False).returncode == 0


def test_model_file_missing(ready, tmp_path):
    path = small_study.write_model(tmp_path / "gone.safetensors")
    panel_scene.choose_model(ready, path)
    path.unlink()
    before = panel_scene.snapshot()
    slicer_host.click(ready.synthesis.ui.applyButton)
    assert_failed(ready, "gone.safetensors no longer exists", before)


def test_model_damaged(ready, tmp_path):
    path = small_study.write_model(tmp_path / "cut.safetensors")
    panel_scene.choose_model(ready, path)
    path.write_bytes(path.read_bytes()[:-50])
    before = panel_scene.snapshot()
    slicer_host.click(ready.synthesis.ui.applyButton)
    assert_failed(ready, "cut.safetensors", before)


def test_file_that_is_not_a_model_is_not_chosen(ready, tmp_path, model_path):
    (tmp_path / "notes.safetensors").write_text("hello")
    panel_scene.choose_model(ready, tmp_path / "notes.safetensors")
    assert "notes.safetensors" in panel_scene.message(ready)
    assert ready.logic.getParameterNode().model == str(model_path)


@pytest.mark.parametrize("member", ["t2Volume", "stirVolume", "outputVolume"])
def test_node_removed_during_a_run(ready, member):
    node = ready.logic.getParameterNode()
    node.outputVolume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "my STIR")
    start_and_wait_for_slices(ready)
    gone = getattr(node, member)
    slicer.mrmlScene.RemoveNode(gone)
    before = {key: value for key, value in panel_scene.snapshot().items() if value[0] != "synthetic STIR (computing)"}
    assert_failed(ready, f"{gone.GetName()} was removed", before)
    assert not temporary_folders()


def test_volume_being_computed_is_removed(ready):
    start_and_wait_for_slices(ready)
    (live,) = panel_scene.results()
    slicer.mrmlScene.RemoveNode(live)
    assert_failed(ready, "was removed")
    assert panel_scene.results() == []


def test_scene_closed_during_a_run(ready, model_path):
    start_and_wait_for_slices(ready)
    slicer.mrmlScene.Clear(0)
    assert_failed(ready, "The scene was closed")
    assert panel_scene.volume_nodes() == [] and not temporary_folders()
    panel_scene.add_leg()
    panel_scene.choose_model(ready, model_path)
    slicer_host.click(ready.inputs.ui.detectButton)
    assert_next_run_works(ready)


def test_module_reloaded_during_a_run(ready, model_path):
    from testing_host import application

    make_long(ready)
    before = panel_scene.snapshot()
    start_and_wait_for_slices(ready)
    pid = ready.logic.worker.pid
    again = application.reload_module("CCDNNSynth")
    slicer_host.process_events()
    assert panel_scene.snapshot() == before and not temporary_folders()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert again.logic.getParameterNode().t1Volume.GetName() == "leg t1"
    assert again.synthesis.ui.applyButton.enabled


@pytest.mark.parametrize("member", ["t1Volume", "greVolume", "stirVolume"])
def test_output_equal_to_an_input_is_refused(ready, member):
    node = ready.logic.getParameterNode()
    node.outputVolume = getattr(node, member)
    before = panel_scene.snapshot()
    slicer_host.click(ready.synthesis.ui.applyButton)
    assert_failed(ready, "input; choose another output", before)


def test_volume_without_voxels(ready):
    ready.logic.getParameterNode().greVolume.SetAndObserveImageData(None)
    slicer_host.click(ready.synthesis.ui.applyButton)
    assert_failed(ready, "leg gre has no voxels")


def test_several_components(ready):
    image = vtk.vtkImageData()
    image.SetDimensions(36, 40, 6)
    image.AllocateScalars(vtk.VTK_FLOAT, 3)
    ready.logic.getParameterNode().t2Volume.SetAndObserveImageData(image)
    slicer_host.click(ready.synthesis.ui.applyButton)
    assert_failed(ready, "leg t2 has 3 values per voxel")


def test_one_slice(ready):
    node = ready.logic.getParameterNode().t2Volume
    slicer.util.updateVolumeFromArray(node, slicer.util.arrayFromVolume(node)[:1].copy())
    slicer_host.click(ready.synthesis.ui.applyButton)
    assert_failed(ready, "leg t2")
    assert "single slice" in panel_scene.message(ready)


def test_nan(ready):
    array = slicer.util.arrayFromVolume(ready.logic.getParameterNode().t1Volume)
    array[2, 3, 4] = np.nan
    before = panel_scene.snapshot()
    slicer_host.click(ready.synthesis.ui.applyButton)
    assert_failed(ready, "leg t1", before)


def test_inputs_that_do_not_overlap(ready):
    node = ready.logic.getParameterNode().greVolume
    node.SetOrigin(1000, 0, 0)
    before = panel_scene.snapshot()
    slicer_host.click(ready.synthesis.ui.applyButton)
    assert_failed(ready, "does not overlap", before)


def test_input_volume_of_another_grid_is_not_changed(ready):
    """Half as many columns, twice as wide: resampled, and the line below the input says so."""
    small = small_study.volumes()[Role.GRE]
    matrix = small.ijk_to_ras.copy()
    matrix[:3, 0] *= 2
    node = ready.logic.getParameterNode()
    node.greVolume = panel_scene.add(Volume(small.array[:, :, ::2], matrix), "coarse gre")
    slicer_host.process_events()
    assert "will be resampled onto T1-w" in ready.inputs.ui.greGrid.text
    assert_next_run_works(ready)
    assert "coarse gre" in ready.synthesis.ui.logText.plainText
