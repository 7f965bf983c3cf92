"""What the tests of the DICOM export share: synthetic volumes, what is read back, and David Clunie's validator."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import dicom_factory as factory
import numpy as np
import pydicom
import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from small_study import card

from ccdnn.dicom.export import export_series
from ccdnn.provenance import SYNTHETIC_NAME, synthetic_header
from ccdnn.series import Role
from ccdnn.study import find_series
from ccdnn.trust import INTERVAL_ENTRY, MEANING, REGION_ENTRY, UNCERTAINTY_NAME
from ccdnn.volume import Volume

INPUT = Volume(np.ones((2, 2, 2)), np.eye(4), name="5 knee")


HEADER = synthetic_header(card(), "0" * 64, {Role.T1: INPUT}, {Role.T1: 1.0}, INPUT, 0.0)


OBLIQUE = (0.0, 0.9950371902, -0.0995037190, 0.1, -0.0990037, -0.9900371)

# What describes an acquisition and would be a lie here.
ACQUIRED = (
    "RepetitionTime", "EchoTime", "InversionTime", "FlipAngle", "EchoTrainLength", "MagneticFieldStrength", "SequenceName",
    "ProtocolName", "AcquisitionDate", "AcquisitionTime", "AcquisitionNumber", "ImagingFrequency", "ReceiveCoilName",
    "PixelBandwidth", "NumberOfAverages", "DeviceSerialNumber", "StationName", "ScanOptions", "MRAcquisitionType",
)  # fmt: skip

# Values that scanners write although they are not legal → what they become; None for another value.
ILLEGAL = {
    "PatientID": ("x" * 90, "x" * 64),
    "PatientName": ("Doe^John\x1b[31m^^^^^", "Doe^John [31m"),
    "PatientAge": ("45Y", "045Y"),
    "PatientSex": ("FEMALE", ""),
    "PatientBirthDate": ("1961-05-30", "19610530"),
    "StudyDate": ("tomorrow", ""),
    "StudyTime": ("25:00", ""),
    "StudyID": ("a number longer than sixteen letters", "a number longer"),
    "AccessionNumber": ("A\tB", "A B"),
    "StudyInstanceUID": ("1.02.a", None),
    "FrameOfReferenceUID": ("1." * 40 + "1", None),
    "StudyInstanceUID ": ("9999", None),
    "PatientWeight": ("heavy", None),
    "SeriesNumber": (str(2**31 - 1), None),
}


def series_with(keyword: str, value: str) -> list[pydicom.Dataset]:
    """A source series with a value as it is, past the checks of pydicom."""
    datasets = factory.series(5)
    tag = Tag(keyword)
    content = value.encode() + b" " * (len(value) % 2)
    for dataset in datasets:
        dataset._dict[tag] = RawDataElement(tag, dictionary_VR(tag), len(content), content, 0, False, True)
    return datasets


def synthetic(grid_of: Volume, array: np.ndarray | None = None) -> Volume:
    """A volume that says it is synthetic, on the grid of another."""
    if array is None:
        array = np.random.default_rng(0).normal(0.5, 0.3, grid_of.array.shape)
    return Volume(array, grid_of.ijk_to_ras, name=SYNTHETIC_NAME, metadata=HEADER)


def uncertainty_of(volume: Volume) -> Volume:
    """An uncertainty map of a synthetic volume."""
    about = {
        "CCDNN_Image": UNCERTAINTY_NAME,
        INTERVAL_ENTRY: MEANING.format(shown=0.95, others=""),
        REGION_ENTRY: json.dumps({"voxel": 1.0, "floor": 0.1, "volume_mm3": 5.0}),
    }
    widths = np.random.default_rng(1).uniform(0, 0.3, volume.array.shape)
    return volume.with_array(widths, name=UNCERTAINTY_NAME, metadata={**volume.metadata, **about})


def exported(*arguments, **keywords) -> tuple[Path, ...]:
    return export_series(*arguments, **keywords).files


def volume_of(files: Sequence[Path]) -> Volume:
    """The one series in the folder of these files."""
    (series,) = find_series(files[0].parent)
    return series.load()


def datasets_of(files: Sequence[Path]) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(path) for path in files]


def complaints(path: Path) -> list[str]:
    """Errors of dciodvfy, David Clunie's validator."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed (Debian: apt-get install dicom3tools)")
    run = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True, check=False)
    return [line for line in (run.stdout + run.stderr).splitlines() if line.startswith(("Error", "Abort"))]
