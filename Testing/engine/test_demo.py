"""`ccdnn demo` on a study of its layout: what it writes, what it prints, and the picture."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import SimpleITK as sitk
from small_study import LABELS, SHAPE, label_map, read_array, sagittal_matrix, volumes, write, write_model

from ccdnn.cli.main import main
from ccdnn.volume import Grid, Volume

OUTPUTS = ["comparison.png", "measurements.csv", "measurements.json", "stir_synthetic.nrrd"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture
def sample(tmp_path):
    folder = tmp_path / "sample"
    folder.mkdir()
    for role, volume in volumes().items():
        write(volume, folder / f"{role.value}.nrrd")
    write(Volume(label_map(), sagittal_matrix()), folder / "labels.nrrd")
    (folder / "labels.json").write_text(json.dumps(LABELS))
    return folder


def test_demo_writes_and_prints_everything(sample, model, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    out = tmp_path / "deep" / "demo"
    assert main(["demo", "--study", str(sample), "--model", str(model), "-o", str(out), "--device", "cpu"]) == 0
    assert sorted(path.name for path in out.iterdir()) == OUTPUTS
    printed = capsys.readouterr().out
    for word in ("MSE", "PSNR", "SSIM", "MS-SSIM", "cartilage–bone", "muscle–meniscus", "peak memory", "6 slices in"):
        assert word in printed

    with (out / "measurements.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert json.loads((out / "measurements.json").read_text(encoding="utf-8"))[0]["name"] == "MSE"
    assert len(rows) == 4 + 5 * 3
    # CNR of the acquired image against the definition, straight from the files.
    stir, labels = read_array(sample / "stir.nrrd").astype(float), read_array(sample / "labels.nrrd")
    cartilage, marrow = stir[labels == 5], stir[labels == 3]
    (row,) = [row for row in rows if row["name"] == "CNR cartilage–bone" and row["measured_on"] == "acquired STIR"]
    assert float(row["value"]) == pytest.approx(abs(cartilage.mean() - marrow.mean()) / marrow.std(ddof=1), rel=1e-5)
    # The saved volume is the measured one.
    synthetic = read_array(out / "stir_synthetic.nrrd").astype(float)
    (row,) = [row for row in rows if row["name"] == "CNR cartilage–bone" and row["measured_on"] == "synthetic STIR"]
    f, b = synthetic[labels == 5], synthetic[labels == 3]
    assert float(row["value"]) == pytest.approx(abs(f.mean() - b.mean()) / b.std(ddof=1), rel=1e-5)


def test_saved_volume_says_that_it_is_synthetic(sample, model, tmp_path):
    pytest.importorskip("matplotlib")
    main(["demo", "--study", str(sample), "--model", str(model), "-o", str(tmp_path / "demo"), "-q"])
    image = sitk.ReadImage(tmp_path / "demo" / "stir_synthetic.nrrd")
    assert image.GetSize() == SHAPE[::-1]
    assert "SYNTHETIC" in image.GetMetaData("CCDNN_Notice")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "stir.nrrd").unlink(), "stir.nrrd"),
        (lambda folder: (folder / "labels.json").write_text("[1, 2"), "labels.json"),
        (lambda folder: (folder / "labels.json").write_text('{"1": "fat"}'), "cartilage"),
    ],
    ids=["no STIR", "labels.json cut short", "a tissue missing"],
)
def test_damaged_sample_is_one_sentence_and_nothing_is_written(sample, model, tmp_path, capsys, damage, message):
    damage(sample)
    assert main(["demo", "--study", str(sample), "--model", str(model), "-o", str(tmp_path / "demo")]) == 3
    assert message in capsys.readouterr().err
    assert list((tmp_path / "demo").iterdir()) == []


def test_output_folder_that_is_a_file_is_refused(sample, model, tmp_path, capsys):
    (tmp_path / "demo").write_text("mine")
    assert main(["demo", "--study", str(sample), "--model", str(model), "-o", str(tmp_path / "demo")]) == 5
    assert (tmp_path / "demo").read_text() == "mine"


@pytest.mark.parametrize(
    ("directions", "right", "down"),
    [
        ([[0, 0, 1], [-1, 0, 0], [0, -1, 0]], "P", "I"),  # sagittal as usual
        ([[0, 0, -1], [0, 1, 0], [1, 0, 0]], "P", "I"),  # sagittal, columns to superior and rows to anterior
        ([[-1, 0, 0], [0, 0, 1], [0, -1, 0]], "L", "I"),  # coronal as usual
        ([[1, 0, 0], [0, 0, 1], [0, 1, 0]], "L", "I"),  # coronal, both axes the other way
        ([[-1, 0, 0], [0, -1, 0], [0, 0, 1]], "L", "P"),  # axial
    ],
)
def test_slices_hang_as_radiologists_hang_them(directions, right, down):
    from ccdnn.pictures import screen_slice

    matrix = np.eye(4)
    matrix[:3, :3] = np.array(directions) * [1.0, 2.0, 3.0]
    grid = Grid((2, 3, 4), matrix)
    k, j, i = np.meshgrid(range(2), range(3), range(4), indexing="ij")
    place = np.stack([i, j, k, np.ones_like(i)], axis=-1) @ matrix.T
    ras_axis = {"L": 0, "P": 1, "I": 2}  # towards any of these, the RAS coordinate falls
    for letter, array_axis in ((right, 1), (down, 0)):
        image, _ = screen_slice(place[..., ras_axis[letter]], grid, 1)
        assert (np.diff(image, axis=array_axis) < 0).all()


def test_pixels_keep_their_shape_when_a_slice_is_turned():
    from ccdnn.pictures import screen_slice

    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[0, 0, -1], [0, 1, 0], [1, 0, 0]]) * [1.0, 2.0, 3.0]  # columns run up the leg, 1 mm apart
    image, aspect = screen_slice(np.zeros((2, 3, 4)), Grid((2, 3, 4), matrix), 0)
    assert image.shape == (4, 3)
    assert aspect == 0.5


@pytest.mark.timeout(300)
def test_bundled_sample_and_model_beat_every_input_scaled_to_fit_best(project_root, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    sample = project_root / "CCDNNSynth" / "Resources" / "SampleData"
    assert main(["demo", "-o", str(tmp_path), "-q"]) == 0
    assert "Warning" not in capsys.readouterr().err
    with (tmp_path / "measurements.csv").open(encoding="utf-8", newline="") as file:
        (mse,) = [float(row["value"]) for row in csv.DictReader(file) if row["name"] == "MSE"]
    acquired = read_array(sample / "stir.nrrd").ravel().astype(float)
    acquired /= acquired.max()
    for name in ("t1", "t2", "gre"):
        image = read_array(sample / f"{name}.nrrd").ravel()
        fitted = np.polyval(np.polyfit(image, acquired, deg=1), image)
        assert mse < 0.5 * np.mean((fitted - acquired) ** 2), name
