"""On the bundled study, the panel, `ccdnn measure` and an independent recomputation give the same values.

CNR of segments is compared in `test_cnr*.py`; profiles and similarity are compared here.
"""

from __future__ import annotations

import csv

import numpy as np
import panel_scene
import pytest
import similarity_scene
import SimpleITK as sitk
import slicer
from scipy.ndimage import map_coordinates
from skimage.metrics import structural_similarity
from testing_host import slicer_host

from ccdnn.cli.main import main as ccdnn
from ccdnn.files import read_volume, write_volume
from CCDNNSynthLib.Inputs.SampleStudy import SAMPLE_FOLDER
from CCDNNSynthLib.Scene.Tables import tableOf

# R, A, S in mm: through patella, fluid and femur.
LINE = ((-3.0, 40.0, 10.0), (-3.0, 12.0, -28.0))
SAME = 1e-6


@pytest.fixture(scope="module")
def synthetic_file(tmp_path_factory):
    """Stands in for a synthesis, which would take too long: the acquired STIR blurred, in another unit, with noise."""
    acquired = read_volume(SAMPLE_FOLDER / "stir.nrrd")
    blurred = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(acquired.array), 1.5)) / 150
    noisy = np.maximum(blurred + np.random.default_rng(0).normal(0, 0.02, blurred.shape), 0).astype(np.float32)
    path = tmp_path_factory.mktemp("synthetic") / "synthetic.nrrd"
    write_volume(acquired.with_array(noisy), path)
    return path


@pytest.fixture(scope="module")
def printed(synthetic_file, tmp_path_factory) -> dict:
    """The measurements of the command: table → rows by column name."""
    folder = tmp_path_factory.mktemp("measured") / "csv"
    line = " ".join(",".join(map(str, point)) for point in LINE)
    images = ["--acquired", str(SAMPLE_FOLDER / "stir.nrrd"), "--synthetic", str(synthetic_file)]
    assert ccdnn(["measure", *images, "--line", line, "--csv", str(folder), "-q"]) == 0
    return {path.stem: list(csv.DictReader(path.read_text(encoding="utf-8").splitlines())) for path in folder.glob("*.csv")}


@pytest.fixture
def study(panel, synthetic_file):
    """The panel with the bundled study, and the file's volume as the synthetic STIR."""
    panel.inputs.onSampleLink()
    node = panel.logic.getParameterNode()
    node.syntheticVolume = slicer.util.loadVolume(str(synthetic_file))
    for section in (panel.inputs.ui.inputsSection, panel.synthesis.ui.synthesisSection):
        section.collapsed = True
    slicer_host.process_events()
    return panel


def scaled_arrays(study) -> tuple[np.ndarray, np.ndarray]:
    """Synthetic and acquired with the scaling "tissue", computed with numpy only."""
    synthetic, acquired = (array.astype(float) for array in similarity_scene.arrays(study))
    levels = []
    for array in (synthetic, acquired):
        level, before = np.percentile(array, 90), None
        while level != before:
            level, before = np.percentile(array[array > 0.2 * level], 90), level
        levels.append(level)
    top = acquired.max()
    tops = (top * levels[0] / levels[1], top)
    return tuple((array / high).astype(np.float32).astype(float) for array, high in zip((synthetic, acquired), tops, strict=True))


def test_similarity(study, printed):
    similarity_scene.compute(study)
    shown = similarity_scene.table(study)
    (stem,) = [name for name in printed if name.startswith("similarity-of")]
    assert list(shown.column("slice")) == [row["slice"] for row in printed[stem]] == ["volume", *map(str, range(1, 25))]
    for measure, heading in (("MSE", "MSE"), ("PSNR", "PSNR (dB)"), ("SSIM", "SSIM"), ("MS-SSIM", "MS-SSIM")):
        by_command = [float(row[heading]) for row in printed[stem]]
        np.testing.assert_allclose(shown.column(measure), by_command, rtol=SAME)
    synthetic, acquired = scaled_arrays(study)
    error = np.mean((synthetic - acquired) ** 2)
    assert shown.column("MSE")[0] == pytest.approx(error, rel=SAME)
    assert shown.column("PSNR")[0] == pytest.approx(-10 * np.log10(error), rel=SAME)
    settings = {"data_range": 1.0, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    for index in (2, 12):
        expected = structural_similarity(synthetic[index], acquired[index], **settings)
        assert shown.column("SSIM")[index + 1] == pytest.approx(expected, rel=SAME)


def test_line_profile(study, printed):
    study.lineProfiles.ui.profilesSection.collapsed = False
    slicer_host.process_events()
    slicer_host.click(study.lineProfiles.ui.drawLineButton)
    node = study.logic.getParameterNode()
    for point in LINE:
        node.profileLine.AddControlPointWorld(*point)
    slicer_host.wait_until(lambda: node.profileTable is not None and node.profileTable.GetNumberOfRows() > 0)
    slicer_host.wait_until(lambda: study.lineProfiles.profiles is not None)
    shown = tableOf(node.profileTable)
    by_name = dict(zip(shown.column("name"), shown.column("value"), strict=True))
    assert list(by_name) == [row["name"] for row in printed["line-profile"]]
    for row in printed["line-profile"]:
        assert by_name[row["name"]] == pytest.approx(float(row["value"]), rel=SAME), row["name"]
    distances = study.lineProfiles.profiles.line.distance
    ends = np.array(LINE)
    points = ends[0] + np.outer(distances / np.linalg.norm(ends[1] - ends[0]), ends[1] - ends[0])
    sampled = []
    for volume in (node.syntheticVolume, node.stirVolume):
        to_ijk = np.linalg.inv(similarity_scene.matrix_of(volume))
        ijk = points @ to_ijk[:3, :3].T + to_ijk[:3, 3]
        sampled.append(map_coordinates(slicer.util.arrayFromVolume(volume).astype(float), ijk[:, ::-1].T, order=1))
    assert by_name["Pearson r"] == pytest.approx(np.corrcoef(*sampled)[0, 1], rel=SAME)


def test_measuring_does_not_change_the_volumes(study, synthetic_file):
    before = {node.GetName(): slicer.util.arrayFromVolume(node).copy() for node in panel_scene.volume_nodes()}
    similarity_scene.compute(study)
    after = {node.GetName(): slicer.util.arrayFromVolume(node) for node in panel_scene.volume_nodes()}
    assert set(after) == set(before)
    for name, array in before.items():
        np.testing.assert_array_equal(after[name], array)
