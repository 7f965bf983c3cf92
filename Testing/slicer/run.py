"""In-Slicer tests, run by `make slicer-test`: the engine inside a real application, held against Slicer's own readers.

Slicer runs this file with `--python-script` and leaves with its exit code. It needs no network and no torch.
"""

import sys
import unittest
from pathlib import Path

import numpy as np
import slicer

PROJECT_ROOT = Path(__file__).resolve().parents[2]
SAMPLE = PROJECT_ROOT / "CCDNNSynth" / "Resources" / "SampleData"
sys.path.insert(0, str(PROJECT_ROOT / "CCDNNSynth"))


class EngineInSlicer(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear()

    def test_the_engine_imports_without_torch(self):
        import ccdnn.study  # noqa: F401

        self.assertNotIn("torch", sys.modules)

    def test_volumes_lie_where_slicer_puts_them(self):
        import vtk

        from ccdnn.files import read_volume

        for name in ("t1", "t2", "gre", "stir"):
            path = SAMPLE / f"{name}.nrrd"
            volume, node = read_volume(path), slicer.util.loadVolume(str(path))
            matrix = vtk.vtkMatrix4x4()
            node.GetIJKToRASMatrix(matrix)
            np.testing.assert_allclose(volume.ijk_to_ras, slicer.util.arrayFromVTKMatrix(matrix), atol=1e-4)
            np.testing.assert_array_equal(volume.array, slicer.util.arrayFromVolume(node))

    def test_what_the_engine_writes_slicer_reads(self):
        import tempfile

        from ccdnn.files import read_volume, write_volume

        volume = read_volume(SAMPLE / "t1.nrrd")
        with tempfile.TemporaryDirectory() as folder:
            for extension in (".nrrd", ".nii.gz", ".mha"):
                path = Path(folder) / f"copy{extension}"
                write_volume(volume, path)
                node = slicer.util.loadVolume(str(path))
                np.testing.assert_array_equal(volume.array, slicer.util.arrayFromVolume(node))


def main():
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(EngineInSlicer)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    slicer.util.exit(0 if result.wasSuccessful() else 1)


main()
