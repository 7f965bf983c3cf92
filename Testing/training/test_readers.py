"""The readers' table: agreement compared with published figures and a second library, and a whole study of simulated readers."""

from __future__ import annotations

import csv
import itertools
import json

import numpy as np
import pandas
import pingouin
import pytest

from ccdnn.errors import InputError
from ccdnn.readers.regions import REGIONS
from ccdnn_training.cli.main import main
from ccdnn_training.studies.readers.agreement import intraclass_correlation
from ccdnn_training.studies.readers.reading import agreement_table, read_study, scores_table

# Table 2 of Shrout and Fleiss 1979; six targets, four judges: ICC(2,1) = .29, ICC(2,k) = .62.
SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])
METHODS = {"CC-DNN": 4.2, "Replica": 3.6, "U-Net": 3.9}
CASES, READERS = 3, ("reader one", "reader two", "reader three")


def by_pingouin(scores: np.ndarray, form: str) -> tuple[float, float, float]:
    """The second library's value and interval; it calls the forms ICC(A,1) and ICC(A,k), after McGraw and Wong."""
    targets, readers = np.indices(scores.shape)
    frame = pandas.DataFrame({"target": targets.ravel(), "reader": readers.ravel(), "score": scores.ravel().astype(float)})
    table = pingouin.intraclass_corr(frame, targets="target", raters="reader", ratings="score").set_index("Type")
    return float(table.loc[form, "ICC"]), *map(float, table.loc[form, "CI95"])


def test_agreement_matches_shrout_and_fleiss():
    single, mean = intraclass_correlation(SHROUT_FLEISS)
    assert (round(single.value, 2), round(mean.value, 2)) == (0.29, 0.62)
    assert (single.targets, single.readers) == (6, 4)
    assert (single.interpretation, mean.interpretation) == ("poor", "good")


@pytest.mark.parametrize("seed", range(5))
def test_agreement_and_its_interval_match_a_second_library(seed):
    rng = np.random.default_rng(seed)
    scores = np.clip(np.round(3 + rng.normal(0, 1, (20, 1)) + rng.normal(0, 0.3, (1, 3)) + rng.normal(0, 0.7, (20, 3))), 1, 5)
    for found, form in zip(intraclass_correlation(scores), ("ICC(A,1)", "ICC(A,k)"), strict=True):
        value, low, high = by_pingouin(scores, form)
        assert found.value == pytest.approx(value, abs=1e-6)
        assert (found.low, found.high) == (pytest.approx(low, abs=6e-3), pytest.approx(high, abs=6e-3))  # given with two digits


def test_agreement_without_variation_is_not_defined():
    single, _mean = intraclass_correlation(np.full((5, 3), 4))
    assert np.isnan(single.value)
    assert single.interpretation == "not defined"


def test_full_agreement_is_one():
    single, mean = intraclass_correlation(np.repeat([[1], [3], [5]], 3, axis=1))
    assert (single.value, mean.value) == (pytest.approx(1), pytest.approx(1))
    assert single.interpretation == "excellent"


@pytest.mark.parametrize("scores", [np.ones((1, 3)), np.ones((3, 1)), np.array([[1, np.nan], [2, 3]])])
def test_agreement_needs_two_readers_and_all_scores(scores):
    with pytest.raises(ValueError, match="at least two"):
        intraclass_correlation(scores)


# ---------------------------------------------------------------------------------------------------------------- a study


