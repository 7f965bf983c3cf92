"""In-Slicer tests, run by `make slicer-test`: the panel and the engine inside a real application.

Slicer runs this file with `--python-script` and exits with its exit code. The tests need neither network nor torch. If this build
of Slicer lacks something (SimpleITK, the extension's module on the module path), the tests that need it are skipped with a reason.
"""

import importlib.util
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import qt
import slicer

PROJECT_ROOT = Path(__file__).resolve().parents[2]
MODULE = PROJECT_ROOT / "CCDNNSynth" / "CCDNNSynth.py"
SAMPLE = PROJECT_ROOT / "CCDNNSynth" / "Resources" / "SampleData"
sys.path[:0] = [str(PROJECT_ROOT / "CCDNNSynth"), str(Path(__file__).resolve().parent)]


@unittest.skipIf(importlib.util.find_spec("SimpleITK") is None, "this build of Slicer does not have SimpleITK")
class EngineInSlicer(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)

    def test_the_engine_imports_without_torch(self):
        before = "torch" in sys.modules
        import ccdnn.study  # noqa: F401

        self.assertEqual("torch" in sys.modules, before)

    def test_volumes_have_the_same_position_as_in_slicer(self):
        import vtk

        from ccdnn.files import read_volume

        for name in ("t1", "t2", "gre", "stir"):
            path = SAMPLE / f"{name}.nrrd"
            volume, node = read_volume(path), slicer.util.loadVolume(str(path))
            matrix = vtk.vtkMatrix4x4()
            node.GetIJKToRASMatrix(matrix)
            np.testing.assert_allclose(volume.ijk_to_ras, slicer.util.arrayFromVTKMatrix(matrix), atol=1e-4)
            np.testing.assert_array_equal(volume.array, slicer.util.arrayFromVolume(node))

    def test_slicer_reads_what_the_engine_writes(self):
        from ccdnn.files import read_volume, write_volume

        volume = read_volume(SAMPLE / "t1.nrrd")
        with tempfile.TemporaryDirectory() as folder:
            # nibabel is a package that the module asks to install before its first run.
            nifti = [".nii.gz"] if importlib.util.find_spec("nibabel") else []
            for extension in (".nrrd", ".mha", *nifti):
                path = Path(folder) / f"copy{extension}"
                write_volume(volume, path)
                node = slicer.util.loadVolume(str(path))
                np.testing.assert_array_equal(volume.array, slicer.util.arrayFromVolume(node))


def load_module():
    """Register the module with Slicer, if `--additional-module-path` did not."""
    if not hasattr(slicer.modules, "ccdnnsynth"):
        factory = slicer.app.moduleManager().factoryManager()
        factory.registerModule(qt.QFileInfo(str(MODULE)))
        factory.loadModules(["CCDNNSynth"])


def main():
    load_module()
    slicer.modules.ccdnnsynth.widgetRepresentation()
    from CCDNNSynth import CCDNNSynthTest

    loader = unittest.defaultTestLoader
    stories = loader.discover(str(Path(__file__).resolve().parent), "*_stories.py")
    own = (loader.loadTestsFromTestCase(case) for case in (EngineInSlicer, CCDNNSynthTest))
    suite = unittest.TestSuite([*own, stories])
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    slicer.util.exit(0 if result.wasSuccessful() else 1)


main()
