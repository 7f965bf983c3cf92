"""Measures of many studies: each is measured as alone, failures are listed, and the tables have a row for each study."""

from __future__ import annotations

import csv
import json
import shutil
import statistics
from pathlib import Path

import numpy as np
import pytest
from small_study import LABELS, label_map, sagittal_matrix, volumes, write

from ccdnn.cli.main import main
from ccdnn.cohort.record import Record, write_record
from ccdnn.errors import InputError
from ccdnn.series import Role
from ccdnn.volume import Volume


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    """Three studies with an acquired STIR, of which "a" and "b" have a label map, and "d", which has no STIR."""
    stir = volumes()[Role.STIR]
    for name in "abcd":
        folder = tmp_path / "studies" / name
        folder.mkdir(parents=True)
        write(volumes()[Role.T1], folder / "t1.nrrd")
        if name != "d":
            write(stir, folder / "stir.nrrd")
        if name in "ab":
            write(Volume(label_map().astype(np.float32), sagittal_matrix()), folder / "labels.nrrd")
            (folder / "labels.json").write_text(json.dumps({str(value): name for value, name in LABELS.items()}))
    return tmp_path / "studies"


@pytest.fixture
def results(tmp_path: Path, studies: Path) -> Path:
    """Stands in for `synthesize --each`: STIRs with more and more noise."""
    folder = tmp_path / "results"
    for number, name in enumerate("abcd", start=1):
        made = volumes()[Role.STIR]
        noise = np.random.default_rng(number).normal(0, 10 * number, made.array.shape)
        folder.mkdir(exist_ok=True)
        write(Volume(made.array + noise, made.ijk_to_ras, name="synthetic"), folder / f"{name}.nrrd")
        write_record(folder, Record(name, "done", output=f"{name}.nrrd"))
    return folder


