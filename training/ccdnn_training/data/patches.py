"""Patches for training: random positions in random slices, reproducible from (seed, epoch, item)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ccdnn.errors import InputError
from ccdnn_training.data.cache import CachedSubject, NormalisedArray
from ccdnn_training.data.missing import MissingInputs

Slices = np.ndarray | NormalisedArray

TRIES = 8  # to centre a patch on the patient instead of on air


class PatchDataset(Dataset[tuple[Tensor, Tensor]]):
    """Pairs (inputs (3, row, column), label (1, row, column)) float32, by (epoch, item), see `data.epochs.EpochSampler`.

    Args:
        subjects: whose slices to cut from; the last contrast is the label.
        size: rows and columns of a patch.
        length: patches per epoch.
        seed: determines the patch together with epoch and item alone, so that a resumed run sees the same patches as an
            uninterrupted one.
        scale_jitter: standard deviation of the logarithm of a random gain on each input: a robust maximum is an estimate.
        missing: which inputs are left out of a patch; None leaves none out.
        background: normalised intensity of zero, which replaces an input that is left out.
        focus: region → share of the patches cut around one of its voxels, so that rare tissue is seen often enough. A network
            mistakes tissue it has rarely seen, such as a lesion, for the likeliest tissue of these intensities.

    Raises:
        InputError: a patch does not fit into a subject's slices, or no subject has a region of the focus.
    """

    def __init__(
        self,
        subjects: Sequence[CachedSubject],
        size: int,
        length: int,
        *,
        seed: int,
        scale_jitter: float = 0.0,
        focus: Mapping[str, float] | None = None,
        missing: MissingInputs | None = None,
        background: float = 0.0,
    ) -> None:
        self._missing, self._background = missing, background
        self._subjects = [(subject.array(), subject.tissue_threshold) for subject in subjects]
        for subject, (array, _) in zip(subjects, self._subjects, strict=True):
            if size > min(array.shape[2:]):
                rows, columns = array.shape[2:]
                raise InputError(f"A patch of {size}×{size} does not fit into the {columns}×{rows} slices of {subject.name}.")
        self._size, self._length, self._seed, self._scale_jitter = size, length, seed, scale_jitter
        self._places = _places(subjects, tuple(focus or ()))
        self._shares = np.cumsum([*(focus or {}).values()])

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((self._seed, *key))
        region = int(np.searchsorted(self._shares, rng.random(), side="right")) if self._places else 0
        array, index, row, column = self._around(region, rng) if region < len(self._places) else self._anywhere(rng)
        patch = array[:, index, row : row + self._size, column : column + self._size].astype(np.float32)
        patch = _turn(patch, int(rng.integers(8)))
        if self._scale_jitter:
            patch[:-1] *= np.exp(rng.normal(0, self._scale_jitter, (len(patch) - 1, 1, 1))).astype(np.float32)
        if self._missing:
            patch[:-1][self._missing.draw(rng)] = self._background
        images = torch.from_numpy(np.ascontiguousarray(patch))
        return images[:-1], images[-1:]

    def _anywhere(self, rng: np.random.Generator) -> tuple[Slices, int, int, int]:
        """A subject's array, a slice, and the first row and column of a patch in it, with the patient in its middle."""
        array, tissue_threshold = self._subjects[rng.integers(len(self._subjects))]
        _, slices, rows, columns = array.shape
        for _ in range(TRIES):
            index = int(rng.integers(slices))
            row, column = (int(rng.integers(length - self._size + 1)) for length in (rows, columns))
            if array[0, index, row + self._size // 2, column + self._size // 2] > tissue_threshold:
                break
        return array, index, row, column

    def _around(self, region: int, rng: np.random.Generator) -> tuple[Slices, int, int, int]:
        """The same, with a voxel of the region anywhere in the patch."""
        places = self._places[region]
        subject = list(places)[rng.integers(len(places))]
        array, _ = self._subjects[subject]
        index, *voxel = places[subject][rng.integers(len(places[subject]))]
        row, column = (
            int(np.clip(v - rng.integers(self._size), 0, n - self._size)) for v, n in zip(voxel, array.shape[2:], strict=True)
        )
        return array, int(index), row, column


def _places(subjects: Sequence[CachedSubject], names: Sequence[str]) -> list[dict[int, np.ndarray]]:
    """For each region: the number of every subject that has it → (voxel, 3) slices, rows and columns."""
    places: list[dict[int, np.ndarray]] = [{} for _ in names]
    for number, subject in enumerate(subjects if names else ()):
        regions = subject.regions()
        for name, found in zip(names, places, strict=True):
            if name in regions:
                found[number] = np.argwhere(regions[name])
    for name, found in zip(names, places, strict=True):
        if not found:
            raise InputError(f"No training subject has the region {name!r} that patches should focus on; remove it from the focus.")
    return places


def _turn(patch: np.ndarray, which: int) -> np.ndarray:
    """One of the eight rotations and reflections of a square."""
    patch = np.rot90(patch, which % 4, axes=(-2, -1))
    return patch[..., ::-1] if which >= 4 else patch


class SliceDataset(Dataset[tuple[Tensor, Tensor]]):
    """Whole slices, (3, row, column) and (1, row, column) float32, of arrays (contrast, slice, row, column) in turn."""

    def __init__(self, arrays: Sequence[Slices], every: int = 1) -> None:
        self._slices = [(array, index) for array in arrays for index in range(0, array.shape[1], every)]

    def __len__(self) -> int:
        return len(self._slices)

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor]:
        array, index = self._slices[item]
        image = torch.from_numpy(array[:, index].astype(np.float32))
        return image[:-1], image[-1:]
