"""Files through which the voxels go to the worker and come back, in a folder that lives as long as the run."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import slicer

from ccdnn.worker.protocol import OUTPUT_DTYPE, ArrayFile
from CCDNNSynthLib.Scene.SceneVolumes import gridOf, voxelsOf

# Copied at a time, between which the window gets its turn.
BLOCK_BYTES = 8 << 20


class Staging:
    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="CCDNNSynth-", dir=slicer.app.temporaryPath))
        self.output = self.folder / "result.raw"

    def write(self, role, node, reference, protocol):
        """Copy the voxels of `node` into a file, a block with every step of this generator; returns its `ArrayFile`.

        :param reference: the volume in whose coordinates the grid is given.
        :param protocol: how the series was acquired, as far as it is known.
        Raises InputError: see `gridOf` and `voxelsOf`.
        """
        grid, voxels = gridOf(node, reference), voxelsOf(node)
        path = self.folder / f"{role.value}.raw"
        slices = max(1, BLOCK_BYTES // max(1, voxels[0].nbytes))
        with path.open("wb") as file:
            for first in range(0, len(voxels), slices):
                file.write(np.ascontiguousarray(voxels[first : first + slices]))
                yield
        return ArrayFile(grid.shape, grid.ijk_to_ras.tolist(), node.GetName(), path, voxels.dtype.name, protocol)

    def result(self, shape):
        """The worker's output, (slice, row, column), as it is in the file now."""
        return np.memmap(self.output, OUTPUT_DTYPE, mode="r", shape=tuple(shape))

    def close(self):
        """Remove the files; one that the system still holds (Windows) stays behind in the temporary folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
