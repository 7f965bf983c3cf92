"""Reader studies: what readers get does not reveal the method, their scores are never lost, the key undoes the blinding."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import small_study

from ccdnn.cli.main import main
from ccdnn.errors import InputError, OutputError
from ccdnn.files import read_volume, write_volume
from ccdnn.readers.manifest import read_manifest
from ccdnn.readers.regions import REGIONS
from ccdnn.readers.scores import ScoreSheet, read_scores
from ccdnn.readers.study import Candidate, create_study, creating_study, open_study, read_key
from ccdnn.series import Role

METHODS = ("CC-DNN", "Replica", "U-Net")


@pytest.fixture
def candidates(tmp_path) -> list[Candidate]:
    """Two cases; each method's image is the acquired STIR in another unit, with the method's name in its header."""
    found = []
    for name in ("Knee of Smith", "Knee of Jones"):
        folder = tmp_path / "source" / name
        folder.mkdir(parents=True)
        volumes = small_study.volumes()
        context = {role: folder / f"{role.value}.nrrd" for role in volumes}
        for role, path in context.items():
            write_volume(volumes[role], path)
        images = {method: folder / f"{method}.nrrd" for method in METHODS}
        for number, (method, path) in enumerate(images.items(), start=2):
            stir = volumes[Role.STIR]
            write_volume(replace(stir, array=stir.array * number, metadata={"CCDNN_Model": method}, name=method), path)
        found.append(Candidate(name, context, images))
    return found


@pytest.fixture
def study(candidates, tmp_path):
    return create_study(candidates, tmp_path / "readers", tmp_path / "key.json", seed=987654321987)


def test_a_study_has_every_case_image_and_region(study):
    assert [case.name for case in study.cases] == ["case-01", "case-02"]
    assert all(set(case.images) == {"A", "B", "C"} for case in study.cases)
    assert all(set(case.context) == {Role.T1, Role.T2, Role.GRE, Role.STIR} for case in study.cases)
    assert study.regions == REGIONS
    assert len(REGIONS) == 19


def test_nothing_in_the_readers_folder_tells_a_method_or_a_case(study, tmp_path):
    folder = tmp_path / "readers"
    key = json.loads((tmp_path / "key.json").read_text())
    for path in folder.rglob("*"):
        assert not any(word in str(path.relative_to(folder)) for word in (*METHODS, "Smith", "Jones"))
        if path.is_file():
            content = path.read_bytes()
            assert not any(word.encode() in content for word in (*METHODS, "Smith", "Jones", str(key["seed"])))
    for case in study.cases:
        files = list(case.images.values())
        assert len({path.stat().st_size for path in files}) == len({path.stat().st_mtime for path in files}) == 1
        headers = {path.read_bytes()[:352] for path in files}
        assert len(headers) == 1
        assert b"SYNTHETIC" in headers.pop()


def test_blinded_images_have_one_brightness_and_that_of_the_acquired(study):
    for case in study.cases:
        acquired = read_volume(case.context[Role.STIR]).array
        for path in case.images.values():
            np.testing.assert_allclose(read_volume(path).array, acquired, rtol=1e-4, atol=1e-3 * acquired.max())


def test_key_tells_what_every_letter_was(candidates, tmp_path):
    marked = []
    for candidate in candidates:  # images that can be told apart once they are blinded
        for number, path in enumerate(candidate.images.values()):
            volume = read_volume(path)
            array = volume.array.copy()
            array[0, 0, number] = volume.array.max()
            write_volume(replace(volume, array=array), path)
        marked.append(candidate)
    study = create_study(marked, tmp_path / "readers", tmp_path / "key.json")
    key = read_key(tmp_path / "key.json")
    assert key.identifier == study.identifier
    assert sorted(key.names.values()) == ["Knee of Jones", "Knee of Smith"]
    for case in study.cases:
        for letter, path in case.images.items():
            first_pixels = read_volume(path).array[0, 0, : len(METHODS)]
            assert METHODS[int(first_pixels.argmax())] == key.methods[case.name, letter]


def test_letters_are_shuffled_in_each_case(candidates, tmp_path):
    many = [replace(candidates[0], name=str(number)) for number in range(8)]
    create_study(many, tmp_path / "readers", tmp_path / "key.json", seed=1)
    key = read_key(tmp_path / "key.json")
    assert len({tuple(key.methods[case, letter] for letter in "ABC") for case in key.names}) > 2
    assert list(key.names.values()) != [str(number) for number in range(8)]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda c: [], "at least one case"),
        (lambda c: [c[0], replace(c[1], images={"CC-DNN": c[1].images["CC-DNN"]})], "same methods"),
        (lambda c: [replace(c[0], context={Role.T1: c[0].context[Role.T1]})], "no acquired STIR"),
    ],
)
def test_bad_cases_are_refused_and_nothing_is_written(candidates, tmp_path, spoil, message):
    with pytest.raises(InputError, match=message):
        create_study(spoil(candidates), tmp_path / "readers", tmp_path / "key.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


def test_an_image_on_another_grid_is_refused_and_nothing_is_written(candidates, tmp_path):
    path = candidates[1].images["U-Net"]
    volume = read_volume(path)
    write_volume(replace(volume, array=volume.array[1:]), path)
    with pytest.raises(InputError, match=r"U-Net\.nrrd does not lie on the grid"):
        create_study(candidates, tmp_path / "readers", tmp_path / "key.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


def test_a_study_that_is_given_up_half_way_leaves_nothing(candidates, tmp_path):
    steps = creating_study(candidates, tmp_path / "readers", tmp_path / "key.json")
    assert [next(steps) for _ in range(9)][-1] == (9, 14)
    steps.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


def test_key_in_the_readers_folder_is_refused(candidates, tmp_path):
    with pytest.raises(InputError, match="undo the blinding"):
        create_study(candidates, tmp_path / "readers", tmp_path / "readers" / "key.json")


def test_an_existing_folder_or_key_is_not_touched(candidates, tmp_path):
    (tmp_path / "key.json").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        create_study(candidates, tmp_path / "readers", tmp_path / "key.json")
    assert (tmp_path / "key.json").read_text() == "mine"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "study.json").unlink(), "is not a reader study"),
        (lambda folder: (folder / "study.json").write_text("{}"), "not the description of a reader study"),
        (lambda folder: (folder / "case-01" / "A.nii").unlink(), "missing from the reader study"),
    ],
)
def test_a_damaged_study_is_told(study, tmp_path, spoil, message):
    spoil(tmp_path / "readers")
    with pytest.raises(InputError, match=message):
        open_study(tmp_path / "readers")


# ---------------------------------------------------------------------------------------------------------------- scores


def test_scores_are_on_disk_at_once_and_reading_goes_on_from_them(study, tmp_path):
    path = tmp_path / "one.csv"
    sheet = ScoreSheet(path, study, "reader one")
    first = next(sheet.missing())
    sheet.set(*first, 4)
    again = ScoreSheet(path, study, "reader one")  # as after a crash
    assert again.score(*first) == 4
    assert (again.done, again.total) == (1, 2 * 3 * 19)
    assert next(again.missing()) != first
    again.set(*first, None)
    assert ScoreSheet(path, study, "reader one").done == 0


def test_readers_do_not_overwrite_each_other(study, tmp_path):
    sheet = ScoreSheet(tmp_path / "one.csv", study, "reader one")
    sheet.set(*next(sheet.missing()), 5)
    with pytest.raises(InputError, match="contains the scores of reader one"):
        ScoreSheet(tmp_path / "one.csv", study, "reader two")


def test_scores_of_another_study_are_refused(study, candidates, tmp_path):
    other = create_study(candidates, tmp_path / "other", tmp_path / "other.json", seed=3)
    sheet = ScoreSheet(tmp_path / "one.csv", other, "reader one")
    sheet.set(*next(sheet.missing()), 5)
    for attempt in (lambda: ScoreSheet(sheet.path, study, "reader one"), lambda: read_scores(sheet.path, study.identifier)):
        with pytest.raises(InputError, match="another study"):
            attempt()


def test_a_score_that_cannot_be_written_is_not_kept(study, tmp_path):
    sheet = ScoreSheet(tmp_path / "missing" / "one.csv", study, "reader one")
    with pytest.raises(OutputError):
        sheet.set(*next(sheet.missing()), 5)
    assert sheet.done == 0


@pytest.mark.parametrize("score", [0, 6, 2.5])
def test_scores_are_whole_and_from_1_to_5(study, tmp_path, score):
    sheet = ScoreSheet(tmp_path / "one.csv", study, "reader one")
    with pytest.raises(ValueError, match="Scores are"):
        sheet.set(*next(sheet.missing()), score)


# ------------------------------------------------------------------------------------------------------- manifest and command


def write_manifest(candidates, path) -> None:
    lines = [",".join(["case", *(role.value for role in candidates[0].context), *METHODS])]
    for candidate in candidates:
        files = [*candidate.context.values(), *candidate.images.values()]
        lines.append(",".join([candidate.name, *(str(file.relative_to(path.parent)) for file in files)]))
    path.write_text("\n".join(lines) + "\n")


def test_command_makes_the_study_of_a_manifest(candidates, tmp_path, capsys):
    write_manifest(candidates, tmp_path / "cases.csv")
    assert read_manifest(tmp_path / "cases.csv") == candidates
    assert main(["reader-study", str(tmp_path / "cases.csv"), "-o", str(tmp_path / "out"), "--key", str(tmp_path / "k.json")]) == 0
    assert len(open_study(tmp_path / "out").cases) == 2
    assert set(read_key(tmp_path / "k.json").methods.values()) == set(METHODS)
    assert "2 cases with 3 blinded images each, 19 regions" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",stir,", ",acquired,", "needs the columns case and stir"),
        ("Knee of Jones,", "Knee of Smith,", "names a case twice"),
        ("U-Net.nrrd", "lost.nrrd", "does not exist"),
    ],
)
def test_a_bad_manifest_is_told_and_nothing_is_written(candidates, tmp_path, capsys, old, new, message):
    path = tmp_path / "cases.csv"
    write_manifest(candidates, path)
    path.write_text(path.read_text().replace(old, new))
    assert main(["reader-study", str(path), "-o", str(tmp_path / "out"), "--key", str(tmp_path / "k.json")]) == 3
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists() and not (tmp_path / "k.json").exists()
