"""`ccdnn synthesize` as a user or a script meets it: outputs, messages, exit codes, and nothing left behind when it fails."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from small_study import SHAPE, read_array, sagittal_matrix, volumes, write, write_model, write_study

from ccdnn.cli.main import main
from ccdnn.series import Role
from ccdnn.volume import Volume


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture
def study(tmp_path) -> Path:
    return write_study(tmp_path / "study")


@pytest.fixture
def out(tmp_path) -> Path:
    """A path in a folder of its own, so that anything left beside it is seen."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "stir.nrrd"


@pytest.fixture
def run(model, capsys):
    """Run the command on the tiny model; gives (exit code, stdout, stderr)."""

    def synthesize(*arguments, model=model):
        code = main(["synthesize", *map(str, arguments), "--model", str(model), "--device", "cpu", "--precision", "fp32"])
        return (code, *capsys.readouterr())

    return synthesize


def _is_one_sentence(text: str) -> bool:
    """What a failed command may print: a single line on stderr, and no traceback."""
    return text.startswith("Error: ") and text.count("\n") == 1 and text.rstrip().endswith(".") and "Traceback" not in text


# ---------------------------------------------------------------------------------------------------------- without an input


@pytest.fixture(scope="module")
def optional_model(tmp_path_factory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "optional.safetensors", optional=("gre",))


@pytest.mark.parametrize("how", ["absent", "none"])
def test_without_gre_where_the_model_allows_it(run, study, out, optional_model, how):
    arguments = [] if how == "absent" else ["--gre", "none"]
    if how == "absent":
        (study / "gre.nrrd").unlink()
    code, stdout, stderr = run(study, *arguments, "-o", out, "--json", model=optional_model)
    assert code == 0
    report = json.loads(stdout)
    assert report["missing_inputs"] == ["gre"]
    assert set(report["inputs"]) == {"t1", "t2"}
    assert "made without GRE" in report["warnings"][0]
    assert "made without GRE" in stderr
    header = sitk.ReadImage(out)
    assert header.GetMetaData("CCDNN_Made_Without") == "GRE"


def test_without_gre_is_refused_by_a_model_that_needs_it(run, study, out):
    code, _, stderr = run(study, "--gre", "none", "-o", out)
    assert (code, out.exists()) == (3, False)
    assert _is_one_sentence(stderr) and "--gre cannot be none" in stderr


def test_named_files_without_gre(run, study, out, optional_model):
    code, _, stderr = run("--t1", study / "t1.nrrd", "--t2", study / "t2.nrrd", "-o", out, model=optional_model)
    assert code == 0 and out.exists()
    code, _, stderr = run("--t1", study / "t1.nrrd", "-o", out, model=optional_model)
    assert code == 3 and "--t2" in stderr and "--gre" not in stderr