@pytest.fixture
def study(tmp_path):
    """Key and score files of simulated readers, and the scores as (reader, case, method, region) → score."""
    rng = np.random.default_rng(7)
    key = {"format": 1, "study": "s1", "seed": 0, "cases": {}}
    for number in range(1, CASES + 1):
        letters = dict(zip("ABC", rng.permutation(list(METHODS)).tolist(), strict=True))
        key["cases"][f"case-{number:02d}"] = {"name": f"knee {number}", "images": letters}
    (tmp_path / "key.json").write_text(json.dumps(key))
    truth = {}
    for reader in READERS:
        with (tmp_path / f"{reader}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["study", "reader", "case", "image", "region", "score"])
            for (case, entry), region in itertools.product(key["cases"].items(), REGIONS):
                for letter, method in entry["images"].items():
                    score = int(np.clip(round(rng.normal(METHODS[method], 0.7)), 1, 5))
                    truth[reader, entry["name"], method, str(region)] = score
                    writer.writerow(["s1", reader, case, letter, str(region), score])
    return tmp_path / "key.json", [tmp_path / f"{reader}.csv" for reader in READERS], truth


def test_table_matches_an_independent_computation(study):
    key, paths, truth = study
    reading = read_study(key, paths)
    table = scores_table(reading, "CC-DNN")
    rows = {row[0]: dict(zip([column.name for column in table.columns], row, strict=True)) for row in table.rows}
    assert len(rows) == 19 + 1
    for region in ("Meniscus: medial", "all regions"):
        of = {
            method: np.array(
                [v for (_r, _c, m, place), v in sorted(truth.items()) if m == method and region in (place, "all regions")]
            )
            for method in METHODS
        }
        for method, values in of.items():
            assert rows[region][f"{method} mean"] == pytest.approx(values.mean())
            assert rows[region][f"{method} SD"] == pytest.approx(values.std(ddof=1))
        expected = pingouin.wilcoxon(of["CC-DNN"], of["Replica"]).loc["Wilcoxon", "p_val"]
        assert rows[region]["P Replica against CC-DNN"] == pytest.approx(expected)


def test_agreement_of_a_study_is_over_cases_and_regions(study):
    key, paths, truth = study
    table = agreement_table(read_study(key, paths))
    rows = {(row[0], row[1]): row for row in table.rows}
    scores = np.array(
        [
            [truth[reader, f"knee {number}", "U-Net", str(region)] for reader in READERS]
            for number in range(1, 4)
            for region in REGIONS
        ]
    )
    assert rows["U-Net", "ICC(2,1)"][2] == pytest.approx(by_pingouin(scores, "ICC(A,1)")[0], abs=1e-6)
    assert rows["U-Net", "ICC(2,1)"][6:] == (3 * 19, 3)


def test_command_writes_tables_and_summary(study, tmp_path, capsys):
    key, paths, _truth = study
    assert main(["study", "readers", str(key), *map(str, paths), "-o", str(tmp_path / "out")]) == 0
    summary = (tmp_path / "out" / "summary.md").read_text()
    assert summary in capsys.readouterr().out
    assert "| all regions |" in summary
    assert "ICC(2,k)" in summary
    assert len((tmp_path / "out" / "scores.csv").read_text().splitlines()) == 1 + 19 + 1


def test_unfinished_foreign_and_duplicate_files_are_refused(study, tmp_path):
    key, paths, _truth = study
    lines = paths[0].read_text().splitlines()
    short, foreign, doubled = tmp_path / "short.csv", tmp_path / "foreign.csv", tmp_path / "doubled.csv"
    short.write_text("\n".join(lines[:-4]) + "\n")
    foreign.write_text("\n".join(lines).replace("s1,", "s2,") + "\n")
    doubled.write_text("\n".join(lines) + "\n")
    for files, message in (
        ([short, *paths[1:]], "is missing 4 scores of reader one"),
        ([foreign, *paths[1:]], "another study"),
        ([*paths, doubled], "both contain the scores of reader one"),
    ):
        with pytest.raises(InputError, match=message):
            read_study(key, files)


def test_agreement_of_one_reader_is_refused(study):
    key, paths, _truth = study
    with pytest.raises(InputError, match="has one"):
        agreement_table(read_study(key, paths[:1]))


def test_signed_rank_test_of_equal_scores_gives_no_number(study):
    key, paths, _truth = study
    for path in paths:
        lines = path.read_text().splitlines()
        path.write_text("\n".join([lines[0], *(line[:-1] + "4" for line in lines[1:])]) + "\n")
    table = scores_table(read_study(key, paths), "CC-DNN")
    assert set(table.column("P Replica against CC-DNN")) == {None}
