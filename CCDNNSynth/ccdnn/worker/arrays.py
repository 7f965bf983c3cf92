"""Voxels exchanged between the worker and its client: raw files in the client's folder."""

from __future__ import annotations

import math
import os
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

from ccdnn.errors import InputError, OutputError
from ccdnn.formats.payload import MAX_VOXELS
from ccdnn.opening import open_regular
from ccdnn.volume import Volume
from ccdnn.worker.messages import OUTPUT_DTYPE, ArrayFile


def read_volume(array: ArrayFile) -> Volume:
    """The volume of an input.

    Raises:
        InputError: its file cannot be read or does not have the size of its shape, or it is not a three-dimensional volume.
    """
    dtype, needed = np.dtype(array.dtype), math.prod(array.shape)
    if array.path is None:
        raise InputError(f"{array.name} has a grid but no voxels.")
    try:
        file = open_regular(array.path)
    except InputError as error:
        raise InputError(f"The voxels of {array.name} cannot be read: {error}") from None
    # Read, not mapped, so that the client may delete the file at any time, on Windows too.
    with file:
        size = os.fstat(file.fileno()).st_size
        if size != needed * dtype.itemsize:
            held = size / dtype.itemsize
            raise InputError(f"The file of {array.name} contains {held:g} voxels, but its shape has {needed}; write it again.")
        voxels = np.fromfile(file, dtype, needed)
    if voxels.size != needed:
        raise InputError(f"The file of {array.name} was truncated while it was read; write it again.")
    return Volume(voxels.reshape(array.shape), np.array(array.ijk_to_ras), name=array.name, patient=array.patient)


def empty_volume(grid: ArrayFile) -> Volume:
    """A volume that only provides its grid.

    Raises:
        InputError: the grid is not three-dimensional or has more voxels than any MR volume.
    """
    if math.prod(grid.shape) > MAX_VOXELS:
        raise InputError(f"The grid of {grid.name} has {math.prod(grid.shape)} voxels, more than any MR volume.")
    return Volume(np.zeros(grid.shape, np.float32), np.array(grid.ijk_to_ras), name=grid.name)


class SlicesFile:
    """The file to which a result is written slice by slice.

    Not mapped: if another process truncates a mapped file, the next slice ends this process.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._slice_bytes = 0

    def allocate(self, shape: tuple[int, int, int]) -> None:
        """Fill the file with zeros.

        Zeros are written, since a full disk would crash a process that maps a sparse file. A file of the right size is not
        truncated, because the client may have it mapped.

        Raises:
            OutputError: it cannot be written.
        """
        self._slice_bytes = math.prod(shape[1:]) * np.dtype(OUTPUT_DTYPE).itemsize
        size = shape[0] * self._slice_bytes
        try:
            if self._path.exists() and not self._path.is_file():
                raise OutputError(f"The file for the result, {self._path}, is not a regular file.")
            self._file = self._path.open("r+b" if self._path.exists() else "w+b", buffering=0)
            for _ in range(shape[0]):
                self._file.write(bytes(self._slice_bytes))
            if os.fstat(self._file.fileno()).st_size != size:
                self._file.truncate(size)
        except (OSError, ValueError) as error:
            raise _not_written(error) from error

    def write(self, index: int, image: np.ndarray) -> None:
        """Write a (row, column) slice at its position.

        Raises:
            OutputError: it cannot be written.
        """
        if self._file is None:
            raise _not_written(ValueError("it was not allocated"))
        try:
            self._file.seek(index * self._slice_bytes)
            self._file.write(image.astype(OUTPUT_DTYPE, copy=False).tobytes())
        except (OSError, ValueError) as error:
            raise _not_written(error) from error

    def __enter__(self) -> SlicesFile:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()


def _not_written(error: OSError | ValueError) -> OutputError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return OutputError(f"The file for the result cannot be written: {reason}.")