# ------------------------------------------------------------------------------------------------------------- good inputs


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".nii", ".mha"])
def test_study_folder_to_a_volume_on_the_t1_grid(run, study, out, suffix):
    target = out.with_name(f"stir{suffix}")
    code, stdout, stderr = run(study, "-o", target)
    assert code == 0
    assert str(target) in stdout
    assert "T1-w: t1.nrrd" in stderr
    sidecar = [target.with_name("stir.json")] if ".nii" in target.name else []
    assert sorted(out.parent.iterdir()) == sorted([target, *sidecar])
    made, reference = sitk.ReadImage(target), sitk.ReadImage(study / "t1.nrrd")
    assert made.GetSize() == reference.GetSize()
    np.testing.assert_allclose(made.GetOrigin(), reference.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(made.GetDirection(), reference.GetDirection(), atol=1e-6)
    np.testing.assert_allclose(made.GetSpacing(), reference.GetSpacing(), atol=1e-6)
    assert read_array(target).std() > 0


def test_every_way_to_name_the_series_gives_the_same_volume(run, study, out):
    # `ccdnn inspect` lists gre, t1, t2: by name of file.
    ways = {
        "study": [study],
        "files": ["--t1", study / "t1.nrrd", "--t2", study / "t2.nrrd", "--gre", study / "gre.nrrd"],
        "folder rows": ["--t1", f"{study}::2", "--t2", f"{study}::3", "--gre", f"{study}::1"],
        "rows of the study": [study, "--t1", "2", "--t2", "3"],
    }
    arrays = []
    for name, way in ways.items():
        target = out.with_name(f"{name}.nrrd")
        assert run(*way, "-o", target)[0] == 0
        arrays.append(read_array(target))
    for array in arrays[1:]:
        np.testing.assert_array_equal(array, arrays[0])


def test_json_is_all_there_is_on_stdout_and_says_what_was_done(run, study, out):
    write(_moved(Role.GRE, slices=1), study / "gre.nrrd")
    code, stdout, stderr = run(study, "-o", out, "--json")
    report = json.loads(stdout)
    assert code == 0
    assert stderr == ""
    assert report["output"] == str(out)
    assert report["inputs"]["gre"]["coverage"] == pytest.approx(5 / 6)
    assert report["grid"]["slices"] == SHAPE[0]
    assert "SYNTHETIC" in report["notice"]
    assert any("83.3%" in note for note in report["notes"])


def test_quiet_leaves_one_line_on_stdout_and_warnings_on_stderr(run, study, out):
    code, stdout, stderr = run(study, "-o", out, "--quiet")
    assert (code, stderr, stdout.count("\n")) == (0, "", 1)
    swapped = run("--t1", study / "t2.nrrd", "--t2", study / "t1.nrrd", "--gre", study / "gre.nrrd", "-o", out, "--quiet")
    assert swapped[0] == 0
    assert swapped[2].startswith("Warning: The T1-w and the T2-w series seem to be swapped")


def test_resampling_and_its_coverage_are_said(run, study, out):
    write(_moved(Role.GRE, slices=2), study / "gre.nrrd")
    code, _, stderr = run(study, "-o", out)
    assert code == 0
    assert "resampled onto t1.nrrd" in stderr
    assert "covers 66.7% of it" in stderr


@pytest.mark.parametrize("reference", ["gre", "other file"])
def test_reference_decides_the_grid(run, study, out, tmp_path, reference):
    write(_moved(Role.GRE, slices=1), study / "gre.nrrd")
    other = write(Volume(np.ones((2, 10, 12)), sagittal_matrix((16, 10, 20))), tmp_path / "other.nrrd")
    path = study / "gre.nrrd" if reference == "gre" else other
    assert run(study, "-o", out, "--reference", "gre" if reference == "gre" else other)[0] == 0
    made, wanted = sitk.ReadImage(out), sitk.ReadImage(path)
    assert made.GetSize() == wanted.GetSize()
    np.testing.assert_allclose(made.GetOrigin(), wanted.GetOrigin(), atol=1e-6)


def test_existing_output_is_replaced_when_the_run_ends_well(run, study, out):
    out.write_text("old")
    assert run(study, "-o", out)[0] == 0
    assert read_array(out).shape == SHAPE


# -------------------------------------------------------------------------------------------------------------- bad inputs


def _moved(role: Role, slices: float) -> Volume:
    volume = volumes()[role]
    matrix = volume.ijk_to_ras.copy()
    matrix[:3, 3] += slices * matrix[:3, 2]
    return Volume(volume.array, matrix)


def _write_array(path: Path, array: np.ndarray, is_vector: bool = False) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=is_vector), path)


def _poisoned(value: float) -> Volume:
    volume = volumes()[Role.T2]
    array = volume.array.copy()
    array[2, 20, 20] = value
    return volume.with_array(array)


def _cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


BAD_T2 = {
    "missing": (lambda t2: t2.unlink(), "T2-w"),
    "garbage": (lambda t2: t2.write_bytes(b"\x00\x01" * 500), "t2.nrrd"),
    "cut short": (_cut_short, "t2.nrrd"),
    "empty file": (lambda t2: t2.write_bytes(b""), "t2.nrrd"),
    "4-D": (lambda t2: _write_array(t2, np.ones((3, *SHAPE), np.float32)), "4 dimensions"),
    "colour": (lambda t2: _write_array(t2, np.ones((*SHAPE, 3), np.uint8), True), "t2.nrrd"),
    "single slice": (lambda t2: _write_array(t2, np.arange(1440.0).reshape(1, 40, 36)), "T2-w"),
    "2-D": (lambda t2: _write_array(t2, np.arange(1440.0).reshape(40, 36)), "T2-w"),
    "NaN": (lambda t2: write(_poisoned(np.nan), t2), "NaN"),
    "Inf": (lambda t2: write(_poisoned(np.inf), t2), "infinite"),
    "all zero": (lambda t2: write(volumes()[Role.T2].with_array(np.zeros(SHAPE)), t2), "only zeros"),
    "no overlap": (lambda t2: write(_moved(Role.T2, slices=50), t2), "does not overlap"),
    "too little overlap": (lambda t2: write(_moved(Role.T2, slices=4), t2), "covers only 33%"),
    "a second one": (lambda t2: write(volumes()[Role.T2], t2.with_name("t2_again.nrrd")), "t2_again.nrrd"),
}