def each(source: Path, out: Path, *more: str) -> int:
    return main(["measure", "--each", str(source), "-o", str(out), *more])


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_tables_have_every_study_and_its_own_numbers(
    studies: Path, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "out"
    assert each(studies, out, "--synthetic", str(results), "--quiet") == InputError.exit_code
    printed = capsys.readouterr()
    assert "1 of 4 studies failed" in printed.err and "PSNR" in printed.out
    summary = {row["study"]: row for row in rows_of(out / "summary.csv")}
    assert [summary[name]["status"] for name in "abcd"] == ["done", "done", "done", "failed"]
    assert "contains no acquired STIR" in summary["d"]["error"]
    assert (summary["a"]["acquired"], summary["a"]["labels"], summary["c"]["labels"]) == ("2", "1", "")

    similarity = {row["study"]: row for row in rows_of(out / "similarity.csv")}
    assert list(similarity) == ["a", "b", "c"]
    one = tmp_path / "one"
    named = ("--acquired", str(studies / "a" / "stir.nrrd"), "--synthetic", str(results / "a.nrrd"))
    assert main(["measure", *named, "--labels", str(studies / "a" / "labels.nrrd"), "--csv", str(one), "--quiet"]) == 0
    alone = {row["name"]: row["value"] for row in rows_of(one / "similarity.csv")}
    assert similarity["a"]["PSNR (dB)"] == alone["PSNR"] and similarity["a"]["SSIM"] == alone["SSIM"]

    cnr = rows_of(out / "cnr.csv")
    assert [row["study"] for row in cnr] == ["a"] * 5 + ["b"] * 5
    assert [row["CNR synthetic"] for row in cnr[:5]] == [row["CNR synthetic"] for row in rows_of(one / "cnr-between-tissues.csv")]

    of_all = {row["measure"]: row for row in rows_of(out / "statistics.csv")}
    values = [float(row["PSNR (dB)"]) for row in similarity.values()]
    assert float(of_all["PSNR"]["mean"]) == pytest.approx(statistics.fmean(values))
    assert float(of_all["PSNR"]["SD"]) == pytest.approx(statistics.stdev(values)) and of_all["PSNR"]["studies"] == "3"
    assert of_all["CNR acquired, muscle–fat"]["studies"] == "2"


def test_a_second_run_measures_what_is_left_and_other_options_are_refused(
    studies: Path, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out, named = tmp_path / "out", ("--synthetic", str(results))
    each(studies, out, *named)
    before = (out / "a.json").stat().st_mtime_ns
    write(volumes()[Role.STIR], studies / "d" / "stir.nrrd")
    assert each(studies, out, *named) == 0
    assert (out / "a.json").stat().st_mtime_ns == before and len(rows_of(out / "similarity.csv")) == 4
    capsys.readouterr()
    assert each(studies, out, *named, "--scaling", "minmax") == InputError.exit_code
    assert "other options; name another folder" in capsys.readouterr().err


def test_two_processes_measure_the_same(studies: Path, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    shutil.rmtree(studies / "d")
    assert each(studies, tmp_path / "one", "--synthetic", str(results)) == 0
    capsys.readouterr()
    assert each(studies, tmp_path / "two", "--synthetic", str(results), "--jobs", "2", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert (tmp_path / "one" / "cnr.csv").read_bytes() == (tmp_path / "two" / "cnr.csv").read_bytes()
    assert [study["status"] for study in printed["studies"]] == ["done"] * 3 and len(printed["similarity"]) == 3


def test_a_table_names_what_is_not_found(studies: Path, results: Path, tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    table.write_text(
        "study,folder,acquired,synthetic,labels\n"
        "by name,,studies/a/stir.nrrd,results/b.nrrd,\n"
        "no labels,studies/a,,results/a.nrrd,none\n"
        "labels alone,studies/b,none,results/b.nrrd,\n"
        "nothing,studies/d,,,\n"
    )
    assert each(table, tmp_path / "out") == InputError.exit_code
    summary = {row["study"]: row for row in rows_of(tmp_path / "out" / "summary.csv")}
    assert [row["status"] for row in summary.values()] == ["done", "done", "done", "failed"]
    assert summary["by name"]["acquired"] == "stir.nrrd" and summary["no labels"]["labels"] == ""
    assert [row["study"] for row in rows_of(tmp_path / "out" / "similarity.csv")] == ["by name", "no labels"]
    assert {row["study"] for row in rows_of(tmp_path / "out" / "cnr.csv")} == {"labels alone"}


def test_of_two_acquired_stirs_the_one_on_the_results_grid_is_measured(studies: Path, results: Path, tmp_path: Path) -> None:
    stir = volumes()[Role.STIR]
    write(Volume(stir.array, sagittal_matrix((0, 0, 0))), studies / "c" / "stir_other.nrrd")
    write(stir, studies / "b" / "stir_again.nrrd")
    assert each(studies, tmp_path / "out", "--synthetic", str(results)) == InputError.exit_code
    summary = {row["study"]: row for row in rows_of(tmp_path / "out" / "summary.csv")}
    assert summary["c"]["status"] == "done" and summary["c"]["acquired"] == "1"
    assert "in the column “acquired”" in summary["b"]["error"]


def test_a_synthesis_that_is_not_there_is_told(studies: Path, results: Path, tmp_path: Path) -> None:
    write_record(results, Record("a", "failed", error="There is no T2-w series."))
    shutil.rmtree(results / "records" / "b.json", ignore_errors=True)
    (results / "records" / "b.json").unlink()
    (results / "records" / "c.json").unlink()
    (results / "c.nrrd").unlink()
    assert each(studies, tmp_path / "out", "--synthetic", str(results)) == InputError.exit_code
    summary = {row["study"]: row for row in rows_of(tmp_path / "out" / "summary.csv")}
    assert "is not done: There is no T2-w series." in summary["a"]["error"]
    assert summary["b"]["status"] == "done"  # results of other programs have no records
    assert "has no synthetic STIR called c; run `ccdnn synthesize --each` first" in summary["c"]["error"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--line", "0,0,0 1,1,1"), "--line is for one study"),
        (("--acquired", "x"), "--acquired is for one study"),
        (("--with-names",), "--with-names is for one study"),
        (("--synthetic", "no/such"), "is the folder of the results"),
        (("--pairs", "fat"), "fat"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    studies: Path, tmp_path: Path, capsys: pytest.CaptureFixture, more: tuple[str, ...], said: str
) -> None:
    assert each(studies, tmp_path / "out", *more) == InputError.exit_code
    assert said in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_folder_is_needed_for_many_and_refused_for_one(studies: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["measure", "--each", str(studies)]) == InputError.exit_code
    assert "with -o" in capsys.readouterr().err
    stir = str(studies / "a" / "stir.nrrd")
    assert main(["measure", "--acquired", stir, "--synthetic", stir, "-o", str(tmp_path / "x")]) == InputError.exit_code
    assert main(["measure", "--acquired", stir, "--synthetic", stir, "--jobs", "2"]) == InputError.exit_code
    assert "name them with --each" in capsys.readouterr().err
