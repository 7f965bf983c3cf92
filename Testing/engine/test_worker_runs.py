"""A run of the worker: the voxels are those of the command line, its events come in time, and it can be cancelled."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from small_study import SHAPE, read_array, write, write_model
from worker_client import read_output, synthesis, write_array

from ccdnn.acquisition import Acquisition
from ccdnn.cli.main import main
from ccdnn.series import Role
from ccdnn.worker.messages import ArrayFile, Cancel


def kinds(events) -> list[str]:
    return [event["event"] for event in events]


def test_an_input_that_the_model_can_do_without_may_be_absent(worker, study, tmp_path):
    model = write_model(tmp_path / "optional.safetensors", optional=("gre",))
    del study[Role.GRE]
    result = worker.answer(synthesis(7, study, model, tmp_path))[-1]
    assert result["event"] == "result"
    assert (result["name"], result["header"]["CCDNN_Made_Without"]) == ("synthetic STIR without GRE", "GRE")
    assert set(result["coverage"]) == {"t1", "t2"}
    assert "made without GRE" in result["warnings"][0]


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
        Role.T1: write_array(study[Role.T1], tmp_path, acquisition=Acquisition(tr_ms=4000, te_ms=90)),
        Role.T2: write_array(study[Role.T2], tmp_path, acquisition=Acquisition(tr_ms=500, te_ms=10)),
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


def test_no_event_names_a_file_of_the_inputs(worker, study, model, tmp_path):
    events = worker.answer(synthesis(1, study, model, tmp_path))
    told = json.dumps([{key: value for key, value in event.items() if key != "output"} for event in events])
    assert str(tmp_path) not in told


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
