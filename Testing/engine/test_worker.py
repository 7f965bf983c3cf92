"""The worker as a client sees it: a process, lines on its pipes, and files of voxels."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_study import SHAPE, read_array, volumes, write, write_model
from worker_client import ENGINE_ROOT, WorkerClient, read_output, running, synthesis, write_array

import ccdnn
from ccdnn.cli.main import main
from ccdnn.errors import DeviceError
from ccdnn.series import Protocol, Role
from ccdnn.volume import Volume
from ccdnn.worker.protocol import PROTOCOL_VERSION, ArrayFile, Cancel, Hello, ModelChoice, Shutdown

INPUTS = (Role.T1, Role.T2, Role.GRE)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture(scope="module")
def worker():
    """One for all tests that leave it as it was: that it lives on is a part of each."""
    with running() as client:
        yield client


@pytest.fixture
def study() -> dict[Role, Volume]:
    return {role: volume for role, volume in volumes().items() if role in INPUTS}


@pytest.fixture
def long_study(study) -> dict[Role, Volume]:
    """Of so many slices that there is time to act before the last."""
    return {role: volume.with_array(np.tile(volume.array, (100, 1, 1))) for role, volume in study.items()}


def patched(code: str) -> tuple[str, str]:
    """A worker that runs `code` before it starts."""
    return "-c", f"{code}\nimport runpy; runpy.run_module('ccdnn.worker', run_name='__main__')"


def kinds(events) -> list[str]:
    return [event["event"] for event in events]


# ---------------------------------------------------------------------------------------------------------------- results


def test_ready_comes_before_torch_and_says_the_versions():
    client = WorkerClient(patched("import sys; sys.modules['torch'] = sys.modules['SimpleITK'] = None"))
    ready = client.next_event()
    assert ready == {
        "event": "ready",
        "id": None,
        "protocol": PROTOCOL_VERSION,
        "engine": ccdnn.__version__,
        "python": ".".join(map(str, sys.version_info[:3])),
        "pid": client.process.pid,
    }
    assert client.end() == 0


def test_an_input_that_the_model_can_do_without_may_be_absent(worker, study, tmp_path):
    model = write_model(tmp_path / "optional.safetensors", optional=("gre",))
    del study[Role.GRE]
    result = worker.answer(synthesis(7, study, model, tmp_path))[-1]
    assert result["event"] == "result"
    assert (result["name"], result["header"]["CCDNN_Made_Without"]) == ("synthetic STIR without GRE", "GRE")
    assert set(result["coverage"]) == {"t1", "t2"}
    assert "made without GRE" in result["warnings"][0]


def test_an_input_that_the_model_needs_may_not(worker, study, model, tmp_path):
    del study[Role.GRE]
    error = worker.answer(synthesis(8, study, model, tmp_path))[-1]
    assert (error["event"], error["kind"]) == ("error", "input")
    assert "needs a GRE series" in error["text"]


def test_hello_tells_the_device_and_the_library(worker):
    result = worker.answer(Hello("hi"))[-1]
    assert (result["event"], result["id"], result["engine"]) == ("result", "hi", ccdnn.__version__)
    assert result["library"].split()[0] in ("onnxruntime", "PyTorch")
    assert result["device"].partition(":")[0] in ("cpu", "cuda", "mps")


def test_same_voxels_and_grid_as_the_command_line(worker, study, model, tmp_path):
    (tmp_path / "study").mkdir()
    for role, volume in study.items():
        write(volume, tmp_path / "study" / f"{role.value}.nrrd")
    arguments = ["synthesize", str(tmp_path / "study"), "-o", str(tmp_path / "stir.nrrd"), "--model", str(model)]
    assert main([*arguments, "--device", "cpu", "--precision", "fp32", "--quiet"]) == 0

    result = worker.answer(synthesis(1, study, model, tmp_path))[-1]
    np.testing.assert_array_equal(read_output(result), read_array(tmp_path / "stir.nrrd"))
    np.testing.assert_array_equal(result["ijk_to_ras"], study[Role.T1].ijk_to_ras)
    assert result["slices"] == [0, SHAPE[0]]
    assert result["coverage"] == {"t1": 1.0, "t2": 1.0, "gre": 1.0}
    assert result["name"] == "synthetic STIR"
    assert "SYNTHETIC" in result["header"]["CCDNN_Notice"]
    assert result["header"]["CCDNN_Model_SHA256"] == result["model"]["sha256"]


def test_each_slice_is_in_the_file_when_its_event_comes(worker, study, model, tmp_path):
    request = synthesis(1, study, model, tmp_path)
    worker.send(request)
    for index in range(SHAPE[0]):
        assert worker.until("slice")[-1]["index"] == index
        assert np.fromfile(request.output, np.float32).reshape(SHAPE)[index].any()
    last = worker.until("result")
    assert kinds(last) == ["progress", "result"]
    assert (last[0]["done"], last[0]["total"]) == (SHAPE[0], SHAPE[0])


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float64"])
def test_voxels_of_any_type_are_taken_as_they_are(worker, study, model, tmp_path, dtype):
    whole = {role: volume.with_array(np.round(volume.array / 4)) for role, volume in study.items()}
    expected = read_output(worker.answer(synthesis(1, whole, model, tmp_path))[-1])
    assert expected.std() > 0
    result = worker.answer(synthesis(2, whole, model, tmp_path, dtype, output=tmp_path / "other.raw"))[-1]
    np.testing.assert_array_equal(read_output(result), expected)


def test_preview_is_the_slice_of_the_whole_run(worker, study, model, tmp_path):
    whole = read_output(worker.answer(synthesis(1, study, model, tmp_path))[-1])
    events = worker.answer(synthesis(2, study, model, tmp_path, slices=(3, 4)))
    preview = read_output(events[-1])
    np.testing.assert_allclose(preview[3], whole[3], atol=1e-6)
    assert not np.delete(preview, 3, axis=0).any()
    assert [event["index"] for event in events if event["event"] == "slice"] == [3]
    assert [event["total"] for event in events if event["event"] == "progress"] == [1, 1]
    assert events[-1]["slices"] == [3, 4]


def test_result_lies_on_any_grid_that_was_asked_for(worker, study, model, tmp_path):
    matrix = study[Role.T1].ijk_to_ras.copy()
    matrix[:3, 3] += matrix[:3, 2]
    grid = ArrayFile((SHAPE[0] - 2, *SHAPE[1:]), matrix.tolist(), "acquired STIR")
    events = worker.answer(synthesis(1, study, model, tmp_path, reference=grid))
    assert read_output(events[-1]).shape == (SHAPE[0] - 2, *SHAPE[1:])
    assert events[-1]["ijk_to_ras"] == grid.ijk_to_ras
    assert any(event["level"] == "note" and "acquired STIR" in event["text"] for event in events if event["event"] == "log")


def test_acquisition_brings_the_warnings_of_the_command_line(worker, study, model, tmp_path):
    request = synthesis(1, study, model, tmp_path)
    swapped = {
        Role.T1: write_array(study[Role.T1], tmp_path, acquisition=Protocol(tr_ms=4000, te_ms=90)),
        Role.T2: write_array(study[Role.T2], tmp_path, acquisition=Protocol(tr_ms=500, te_ms=10)),
    }
    events = worker.answer(replace(request, inputs={**request.inputs, **swapped}))
    assert any("swapped" in sentence for sentence in events[-1]["warnings"])
    assert "log" in kinds(events[: kinds(events).index("progress")])  # told before the network starts


def test_model_is_loaded_once_until_its_file_changes(worker, study, tmp_path):
    path = write_model(tmp_path / "own.safetensors")

    def loads(request_id: int) -> bool:
        events = worker.answer(synthesis(request_id, study, path, tmp_path))
        assert events[-1]["event"] == "result"
        return any("Loading the model" in event.get("text", "") for event in events)

    assert [loads(1), loads(2)] == [True, False]
    write_model(path, name="retrained model")
    assert loads(3)
    assert worker.answer(synthesis(4, study, path, tmp_path))[-1]["model"]["name"] == "retrained model"
    path.unlink()
    assert worker.answer(synthesis(5, study, path, tmp_path))[-1]["kind"] == "model"


# ----------------------------------------------------------------------------------------------------------------- cancel


def test_cancel_stops_the_run_between_batches_and_the_next_one_works(worker, long_study, study, model, tmp_path):
    worker.send(synthesis("long", long_study, model, tmp_path))
    worker.until("slice")
    worker.send(Cancel("long"))
    events = worker.until("cancelled", "result", "error")
    assert (events[-1]["event"], events[-1]["id"]) == ("cancelled", "long")
    assert kinds(events).count("slice") < SHAPE[0] * 100 - 1
    assert worker.answer(synthesis("next", study, model, tmp_path))[-1]["event"] == "result"


def test_cancel_reaches_a_run_that_waits_and_no_other(worker, long_study, study, model, tmp_path):
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
    worker.send(synthesis("one", long_study, model, tmp_path / "one"))
    worker.send(synthesis("two", study, model, tmp_path / "two"))
    worker.send(synthesis("three", study, model, tmp_path / "three"))
    worker.send(Cancel("two"))
    ends = [worker.until("result", "cancelled", "error")[-1] for _ in range(3)]
    assert [(end["id"], end["event"]) for end in ends] == [("one", "result"), ("two", "cancelled"), ("three", "result")]
    assert not (tmp_path / "two" / "output.raw").exists()


def test_cancel_that_comes_too_late_harms_no_later_run(worker, study, model, tmp_path):
    request = synthesis("again", study, model, tmp_path)
    assert worker.answer(request)[-1]["event"] == "result"
    worker.send(Cancel("again"))
    assert worker.answer(request)[-1]["event"] == "result"


# ----------------------------------------------------------------------------------------------------------------- errors


def _with_array(study, role, array):
    return {**study, role: study[role].with_array(array)}


def _moved(volume: Volume, millimetres: float) -> Volume:
    matrix = volume.ijk_to_ras.copy()
    matrix[:3, 3] += millimetres
    return replace(volume, ijk_to_ras=matrix)


def _nan(study):
    array = study[Role.T2].array.copy()
    array[0, 0, 0] = np.nan
    return _with_array(study, Role.T2, array)


BAD_STUDIES = {
    "missing": (lambda study: {Role.T1: study[Role.T1], Role.T2: study[Role.T2]}, "needs a GRE series"),
    "NaN": (_nan, "leg t2 contains NaN"),
    "constant": (lambda study: _with_array(study, Role.GRE, np.full(SHAPE, 7)), "leg gre contains the value 7"),
    "one slice": (lambda study: _with_array(study, Role.T1, study[Role.T1].array[:1]), "is a single slice"),
    "elsewhere": (lambda study: {**study, Role.T2: _moved(study[Role.T2], 900)}, "leg t2"),
}


@pytest.mark.parametrize("name", BAD_STUDIES)
def test_bad_inputs_are_named_and_nothing_is_written(worker, study, model, tmp_path, name):
    spoil, message = BAD_STUDIES[name]
    request = synthesis(1, spoil(study), model, tmp_path)
    error = worker.answer(request)[-1]
    assert (error["event"], error["kind"], error["exit_code"]) == ("error", "input", 3)
    assert message in error["text"]
    assert not request.output.exists()


BAD_REQUESTS = {
    "no model file": ({"model": ModelChoice(path=Path("gone.safetensors"))}, "model", "no model file"),
    "no bundled model": ({"model": ModelChoice(id="paper-of-tomorrow")}, "model", "bundled"),
    "device": ({"device": "abacus"}, "device", "abacus"),
    "precision": ({"precision": "fp8"}, "device", "fp8"),
    "slices": ({"slices": (4, 99)}, "input", f"slices 0 to {SHAPE[0] - 1}"),
    "reference": ({"reference": Role.STIR}, "input", "STIR is not among the inputs"),
    "output": ({"output": Path("no/such/folder/out.raw")}, "output", "cannot be written"),
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_what_cannot_be_done_is_said(worker, study, model, tmp_path, name):
    changes, kind, message = BAD_REQUESTS[name]
    error = worker.answer(replace(synthesis(1, study, model, tmp_path), **changes))[-1]
    assert (error["event"], error["kind"]) == ("error", kind)
    assert message in error["text"]


def test_model_file_with_another_hash_is_refused(worker, study, model, tmp_path):
    request = replace(synthesis(1, study, model, tmp_path), model=ModelChoice(path=model, sha256="0" * 64))
    error = worker.answer(request)[-1]
    assert error["kind"] == "model"
    assert "SHA-256" in error["text"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": Path("gone.raw")}, "voxels of leg gre cannot be read"),
        ({"dtype": "uint8"}, f"contains {np.prod(SHAPE) * 4} voxels"),
        ({"shape": (2, 3, *SHAPE[1:])}, "has 4 dimensions"),
        ({"ijk_to_ras": np.zeros((4, 4)).tolist()}, "invertible"),
    ],
)
def test_arrays_that_are_no_volumes_are_refused(worker, study, model, tmp_path, changes, message):
    request = synthesis(1, study, model, tmp_path)
    request.inputs[Role.GRE] = replace(request.inputs[Role.GRE], **changes)
    error = worker.answer(request)[-1]
    assert error["kind"] == "input"
    assert message in error["text"]


@pytest.mark.parametrize("taken", ["t1", "gre", "model"])
@pytest.mark.parametrize("through_a_link", [False, True])
def test_an_output_that_is_an_input_is_refused_and_the_input_is_as_it_was(worker, study, model, tmp_path, taken, through_a_link):
    request = synthesis(1, study, model, tmp_path)
    output = model if taken == "model" else request.inputs[Role(taken)].path
    before = output.read_bytes()
    if through_a_link:
        link = tmp_path / "link.raw"
        link.symlink_to(output)
    error = worker.answer(replace(request, output=link if through_a_link else output))[-1]
    assert (error["event"], error["kind"]) == ("error", "output")
    assert output.read_bytes() == before


@pytest.mark.parametrize("field", ["output", "input", "model"])
def test_a_path_with_nul_is_an_error(worker, study, model, tmp_path, field):
    request = synthesis(1, study, model, tmp_path).to_json()
    if field == "output":
        request["output"] = "a\0b"
    elif field == "input":
        request["inputs"]["t1"]["path"] = "a\0b"
    else:
        request["model"] = {"path": "a\0b"}
    assert worker.answer(request)[-1]["event"] == "error"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not shorten a file that is open")
def test_an_output_that_shrinks_does_not_end_the_worker(worker, long_study, study, model, tmp_path):
    request = synthesis(1, long_study, model, tmp_path)
    worker.send(request)
    worker.until("slice")
    os.truncate(request.output, 10)
    assert worker.until("result", "error")[-1]["event"] in ("result", "error")
    assert worker.answer(synthesis(2, study, model, tmp_path))[-1]["event"] == "result"


@pytest.mark.skipif(sys.platform == "win32", reason="the size of a pipe is another there")
@pytest.mark.parametrize("requests", [2_000, 40_000])
def test_ends_with_a_client_that_never_reads(requests):
    """More answers than the pipe holds, and then more than are worth keeping."""
    start = [sys.executable, "-m", "ccdnn.worker"]
    environment = {**os.environ, "PYTHONPATH": str(ENGINE_ROOT)}
    with subprocess.Popen(start, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        try:
            process.stdin.write(b"no request at all\n" * requests)
            process.stdin.close()
        except BrokenPipeError:
            assert requests == 40_000
        assert process.wait(60) in (0, 1)


MALFORMED = {
    "no JSON": (b"synthesize please", None),
    "no object": (b"[1, 2]", None),
    "no UTF-8": (b'{"request": "\xff\xfe"}', None),
    "deep": (b"[" * 100_000, None),
    "endless": (b'{"request": "' + b"x" * 3_000_000, None),
    "number of 5000 digits": (b'{"request": "hello", "id": 9, "protocol": ' + b"9" * 5000 + b"}", None),
    "NaN for an id": (b'{"request": "hello", "id": NaN, "protocol": 1}', None),
    "lone surrogate": (b'{"request": "\\ud800", "id": 5}', 5),
    "unknown": ({"request": "dance", "id": 5}, 5),
    "no kind": ({"id": 6}, 6),
    "no id": ({"request": "hello", "protocol": 1}, None),
    "id of no type": ({"request": "hello", "id": True, "protocol": 1}, None),
    "no version": ({"request": "hello", "id": 7}, 7),
    "no inputs": ({"request": "synthesize", "id": 8, "output": "x"}, 8),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_lines_that_are_no_requests_are_answered_with_an_error(worker, name):
    line, request_id = MALFORMED[name]
    error = worker.answer(line)[-1]
    assert (error["event"], error["kind"], error["id"]) == ("error", "protocol", request_id)
    assert error["text"].endswith(".")


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": {"t9": {}}},
        {"inputs": {"t1": "t1.nrrd"}},
        {"inputs": []},
        {"reference": 3},
        {"model": {"id": "small", "path": "x"}},
        {"slices": [1]},
        {"slices": [0.5, 2]},
        {"force": "yes"},
        {"output": None},
    ],
)
def test_fields_of_another_type_are_refused(worker, study, model, tmp_path, change):
    error = worker.answer({**synthesis(1, study, model, tmp_path).to_json(), **change})[-1]
    assert (error["kind"], error["id"]) == ("protocol", 1)


@pytest.mark.parametrize(
    "change",
    [
        {"dtype": "object"},
        {"dtype": "float16"},
        {"shape": [6, 40.5, 36]},
        {"shape": [6, -40, 36]},
        {"ijk_to_ras": [[1, 0, 0, 0]]},
        {"ijk_to_ras": [[1, 0, 0, "0"]] * 4},
        {"acquisition": {"tr_ms": "long"}},
        {"acquisition": {"patient": "x"}},
        {"acquisition": {"technique": "magic"}},
        {"name": None},
    ],
)
def test_array_entries_of_another_type_are_refused(worker, study, model, tmp_path, change):
    request = synthesis(1, study, model, tmp_path).to_json()
    request["inputs"]["t1"].update(change)
    assert worker.answer(request)[-1]["kind"] == "protocol"


def test_client_of_another_version_is_told(worker):
    error = worker.answer(Hello(1, protocol=PROTOCOL_VERSION + 1))[-1]
    assert error["kind"] == "version"
    assert "reinstall the extension" in error["text"]


def test_without_torch_the_cpu_computes(study, model, tmp_path):
    with running(patched("import sys; sys.modules['torch'] = None")) as client:
        hello = client.answer(Hello(1))[-1]
        assert hello["device"] == "cpu" and hello["library"].startswith("onnxruntime ")
        assert "PyTorch is not installed" in hello["reason"]
        result = client.answer(synthesis(2, study, model, tmp_path))[-1]
        assert (result["event"], result["device"], result["precision"]) == ("result", "cpu", "fp32")
        refused = client.answer(synthesis(3, study, model, tmp_path, device="cuda"))[-1]
        assert (refused["kind"], refused["exit_code"]) == ("device", DeviceError.exit_code)
        assert "PyTorch is not installed" in refused["text"]


def test_without_any_library_it_is_said(study, model, tmp_path):
    with running(patched("import sys; sys.modules['torch'] = sys.modules['onnxruntime'] = None")) as client:
        error = client.answer(synthesis(1, study, model, tmp_path))[-1]
        assert error["kind"] == "device"
        assert "onnxruntime is not installed, and PyTorch is not installed" in error["text"]


@pytest.mark.parametrize("failure", ["ImportError('libc10 is missing')", "OSError('[WinError 126] c10.dll')"])
def test_a_broken_torch_leaves_the_cpu(tmp_path, failure):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(f"raise {failure}\n")
    with running(PYTHONPATH=str(tmp_path)) as client:
        hello = client.answer(Hello(1))[-1]
        assert hello["device"] == "cpu"
        assert "cannot be loaded" in hello["reason"] and "c10" in hello["reason"]


def test_another_missing_package_is_named(study, model, tmp_path):
    with running(patched("import sys; sys.modules['safetensors'] = None")) as client:
        error = client.answer(synthesis(1, study, model, tmp_path))[-1]
        assert error["kind"] == "package_missing"
        assert "safetensors" in error["text"]


def test_bug_ends_in_an_error_with_its_traceback_in_the_log(study, model, tmp_path):
    code = "import ccdnn.synthesis as s\ndef broken(*a, **k): raise KeyError('surprise')\ns.synthesize = broken"
    with running(patched(code)) as client:
        log, error = client.answer(synthesis(1, study, model, tmp_path))[-2:]
        assert (log["event"], log["level"]) == ("log", "debug")
        assert "surprise" in log["text"]
        assert error["kind"] == "bug"
        assert "Traceback" not in error["text"]
        assert client.answer(Hello(2))[-1]["event"] == "result"


@pytest.mark.parametrize("error", ["MemoryError()", "RuntimeError('CUDA out of memory')"])
def test_memory_that_runs_out_is_said_in_words(study, model, tmp_path, error):
    with running(patched(f"import ccdnn.synthesis as s\ndef full(*a, **k): raise {error}\ns.synthesize = full")) as client:
        answer = client.answer(synthesis(1, study, model, tmp_path))[-1]
        assert answer["kind"] == "device"
        assert "not enough memory" in answer["text"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk without room")
def test_full_disk_is_an_error_and_no_crash(worker, study, model, tmp_path):
    error = worker.answer(synthesis(1, study, model, tmp_path, output=Path("/dev/full")))[-1]
    assert error["kind"] == "output"


# ------------------------------------------------------------------------------------------------------------ the process


def test_stdout_carries_events_alone_whoever_prints():
    code = "import os, ccdnn.worker.service as s\nhello = s.Service._hello\n"
    code += (
        "def chatty(*a):\n print('from Python', flush=True)\n os.write(1, b'from C')\n return hello(*a)\ns.Service._hello = chatty"
    )
    with running(patched(code)) as client:
        assert client.answer(Hello(1))[-1]["event"] == "result"
        assert client.end() == 0
        assert "from Python" in client.stderr
        assert "from C" in client.stderr


@pytest.mark.parametrize("leave", [lambda client: client.send(Shutdown()), lambda client: client.process.stdin.close()])
def test_ends_on_shutdown_and_with_its_client(leave, long_study, model, tmp_path):
    with running() as idle, running() as busy:
        busy.send(synthesis(1, long_study, model, tmp_path))
        busy.until("slice")
        for client in (idle, busy):
            leave(client)
            assert client.wait() == 0
            assert client.stderr == ""


def test_ends_with_its_client_though_it_hangs(study, model, tmp_path):
    code = "import time, ccdnn.synthesis as s, ccdnn.worker.channel as c\nc.GRACE_SECONDS = 0.2\n"
    with running(patched(code + "s.synthesize = lambda *a, **k: time.sleep(600)")) as client:
        client.send(synthesis(1, study, model, tmp_path))
        client.until("log")
        assert client.end() == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
def test_ctrl_c_in_the_terminal_of_slicer_does_not_end_it():
    with running() as client:
        client.process.send_signal(signal.SIGINT)
        assert client.answer(Hello(1))[-1]["event"] == "result"
        assert client.end() == 0


def test_building_requests_loads_nothing_heavy():
    code = "import sys, ccdnn.worker.protocol; print([m for m in ('torch', 'SimpleITK', 'pydicom', 'skimage') if m in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": str(ENGINE_ROOT)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_no_event_names_a_file_of_the_inputs(worker, study, model, tmp_path):
    events = worker.answer(synthesis(1, study, model, tmp_path))
    told = json.dumps([{key: value for key, value in event.items() if key != "output"} for event in events])
    assert str(tmp_path) not in told
