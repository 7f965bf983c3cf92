"""A series: one volume found on disk, how it was acquired and what it can be used as; its pixels are not read yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import numpy as np

from ccdnn.acquisition import Acquisition
from ccdnn.errors import InputError
from ccdnn.patient import Patient
from ccdnn.volume import Grid, Volume

# Technicians tilt knee slices by some degrees along the cruciate ligament and still call them sagittal.
OBLIQUE_DEGREES = 20.0


class Role(str, Enum):
    """The role of a series in the synthesis of a knee STIR."""

    T1 = "t1"
    T2 = "t2"
    GRE = "gre"
    STIR = "stir"
    PD_FAT_SAT = "pd_fat_sat"
    LOCALIZER = "localizer"
    OTHER = "other"

    @property
    def label(self) -> str:
        """The name to show."""
        return _LABELS[self]


INPUT_ROLES = (Role.T1, Role.T2, Role.GRE)

_LABELS = {
    Role.T1: "T1-w",
    Role.T2: "T2-w",
    Role.GRE: "GRE",
    Role.STIR: "STIR",
    Role.PD_FAT_SAT: "fat-suppressed PD",
    Role.LOCALIZER: "localizer",
    Role.OTHER: "other",
}


def plane_of(ijk_to_ras: np.ndarray) -> str:
    """The anatomical plane of the slices of a grid, from the normal of its rows and columns."""
    normal = np.cross(ijk_to_ras[:3, 0], ijk_to_ras[:3, 1])
    share = np.abs(normal) / np.linalg.norm(normal)
    plane = ("sagittal", "coronal", "axial")[int(share.argmax())]
    return plane if share.max() >= np.cos(np.radians(OBLIQUE_DEGREES)) else f"oblique {plane}"


@dataclass(frozen=True, eq=False)
class Series:
    """One volume on disk, described from headers alone.

    Args:
        name: safe to show: series number and description, or the file's name.
        description: what the scanner or the file's author called it; may be empty.
        grid: where its voxels lie; None only if `problem` says why there is none.
        acquisition: how it was acquired.
        role: what it can be used as.
        reason: one sentence on why it has this role.
        source: the file, or the folder of its files.
        read_array: reads the voxels, (slice, row, column), and reports anything unusual about them, a sentence each.
        files: every file it is read from, in slice order.
        provenance: text entries kept with the volume: the UIDs a derived DICOM series points back to ("study_instance_uid",
            "series_instance_uid", "frame_of_reference_uid"), the entries of a NRRD or MHA header.
        problem: one sentence on why it cannot be read as a volume; None if it can.
        time_point: 1, 2, … where one DICOM series holds the same volume several times; None elsewhere.
        warnings: what a user should know before it is used, a sentence each.
        patient: its patient, as far as the file states it.
    """

    name: str
    description: str
    grid: Grid | None
    acquisition: Acquisition
    role: Role
    reason: str
    source: Path
    read_array: Callable[[], tuple[np.ndarray, tuple[str, ...]]] = field(repr=False, compare=False)
    files: tuple[Path, ...] = field(default=(), repr=False)
    provenance: Mapping[str, str] = field(default_factory=dict, repr=False)
    problem: str | None = None
    time_point: int | None = None
    warnings: tuple[str, ...] = ()
    patient: Patient = field(default_factory=Patient, repr=False)

    @property
    def plane(self) -> str:
        """How the slices lie: "sagittal", "coronal" or "axial", marked "oblique" beyond 20° of it; "" with no grid."""
        return "" if self.grid is None else plane_of(self.grid.ijk_to_ras)

    def load(self) -> Volume:
        """Read the pixels and return the volume.

        Raises:
            InputError: the series has a `problem`, or its pixels cannot be decoded.
        """
        if self.problem is not None or self.grid is None:
            raise InputError(self.problem or f"{self.name} has no grid.")
        array, oddities = self.read_array()
        warnings = (*self.warnings, *(f"“{self.name}”: {oddity}" for oddity in oddities))
        return Volume(array, self.grid.ijk_to_ras, self.name, self.provenance, warnings, self.patient)
