"""Detect and the warnings about inputs, based on DICOM headers, names and voxels."""

from __future__ import annotations

from pathlib import Path

import dicom_factory
import numpy as np
import panel_scene
import pydicom
import slicer
import small_study
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from testing_host import qt_stand_in, slicer_host

from ccdnn.series import Role
from ccdnn.study import read_volume
from ccdnn.volume import Volume


class Database:
    """The one method of Slicer's DICOM database that the module uses."""

    def __init__(self, files: dict[str, Path]):
        self.files = files

    def fileForInstance(self, uid: str) -> str:
        return str(self.files.get(uid, ""))


def write_dicom(path: Path, **tags) -> Path:
    """One slice of a classic MR series."""
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", generate_uid()
    dataset.Modality, dataset.Rows, dataset.Columns = "MR", 2, 2
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.SamplesPerPixel, dataset.PixelRepresentation = 15, 1, 0
    dataset.PhotometricInterpretation, dataset.PixelData = "MONOCHROME2", bytes(8)
    for name, value in tags.items():
        setattr(dataset, name, value)
    dataset.save_as(path, enforce_file_format=True)
    return path


def load_from_dicom(monkeypatch, folder: Path, headers: dict) -> dict:
    """Volume nodes as the DICOM module creates them: with instance UIDs, and names that do not reveal the role."""
    files, nodes = {}, {}
    for role, tags in headers.items():
        path = write_dicom(folder / f"{role.value}.dcm", **tags)
        uid = f"9.{len(files)}"
        files[uid] = path
        nodes[role] = panel_scene.add(small_study.volumes()[role], f"Volume {len(files)}")
        nodes[role].SetAttribute("DICOM.instanceUIDs", f"{uid} {uid}.1")
    monkeypatch.setattr(slicer, "dicomDatabase", Database(files), raising=False)
    return nodes


HEADERS = {
    Role.GRE: {"ScanningSequence": "GR", "RepetitionTime": 500, "EchoTime": 10, "FlipAngle": 25},
    Role.T2: {"ScanningSequence": "SE", "RepetitionTime": 3000, "EchoTime": 80},
    Role.STIR: {"ScanningSequence": ["SE", "IR"], "RepetitionTime": 4478, "EchoTime": 60, "InversionTime": 220},
    Role.T1: {"ScanningSequence": "SE", "RepetitionTime": 522, "EchoTime": 11},
}


def chosen(panel) -> dict:
    node = panel.logic.getParameterNode()
    return {Role.T1: node.t1Volume, Role.T2: node.t2Volume, Role.GRE: node.greVolume, Role.STIR: node.stirVolume}


def test_dicom_headers_decide_and_are_the_reason(panel, monkeypatch, tmp_path):
    nodes = load_from_dicom(monkeypatch, tmp_path, HEADERS)
    slicer_host.click(panel.inputs.ui.detectButton)
    assert chosen(panel) == nodes
    assert "T1-w: Volume 4 (spin echo, TR 522 ms, TE 11 ms: short TR and TE)" in panel_scene.detection(panel)


def test_volumes_without_a_database_are_identified_by_name(panel, monkeypatch):
    monkeypatch.delattr(slicer, "dicomDatabase", raising=False)
    nodes = panel_scene.add_leg()
    nodes[Role.T1].SetAttribute("DICOM.instanceUIDs", "1.2.3")
    slicer_host.click(panel.inputs.ui.detectButton)
    assert chosen(panel) == nodes


def test_missing_file_of_the_database_falls_back_to_the_name(panel, monkeypatch, tmp_path):
    nodes = panel_scene.add_leg()
    nodes[Role.T1].SetAttribute("DICOM.instanceUIDs", "1.2.3")
    monkeypatch.setattr(slicer, "dicomDatabase", Database({"1.2.3": tmp_path / "gone.dcm"}), raising=False)
    slicer_host.click(panel.inputs.ui.detectButton)
    assert chosen(panel) == nodes


def test_protocol_far_from_the_training_gives_a_warning(panel, monkeypatch, tmp_path, model_path):
    headers = {**HEADERS, Role.T1: {"ScanningSequence": "SE", "RepetitionTime": 60, "EchoTime": 3}}
    load_from_dicom(monkeypatch, tmp_path, headers)
    panel_scene.choose_model(panel, model_path)
    slicer_host.click(panel.inputs.ui.detectButton)
    assert "T1-w series has TR 60 ms, far from the 400 to 700 ms" in panel_scene.warnings(panel)


