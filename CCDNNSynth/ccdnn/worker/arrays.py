"""Voxels between the worker and its client: files of bare numbers in a folder of the client's."""

from __future__ import annotations

import math
import mmap
from pathlib import Path
from types import TracebackType

import numpy as np

from ccdnn.errors import InputError, OutputError
from ccdnn.volume import Volume
from ccdnn.worker.protocol import OUTPUT_DTYPE, ArrayFile


def read_volume(array: ArrayFile) -> Volume:
    """The volume of an input.

    Raises:
        InputError: its file cannot be read or is not as large as its shape says, or it is no three-dimensional volume.
    """
    try:
        # Read, not mapped, so that the client may delete the file at any time, on Windows too.
        voxels = np.fromfile(array.path, np.dtype(array.dtype))
    except OSError as error:
        raise InputError(f"The voxels of {array.name} cannot be read: {error.strerror or error}.") from None
    needed = math.prod(array.shape)
    if voxels.size != needed:
        raise InputError(f"The file of {array.name} holds {voxels.size} voxels, and its shape has {needed}; write it again.")
    return Volume(voxels.reshape(array.shape), np.array(array.ijk_to_ras), name=array.name)


def empty_volume(grid: ArrayFile) -> Volume:
    """A volume that only lends its grid.

    Raises:
        InputError: it is no grid of three dimensions.
    """
    return Volume(np.zeros(grid.shape, np.float32), np.array(grid.ijk_to_ras), name=grid.name)


class SlicesFile:
    """The file in which a result grows slice by slice, mapped, so that the client sees each one at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mapped: mmap.mmap | None = None
        self._slice_bytes = 0

    def allocate(self, shape: tuple[int, int, int]) -> None:
        """Fill the file with zeros and map it.

        Zeros are written, since in a file with holes a full disk shows only as a fault that ends the process. A file of the right
        size is not truncated, for the client may have it mapped.

        Raises:
            OutputError: it cannot be written.
        """
        self._slice_bytes = math.prod(shape[1:]) * np.dtype(OUTPUT_DTYPE).itemsize
        size = shape[0] * self._slice_bytes
        try:
            with self._path.open("r+b" if self._path.exists() else "w+b") as stream:
                for _ in range(shape[0]):
                    stream.write(bytes(self._slice_bytes))
                stream.flush()
                if self._path.stat().st_size != size:
                    stream.truncate(size)
                self._mapped = mmap.mmap(stream.fileno(), size)
        except OSError as error:
            raise OutputError(f"The file for the result cannot be written: {error.strerror or error}.") from error

    def write(self, index: int, image: np.ndarray) -> None:
        """Put a (row, column) slice into its place."""
        start = index * self._slice_bytes
        self._mapped[start : start + self._slice_bytes] = image.astype(OUTPUT_DTYPE, copy=False).tobytes()

    def __enter__(self) -> SlicesFile:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._mapped is not None:
            self._mapped.close()
