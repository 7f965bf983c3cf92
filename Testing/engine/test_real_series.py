"""The two real sets of ../shared/data, against GDCM's reading of the one and dcm2niix's conversion of the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from ccdnn.errors import InputError
from ccdnn.files import read_volume as read_image_file
from ccdnn.series import Role, Series
from ccdnn.study import choose_roles, find_series


@pytest.fixture(scope="module")
def knee(shared_data: Path) -> list[Series]:
    return find_series(shared_data / "knee_siemens_t1_pdfs")


@pytest.fixture(scope="module")
def phantom(shared_data: Path) -> dict[str, Series]:
    return {series.name: series for series in find_series(shared_data / "phantom_philips_enhanced" / "DICOM")}


def test_knee_series_and_roles(knee: list[Series]) -> None:
    assert [(series.name, series.role, series.grid.shape) for series in knee] == [
        ("1 localizer_tra", Role.LOCALIZER, (3, 512, 512)),
        ("2 localizer 3 PLANS, sagittal", Role.LOCALIZER, (3, 512, 512)),
        ("2 localizer 3 PLANS, coronal", Role.LOCALIZER, (3, 512, 512)),
        ("2 localizer 3 PLANS, axial", Role.LOCALIZER, (5, 512, 512)),
        ("3 SAG DP FS .", Role.PD_FAT_SAT, (24, 384, 384)),
        ("4 CORO DP FS", Role.PD_FAT_SAT, (22, 384, 384)),
        ("5 AX DP FS .", Role.PD_FAT_SAT, (28, 384, 384)),
        ("6 SAG T1", Role.T1, (24, 384, 384)),
    ]
    assert all(series.problem is None for series in knee)


def test_knee_t1_and_fat_suppressed_pd_share_a_grid(knee: list[Series]) -> None:
    t1, pd = knee[7], knee[4]
    assert t1.grid.same_as(pd.grid)
    assert t1.grid.spacing == pytest.approx((0.4427, 0.4427, 4.29), abs=1e-3)
    assert (t1.acquisition.tr_ms, t1.acquisition.te_ms) == (656, 14)


def test_knee_volume_is_that_of_gdcm(knee: list[Series]) -> None:
    t1 = knee[7]
    reader = sitk.ImageSeriesReader()
    folder, uid = str(t1.source), t1.provenance["series_instance_uid"]
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(folder, uid))
    image = reader.Execute()
    volume = t1.load()
    np.testing.assert_array_equal(volume.array, sitk.GetArrayFromImage(image))
    for ijk in ((0, 0, 0), (383, 0, 23), (10, 200, 12)):
        ras = np.array(image.TransformIndexToPhysicalPoint(ijk)) * [-1, -1, 1]
        np.testing.assert_allclose((volume.ijk_to_ras @ [*ijk, 1])[:3], ras, atol=5e-3)


def test_knee_lacks_t2_and_gre(knee: list[Series]) -> None:
    with pytest.raises(InputError, match=r"no T2-w and no GRE .*SAG T1"):
        choose_roles(knee)


def test_phantom_series_and_roles(phantom: dict[str, Series]) -> None:
    roles = {name: series.role for name, series in phantom.items()}
    assert roles["601 T1"] is Role.T1
    assert roles["701 T2"] is roles["801 T2-interleaved"] is Role.T2
    assert {roles[f"{name}, time point {n}"] for name in ("901 T2*", "1001 T2*-interleaved") for n in (1, 2)} == {Role.GRE}
    assert {role for name, role in roles.items() if "fieldmap" in name or "DTI" in name} == {Role.OTHER}
    assert sorted(series.acquisition.b_value for name, series in phantom.items() if "DTI" in name) == [0] + [1000] * 7
    assert phantom["701 T2"].grid.spacing[2] == pytest.approx(12.33, abs=0.01)
    assert all(series.problem is None for series in phantom.values())


@pytest.mark.parametrize(("name", "file"), [("601 T1", "T1"), ("701 T2", "T2"), ("801 T2-interleaved", "T2-interleaved")])
def test_phantom_agrees_with_gdcm_and_with_its_nifti(shared_data: Path, phantom: dict[str, Series], name: str, file: str) -> None:
    """Philips' own NIfTI export keeps its private position, half a voxel from the standard's, which counts corners, not centres."""
    ours = phantom[name].load()
    image = sitk.ReadImage(str(shared_data / "phantom_philips_enhanced" / "DICOM" / f"{file}.dcm"))
    for ijk in ((0, 0, 0), (79, 0, 9), (10, 60, 5)):
        ras = np.array(image.TransformIndexToPhysicalPoint(ijk)) * [-1, -1, 1]
        np.testing.assert_allclose((ours.ijk_to_ras @ [*ijk, 1])[:3], ras, atol=1e-3)
    theirs = read_image_file(shared_data / "phantom_philips_enhanced" / "NIFTI" / f"{file}.nii.gz")
    half_voxel = np.eye(4)
    half_voxel[:2, 3] = 0.5
    np.testing.assert_allclose(np.linalg.inv(theirs.ijk_to_ras) @ ours.ijk_to_ras, half_voxel, atol=1e-4)
    assert np.corrcoef(ours.array.ravel(), theirs.array.ravel())[0, 1] == pytest.approx(1, abs=1e-9)


def test_phantom_has_two_series_for_a_role(phantom: dict[str, Series]) -> None:
    with pytest.raises(InputError, match=r"“701 T2” and “801 T2-interleaved” all fit as T2-w; choose with --t2"):
        choose_roles(list(phantom.values()))
