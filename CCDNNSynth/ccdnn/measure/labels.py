"""A label map of tissues and the names of its labels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ccdnn.errors import InputError
from ccdnn.files import sidecar_path
from ccdnn.measure.cnr import tissue_name
from ccdnn.opening import is_file, read_json
from ccdnn.series import Series
from ccdnn.study import one_series
from ccdnn.volume import GRID_TOLERANCE, Grid, Volume, require_same_grid

MOST_NAMES_BYTES = 1 << 20
_SEGMENT_NAME = re.compile(r"Segment(\d+)_Name")


@dataclass(frozen=True, eq=False)
class Labels:
    """Tissues on a grid.

    Args:
        volume: an integer label for each voxel, 0 for none.
        values: name, as written in the file → its label values.
        names_file: the file with the names, if there is one.
    """

    volume: Volume
    values: Mapping[str, tuple[int, ...]]
    names_file: Path | None = None

    def on(self, grid: Grid) -> Labels:
        """The same tissues on `grid`.

        Raises:
            InputError: the voxels of the map are not voxels of the grid.
        """
        return replace(self, volume=_on_grid(self.volume, grid))

    def regions(self) -> dict[str, np.ndarray]:
        """Name → its voxels, as indices into the flattened map."""
        flat = self.volume.array.ravel()
        return {name: np.flatnonzero(np.isin(flat, values)) for name, values in self.values.items()}

    def mask(self, name: str) -> np.ndarray:
        """(slice, row, column) bool: the voxels of one tissue.

        Raises:
            InputError: an unknown name, or a label without voxels.
        """
        found = [value for known, values in self.values.items() if tissue_name(known) == tissue_name(name) for value in values]
        if not found:
            raise InputError(f"{self.volume.name} has no label called “{name}”; it has {', '.join(self.values)}.")
        mask = np.isin(self.volume.array, found)
        if not mask.any():
            raise InputError(f"No voxel of {self.volume.name} is labelled “{name}”; choose another label.")
        return mask


def read_labels(path: Path, names: Path | None, grid: Grid) -> Labels:
    """A label map on a given grid.

    Args:
        names: see `read_label_map`.

    Raises:
        InputError: a file cannot be read, or the map lies on another grid or contains fractions.
    """
    return read_label_map(one_series(path), names).on(grid)


def read_label_map(series: Series, names: Path | None = None) -> Labels:
    """A label map on its own grid.

    Args:
        names: JSON, {"label value": "name", …}. Without it, the names are those in the map itself (.seg.nrrd), else those in the
            file beside it (see `names_beside`), else the values of the labels.

    Raises:
        InputError: a file cannot be read, or the map contains fractions.
    """
    volume = series.load()
    if names is None and not _segment_names(volume):
        names = names_beside(series.files[0])
    return replace(labels_of(volume, read_names(names) if names else None), names_file=names)


def labels_of(volume: Volume, values: Mapping[str, tuple[int, ...]] | None = None) -> Labels:
    """The tissues of a label map.

    Args:
        values: name → its label values; without it, the names are those in the map itself (.seg.nrrd), else the values.

    Raises:
        InputError: the map contains fractions.
    """
    present = np.unique(volume.array)
    if not np.equal(present, np.rint(present)).all():
        raise InputError(f"{volume.name} contains fractions; a label map has a whole number in each voxel.")
    return Labels(volume, values or _segment_names(volume) or {str(int(value)): (int(value),) for value in present if value})


def names_beside(path: Path) -> Path | None:
    """The file with the names of the labels of a map: of the map's own name with .json, else `labels.json` in its folder."""
    return next(
        (file for file in (sidecar_path(path), path.with_name("labels.json")) if is_file(file) and _may_be_names(file)), None
    )


def _may_be_names(file: Path) -> bool:
    """Whether a file is meant as a list of names. The JSON beside an image may describe how the image was made instead (BIDS)."""
    content = read_json(file, MOST_NAMES_BYTES)
    return not isinstance(content, dict) or not content or any(_is_label(key) for key in content)


def _on_grid(labels: Volume, grid: Grid) -> Volume:
    """The label map on `grid`: unchanged, with its axes permuted, or, if it is cropped (.seg.nrrd), padded with 0.

    Raises:
        InputError: its voxels are not voxels of the grid.
    """
    if labels.grid.same_as(grid):
        return labels
    to_grid = np.linalg.inv(grid.ijk_to_ras) @ labels.ijk_to_ras
    turned = np.rint(to_grid)
    reach = np.array([*labels.grid.shape[::-1], 1.0])
    is_turn = (np.abs(turned[:3, :3]).sum(axis=0) == 1).all() and (np.abs(turned[:3, :3]).sum(axis=1) == 1).all()
    if not is_turn or (np.abs(to_grid - turned)[:3] @ reach).max() > GRID_TOLERANCE:
        require_same_grid(Volume(np.zeros(grid.shape, np.float32), grid.ijk_to_ras, name="the measured volume"), labels)
    # Every label voxel's (column, row, slice) in the grid.
    places = turned[:3, :3].astype(int) @ np.indices(labels.grid.shape).reshape(3, -1)[::-1] + turned[:3, 3:].astype(int)
    inside = ((places >= 0) & (places < np.array(grid.shape[::-1])[:, None])).all(axis=0)
    array = np.zeros(grid.shape, np.float32)
    array[tuple(places[::-1, inside])] = labels.array.ravel()[inside]
    return Volume(array, grid.ijk_to_ras, name=labels.name, metadata=labels.metadata, warnings=labels.warnings)


def _segment_names(volume: Volume) -> dict[str, tuple[int, ...]]:
    """Name → label values of a 3D Slicer segmentation (.seg.nrrd); empty for other label maps."""
    values: dict[str, tuple[int, ...]] = {}
    for key, name in volume.metadata.items():
        match = _SEGMENT_NAME.fullmatch(key)
        value = volume.metadata.get(f"Segment{match[1]}_LabelValue", "") if match else ""
        if value.isdecimal() and len(value) < 6:
            values[name] = (*values.get(name, ()), int(value))
    return values


def read_names(path: Path) -> dict[str, tuple[int, ...]]:
    """Name → its label values, from a JSON file {"label value": "name", …}.

    Raises:
        InputError: the file cannot be read or is not a label list.
    """
    names = read_json(path, MOST_NAMES_BYTES)
    try:
        return values_of(names)
    except (ValueError, AttributeError):
        raise InputError(f'{path} is not a valid label list. Expected JSON such as {{"1": "fat", "2": "muscle"}}.') from None


def values_of(names: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    """Name → its label values, from label value → name.

    Raises:
        ValueError: a key is not a whole number, or a name is not a text.

    >>> values_of({"1": "fat", "2": "muscle", "3": "fat"})
    {'fat': (1, 3), 'muscle': (2,)}
    """
    values: dict[str, tuple[int, ...]] = {}
    for value, name in names.items():
        if not isinstance(name, str) or not _is_label(value):
            raise ValueError(value)
        values[name] = (*values.get(name, ()), int(value))
    return values


def _is_label(key: str) -> bool:
    return key.strip().lstrip("-").isdecimal() and len(key) <= 9
