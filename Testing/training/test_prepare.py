"""`ccdnn-train prepare`: a cohort becomes a cache, or every problem is reported and nothing is written."""

from __future__ import annotations

import json
from pathlib import Path

import cohort
import numpy as np
import pytest
import small_study

from ccdnn.errors import InputError, OutputError
from ccdnn.normalisation import VolumePercentile
from ccdnn.resample import resample_onto
from ccdnn.volume import Volume
from ccdnn_training.cli.main import main
from ccdnn_training.data.cache import SliceCache
from ccdnn_training.data.prepare import prepare_cohort

SUBJECTS = 4


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cohort.write_cohort(tmp_path_factory.mktemp("cohort") / "studies", SUBJECTS)


def prepare(source: Path, folder: Path, **settings) -> SliceCache:
    prepare_cohort(source, folder, folds=2, made_by="test", **settings)
    return SliceCache(folder, fold=1)


def problems_of(source: Path, tmp_path: Path, **settings) -> str:
    """The reported problems; also checks that nothing is left behind."""
    before = set(tmp_path.rglob("*"))
    with pytest.raises(InputError) as error:
        prepare_cohort(source, tmp_path / "new" / "cache", **{"folds": 2, "made_by": "test", **settings})
    assert set(tmp_path.rglob("*")) == before
    return str(error.value)


# ------------------------------------------------------------------------------------------------------------ what it makes


