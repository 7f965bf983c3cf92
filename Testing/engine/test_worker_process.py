"""The process of the worker: how it starts, what it does where packages or memory are missing, and that it ends with its client."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from worker_client import ENGINE_ROOT, WorkerClient, patched, running, synthesis

import ccdnn
from ccdnn.errors import DeviceError
from ccdnn.worker.messages import MESSAGES_VERSION, Hello, Shutdown


def test_ready_comes_before_torch_and_says_the_versions():
    client = WorkerClient(patched("import sys; sys.modules['torch'] = sys.modules['SimpleITK'] = None"))
    ready = client.next_event()
    assert ready == {
        "event": "ready",
        "id": None,
        "protocol": MESSAGES_VERSION,
        "engine": ccdnn.__version__,
        "python": ".".join(map(str, sys.version_info[:3])),
        "pid": client.process.pid,
    }
    assert client.end() == 0


def test_hello_tells_the_device_and_the_library(worker):
    result = worker.answer(Hello("hi"))[-1]
    assert (result["event"], result["id"], result["engine"]) == ("result", "hi", ccdnn.__version__)
    assert result["library"].split()[0] in ("onnxruntime", "PyTorch")
    assert result["device"].partition(":")[0] in ("cpu", "cuda", "mps")


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
