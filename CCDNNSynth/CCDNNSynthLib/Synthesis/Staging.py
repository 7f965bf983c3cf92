"""Files that carry the voxels to the worker and back, in a folder that exists as long as the run."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import slicer

from ccdnn.worker.messages import OUTPUT_DTYPE, ArrayFile
from CCDNNSynthLib.Scene.SceneVolumes import gridOf, voxelsOf

# Copied at a time; the application handles events between blocks.
BLOCK_BYTES = 8 << 20


class Staging:
    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="CCDNNSynth-", dir=slicer.app.temporaryPath))
        self.output, self.uncertainty = self.folder / "result.raw", self.folder / "uncertainty.raw"

    def write(self, role, node, reference, acquisition, patient):
        """Copy the voxels of `node` into a file, one block per step of this generator; returns its `ArrayFile`.

        :param reference: the volume in whose coordinates the grid is given.
        :param acquisition: how the series was acquired, as far as known.
        :param patient: the patient, as far as known.
        Raises InputError: see `gridOf` and `voxelsOf`.
        """
        grid, voxels = gridOf(node, reference), voxelsOf(node)
        path = self.folder / f"{role.value}.raw"
        slices = max(1, BLOCK_BYTES // max(1, voxels[0].nbytes))
        with path.open("wb") as file:
            for first in range(0, len(voxels), slices):
                file.write(np.ascontiguousarray(voxels[first : first + slices]))
                yield
        return ArrayFile(grid.shape, grid.ijk_to_ras.tolist(), node.GetName(), path, voxels.dtype.name, acquisition, patient)

    def slice(self, shape, index):
        """A slice of the worker's output, (row, column), as currently in the file.

        The file is read, not memory-mapped: Slicer would crash if a mapped file were truncated.
        """
        count = shape[1] * shape[2]
        offset = index * count * np.dtype(OUTPUT_DTYPE).itemsize
        return np.fromfile(self.output, OUTPUT_DTYPE, count, offset=offset).reshape(shape[1:])

    def wholeUncertainty(self, shape):
        """The uncertainty that the worker has written, (slice, row, column)."""
        return np.fromfile(self.uncertainty, OUTPUT_DTYPE).reshape(shape)

    def close(self):
        """Remove the files; a file that is still open (on Windows) remains in the temporary folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
