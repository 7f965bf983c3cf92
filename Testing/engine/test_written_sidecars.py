"""The sidecar of a NIfTI result is about the volume beside it: no other volume is called synthetic because of it, or loses it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ccdnn import files
from ccdnn.errors import OutputError
from ccdnn.files import check_writable, read_header, write_volume
from ccdnn.provenance import NOTICE
from ccdnn.roles import Role
from ccdnn.volume import Volume

NIFTI = (".nii", ".nii.gz")
ARRAY = np.random.default_rng(0).normal(size=(5, 6, 8)).astype(np.float32)
PLACE = np.diag([0.5, 0.5, 3.0, 1.0])
PLAIN = Volume(ARRAY, PLACE, name="t1")
SYNTHETIC = Volume(ARRAY + 1, PLACE, name="synthetic STIR", metadata={"CCDNN_Notice": NOTICE, "CCDNN_Model": "small 2.0.0"})


def provenance(path: Path) -> dict[str, str]:
    return {key: text for key, text in read_header(path).provenance.items() if key.startswith("CCDNN_")}


@pytest.mark.parametrize("suffix", NIFTI)
def test_a_plain_volume_is_not_called_synthetic_by_the_sidecar_of_the_one_it_replaces(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t1{suffix}"
    write_volume(SYNTHETIC, path)
    assert provenance(path) and read_header(path).role is not Role.T1
    write_volume(PLAIN, path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert not provenance(path) and read_header(path).role is Role.T1


@pytest.mark.parametrize("content", ['{"RepetitionTime": 0.522, "EchoTime": 0.011}', '{"1": "fat"}', "not JSON"])
def test_a_json_file_that_is_not_ours_stays(tmp_path: Path, content: str) -> None:
    (tmp_path / "t1.json").write_text(content)
    write_volume(PLAIN, tmp_path / "t1.nii.gz")
    write_volume(PLAIN.with_array(ARRAY * 2), tmp_path / "t1.nii.gz")
    assert (tmp_path / "t1.json").read_text() == content


def test_a_failed_write_leaves_the_synthetic_volume_its_sidecar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "stir.nii.gz"
    write_volume(SYNTHETIC, path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    rename = Path.replace

    def fail(self: Path, target: Path) -> Path:
        if target == path:
            raise OSError("The volume cannot be put in its place.")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OutputError):
        write_volume(PLAIN, path)
    monkeypatch.setattr(Path, "replace", rename)
    monkeypatch.setattr(files, "_require_written", lambda *_: (_ for _ in ()).throw(OutputError("not written")))
    with pytest.raises(OutputError):
        write_volume(PLAIN, path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize(("suffix", "other"), [NIFTI, NIFTI[::-1]])
def test_two_nifti_files_never_share_the_sidecar_of_one(tmp_path: Path, suffix: str, other: str) -> None:
    """`stir.nii` and `stir.nii.gz` have one name for a sidecar."""
    write_volume(SYNTHETIC, tmp_path / f"stir{suffix}")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    for volume in (PLAIN, SYNTHETIC):
        with pytest.raises(OutputError, match=rf"stir\.json with stir{suffix}"):
            write_volume(volume, tmp_path / f"stir{other}")
    with pytest.raises(OutputError, match="share"):
        check_writable(tmp_path / f"stir{other}")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_synthetic_volume_does_not_make_its_acquired_neighbour_synthetic(tmp_path: Path) -> None:
    write_volume(PLAIN, tmp_path / "t1.nii.gz")
    write_volume(PLAIN, tmp_path / "t1.nii")
    with pytest.raises(OutputError, match="share"):
        write_volume(SYNTHETIC, tmp_path / "t1.nii")
    assert read_header(tmp_path / "t1.nii.gz").role is Role.T1


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_the_sidecar_of_a_nifti_file_is_not_about_another_format(tmp_path: Path, suffix: str) -> None:
    write_volume(SYNTHETIC, tmp_path / "t1.nii.gz")
    write_volume(PLAIN, tmp_path / f"t1{suffix}")
    assert not provenance(tmp_path / f"t1{suffix}") and read_header(tmp_path / f"t1{suffix}").role is Role.T1
    assert provenance(tmp_path / "t1.nii.gz")
    assert json.loads((tmp_path / "t1.json").read_text())["CCDNN_Model"] == "small 2.0.0"
