"""A request that cannot be carried out is answered with an error that says why, and nothing is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_study import SHAPE
from worker_client import synthesis

from ccdnn.series import Role
from ccdnn.volume import Volume
from ccdnn.worker.messages import ModelChoice


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


def test_an_input_that_the_model_needs_may_not(worker, study, model, tmp_path):
    del study[Role.GRE]
    error = worker.answer(synthesis(8, study, model, tmp_path))[-1]
    assert (error["event"], error["kind"]) == ("error", "input")
    assert "needs a GRE series" in error["text"]


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


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk without room")
def test_full_disk_is_an_error_and_no_crash(worker, study, model, tmp_path):
    error = worker.answer(synthesis(1, study, model, tmp_path, output=Path("/dev/full")))[-1]
    assert error["kind"] == "output"