def test_a_folder_of_studies_becomes_a_cache(studies: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert (
        main(
            [
                "prepare",
                str(studies),
                "-o",
                str(tmp_path / "cache"),
                "--normalisation",
                "dataset_minmax",
                "--folds",
                "2",
                "--seed",
                "5",
            ]
        )
        == 0
    )
    reported = capsys.readouterr().out
    assert "4 subjects: 4 with 6 slices of 36×40" in reported
    assert "fold 2: 1 for training, 1 for validation, for testing knee-" in reported
    cache = SliceCache(tmp_path / "cache", fold=1)
    assert {subject.name for subject in cache.subjects} == {f"knee-{n}" for n in range(1, SUBJECTS + 1)}
    for subject in cache.subjects:
        expected = cohort.volumes(int(subject.name[-1]))
        assert np.array_equal(np.load(subject.path), np.stack([expected[contrast].array for contrast in cache.contrasts]))
    assert json.loads((tmp_path / "cache" / "folds.json").read_text())["seed"] == 5


def test_the_cache_does_not_contain_the_paths_of_the_studies(studies: Path, tmp_path: Path) -> None:
    assert main(["prepare", str(studies), "-o", str(tmp_path / "cache"), "--normalisation", "dataset_minmax", "--folds", "2"]) == 0
    for name in ("index.json", "folds.json"):
        text = (tmp_path / "cache" / name).read_text()
        assert str(studies) not in text and "studies" not in text and "nrrd" not in text


def test_a_manifest_gives_the_same_cache(studies: Path, tmp_path: Path) -> None:
    names = [f"knee-{n}" for n in range(1, SUBJECTS + 1)]
    manifest = cohort.write_manifest(studies / "manifest.csv", [cohort.row(name, name) for name in names])
    prepare(studies, tmp_path / "folder"), prepare(manifest, tmp_path / "manifest")
    manifest.unlink()
    for file in sorted((tmp_path / "folder").iterdir()):
        assert file.read_bytes() == (tmp_path / "manifest" / file.name).read_bytes()


def test_a_spreadsheets_csv_is_read(studies: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.csv"
    lines = [["Subject", "STIR", "T1", "T2", "GRE", "age"]]
    for n in range(1, SUBJECTS + 1):
        lines.append([f"s{n}", *(str(studies / f"knee-{n}" / f"{c}.nrrd") for c in ("stir", "t1", "t2", "gre")), "31"])
    manifest.write_text("\r\n".join(";".join(line) for line in lines) + "\r\n;;;;;\r\n", encoding="utf-8-sig")
    cache = prepare(manifest, tmp_path / "cache")
    assert {subject.name for subject in cache.subjects} == {"s1", "s2", "s3", "s4"}


def test_persons_of_a_manifest_stay_together(studies: Path, tmp_path: Path) -> None:
    for n in range(5, 9):
        cohort.write_subject(tmp_path / f"knee-{n}", n)
    rows = [[*cohort.row(f"knee-{n}", f"{studies if n < 5 else tmp_path}/knee-{n}"), f"p{n // 2}"] for n in range(1, 9)]
    manifest = cohort.write_manifest(tmp_path / "manifest.csv", rows, "subject,t1,t2,gre,stir,person")
    for seed in range(3):
        cache = prepare(manifest, tmp_path / f"cache-{seed}", seed=seed)
        part = {subject.name: subject.part for subject in cache.subjects}
        assert part["knee-2"] == part["knee-3"] and part["knee-4"] == part["knee-5"] and part["knee-6"] == part["knee-7"]
        assert "person" not in (tmp_path / f"cache-{seed}" / "index.json").read_text()


def test_inputs_are_resampled_onto_the_grid_of_the_stir(studies: Path, tmp_path: Path) -> None:
    source = tmp_path / "studies"
    cohort.write_cohort(source, SUBJECTS)
    original = cohort.volumes(1)
    coarse = Volume(original["t1"].array[:, ::2, ::2], original["t1"].ijk_to_ras @ np.diag([2.0, 2.0, 1.0, 1.0]), name="t1")
    small_study.write(coarse, source / "knee-1" / "t1.nrrd")
    short = Volume(original["gre"].array[:4], original["gre"].ijk_to_ras, name="gre")
    small_study.write(short, source / "knee-1" / "gre.nrrd")
    prepare(source, tmp_path / "cache")
    t1, t2, gre, stir = np.load(tmp_path / "cache" / "knee-1.npy")
    assert np.array_equal(stir[:4], original["stir"].array[:4])  # the label is never interpolated
    assert np.array_equal(gre[:4], short.array)
    assert np.allclose(t1[:4], resample_onto(coarse, original["stir"].grid).volume.array[:4], atol=1e-3)
    assert np.any(t1[:4] != original["t1"].array[:4])
    for image in (t1, t2, gre, stir):
        assert np.all(image[4:] == 0)  # where GRE has no slices, nothing is to be learnt
    (entry,) = (s for s in json.loads((tmp_path / "cache" / "index.json").read_text())["subjects"] if s["name"] == "knee-1")
    assert entry["series"]["gre"]["coverage"] == pytest.approx(4 / 6)
    assert entry["series"]["t1"]["resampled"] and not entry["series"]["t2"]["resampled"]


def test_matrix_sizes_may_differ_between_subjects(tmp_path: Path) -> None:
    source = cohort.write_cohort(tmp_path / "studies", 3)
    larger = {
        contrast: Volume(np.pad(volume.array, ((0, 0), (2, 2), (4, 0))), volume.ijk_to_ras, name=contrast)
        for contrast, volume in cohort.volumes(4).items()
    }
    cohort.write_subject(source / "knee-4", 4, **larger)
    cache = prepare(source, tmp_path / "cache")
    assert {subject.name: subject.array().shape[1:] for subject in cache.subjects} == {
        **{f"knee-{n}": (6, 40, 36) for n in (1, 2, 3)},
        "knee-4": (6, 44, 40),
    }


def test_volume_percentile_divides_each_series_by_its_own(studies: Path, tmp_path: Path) -> None:
    cache = prepare(studies, tmp_path / "cache", strategy="volume_percentile")
    assert isinstance(cache.normalisation, VolumePercentile)
    subject = cache.part("train")[0]
    for image, series in zip(subject.array(), cohort.volumes(int(subject.name[-1])).values(), strict=True):
        assert np.array_equal(image, cache.normalisation.apply(series.array))


WITH_REGIONS = "subject,t1,t2,gre,stir,regions,lesion,person"


def test_regions_and_lesions_of_a_manifest(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    source = cohort.write_cohort(tmp_path / "studies", 5)
    for n in (1, 5):
        cohort.write_regions(source / f"knee-{n}", lesion="Bone-marrow edema" if n == 5 else "")
    extra = {1: "knee-1/regions.nrrd,,", 5: "knee-5/regions.nrrd,bone-marrow edema,"}
    rows = [[*cohort.row(f"knee-{n}", f"knee-{n}"), extra.get(n, ",,")] for n in range(1, 6)]
    manifest = cohort.write_manifest(source / "manifest.csv", rows, WITH_REGIONS)
    assert main(["prepare", str(manifest), "-o", str(tmp_path / "cache"), "--normalisation", "dataset_minmax", "--folds", "2"]) == 0
    assert "with a lesion, in no fold: knee-5" in capsys.readouterr().out
    for fold in (1, 2):
        cache = SliceCache(tmp_path / "cache", fold)
        assert {subject.name for subject in cache.subjects} == {"knee-1", "knee-2", "knee-3", "knee-4"}
        (patient,) = cache.apart
        assert (patient.name, patient.lesion, patient.part) == ("knee-5", "bone-marrow edema", None)
    for subject in (*cache.subjects, patient):
        if subject.name not in ("knee-1", "knee-5"):
            assert subject.regions() == {}
            continue
        regions = subject.regions()
        assert np.array_equal(regions["bone"], small_study.label_map() == 3)  # as CNR pairs call the marrow
        assert np.array_equal(
            regions["bone-marrow edema" if subject is patient else "synovial fluid"], small_study.label_map() == 4
        )


def test_regions_that_cannot_be_used_are_reported(tmp_path: Path) -> None:
    source = cohort.write_cohort(tmp_path / "studies", 6)
    elsewhere = small_study.sagittal_matrix(origin=(0.0, 20.0, 30.0))
    cohort.write_regions(source / "knee-1", matrix=elsewhere)
    cohort.write_regions(source / "knee-2")
    extra = {1: "knee-1/regions.nrrd,,", 2: "knee-2/regions.nrrd,ganglion,", 3: "knee-3/lost.nrrd,,", 4: ",edema,p", 5: ",,p"}
    rows = [[*cohort.row(f"knee-{n}", f"knee-{n}"), extra.get(n, ",,")] for n in range(1, 7)]
    reported = problems_of(cohort.write_manifest(source / "manifest.csv", rows, WITH_REGIONS), tmp_path)
    for sentence in (
        "knee-1, regions (regions.nrrd): ",
        "knee-2, regions (regions.nrrd): regions.nrrd has no label called “ganglion”",
        "knee-3, regions (knee-3/lost.nrrd): the file does not exist",
        "knee-4 has a lesion and is the same person as knee-5",
    ):
        assert f"  - {sentence}" in reported
    assert reported.count("\n  - ") == 4


def test_possible_problems_give_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    source = cohort.write_cohort(tmp_path / "studies", 4)
    undershoot = cohort.volumes(1)["t1"]
    undershoot = undershoot.with_array(np.where(undershoot.array == undershoot.array.min(), -3, undershoot.array))
    small_study.write(undershoot, source / "knee-1" / "t1.nrrd")
    assert main(["prepare", str(source), "-o", str(tmp_path / "cache"), "--normalisation", "dataset_minmax", "--folds", "2"]) == 0
    assert "Warning: knee-1, T1-w (t1.nrrd) has a few negative voxels (lowest -3" in capsys.readouterr().err


# ----------------------------------------------------------------------------------------------------------- refused input


def test_every_problem_of_every_subject_is_reported_at_once(tmp_path: Path) -> None:
    source = cohort.write_cohort(tmp_path / "studies", 7)
    original = cohort.volumes(2)
    (source / "knee-1" / "gre.nrrd").unlink()
    broken = original["t2"].array.copy()
    broken[0, 0, 0] = np.nan
    small_study.write(original["t2"].with_array(broken), source / "knee-2" / "t2.nrrd")
    small_study.write(original["t1"].with_array(np.full(small_study.SHAPE, 7)), source / "knee-3" / "t1.nrrd")
    small_study.write(original["stir"].with_array(original["stir"].array - 500), source / "knee-4" / "stir.nrrd")
    elsewhere = small_study.sagittal_matrix(origin=(400.0, 20.0, 30.0))
    small_study.write(Volume(cohort.volumes(5)["gre"].array, elsewhere, name="gre"), source / "knee-5" / "gre.nrrd")
    half = small_study.sagittal_matrix(origin=(10 + 4 * 3.0, 20.0, 30.0))
    small_study.write(Volume(cohort.volumes(6)["t2"].array, half, name="t2"), source / "knee-6" / "t2.nrrd")
    (source / "knee-7" / "t1.nrrd").write_bytes(b"no image")
    (source / "knee-8").mkdir()
    reported = problems_of(source, tmp_path)
    for sentence in (
        "knee-1: there is no GRE series",
        "knee-2, T2-w (t2.nrrd): t2.nrrd contains NaN or infinite values in 1 voxels",
        "knee-3, T1-w (t1.nrrd): t1.nrrd contains the value 7 in every voxel",
        "knee-4, STIR (stir.nrrd): its intensities range from -4",
        "knee-5, GRE (gre.nrrd): gre.nrrd (36×40×6 at 0.8×0.8×3 mm) does not overlap",
        "knee-6, T2-w (t2.nrrd): it covers only 33% of the STIR",
        "knee-7: there is no T1-w series",
        "knee-7: t1.nrrd is not a NRRD file, or its header is damaged",
        "knee-8: ",
    ):
        assert f"  - {sentence}" in reported
    assert reported.count("\n  - ") == 9


def test_several_series_that_fit_are_named_by_row(tmp_path: Path) -> None:
    source = cohort.write_cohort(tmp_path / "studies", 4)
    small_study.write(cohort.volumes(9)["t2"], source / "knee-2" / "t2 again.nrrd")
    reported = problems_of(source, tmp_path)
    first, second = (f"{source / 'knee-2'}::{row}" for row in (4, 5))
    assert f"knee-2: 2 series match T2-w; choose one in a manifest: {first} or {second}." in reported
    rows = [cohort.row(f"knee-{n}", f"studies/knee-{n}") for n in range(1, 5)]
    rows[1][2] = "studies/knee-2::4"
    prepare(cohort.write_manifest(tmp_path / "manifest.csv", rows), tmp_path / "cache")
    assert np.array_equal(np.load(tmp_path / "cache" / "knee-2.npy")[1], cohort.volumes(9)["t2"].array)


def test_scales_that_differ_are_reported_where_one_scale_is_used(tmp_path: Path) -> None:
    source = cohort.write_cohort(tmp_path / "studies", 4)
    brighter = cohort.volumes(3)["t2"]
    small_study.write(brighter.with_array(brighter.array * 9), source / "knee-3" / "t2.nrrd")
    reported = prepare_cohort(source, tmp_path / "one", folds=2, made_by="test", strategy="dataset_minmax").warnings
    assert any("the T2-w of knee-3 is" in sentence and "volume_percentile" in sentence for sentence in reported)
    assert not prepare_cohort(source, tmp_path / "own", folds=2, made_by="test", strategy="volume_percentile").warnings


def test_copies_under_another_name_are_found(tmp_path: Path) -> None:
    source = cohort.write_cohort(tmp_path / "studies", 3)
    cohort.write_subject(source / "knee-4", 2)
    reported = problems_of(source, tmp_path)
    assert "knee-2 T1-w and knee-4 T1-w have the same voxels" in reported
    assert reported.count("have the same voxels") == 4


def test_the_problems_of_each_line_of_a_manifest_are_reported(tmp_path: Path) -> None:
    cohort.write_cohort(tmp_path / "studies", 3)
    rows = [
        cohort.row("knee-1", "studies/knee-1"),
        cohort.row("Knee-1", "studies/knee-2"),
        ["knee-3", "studies/knee-3/t1.nrrd", "", "studies/knee-3/missing.nrrd", "studies/knee-3"],
        ["../knee-4", *cohort.row("", "studies/knee-1")[1:]],
    ]
    reported = problems_of(cohort.write_manifest(tmp_path / "manifest.csv", rows), tmp_path)
    for sentence in (
        "Knee-1 (number 2) is the same subject as knee-1 (number 1)",
        "knee-3 has no T2-w: the column t2 is empty",
        "missing.nrrd does not exist",
        "contains 4 series; choose one",
        "'../knee-4' (manifest.csv, number 4) is not a valid file name",
        "knee-1 T1-w and ../knee-4 T1-w are the same files",
    ):
        assert sentence in reported


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("subject,t1,t2,stir\n", "is missing the column gre"),
        ("", "is empty; it should begin with a line of column names"),
        ("subject,t1,t2,gre,stir\n\n", "no rows below its header"),
        (b"subject,t1,t2,gre,stir\n\x00\x01", "manifest.csv"),
    ],
)
def test_a_file_that_is_not_a_manifest_is_reported_in_one_sentence(tmp_path: Path, content: str | bytes, message: str) -> None:
    manifest = tmp_path / "manifest.csv"
    manifest.write_bytes(content.encode() if isinstance(content, str) else content)
    assert message in problems_of(manifest, tmp_path)


def test_a_missing_source_or_too_few_subjects_are_reported(studies: Path, tmp_path: Path) -> None:
    assert "does not exist" in problems_of(tmp_path / "nowhere", tmp_path)
    (tmp_path / "empty").mkdir()
    assert "has no sub-folders" in problems_of(tmp_path / "empty", tmp_path)
    assert "4 persons are too few for 5 folds" in problems_of(studies, tmp_path, folds=5)


def test_an_existing_folder_is_not_overwritten(studies: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "precious").write_text("x")
    with pytest.raises(OutputError, match="is not empty"):
        prepare(studies, tmp_path / "cache")
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["precious"]
    (tmp_path / "cache" / "precious").unlink()
    prepare(studies, tmp_path / "cache")  # an empty folder is allowed


def test_real_dicom_is_prepared_by_rows(shared_data: Path, tmp_path: Path) -> None:
    """A real T1-w, and fat-suppressed PD in three planes in place of the contrasts missing from the set, all onto one grid."""
    from ccdnn.study import find_series

    folder = shared_data / "knee_siemens_t1_pdfs"
    by_plane = {}
    for row, series in enumerate(find_series(folder), start=1):
        if series.grid.shape[0] > 15:
            by_plane[series.role.value, series.plane.split()[-1]] = row
    real = ["real", *(f"{folder}::{by_plane[key]}" for key in (("t1", "sagittal"), *(("pd_fat_sat", p) for p in _PLANES)))]
    rows = [real, *(cohort.row(f"knee-{n}", f"studies/knee-{n}") for n in (1, 2, 3))]
    cohort.write_cohort(tmp_path / "studies", 3)
    cache = prepare(cohort.write_manifest(tmp_path / "manifest.csv", rows), tmp_path / "cache")
    (subject,) = (s for s in cache.subjects if s.name == "real")
    assert subject.array().shape == (4, 24, 384, 384)
    assert subject.provenance["series"]["t1"]["protocol"]["tr_ms"] == pytest.approx(656, abs=1)
    assert not subject.provenance["series"]["t1"]["resampled"] and subject.provenance["series"]["t2"]["resampled"]


_PLANES = ("coronal", "axial", "sagittal")
