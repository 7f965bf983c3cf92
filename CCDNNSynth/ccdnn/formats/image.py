"""The header of an image in any format, and the reading of its voxels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ccdnn.errors import InputError
from ccdnn.formats.payload import MAX_VOXELS, Payload
from ccdnn.opening import what_instead
from ccdnn.text import shown
from ccdnn.volume import Grid


@dataclass(frozen=True, eq=False)
class ImageHeader:
    """The header of an image file that can be read.

    Args:
        path: the file with the header.
        sizes: number of voxels along each axis, the fastest first; the first three are columns, rows and slices.
        dtype: of a stored value, with its byte order.
        ijk_to_ras: 4×4 in mm; None if the header states no voxel size, which `checked` reports.
        payloads: where the values are stored, in order and in equal parts.
        components: values per voxel (colour, vectors).
        slope, intercept: stored value → signal.
        entries: other text entries of the header.
        problem: why it cannot be used as a volume, in one sentence; None if it can.
        warnings: what the user should know, one sentence each.
    """

    path: Path
    sizes: tuple[int, ...]
    dtype: np.dtype[Any]
    ijk_to_ras: np.ndarray | None
    payloads: tuple[Payload, ...]
    components: int = 1
    slope: float = 1.0
    intercept: float = 0.0
    entries: Mapping[str, str] = field(default_factory=dict)
    problem: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(slices, rows, columns)."""
        columns, rows, slices = (*self.sizes, 1, 1)[:3]
        return slices, rows, columns

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file it is read from."""
        return tuple(dict.fromkeys((self.path, *(payload.path for payload in self.payloads))))

    def checked(self) -> ImageHeader:
        """A copy whose `problem` is set if it is not a scalar volume of plausible size and position."""
        problem = self.problem or self._not_a_scalar_volume() or self._implausible()
        return replace(self, problem=problem)

    def read(self) -> tuple[np.ndarray, tuple[str, ...]]:
        """Read the voxels, (slice, row, column) float32, and a sentence about each oddity of the file.

        Raises:
            InputError: the header has a problem, or the file does not contain what it states.
        """
        header = self.checked()
        if header.problem is not None:
            raise InputError(header.problem)
        return self.values()

    def values(self) -> tuple[np.ndarray, tuple[str, ...]]:
        """The same as `read`, without the checks of `checked`.

        Raises:
            InputError: the file does not contain what its header states.
        """
        part = int(np.prod(self.sizes)) // len(self.payloads)
        parts, oddities = [], []
        for payload in self.payloads:
            found, extra = payload.read(part, self.dtype)
            if extra:
                oddities.append(f"{payload.path.name} continues after its last voxel; the rest was ignored.")
            if extra >= self.shape[1] * self.shape[2] * self.dtype.itemsize:
                raise InputError(
                    f"{payload.path.name} contains more voxels than the header of {self.path.name} states; export it again."
                )
            parts.append(found)
        values = parts[0] if len(parts) == 1 else np.concatenate(parts)
        array = values.astype(np.float32)
        if (self.slope, self.intercept) != (1.0, 0.0):
            array = (values.astype(np.float64) * self.slope + self.intercept).astype(np.float32)
        return array.reshape(self.shape), tuple(oddities)

    def _not_a_scalar_volume(self) -> str | None:
        name = self.path.name
        if any(extent > 1 for extent in self.sizes[3:]):
            sizes = "×".join(map(str, self.sizes))
            return f"{name} has {len(self.sizes)} dimensions ({sizes}); extract one volume from it."
        if self.dtype.kind == "c":
            return f"{name} contains complex values; export its magnitude."
        if self.components > 1:
            return f"{name} contains {self.components} values per voxel (colour or vectors); a scalar volume is needed."
        if np.prod([float(size) for size in self.sizes]) > MAX_VOXELS:
            return f"{name} states {'×'.join(map(str, self.sizes))} voxels, more than any MR volume has; its header is damaged."
        return None

    def _implausible(self) -> str | None:
        name = self.path.name
        if self.ijk_to_ras is None:
            return f"{name} states no voxel size; export it again."
        try:
            why = Grid(self.shape, self.ijk_to_ras).implausible
        except InputError:
            why = "has an impossible voxel size, orientation or position; its header is damaged, export it again"
        return why and f"{name} {why}."


def not_such_a_file(path: Path, start: bytes, kind: str) -> InputError:
    """The error for a file that does not start like an image of its kind ("NIfTI")."""
    if instead := what_instead(start):
        return InputError(f"{path.name} is {instead}.")
    return InputError(f"{path.name} is not a {kind} file, or its header is damaged; export it again.")


def plain_neighbour(header: Path, name: str) -> Path:
    """The data file that a header names, which must be in the same folder.

    Raises:
        InputError: the name points elsewhere, or the file does not exist.
    """
    if not name or name != Path(name).name or name in (".", "..") or "\\" in name or "\0" in name or ":" in name:
        raise InputError(f"{header.name} names the data file “{shown(name)}”; the data file must be in the same folder.")
    path = header.with_name(name)
    try:
        inside = path.resolve().parent == header.resolve().parent
        exists = path.exists()
    except (OSError, RuntimeError, ValueError):
        inside = exists = False
    if not exists:
        raise InputError(f"The data file {shown(name)} of {header.name} is missing; copy both files.")
    if not inside:
        raise InputError(f"The data file {shown(name)} of {header.name} is a link to another folder, which is not followed.")
    return path