@pytest.mark.parametrize("case", BAD_T2)
def test_bad_t2_is_one_sentence_and_nothing_is_written(run, study, out, case):
    spoil, message = BAD_T2[case]
    spoil(study / "t2.nrrd")
    out.write_text("what stood here before")
    code, stdout, stderr = run(study, "-o", out, "-q")
    assert code == 3, stderr
    assert stdout == ""
    assert _is_one_sentence(stderr), stderr
    assert message in stderr
    assert list(out.parent.iterdir()) == [out]
    assert out.read_text() == "what stood here before"


@pytest.mark.parametrize("case", ["garbage", "4-D", "single slice", "colour"])
def test_bad_file_named_outright_is_refused_too(run, study, out, case):
    spoil, _ = BAD_T2[case]
    spoil(study / "t2.nrrd")
    files = [argument for name in ("t1", "t2", "gre") for argument in (f"--{name}", study / f"{name}.nrrd")]
    code, _, stderr = run(*files, "-o", out, "-q")
    assert code == 3
    assert _is_one_sentence(stderr), stderr
    assert "t2.nrrd" in stderr
    assert list(out.parent.iterdir()) == []


def test_too_little_overlap_can_be_forced(run, study, out):
    write(_moved(Role.T2, slices=4), study / "t2.nrrd")
    assert run(study, "-o", out, "--force")[0] == 0
    array = read_array(out)
    assert not array[:4].any()
    assert array[4:].any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "does not exist"),
        (["empty"], "no image"),
        (["--t1", "study/t1.nrrd"], "--t2 and --gre"),
        (["study", "--t2", "9"], "rows 1 to 3"),
        (["--t1", "study", "--t2", "study::1", "--gre", "study::1"], "study::ROW"),
        (["--t1", "7", "--t2", "study::1", "--gre", "study::1"], "no STUDY was given"),
        (["study", "--reference", "nowhere.nrrd"], "nowhere.nrrd"),
    ],
)
def test_wrong_choice_is_one_sentence(run, study, out, monkeypatch, arguments, message):
    monkeypatch.chdir(study.parent)
    (study.parent / "empty").mkdir()
    (study.parent / "empty" / "notes.txt").write_text("no image")
    code, _, stderr = run(*arguments, "-o", out, "-q")
    assert code == 3
    assert _is_one_sentence(stderr), stderr
    assert message in stderr


@pytest.mark.parametrize("case", ["missing", "damaged", "foreign", "unknown name"])
def test_bad_model_is_one_sentence(run, study, out, tmp_path, model, case):
    path = tmp_path / "bad.safetensors"
    if case == "damaged":
        path.write_bytes(model.read_bytes()[:-100])
    elif case == "foreign":
        from safetensors.numpy import save_file

        save_file({"weight": np.zeros(3, np.float32)}, path)
    code, _, stderr = run(study, "-o", out, model="no-such-model" if case == "unknown name" else path)
    assert code == 4
    assert _is_one_sentence(stderr), stderr
    assert list(out.parent.iterdir()) == []


def test_bundled_model_with_another_hash_is_refused(run, study, out, tmp_path, model, monkeypatch):
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "tiny.safetensors").write_bytes(model.read_bytes())
    row = {"id": "tiny", "title": "Tiny", "file": "tiny.safetensors", "sha256": "0" * 64, "default": True}
    (folder / "models.json").write_text(json.dumps({"models": [row]}))
    monkeypatch.setattr("ccdnn.model.catalog.models_folder", lambda: folder)
    code, _, stderr = run(study, "-o", out, model="tiny")
    assert code == 4
    assert _is_one_sentence(stderr), stderr
    assert "SHA-256" in stderr


