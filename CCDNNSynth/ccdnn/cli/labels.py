"""A label map and the names of its labels: where the tissues lie."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ccdnn.errors import InputError
from ccdnn.measure.cnr import tissue_name
from ccdnn.study import read_volume
from ccdnn.volume import Grid, Volume, require_same_grid


@dataclass(frozen=True, eq=False)
class Labels:
    """Tissues on a grid.

    Args:
        volume: a whole number for each voxel, 0 for none.
        values: name, as the file writes it → its numbers.
    """

    volume: Volume
    values: dict[str, tuple[int, ...]]

    def regions(self) -> dict[str, np.ndarray]:
        """Name → which voxels, as indices into the flattened map."""
        flat = self.volume.array.ravel()
        return {name: np.flatnonzero(np.isin(flat, values)) for name, values in self.values.items()}

    def mask(self, name: str) -> np.ndarray:
        """(slice, row, column) bool: the voxels of one tissue.

        Raises:
            InputError: there is no such name, or it has no voxel.
        """
        found = [value for known, values in self.values.items() if tissue_name(known) == tissue_name(name) for value in values]
        if not found:
            raise InputError(f"{self.volume.name} has no label called “{name}”; it has {', '.join(self.values)}.")
        mask = np.isin(self.volume.array, found)
        if not mask.any():
            raise InputError(f"No voxel of {self.volume.name} is labelled “{name}”; choose another label.")
        return mask


def read_labels(path: Path, names: Path | None, grid: Grid) -> Labels:
    """A label map on a grid that is given.

    Args:
        names: JSON, {"label value": "name", …}; without it, labels are called by their values.

    Raises:
        InputError: a file cannot be read, or the map lies on another grid or holds fractions.
    """
    volume = read_volume(path)
    require_same_grid(Volume(np.zeros(grid.shape, np.float32), grid.ijk_to_ras, name="the measured volume"), volume)
    present = np.unique(volume.array)
    if not np.equal(present, np.rint(present)).all():
        raise InputError(f"{volume.name} holds fractions; a label map has a whole number in each voxel.")
    values = read_names(names) if names else {str(int(value)): (int(value),) for value in present if value}
    return Labels(volume, values)


def read_names(path: Path) -> dict[str, tuple[int, ...]]:
    """Name → the values that a file of label names, {"label value": "name", …}, gives it.

    Raises:
        InputError: it cannot be read as such.
    """
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
        values: dict[str, tuple[int, ...]] = {}
        for value, name in names.items():
            values[str(name)] = (*values.get(str(name), ()), int(value))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, AttributeError, TypeError):
        raise InputError(f'{path} is no list of label names; it should read {{"1": "fat", "2": "muscle"}}.') from None
    return values
