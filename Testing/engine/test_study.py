"""Whole folders: mixtures of formats, and which series plays which role."""

from __future__ import annotations

from pathlib import Path

import dicom_factory as factory
import numpy as np
import pytest
from pydicom.uid import generate_uid

from ccdnn.errors import InputError
from ccdnn.files import write_volume
from ccdnn.series import Role
from ccdnn.study import choose_roles, find_series, read_study, read_volume
from ccdnn.volume import Volume

GRADIENT_ECHO = {"ScanningSequence": "GR", "RepetitionTime": 500, "EchoTime": 10, "FlipAngle": 25, "SeriesDescription": "GRE"}
T2 = {"RepetitionTime": 3000, "EchoTime": 80, "SeriesDescription": "T2"}


def image(folder: Path, *names: str, shift: float = 0.0, slices: int = 4) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    matrix = np.diag([1.0, 1.0, 3.0, 1.0])
    matrix[0, 3] = shift
    for name in names:
        write_volume(Volume(np.random.default_rng(0).random((slices, 5, 6)), matrix), folder / name)


def test_any_mixture_of_formats(tmp_path: Path) -> None:
    factory.write(factory.series(SeriesDescription="T1"), tmp_path / "dicom")
    image(tmp_path, "t2.nii.gz")
    image(tmp_path / "more", "gre.nrrd", "stir.mha")
    (tmp_path / ".hidden.nrrd").write_bytes(b"NRRD0004")
    (tmp_path / "README.txt").write_text("T1")
    study = read_study(tmp_path)
    assert [(series.name, series.role) for series in study.series] == [
        ("5 T1", Role.T1),
        ("t2.nii.gz", Role.T2),
        ("gre.nrrd", Role.GRE),
        ("stir.mha", Role.STIR),
    ]
    assert study.problems == ()
    assert set(choose_roles(study.series)) == {Role.T1, Role.T2, Role.GRE, Role.STIR}


def test_files_that_cannot_be_read_are_named_and_the_rest_is_listed(tmp_path: Path) -> None:
    image(tmp_path, "t1.nrrd")
    (tmp_path / "t2.nrrd").write_text("damaged")
    (tmp_path / "scan.PAR").write_text("# Philips")
    study = read_study(tmp_path)
    assert [series.name for series in study.series] == ["t1.nrrd"]
    assert [problem.split()[0] for problem in study.problems] == ["1", "t2.nrrd"]
    assert "PAR/REC" in study.problems[0]


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        find_series(tmp_path / "none")
    with pytest.raises(InputError, match="contains no image"):
        find_series(tmp_path)
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(InputError, match="contains no image"):
        find_series(tmp_path / "notes.txt")


def test_one_volume_is_needed(tmp_path: Path) -> None:
    image(tmp_path, "t1.nrrd", "t2.nrrd")
    assert read_volume(tmp_path / "t1.nrrd").array.shape == (4, 5, 6)
    with pytest.raises(InputError, match=r"contains 2 series where one is needed: “t1.nrrd” \(T1-w\), “t2.nrrd” \(T2-w\)"):
        read_volume(tmp_path)


def test_missing_role_lists_what_was_found(tmp_path: Path) -> None:
    image(tmp_path, "t1.nrrd", "t2.nrrd", "labels.nrrd")
    with pytest.raises(InputError, match=r"no GRE series among those found: .*“labels.nrrd” \(other\).*--gre"):
        choose_roles(find_series(tmp_path))


def test_two_series_for_one_role(tmp_path: Path) -> None:
    image(tmp_path, "gre.nrrd", "t1.nrrd", "t1_again.nrrd", "t2.nrrd")
    with pytest.raises(InputError, match=r"“t1.nrrd” and “t1_again.nrrd” all fit as T1-w; choose with --t1 \(2 or 3"):
        choose_roles(find_series(tmp_path))


def test_the_one_on_the_common_grid_is_certain(tmp_path: Path) -> None:
    image(tmp_path, "gre.nrrd", "t1.nrrd", "t2.nrrd")
    image(tmp_path, "t1_cor.nrrd", shift=7.0)
    assert choose_roles(find_series(tmp_path))[Role.T1].name == "t1.nrrd"


def test_where_the_others_disagree_nothing_is_certain(tmp_path: Path) -> None:
    image(tmp_path, "gre.nrrd", "t1.nrrd")
    image(tmp_path, "t2.nrrd", "t1_cor.nrrd", shift=7.0)
    with pytest.raises(InputError, match="all fit as T1-w"):
        choose_roles(find_series(tmp_path))


def test_two_examinations_are_not_mixed(tmp_path: Path) -> None:
    factory.write(factory.series(SeriesNumber=1, SeriesDescription="T1"), tmp_path / "1")
    factory.write(factory.series(SeriesNumber=2, **T2), tmp_path / "2")
    factory.write(factory.series(SeriesNumber=3, StudyInstanceUID="1.2.99", **GRADIENT_ECHO), tmp_path / "3")
    with pytest.raises(InputError, match="come from different examinations"):
        choose_roles(find_series(tmp_path))


def test_equal_names_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    image(tmp_path / "left", "t1.nrrd")
    image(tmp_path / "right", "t1.nrrd")
    assert [series.name for series in find_series(tmp_path)] == ["t1.nrrd in left", "t1.nrrd in right"]


def test_first_time_point_stands_for_the_series(tmp_path: Path) -> None:
    factory.write(factory.series(SeriesNumber=1, SeriesDescription="T1"), tmp_path / "1")
    factory.write(factory.series(SeriesNumber=2, **T2), tmp_path / "2")
    uid = generate_uid()
    repeats = [
        factory.slice_dataset(number, series_uid=uid, SeriesNumber=3, TemporalPositionIdentifier=point, **GRADIENT_ECHO)
        for point in (1, 2)
        for number in range(4)
    ]
    factory.write(repeats, tmp_path / "3")
    chosen = choose_roles(find_series(tmp_path))
    assert (chosen[Role.GRE].name, chosen[Role.GRE].time_point) == ("3 GRE, time point 1", 1)


def test_refused_single_and_synthetic_series_play_no_role(tmp_path: Path) -> None:
    image(tmp_path, "gre.nrrd", "t1.nrrd", "t2_synthetic.nrrd")
    image(tmp_path, "t2.nrrd", slices=1)
    uneven = factory.series(8, **T2)
    factory.write([*uneven[:3], *uneven[4:]], tmp_path / "dicom")
    with pytest.raises(InputError, match=r"no T2-w series.*“5 T2” \(unusable\)"):
        choose_roles(find_series(tmp_path))


def test_only_the_roles_asked_for_are_needed(tmp_path: Path) -> None:
    image(tmp_path, "t1.nrrd", "stir.nrrd")
    assert set(choose_roles(find_series(tmp_path), [Role.T1])) == {Role.T1, Role.STIR}
