"""Many studies: each is made once, failures are listed and passed over, and a stopped command resumes."""

from __future__ import annotations

import csv
import os
import signal
from dataclasses import replace
from pathlib import Path

import dicom_factory as factory
import numpy as np
import pytest
from small_study import read_array, write_model, write_study

from ccdnn.cli.main import main
from ccdnn.cohort.record import Record, read_record, write_record
from ccdnn.cohort.run import Work, process, run_cohort
from ccdnn.cohort.studies import NamedStudy, find_studies
from ccdnn.cohort.synthesis import SynthesisTask
from ccdnn.errors import Cancelled, DeviceError, InputError, OutputError
from ccdnn.model.file import load_model
from ccdnn.study import find_series
from ccdnn.study_synthesis import StudyChoice


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors", optional=("gre",))


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    """Four studies, of which "c" has no T2."""
    for name in "abcd":
        write_study(tmp_path / "studies" / name)
    (tmp_path / "studies" / "c" / "t2.nrrd").unlink()
    return tmp_path / "studies"


CPU = ("--device", "cpu", "--precision", "fp32")  # which precision is faster can change from run to run


def each(source: Path, out: Path, model: Path, *more: str) -> int:
    return main(["synthesize", "--each", str(source), "-o", str(out), "--model", str(model), *CPU, *more])


def rows_of(out: Path) -> dict[str, dict[str, str]]:
    with (out / "summary.csv").open(encoding="utf-8", newline="") as file:
        return {row["study"]: row for row in csv.DictReader(file)}


