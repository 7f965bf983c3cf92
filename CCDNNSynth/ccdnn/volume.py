"""A volume: voxels and where they lie in the patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from ccdnn.errors import InputError
from ccdnn.patient import Patient

# Two grids are the same when no voxel centre differs by more than this share of the smallest spacing. Headers that were
# written with six significant digits agree far more closely; a half-voxel shift, which would blur tissue edges, does not.
GRID_TOLERANCE = 1e-2

# Possible extents and voxel sizes of an image of a body part, in mm: anything else is another unit or a damaged header.
VIEW_MM = (5.0, 1500.0)
SPACING_MM = (0.01, 100.0)
# Cosine between axes that are perpendicular.
ORTHOGONALITY = 1e-3


# Both convert both ways: files use LPS (left, posterior, superior), volumes RAS.
LPS_SIGNS = np.array([-1.0, -1.0, 1.0])
LPS_TO_RAS = np.diag([*LPS_SIGNS, 1.0])


@dataclass(frozen=True, eq=False)
class Grid:
    """A regular grid of voxel centres.

    Args:
        shape: number of (slices, rows, columns).
        ijk_to_ras: 4×4, maps (column i, row j, slice k, 1) to patient coordinates (right, anterior, superior, 1) in mm.
    """

    shape: tuple[int, int, int]
    ijk_to_ras: np.ndarray

    def __post_init__(self) -> None:
        matrix = np.array(self.ijk_to_ras, dtype=np.float64)
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise InputError(f"A volume needs three dimensions of at least one voxel each, not {self.shape}.")
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:3, :3])) < 1e-9:
            raise InputError("The IJK-to-RAS matrix of a volume must be 4×4, finite and invertible.")
        matrix.flags.writeable = False
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        object.__setattr__(self, "ijk_to_ras", matrix)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxel centres along (i, j, k), in mm."""
        i, j, k = np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0)
        return float(i), float(j), float(k)

    @property
    def corners_ras(self) -> np.ndarray:
        """The eight outermost voxel centres, (8, 3), in mm RAS."""
        slices, rows, columns = self.shape
        ijk = np.array([(i, j, k, 1) for k in (0, slices - 1) for j in (0, rows - 1) for i in (0, columns - 1)], dtype=float)
        return (ijk @ self.ijk_to_ras.T)[:, :3]

    def same_as(self, other: Grid) -> bool:
        """Whether both grids put every voxel at the same place."""
        if self.shape != other.shape:
            return False
        distance = np.linalg.norm(self.corners_ras - other.corners_ras, axis=1).max()
        return bool(distance <= GRID_TOLERANCE * min(self.spacing))

    @property
    def sheared(self) -> bool:
        """Whether the rows, columns and slices are not perpendicular."""
        axes = self.ijk_to_ras[:3, :3] / self.spacing
        return bool(np.abs(axes.T @ axes - np.eye(3)).max() > ORTHOGONALITY)

    @property
    def implausible(self) -> str | None:
        """Why no part of a body can lie on this grid, as the end of a sentence; None if one can."""
        if self.sheared:
            return "has a sheared or singular orientation matrix; resample it to a rectangular grid"
        extents = np.array(self.spacing) * self.shape[::-1]
        low, high = SPACING_MM
        if (
            low <= min(self.spacing) <= max(self.spacing) <= high
            and extents.max() <= VIEW_MM[1]
            and extents[:2].max() >= VIEW_MM[0]
        ):
            return None
        sizes, views = ("×".join(f"{value:.4g}" for value in values) for values in (self.spacing, extents))
        return (
            f"has voxels of {sizes} mm and spans {views} mm, which no part of a body does; "
            "its voxel size is probably in another unit, export it again"
        )

    def __str__(self) -> str:
        slices, rows, columns = self.shape
        i, j, k = self.spacing
        return f"{columns}×{rows}×{slices} at {i:.3g}×{j:.3g}×{k:.3g} mm"


@dataclass(frozen=True, eq=False)
class Volume:
    """Scalar voxels on a grid.

    Args:
        array: (slice, row, column), stored as float32.
        ijk_to_ras: 4×4 in mm, see `Grid`.
        name: what to call it in messages; never a patient's name.
        metadata: header entries to keep with the volume, provenance among them (string keys).
        warnings: anomalies in the files it was read from, a sentence each.
        patient: its patient, as far as known.

    Raises:
        InputError: not three-dimensional, or the matrix is unusable.

    >>> knee = Volume(np.zeros((24, 384, 320)), np.diag([-0.5, -0.5, 3.0, 1.0]), name="T1")
    >>> knee.grid.shape, knee.grid.spacing
    ((24, 384, 320), (0.5, 0.5, 3.0))
    """

    array: np.ndarray
    ijk_to_ras: np.ndarray
    name: str = "volume"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    patient: Patient = field(default_factory=Patient, repr=False)

    def __post_init__(self) -> None:
        array = np.ascontiguousarray(self.array, dtype=np.float32)
        if array.ndim != 3:
            raise InputError(f"{self.name} has {array.ndim} dimensions; a volume of slices, rows and columns is needed.")
        grid = Grid(array.shape, self.ijk_to_ras)
        object.__setattr__(self, "array", array)
        object.__setattr__(self, "ijk_to_ras", grid.ijk_to_ras)
        object.__setattr__(self, "metadata", MappingProxyType(dict(self.metadata)))

    @property
    def grid(self) -> Grid:
        return Grid(self.array.shape, self.ijk_to_ras)

    def with_array(self, array: np.ndarray, **changes: Any) -> Volume:
        """The same place and metadata with other voxels (and other `changes`)."""
        return replace(self, array=array, **changes)


def require_same_grid(*volumes: Volume) -> Grid:
    """The grid all `volumes` share.

    Raises:
        InputError: two grids differ; the message names the first such pair.
    """
    first = volumes[0]
    for other in volumes[1:]:
        if not first.grid.same_as(other.grid):
            raise InputError(
                f"{first.name} ({first.grid}) and {other.name} ({other.grid}) lie on different grids; "
                "resample one onto the other first."
            )
    return first.grid