def test_device_that_is_not_there_has_its_own_exit_code(study, out, model, capsys):
    assert main(["synthesize", str(study), "-o", str(out), "--model", str(model), "--device", "cuda:77"]) == 6
    assert _is_one_sentence(capsys.readouterr().err)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["synthesize"],
        ["synthesize", "x", "-o", "y.nrrd", "--batch", "0"],
        ["frobnicate"],
        ["synthesize", "x", "-o", "y.nrrd", "--device", "abacus"],
        ["synthesize", "x", "-o", "y.nrrd", "--precision", "fp64"],
    ],
)
def test_wrong_arguments_exit_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2


# ----------------------------------------------------------------------------------------------------------------- outputs


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("stir.png", "suffix"),
        ("stir", "suffix"),
        ("nowhere/stir.nrrd", "no such folder"),
        ("file/stir.nrrd", "a part of its path is a file"),
    ],
)
def test_output_that_cannot_be_is_refused_before_anything_is_read(run, tmp_path, name, message):
    (tmp_path / "file").write_text("")
    code, _, stderr = run("no/study", "-o", tmp_path / name)
    assert code == 5
    assert _is_one_sentence(stderr), stderr
    assert message in stderr


def test_input_is_never_overwritten(run, study):
    before = (study / "t2.nrrd").read_bytes()
    code, _, stderr = run(study, "-o", study / "t2.nrrd")
    assert code == 5
    assert "is an input of this run" in stderr
    assert (study / "t2.nrrd").read_bytes() == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="permissions do not bind the administrator")
def test_folder_without_write_permission_is_refused(run, study, out):
    out.parent.chmod(0o500)
    try:
        code, _, stderr = run(study, "-o", out)
    finally:
        out.parent.chmod(0o700)
    assert code == 5
    assert "permission" in stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of a file")
@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".nii", ".mha"])
def test_full_disk_is_one_sentence_and_leaves_nothing(study, out, model, suffix):
    # A limit on the size of a file fails a write as a full disk does, in the middle of it.
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); from ccdnn.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    target = out.with_name(f"stir{suffix}")
    target.write_text("what stood here before")
    command = [sys.executable, "-c", code, "synthesize", study, "-o", target, "--model", model, "--device", "cpu", "-q"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 5, done.stderr
    # The NIfTI and MetaImage libraries write a line of their own before ours.
    assert _is_one_sentence(done.stderr.splitlines(keepends=True)[-1]), done.stderr
    assert list(out.parent.iterdir()) == [target]
    assert target.read_text() == "what stood here before"


def test_ctrl_c_stops_a_run_and_leaves_nothing(tmp_path, out):
    # Some tens of seconds of work in batches of one slice, so that the interrupt falls into the middle of it.
    folder = tmp_path / "large"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("t1", "t2", "gre"):
        write(Volume(rng.random((60, 256, 256)) + 0.5, np.eye(4)), folder / f"{name}.nrrd")
    model = write_model(tmp_path / "wide.safetensors", branch_width=16)
    options = ["--model", model, "--device", "cpu", "--precision", "fp32", "--batch", "1"]
    command = [sys.executable, "-m", "ccdnn.cli.main", "synthesize", folder, "-o", out, *options]
    # Under a shell that runs the tests in the background Ctrl-C is ignored, and a child inherits that.
    heeded = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heeded)
    try:
        for line in process.stderr:
            if line.startswith("GRE:"):
                break
        time.sleep(1.5)
        assert process.poll() is None, "the run was over before it could be interrupted"
        process.send_signal(signal.SIGINT)
        stderr = process.stderr.read()
        assert process.wait(timeout=60) == 130
    finally:
        process.kill()
        process.stderr.close()
    assert "Stopped; nothing was written." in stderr
    assert "Traceback" not in stderr
    assert list(out.parent.iterdir()) == []


def test_ctrl_c_while_the_file_is_written_leaves_what_was_there(run, study, out, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    out.write_text("what stood here before")
    monkeypatch.setattr("ccdnn.writing.os.fsync", interrupted)
    assert run(study, "-o", out)[0] == 130
    assert list(out.parent.iterdir()) == [out]
    assert out.read_text() == "what stood here before"


def test_a_bug_keeps_its_traceback(run, study, out, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("a bug")

    monkeypatch.setattr("ccdnn.synthesis.synthesize", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        run(study, "-o", out)
    assert list(out.parent.iterdir()) == []