def test_volumes_swapped_according_to_the_header_give_a_warning(panel, monkeypatch, tmp_path):
    nodes = load_from_dicom(monkeypatch, tmp_path, HEADERS)
    parameters = panel.logic.getParameterNode()
    parameters.t1Volume, parameters.t2Volume, parameters.greVolume = nodes[Role.T2], nodes[Role.T1], nodes[Role.GRE]
    slicer_host.process_events()
    assert "seem to be swapped" in panel_scene.warnings(panel)
    assert "looks like T2-w" in panel.inputs.ui.t1Grid.text
    parameters.t1Volume, parameters.t2Volume = nodes[Role.T1], nodes[Role.T2]
    slicer_host.process_events()
    assert panel_scene.warnings(panel) == ""


def test_a_volume_in_another_plane_gives_a_warning(panel, tmp_path):
    nodes = panel_scene.add_leg()
    sagittal = small_study.volumes()[Role.T2]
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[1, 0, 0], [0, 0, -1], [0, -1, 0]]) * [0.8, 0.8, 4.0]
    matrix[:3, 3] = sagittal.ijk_to_ras[:3, 3]
    coronal = panel_scene.add(Volume(np.ones((9, 40, 24)), matrix), "cor t2")
    slicer_host.click(panel.inputs.ui.detectButton)
    parameters = panel.logic.getParameterNode()
    parameters.t1Volume, parameters.t2Volume = nodes[Role.T1], coronal
    slicer_host.process_events()
    assert "cor t2, used as T2-w, was acquired in coronal slices 4 mm apart" in panel_scene.warnings(panel)
    parameters.t2Volume = nodes[Role.T2]
    slicer_host.process_events()
    assert "coronal" not in panel_scene.warnings(panel)


def test_two_that_fit_are_left_to_the_user(panel):
    nodes = panel_scene.add_leg()
    panel_scene.add(small_study.volumes()[Role.T1], "leg t1 again")
    slicer_host.click(panel.inputs.ui.detectButton)
    assert chosen(panel)[Role.T1] is None and chosen(panel)[Role.T2] is nodes[Role.T2]
    assert "T1-w: leg t1, leg t1 again all fit; choose one." in panel_scene.detection(panel)


def test_of_two_that_fit_the_one_on_the_grid_of_the_others_is_chosen(panel):
    nodes = panel_scene.add_leg()
    other = panel_scene.add(small_study.volumes()[Role.T1], "t1 localizing series")
    other.SetName("knee t1 other place")
    other.SetOrigin(50, 60, 70)
    slicer_host.click(panel.inputs.ui.detectButton)
    assert chosen(panel) == nodes


def test_results_are_never_mistaken_for_acquired_images(ready):
    panel_scene.apply(ready)
    slicer_host.click(ready.inputs.ui.detectButton)
    assert chosen(ready)[Role.STIR].GetName() == "leg stir"


def test_different_examinations_are_reported(panel, monkeypatch, tmp_path):
    headers = {**HEADERS, Role.GRE: {**HEADERS[Role.GRE], "StudyInstanceUID": "1.2.4"}}
    load_from_dicom(monkeypatch, tmp_path, headers)
    slicer_host.click(panel.inputs.ui.detectButton)
    assert "different examinations" in panel_scene.detection(panel)


def test_export_belongs_to_the_study_of_its_source(panel, monkeypatch, tmp_path, model_path):
    """T1-w is from the DICOM database: the exported series shares its study and references its slices."""
    datasets = dicom_factory.series(5)
    paths = dicom_factory.write(datasets, tmp_path / "source")
    files = {str(pydicom.dcmread(path).SOPInstanceUID): path for path in paths}
    monkeypatch.setattr(slicer, "dicomDatabase", Database(files), raising=False)
    volume = read_volume(tmp_path / "source")
    parameters = panel.logic.getParameterNode()
    for member in ("t1Volume", "t2Volume", "greVolume"):
        setattr(parameters, member, panel_scene.add(volume, f"series for {member}"))
    parameters.t1Volume.SetAttribute("DICOM.instanceUIDs", " ".join(files))
    panel_scene.choose_model(panel, model_path)
    panel_scene.apply(panel)
    qt_stand_in.dialog_answers["directory"] = str(tmp_path)
    slicer_host.click(panel.synthesis.ui.exportButton)
    exported = [pydicom.dcmread(path) for path in sorted((tmp_path / "synthetic-STIR").iterdir())]
    assert len(exported) == 5, panel_scene.message(panel)
    assert {dataset.StudyInstanceUID for dataset in exported} == {datasets[0].StudyInstanceUID}
    sources = {dataset.SourceImageSequence[0].ReferencedSOPInstanceUID for dataset in exported}
    assert sources == set(files)
