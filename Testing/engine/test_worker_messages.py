"""Lines and fields that are not of `ccdnn.worker.messages` are answered with an error, and the worker lives on."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from worker_client import ENGINE_ROOT, synthesis

from ccdnn.worker.messages import MESSAGES_VERSION, Hello

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
    error = worker.answer(Hello(1, version=MESSAGES_VERSION + 1))[-1]
    assert error["kind"] == "version"
    assert "reinstall the extension" in error["text"]


def test_building_requests_loads_nothing_heavy():
    code = "import sys, ccdnn.worker.messages; print([m for m in ('torch', 'SimpleITK', 'pydicom', 'skimage') if m in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": str(ENGINE_ROOT)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
