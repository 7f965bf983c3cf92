"""Folds by subject: no subject is in two parts, every one is tested once, and test subjects do not affect the normalisation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ccdnn.errors import InputError
from ccdnn.normalisation import DatasetMinMax
from ccdnn_training.data.cache import SliceCache, write_cohort_index, write_subject
from ccdnn_training.data.folds import FOLDS, Fold, Folds, make_folds, read_folds, write_folds
from ccdnn_training.physics.protocol import CONTRASTS

TWELVE = {f"knee-{n:02d}": f"knee-{n:02d}" for n in range(12)}


@pytest.mark.parametrize(("subjects", "count"), [(12, 4), (13, 4), (5, 4), (4, 2), (3, 3), (40, 5)])
def test_no_subject_is_in_two_parts_and_every_one_is_tested_once(subjects: int, count: int) -> None:
    persons = {f"s{n}": f"s{n}" for n in range(subjects)}
    folds = make_folds(persons, count, seed=3).folds
    assert len(folds) == count
    for fold in folds:
        train, validation, test = map(set, (fold.train, fold.validation, fold.test))
        assert train and validation and test
        assert not train & validation and not train & test and not validation & test
        assert train | validation | test == set(persons)
    assert sorted(name for fold in folds for name in fold.test) == sorted(persons)


def test_twelve_subjects_are_split_as_in_the_paper() -> None:
    for fold in make_folds(TWELVE).folds:
        assert len(fold.test) == 3
        assert len(fold.train) + len(fold.validation) == 9
        assert len(fold.validation) == 2


def test_folds_depend_on_the_seed_alone() -> None:
    assert make_folds(TWELVE, seed=1) == make_folds(dict(sorted(TWELVE.items())), seed=1)
    assert make_folds(TWELVE, seed=1) != make_folds(TWELVE, seed=2)
    assert make_folds(TWELVE, seed=1).seed == 1


def test_both_knees_of_a_person_stay_together() -> None:
    persons = {f"{person}-{side}": person for person in "abcdef" for side in ("left", "right")}
    for fold in make_folds(persons, 3, seed=5).folds:
        for left, right in zip(sorted(persons)[::2], sorted(persons)[1::2], strict=True):
            assert fold.part_of(left) == fold.part_of(right)


@pytest.mark.parametrize(("subjects", "count", "needed"), [(3, 4, 4), (1, 4, 4), (3, 2, 4), (2, 3, 3), (0, 4, 4)])
def test_too_few_subjects_are_reported_in_one_sentence(subjects: int, count: int, needed: int) -> None:
    with pytest.raises(InputError, match=f"{count} folds .*at least {needed}"):
        make_folds({str(n): str(n) for n in range(subjects)}, count)
    assert make_folds({str(n): str(n) for n in range(needed)}, count)


def test_one_fold_is_not_a_cross_validation() -> None:
    with pytest.raises(InputError, match="at least 2 folds"):
        make_folds(TWELVE, 1)


def test_folds_survive_their_file(tmp_path: Path) -> None:
    folds = make_folds(TWELVE, seed=7)
    write_folds(folds, tmp_path)
    assert read_folds(tmp_path, TWELVE) == folds


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda fold: fold["train"].append(fold["test"][0]), "appears more than once in a fold"),
        (lambda fold: fold["validation"].append("stranger"), "names stranger"),
        (lambda fold: fold["validation"].clear(), "no validation subjects"),
        (lambda fold: fold.pop("test"), "does not list folds"),
    ],
)
def test_a_custom_split_is_checked(tmp_path: Path, change, message: str) -> None:
    write_folds(make_folds(TWELVE), tmp_path)
    entries = json.loads((tmp_path / FOLDS).read_text())
    change(entries["folds"][0])
    (tmp_path / FOLDS).write_text(json.dumps(entries))
    with pytest.raises(InputError, match=message):
        read_folds(tmp_path, TWELVE)


# ------------------------------------------------------------------------------------------------ reading a fold's cache


def cohort_cache(folder: Path, brightest: dict[str, float]) -> Path:
    """Subjects with intensities from 1 to `brightest`; of the four folds, fold f tests the f-th subject."""
    folder.mkdir()
    entries = []
    for number, (name, top) in enumerate(brightest.items()):
        values = np.random.default_rng(number).uniform(1, top, (4, 2, 8, 8)).astype(np.float32)
        values.flat[:2] = 1, top
        write_subject(folder, name, values, np.float32)
        series = {
            contrast: {"minimum": float(image.min()), "maximum": float(image.max()), "robust_maximum": 0.9 * float(image.max())}
            for contrast, image in zip(CONTRASTS, values, strict=True)
        }
        entries.append({"name": name, "series": series})
    normalisation = {"strategy": "dataset_minmax", "constants": None}
    write_cohort_index(folder, entries, contrasts=CONTRASTS, normalisation=normalisation, made_by="test")
    names = list(brightest)
    turns = [[*names[n:], *names[:n]] for n in range(len(names))]
    write_folds(Folds(tuple(Fold(test=(t[0],), validation=(t[1],), train=tuple(t[2:])) for t in turns)), folder)
    return folder


BRIGHTEST = {"a": 400.0, "b": 300.0, "c": 200.0, "d": 100.0}


def test_constants_come_from_the_training_part_alone(tmp_path: Path) -> None:
    folder = cohort_cache(tmp_path / "cache", BRIGHTEST)
    brighter = cohort_cache(tmp_path / "brighter", {**BRIGHTEST, "a": 9000.0, "b": 8000.0})
    first = SliceCache(folder, fold=1)
    assert [s.name for s in first.part("test")] == ["a"]
    assert first.normalisation == DatasetMinMax(1, 200)
    # Neither test nor validation subjects change the training data.
    other = SliceCache(brighter, fold=1)
    assert other.normalisation == first.normalisation
    for one, same in zip(first.part("train"), other.part("train"), strict=True):
        assert np.array_equal(np.asarray(one.array()), np.asarray(same.array()))
    assert SliceCache(brighter, fold=3).normalisation != SliceCache(folder, fold=3).normalisation


def test_reading_normalises_as_the_engine_does(tmp_path: Path) -> None:
    cache = SliceCache(cohort_cache(tmp_path / "cache", BRIGHTEST), fold=2)
    for subject in cache.subjects:
        stored, array = np.load(subject.path), subject.array()
        expected = np.stack([cache.normalisation.apply(series) for series in stored])
        assert np.array_equal(np.asarray(array), expected)
        assert np.array_equal(array[:, 1, 2:5, 3:], expected[:, 1, 2:5, 3:])
        assert np.array_equal(array[:, 0], expected[:, 0])
        assert array[0, 1, 2, 3] == expected[0, 1, 2, 3]
        assert np.array_equal(array[-1], expected[-1])
        assert array.astype(np.float64).dtype == np.float64
        assert array.shape == expected.shape and len(array) == 4


def test_the_patient_is_separated_from_air_in_any_normalisation(tmp_path: Path) -> None:
    for subject in SliceCache(cohort_cache(tmp_path / "cache", BRIGHTEST), fold=1).subjects:
        t1 = np.load(subject.path)[0]
        assert np.array_equal(subject.array()[0] > subject.tissue_threshold, t1 > 0.2 * 0.9 * t1.max())


@pytest.mark.parametrize("fold", [None, 0, 5])
def test_a_missing_fold_is_reported_in_one_sentence(tmp_path: Path, fold: int | None) -> None:
    folder = cohort_cache(tmp_path / "cache", BRIGHTEST)
    with pytest.raises(InputError, match="folds 1 to 4"):
        SliceCache(folder, fold)


def test_simulated_knees_have_no_folds(tmp_path: Path) -> None:
    from ccdnn.normalisation import VolumePercentile
    from ccdnn_training.data.cache import write_index

    write_subject(tmp_path, "a", np.ones((4, 1, 8, 8)))
    subjects = [{"name": "a", "part": "train", "provenance": {}}]
    write_index(tmp_path, subjects, contrasts=CONTRASTS, normalisation=VolumePercentile(), made_by="test")
    with pytest.raises(InputError, match="has no folds"):
        SliceCache(tmp_path, fold=1)