def test_every_study_has_a_result_or_a_reason(studies: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "out"
    assert each(studies, out, model) == InputError.exit_code
    assert "1 of 4 studies failed" in capsys.readouterr().err
    rows = rows_of(out)
    assert [rows[name]["status"] for name in "abcd"] == ["done", "done", "failed", "done"]
    assert "no T2-w series" in rows["c"]["error"] and not (out / "c.nrrd").exists()
    assert 0 < float(rows["a"]["network_seconds"]) < float(rows["a"]["seconds"])
    assert rows["a"]["output"] == "a.nrrd" and float(rows["a"]["covered_by_all"]) > 0.9 and rows["a"]["t1"] == "2"
    single = tmp_path / "single.nrrd"
    assert main(["synthesize", str(studies / "a"), "-o", str(single), "--model", str(model), *CPU]) == 0
    np.testing.assert_array_equal(read_array(out / "a.nrrd"), read_array(single))


def test_a_second_run_does_what_is_left(studies: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    each(studies, out, model)
    before = {name: (out / f"{name}.nrrd").stat().st_mtime_ns for name in "abd"}
    (out / "b.nrrd").unlink()
    write_study(tmp_path / "spare")
    (tmp_path / "spare" / "t2.nrrd").rename(studies / "c" / "t2.nrrd")
    assert each(studies, out, model) == 0
    assert {row["status"] for row in rows_of(out).values()} == {"done"}
    assert (out / "a.nrrd").stat().st_mtime_ns == before["a"] and (out / "b.nrrd").exists() and (out / "c.nrrd").exists()


def test_results_of_other_settings_are_not_mixed(studies: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    each(studies, tmp_path / "out", model)
    assert each(studies, tmp_path / "out", model, "--with-names") == InputError.exit_code
    assert "other options; name another folder" in capsys.readouterr().err
    record = tmp_path / "out" / "records" / "a.json"
    record.write_text("{")
    assert each(studies, tmp_path / "out", model) == InputError.exit_code
    assert "is damaged" in capsys.readouterr().err


def test_a_table_names_studies_and_series(studies: Path, model: Path, tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    table.write_text(
        "study,folder,t1,t2,gre,reference\nfirst,studies/a,,,,\nno gre,studies/b,,,none,t2\n"
        "own,,studies/d/t1.nrrd,studies/d/t2.nrrd,none,\n"
    )
    assert each(table, tmp_path / "out", model, "--format", "nii.gz") == 0
    rows = rows_of(tmp_path / "out")
    assert list(rows) == ["first", "no gre", "own"]
    assert rows["no gre"]["without"] == rows["own"]["without"] == "GRE" and rows["no gre"]["gre"] == ""
    assert sorted(path.name for path in (tmp_path / "out").glob("*.nii.gz")) == ["first.nii.gz", "no gre.nii.gz", "own.nii.gz"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,folder\na,b\n", "needs the column 'study'"),
        ("study,folder,age\na,b,3\n", "it has study, folder, age"),
        ("study,folder\na,b\nA,c\n", "names the study 'A' twice"),
        ("study,folder\n../a,b\n", "can name a file"),
        ("study,folder\na,\n", "names neither a folder nor a series"),
        ("study,folder\n", "lists no study"),
    ],
)
def test_a_bad_table_is_refused_in_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        find_studies(tmp_path / "list.csv")


def test_a_folder_without_studies_and_stray_options_are_refused(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(InputError, match="has no subfolders"):
        find_studies(tmp_path)
    (tmp_path / "a").mkdir()
    assert each(tmp_path, tmp_path / "out", model, "--gre", "none") == InputError.exit_code
    assert "named in its row of the CSV file" in capsys.readouterr().err
    assert main(["synthesize", "x", "-o", "y.nrrd", "--jobs", "2"]) == InputError.exit_code
    assert "name them with --each" in capsys.readouterr().err


def task_for(model: Path) -> SynthesisTask:
    return SynthesisTask(str(model), load_model(model).sha256, device="cpu", precision="fp32", threads=1)


def test_two_processes_make_every_study_once(studies: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert each(studies, out, model, "--jobs", "2", "--quiet") == InputError.exit_code
    assert [row["status"] for row in rows_of(out).values()] == ["done", "done", "failed", "done"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill a process without asking it")
def test_a_killed_worker_loses_no_study_and_repeats_none(model: Path, tmp_path: Path) -> None:
    from distributed import LocalCluster

    for number in range(8):
        write_study(tmp_path / "studies" / f"{number}")
    out, seen = tmp_path / "out", []
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs="CRITICAL") as cluster:

        def on_study(record: Record, done: int, total: int) -> None:
            seen.append(record.study)
            if done == 2:
                os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)

        records = run_cohort(
            find_studies(tmp_path / "studies"), out, task_for(model), scheduler=cluster.scheduler_address, on_study=on_study
        )
    assert [(record.study, record.status) for record in records] == [(f"{number}", "done") for number in range(8)]
    assert sorted(seen) == [f"{number}" for number in range(8)]
    assert all(read_record(out, name) is not None and (out / f"{name}.nrrd").exists() for name in seen)


def test_an_absent_scheduler_and_an_absent_dask_are_reported(
    studies: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (find_studies(studies), tmp_path / "out", task_for(model))
    monkeypatch.setitem(__import__("sys").modules, "dask", None)
    with pytest.raises(DeviceError, match="need Dask, which is not installed"):
        run_cohort(*arguments, jobs=2)


def test_a_dicom_study_becomes_a_dicom_series_at_once(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    study = tmp_path / "studies" / "knee"
    for name, times in (("T1", (500, 10)), ("T2", (3000, 80))):
        made = factory.series(
            6, SeriesDescription=f"SAG {name}", RepetitionTime=times[0], EchoTime=times[1], SeriesInstanceUID=factory.generate_uid()
        )
        for number, dataset in enumerate(made):
            factory.set_pixels(dataset, factory.ramp(number) + number)
        factory.write(made, study / name)
    named = ("--t1", str(study / "T1"), "--t2", str(study / "T2"), "--gre", "none", "--model", str(model), "--device", "cpu")
    assert main(["synthesize", *named, "-o", str(tmp_path / "one"), "--format", "dicom"]) == 0
    (series,) = find_series(tmp_path / "one")
    assert len(series.files) == 6 and "not acquired" in series.description
    assert main(["synthesize", *named, "-o", str(tmp_path / "one"), "--format", "dicom"]) == OutputError.exit_code
    assert "is not an empty folder" in capsys.readouterr().err

    assert each(tmp_path / "studies", tmp_path / "many", model, "--format", "dicom") == 0
    assert len(list((tmp_path / "many" / "knee").iterdir())) == 6

    write_study(tmp_path / "files")
    assert (
        main(["synthesize", str(tmp_path / "files"), "--model", str(model), "-o", str(tmp_path / "two"), "--format", "dicom"]) == 3
    )
    assert "is not a DICOM series" in capsys.readouterr().err and not (tmp_path / "two").exists()
    assert main(["synthesize", *named, "-o", str(tmp_path / "x.nrrd"), "--format", "mha"]) == OutputError.exit_code
    assert "does not end in .mha" in capsys.readouterr().err


def test_results_are_not_put_among_the_studies(studies: Path, model: Path, capsys: pytest.CaptureFixture) -> None:
    assert each(studies, studies / "out", model) == InputError.exit_code
    assert "would take it for a study" in capsys.readouterr().err and not (studies / "out").exists()


def test_what_a_killed_process_left_unfinished_is_made_again(studies: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "a").mkdir(parents=True)
    (out / "a" / "half.dcm").touch()
    task = replace(task_for(model), form="dicom")
    (study,) = (study for study in find_studies(studies) if study.name == "a")
    assert "is not an empty folder" in process(study, out, task).error  # somebody's own files are kept
    write_record(out, Record("a", "started", output="a"))
    assert "is not a DICOM series" in process(study, out, task).error and not (out / "a").exists()


def test_an_unexpected_error_of_one_study_stops_no_other(
    studies: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(choice: StudyChoice, *arguments: object, **options: object) -> None:
        raise MemoryError("no memory") if choice.study.name == "a" else InputError("It is not usable.")

    monkeypatch.setattr("ccdnn.cohort.synthesis.synthesize_study", fail)
    records = run_cohort(find_studies(studies), tmp_path / "out", task_for(model))
    assert [record.status for record in records] == ["failed"] * 4
    assert records[0].error == "An unexpected error (MemoryError: no memory)." and records[1].error == "It is not usable."


def test_a_stopped_run_says_what_is_done_and_keeps_it(
    studies: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    make = SynthesisTask.make

    def stop_at_b(task: SynthesisTask, study: NamedStudy, output: Path, work: Work) -> None:
        if study.name == "b":
            raise KeyboardInterrupt
        make(task, study, output, work)

    monkeypatch.setattr(SynthesisTask, "make", stop_at_b)
    assert each(studies, tmp_path / "out", model) == Cancelled.exit_code
    assert "Stopped after 1 of 4 studies; run the same command again" in capsys.readouterr().err
    assert rows_of(tmp_path / "out")["a"]["status"] == "done" and (tmp_path / "out" / "a.nrrd").exists()
