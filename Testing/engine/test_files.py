"""NIfTI, NRRD and MetaImage: places and voxels as other libraries see them, refusals, and writing all or nothing."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from ccdnn import files
from ccdnn.acquisition import Acquisition
from ccdnn.errors import InputError, OutputError
from ccdnn.files import check_voxels, check_writable, read_header, read_volume, write_volume
from ccdnn.series import Role
from ccdnn.volume import Volume
from ccdnn.writing import make_folder, write_text

ALL = [".nrrd", ".nii", ".nii.gz", ".mha"]


def oblique() -> np.ndarray:
    """A rotated, anisotropic IJK→RAS with a left-handed slice direction."""
    angle = np.radians(25)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, -1]])
    matrix = np.eye(4)
    matrix[:3, :3] = turn * [1.0, 1.25, 3.0]
    matrix[:3, 3] = [12.5, -30.0, 44.0]
    return matrix


@pytest.fixture
def volume() -> Volume:
    array = np.random.default_rng(0).normal(size=(5, 6, 8))
    metadata = {"CCDNN_Notice": "SYNTHETIC image computed by a neural network, not acquired. Research use only, not for diagnosis.",
                "CCDNN_Model": "small 1.0: a = b", "study_instance_uid": "1.2.3", "two\nlines": "of\ntext"}  # fmt: skip
    return Volume(array, oblique(), name="knee", metadata=metadata)


@pytest.mark.parametrize("suffix", ALL)
def test_written_volume_is_read_back(tmp_path: Path, volume: Volume, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    write_volume(volume, path)
    again = read_volume(path)
    np.testing.assert_array_equal(again.array, volume.array)
    np.testing.assert_allclose(again.ijk_to_ras, volume.ijk_to_ras, atol=1e-5)
    sidecar = ["out.json"] if ".nii" in path.name else []
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([path.name, *sidecar])


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nibabel_sees_the_same_place(tmp_path: Path, volume: Volume, suffix: str) -> None:
    write_volume(volume, tmp_path / f"out{suffix}")
    image = nibabel.load(tmp_path / f"out{suffix}")
    np.testing.assert_allclose(image.affine, volume.ijk_to_ras, atol=1e-5)
    np.testing.assert_array_equal(image.get_fdata(dtype=np.float32), volume.array.T)
    assert image.header["descrip"].item().decode().startswith("SYNTHETIC image computed by a neural network")
    assert image.header.get_data_dtype() == np.float32


def test_nifti_of_nibabel_is_read_at_its_place(tmp_path: Path) -> None:
    array = np.arange(5 * 6 * 8, dtype=np.int16).reshape(8, 6, 5)
    image = nibabel.Nifti1Image(array, oblique())
    image.header.set_slope_inter(2.0, -3.0)
    image.to_filename(tmp_path / "in.nii.gz")
    ours = read_volume(tmp_path / "in.nii.gz")
    np.testing.assert_allclose(ours.ijk_to_ras, oblique(), atol=1e-5)
    np.testing.assert_allclose(ours.array, nibabel.load(tmp_path / "in.nii.gz").get_fdata().T, rtol=1e-6)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_provenance_stays_in_the_header_and_identifiers_do_not(tmp_path: Path, volume: Volume, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    write_volume(volume, path)
    assert read_volume(path).metadata == {
        "CCDNN_Notice": volume.metadata["CCDNN_Notice"],
        "CCDNN_Model": "small 1.0: a = b",
        "two_lines": "of text",
    }
    assert b"1.2.3" not in path.read_bytes()


def test_patient_entries_of_a_foreign_header_are_not_kept(tmp_path: Path) -> None:
    image = sitk.Image([8, 8, 4], sitk.sitkFloat32)
    image.SetMetaData("DICOM_0010_0010_Patient_s_Name", "Doe^Jane")
    image.SetMetaData("PatientName", "Doe^Jane")
    image.SetMetaData("Scanner", "3 T")
    sitk.WriteImage(image, str(tmp_path / "in.nrrd"))
    assert dict(read_volume(tmp_path / "in.nrrd").metadata) == {"Scanner": "3 T"}


@pytest.mark.parametrize("suffix", ALL)
def test_synthetic_result_is_known_as_such(tmp_path: Path, volume: Volume, suffix: str) -> None:
    write_volume(volume, tmp_path / f"stir{suffix}")
    found = read_header(tmp_path / f"stir{suffix}")
    assert found.role is Role.OTHER and "synthetic" in found.reason


@pytest.mark.parametrize("suffix", ALL)
def test_four_dimensions_are_refused(tmp_path: Path, suffix: str) -> None:
    sitk.WriteImage(sitk.Image([4, 5, 6, 2], sitk.sitkFloat32), str(tmp_path / f"in{suffix}"))
    with pytest.raises(InputError, match=r"4 dimensions \(4×5×6×2\)"):
        read_volume(tmp_path / f"in{suffix}")


def test_a_fourth_dimension_of_one_is_no_obstacle(tmp_path: Path) -> None:
    nibabel.Nifti1Image(np.ones((4, 5, 6, 1), np.float32), np.eye(4)).to_filename(tmp_path / "in.nii")
    assert read_volume(tmp_path / "in.nii").array.shape == (6, 5, 4)


@pytest.mark.parametrize("suffix", ALL)
def test_colour_is_refused(tmp_path: Path, suffix: str) -> None:
    sitk.WriteImage(sitk.Image([4, 5, 6], sitk.sitkVectorUInt8, 3), str(tmp_path / f"in{suffix}"))
    with pytest.raises(InputError, match="colour"):
        read_volume(tmp_path / f"in{suffix}")


def test_complex_is_refused(tmp_path: Path) -> None:
    nibabel.Nifti1Image(np.ones((4, 5, 6), np.complex64), np.eye(4)).to_filename(tmp_path / "in.nii")
    with pytest.raises(InputError, match="complex"):
        read_volume(tmp_path / "in.nii")


def test_sheared_nifti_is_refused(tmp_path: Path) -> None:
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    affine[0, 1] = 0.4
    nibabel.Nifti1Image(np.ones((4, 5, 6), np.float32), affine).to_filename(tmp_path / "in.nii")
    with pytest.raises(InputError, match="sheared"):
        read_volume(tmp_path / "in.nii")


def test_two_dimensional_image_is_one_slice(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.Image([4, 5], sitk.sitkFloat32), str(tmp_path / "in.nii"))
    found = read_header(tmp_path / "in.nii")
    assert found.load().array.shape == (1, 5, 4) and "single slice" in found.reason


@pytest.mark.parametrize("suffix", [*ALL, ".nhdr", ".mhd"])
@pytest.mark.parametrize("content", [b"", b"hello", bytes(400)])
def test_foreign_content_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    (tmp_path / f"in{suffix}").write_bytes(content)
    with pytest.raises(InputError, match=r"in\.\S+ is (not a|empty)"):
        read_volume(tmp_path / f"in{suffix}")


@pytest.mark.parametrize("suffix", ALL)
def test_file_cut_short_is_refused(tmp_path: Path, volume: Volume, suffix: str) -> None:
    path = tmp_path / f"in{suffix}"
    write_volume(volume, path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match="damaged"):
        read_volume(path)


def test_missing_file_and_unknown_suffix(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_volume(tmp_path / "none.nrrd")
    with pytest.raises(InputError, match="not a supported image file"):
        read_volume(tmp_path / "picture.png")


@pytest.mark.parametrize(
    ("bad", "words"), [(np.nan, "NaN or infinite values in 1 voxels"), (np.inf, "NaN or infinite"), (-np.inf, "NaN or infinite")]
)
def test_nan_and_infinity_are_refused(bad: float, words: str) -> None:
    array = np.ones((3, 4, 5), np.float32)
    array[1, 2, 3] = bad
    with pytest.raises(InputError, match=words):
        check_voxels(Volume(array, np.eye(4)))


def test_empty_image_is_refused_and_a_plain_one_is_not() -> None:
    with pytest.raises(InputError, match="only zeros"):
        check_voxels(Volume(np.zeros((3, 4, 5)), np.eye(4)))
    with pytest.raises(InputError, match="the value 7"):
        check_voxels(Volume(np.full((3, 4, 5), 7), np.eye(4)))
    check_voxels(Volume(np.arange(60).reshape(3, 4, 5), np.eye(4)))


# ------------------------------------------------------------------------------------------------- header entries, sidecars


def test_bids_sidecar_gives_the_acquisition(tmp_path: Path, volume: Volume) -> None:
    write_volume(Volume(volume.array, volume.ijk_to_ras), tmp_path / "sub-1_x.nii.gz")
    entries = {
        "RepetitionTime": 4.5, "EchoTime": 0.06, "InversionTime": 0.22, "FlipAngle": 150, "ScanningSequence": "SE_IR",
        "SeriesDescription": "sag", "PatientName": "Doe^Jane",
    }  # fmt: skip
    (tmp_path / "sub-1_x.json").write_text(json.dumps(entries))
    found = read_header(tmp_path / "sub-1_x.nii.gz")
    assert (found.acquisition.tr_ms, found.acquisition.te_ms, found.acquisition.ti_ms) == pytest.approx((4500, 60, 220))
    assert found.role is Role.STIR
    assert "Doe" not in repr(found)


@pytest.mark.parametrize("content", ["", "not JSON", "[1, 2]", '{"yellow_marrow": 3}'])
def test_json_that_is_no_sidecar_is_left_alone(tmp_path: Path, volume: Volume, content: str) -> None:
    write_volume(Volume(volume.array, volume.ijk_to_ras), tmp_path / "t1.nii")
    (tmp_path / "t1.json").write_text(content)
    assert read_header(tmp_path / "t1.nii").role is Role.T1


def test_our_simulated_series_carry_their_acquisition(tmp_path: Path, volume: Volume) -> None:
    metadata = {"RepetitionTime_ms": "500", "EchoTime_ms": "10", "FlipAngle_deg": "25", "SimulatedImage": "simulated knee"}
    assert metadata.items() >= Acquisition(500, 10, flip_angle_deg=25).header_entries().items()
    write_volume(Volume(volume.array, volume.ijk_to_ras, metadata=metadata), tmp_path / "scan.nrrd")
    found = read_header(tmp_path / "scan.nrrd")
    assert (found.acquisition.tr_ms, found.acquisition.flip_angle_deg) == (500, 25)
    assert found.role is Role.GRE


# ------------------------------------------------------------------------------------------------------------------ writing


def test_unknown_suffix_and_missing_folder(tmp_path: Path, volume: Volume) -> None:
    for path, words in (
        (tmp_path / "out.png", "no suffix that says which format"),
        (tmp_path / "none" / "out.nrrd", "no such folder"),
        (tmp_path, "no suffix"),
    ):
        with pytest.raises(OutputError, match=words):
            write_volume(volume, path)
        with pytest.raises(OutputError, match=words):
            check_writable(path)
    assert list(tmp_path.iterdir()) == []


def test_checking_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "out.nrrd").write_text("before")
    check_writable(tmp_path / "out.nrrd")
    assert (tmp_path / "out.nrrd").read_text() == "before" and len(list(tmp_path.iterdir())) == 1


def test_a_folder_is_not_overwritten(tmp_path: Path, volume: Volume) -> None:
    (tmp_path / "out.nrrd").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        write_volume(volume, tmp_path / "out.nrrd")


def test_no_permission(tmp_path: Path, volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # permissions do not bind root, as whom tests may run
    with pytest.raises(OutputError, match="no permission"):
        write_volume(volume, tmp_path / "out.nrrd")


def test_failing_writer_leaves_the_old_file(tmp_path: Path, volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "out.nrrd"
    write_volume(volume, target)
    before = target.read_bytes()
    monkeypatch.setattr(files, "_require_written", lambda *_: (_ for _ in ()).throw(OutputError("not written")))
    with pytest.raises(OutputError):
        write_volume(volume.with_array(volume.array + 1), target)
    assert target.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
@pytest.mark.parametrize("suffix", ALL)
def test_full_disk_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    """A limit on file size stands in for the full disk: writes end short, as they do there."""
    script = f"""
        import resource, signal, sys
        import numpy as np
        from pathlib import Path
        from ccdnn.errors import OutputError
        from ccdnn.files import write_volume
        from ccdnn.volume import Volume
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        volume = Volume(np.random.default_rng(0).normal(size=(16, 64, 64)), np.eye(4))
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        try:
            write_volume(volume, Path({str(tmp_path)!r}) / "out{suffix}")
        except OutputError as error:
            print(error)
            sys.exit(5)
    """
    engine = str(Path(files.__file__).parents[1])
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": engine}
    )
    assert run.returncode == 5, run.stderr
    assert "cannot be written" in run.stdout
    assert list(tmp_path.iterdir()) == []


def test_text_and_folders(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    write_text("µ", tmp_path / "a" / "b" / "c.csv")
    assert (tmp_path / "a" / "b" / "c.csv").read_text(encoding="utf-8") == "µ"
    with pytest.raises(OutputError, match="cannot be created"):
        make_folder(tmp_path / "a" / "b" / "c.csv")


@pytest.mark.parametrize("dtype", [np.int16, np.uint8])
def test_whole_numbers_can_be_stored_as_such(tmp_path: Path, dtype: type) -> None:
    volume = Volume(np.arange(60).reshape(3, 4, 5), np.eye(4))
    write_volume(volume, tmp_path / "whole.nrrd", dtype)
    assert sitk.GetArrayFromImage(sitk.ReadImage(tmp_path / "whole.nrrd")).dtype == dtype
    assert np.array_equal(read_volume(tmp_path / "whole.nrrd").array, volume.array)


@pytest.mark.parametrize("value", [0.5, -1.0, 300.0, np.nan])
def test_voxels_are_never_rounded_to_fit(tmp_path: Path, value: float) -> None:
    with pytest.raises(OutputError, match="as uint8; write them as float32"):
        write_volume(Volume(np.full((2, 2, 2), value), np.eye(4)), tmp_path / "x.nrrd", np.uint8)
    assert not list(tmp_path.iterdir())
