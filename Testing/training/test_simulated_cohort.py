"""`ccdnn-train simulate-cohort`: healthy knees, knees with a lesion, those to train on, and the manifest of all."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from ccdnn.errors import InputError
from ccdnn.files import read_volume
from ccdnn_training.cli.main import main
from ccdnn_training.data.simulated_cohort import NEXT_DRAW, CohortSubject, cohort_subjects, simulate_cohort

HEALTHY, LESIONS = {"knee-01", "knee-02"}, {"edema-1": "bone-marrow edema", "ganglion-1": "ganglion"}
SIZE = ["--subjects", "2", "--lesions", "1", "--slices", "8", "--matrix", "96"]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    assert main(["simulate-cohort", str(folder), *SIZE, "--jobs", "2"]) == 0
    return folder / "manifest.csv"


def test_a_cohort_is_listed_with_its_tissues_and_lesions(manifest: Path) -> None:
    with manifest.open(encoding="utf-8") as file:
        listed = {row["subject"]: row["lesion"] for row in csv.DictReader(file)}
    assert listed == {**dict.fromkeys(HEALTHY, ""), **LESIONS}
    assert len({subject.seed for subject in cohort_subjects()}) == len(cohort_subjects()) == 12 + 2 * 4


def test_lesions_to_train_on_are_separate_subjects_that_the_manifest_does_not_name() -> None:
    subjects = cohort_subjects(healthy=2, lesions=1, trained_lesions=2)
    assert [subject.name for subject in subjects if subject.trained] == [
        f"trained-{lesion}-{n}" for lesion in ("edema", "ganglion") for n in (1, 2)
    ]
    assert {subject.row["subject"]: subject.row["lesion"] for subject in subjects if subject.row["lesion"]} == LESIONS
    assert len({subject.seed for subject in subjects}) == len(subjects)


def test_a_lesion_outside_the_field_of_view_is_drawn_again(tmp_path: Path) -> None:
    subject = CohortSubject("ganglion-4", cohort_subjects()[-1].seed, "ganglion")
    for fov, draws in ((160.0, 0), (93.0, 1)):
        simulate_cohort(tmp_path / str(fov), [subject], matrix=48, fov=fov)
        made = json.loads((tmp_path / str(fov) / subject.name / "simulation.json").read_text(encoding="utf-8"))
        assert made["seed"] == subject.seed + draws * NEXT_DRAW
        assert 14 in read_volume(tmp_path / str(fov) / subject.name / "labels.nrrd").array


def test_a_field_of_view_without_any_lesion_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    size = ["--subjects", "0", "--lesions", "1", "--slices", "2", "--matrix", "16", "--fov", "4"]
    assert main(["simulate-cohort", str(tmp_path), *size]) == InputError.exit_code
    assert "use a larger --fov" in capsys.readouterr().err
    assert not {"ganglion-1", "manifest.csv"} & {path.name for path in tmp_path.iterdir()}


def test_a_stopped_cohort_resumes(manifest: Path) -> None:
    kept, lost = manifest.parent / "knee-01" / "stir.nrrd", manifest.parent / "knee-02"
    before, content = kept.stat().st_mtime_ns, (lost / "stir.nrrd").read_bytes()
    shutil.rmtree(lost)
    assert main(["simulate-cohort", str(manifest.parent), *SIZE]) == 0
    assert kept.stat().st_mtime_ns == before
    assert (lost / "stir.nrrd").read_bytes() == content
