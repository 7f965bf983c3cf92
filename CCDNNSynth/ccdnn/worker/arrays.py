"""Voxels between the worker and its client: files of bare numbers in a folder of the client's."""

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
from ccdnn.worker.protocol import OUTPUT_DTYPE, ArrayFile


def read_volume(array: ArrayFile) -> Volume:
    """The volume of an input.

    Raises:
        InputError: its file cannot be read or is not as large as its shape says, or it is not a three-dimensional volume.
    """
    dtype, needed = np.dtype(array.dtype), math.prod(array.shape)
    if array.path is None:
        raise InputError(f"{array.name} has a grid and no voxels.")
    try:
        file = open_regular(array.path)
    except InputError as error:
        raise InputError(f"The voxels of {array.name} cannot be read: {error}") from None
    # Read, not mapped, so that the client may delete the file at any time, on Windows too.
    with file:
        size = os.fstat(file.fileno()).st_size
        if size != needed * dtype.itemsize:
            held = size / dtype.itemsize
            raise InputError(f"The file of {array.name} holds {held:g} voxels, and its shape has {needed}; write it again.")
        voxels = np.fromfile(file, dtype, needed)
    if voxels.size != needed:
        raise InputError(f"The file of {array.name} became shorter while it was read; write it again.")
    return Volume(voxels.reshape(array.shape), np.array(array.ijk_to_ras), name=array.name, patient=array.patient)


def empty_volume(grid: ArrayFile) -> Volume:
    """A volume that only lends its grid.

    Raises:
        InputError: it is not a grid of three dimensions, or of more voxels than a volume has.
    """
    if math.prod(grid.shape) > MAX_VOXELS:
        raise InputError(f"The grid of {grid.name} has {math.prod(grid.shape)} voxels, which no MR volume has.")
    return Volume(np.zeros(grid.shape, np.float32), np.array(grid.ijk_to_ras), name=grid.name)


class SlicesFile:
    """The file in which a result grows slice by slice.

    Not mapped: a file that somebody else makes shorter while it is mapped ends the process at the next slice.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._slice_bytes = 0

    def allocate(self, shape: tuple[int, int, int]) -> None:
        """Fill the file with zeros.

        Zeros are written, since in a file with holes a full disk shows only as a fault that ends the process. A file of the right
        size is not truncated, for the client may have it mapped.

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
        """Put a (row, column) slice into its place.

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
