"""`ccdnn measure` on the bundled study, against numbers that scikit-image, SciPy and numpy give, and on what users get wrong."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import dicom_factory
import numpy as np
import pytest
import SimpleITK as sitk
from skimage.metrics import structural_similarity
from small_study import LABELS, label_map, read_array, sagittal_matrix, volumes, write

from ccdnn.cli.main import main
from ccdnn.files import write_volume
from ccdnn.resample import resample_onto
from ccdnn.series import Role
from ccdnn.volume import Grid, Volume

LINE = "-3,40,10 -3,12,-28"


# ---------------------------------------------------------------------------------------------------- the bundled study


@pytest.fixture(scope="module")
def sample(project_root) -> Path:
    return project_root / "CCDNNSynth" / "Resources" / "SampleData"


@pytest.fixture(scope="module")
def synthetic(sample, tmp_path_factory) -> Path:
    """Stands in for a synthesis, which would take its time: the acquired STIR blurred, in another unit, with noise."""
    image = sitk.ReadImage(sample / "stir.nrrd")
    array = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(sitk.Cast(image, sitk.sitkFloat32), 0.6)) / 150
    array = np.maximum(array + np.random.default_rng(0).normal(0, 0.02, array.shape), 0).astype(np.float32)
    path = tmp_path_factory.mktemp("synthetic") / "synthetic.nrrd"
    made = sitk.GetImageFromArray(array)
    made.CopyInformation(image)
    sitk.WriteImage(made, path, useCompression=False)
    return path


@pytest.fixture(scope="module")
def measured(sample, synthetic, tmp_path_factory) -> dict:
    """Everything at once: table → rows by column name, from the CSVs."""
    folder = tmp_path_factory.mktemp("measured")
    images = ["--acquired", str(sample / "stir.nrrd"), "--synthetic", str(synthetic), "--t1", str(sample / "t1.nrrd")]
    tissues = ["--labels", str(sample / "labels.nrrd"), "--names", str(sample / "labels.json")]
    assert main(["measure", *images, *tissues, "--line", LINE, "--csv", str(folder), "--report", str(folder / "report")]) == 0
    tables = {}
    for path in folder.glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            tables[path.stem] = list(csv.DictReader(file))
        # The report holds the very same tables.
        (beside_page,) = (folder / "report").glob(f"table-*-{path.name}")
        assert beside_page.read_bytes() == path.read_bytes()
    return tables


@pytest.fixture(scope="module")
def arrays(sample, synthetic) -> tuple[np.ndarray, np.ndarray]:
    return read_array(sample / "stir.nrrd").astype(float), read_array(synthetic).astype(float)


@pytest.mark.parametrize(
    ("pair", "foreground", "background"),
    [
        ("cartilage–bone", 6, 4),
        ("cartilage–meniscus", 6, 7),
        ("muscle–bone", 3, 4),
        ("muscle–fat", 3, 2),
        ("muscle–meniscus", 3, 7),
    ],
)
def test_cnr_is_the_definition_applied_to_the_voxels(measured, arrays, sample, pair, foreground, background):
    labels = read_array(sample / "labels.nrrd")
    (row,) = [row for row in measured["cnr-between-tissues"] if row["Pair"] == pair]
    expected = {}
    for name, image in zip(("acquired", "synthetic"), arrays, strict=True):
        f, b = image[labels == foreground], image[labels == background]
        expected[name] = abs(f.mean() - b.mean()) / b.std(ddof=1)
        assert float(row[f"CNR {name}"]) == pytest.approx(expected[name], rel=1e-6)
        assert int(row[f"Voxels foreground {name}"]) == f.size
    assert float(row["Ratio synthetic/acquired"]) == pytest.approx(expected["synthetic"] / expected["acquired"], rel=1e-6)


def tissue_level(image: np.ndarray) -> float:
    """The 90th percentile of what exceeds a fifth of that very percentile."""
    levels = [0.0, np.percentile(image, 90)]
    while levels[-1] != levels[-2]:
        levels.append(np.percentile(image[image > 0.2 * levels[-1]], 90))
    return levels[-1]


def test_similarity_is_that_of_scikit_image_on_the_scaled_volumes(measured, arrays):
    acquired, synthetic = arrays
    top = acquired.max()
    reference = (acquired / top).astype(np.float32).astype(float)
    image = (synthetic / (top * tissue_level(synthetic) / tissue_level(acquired))).astype(np.float32).astype(float)
    error = ((image - reference) ** 2).mean()
    settings = {"data_range": 1.0, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    of_volume = {row["name"]: float(row["value"]) for row in measured["similarity"]}
    assert of_volume["MSE"] == pytest.approx(error, rel=1e-6)
    assert of_volume["PSNR"] == pytest.approx(10 * np.log10(1 / error), rel=1e-6)
    below = (image < 0.1, reference < 0.1)
    assert of_volume["Dice"] == pytest.approx(2 * (below[0] & below[1]).sum() / (below[0].sum() + below[1].sum()), rel=1e-6)
    (slices,) = [table for stem, table in measured.items() if stem.startswith("similarity-of")]
    assert [row["slice"] for row in slices] == ["volume", *map(str, range(1, 25))]
    by_slice = [float(row["SSIM"]) for row in slices[1:]]
    for index in (0, 9, 20):
        assert by_slice[index] == pytest.approx(structural_similarity(image[index], reference[index], **settings), rel=1e-6)
    assert of_volume["SSIM"] == pytest.approx(np.mean(by_slice), rel=1e-9)


def test_profile_is_that_of_scipy_along_the_line(measured, sample, arrays):
    ndimage = pytest.importorskip("scipy.ndimage")
    samples = measured["line-profile-samples"]
    ras = np.array([[float(row[f"{axis} (mm)"]) for axis in "RAS"] for row in samples])
    first, last = (np.array(point.split(","), float) for point in LINE.split())
    distance = np.array([float(row["distance (mm)"]) for row in samples])
    np.testing.assert_allclose(ras, first + np.outer(distance / np.linalg.norm(last - first), last - first), atol=1e-9)
    image = sitk.ReadImage(sample / "stir.nrrd")
    ijk = np.array([image.TransformPhysicalPointToContinuousIndex((-r, -a, s)) for r, a, s in ras])
    expected = ndimage.map_coordinates(arrays[0], ijk[:, ::-1].T, order=1)
    np.testing.assert_allclose([float(row["acquired STIR"]) for row in samples], expected, rtol=1e-6, atol=1e-6 * expected.max())
    both = [np.array([float(row[name]) for row in samples]) for name in ("acquired STIR", "synthetic STIR")]
    (pearson,) = [float(row["value"]) for row in measured["line-profile"] if row["name"] == "Pearson r"]
    assert pearson == pytest.approx(np.corrcoef(*both)[0, 1], rel=1e-6)


# ------------------------------------------------------------------------------------------------------- small volumes


@pytest.fixture
def leg(tmp_path) -> dict[str, str]:
    """Files of the small leg, named as an archive may name them, by option."""
    study = volumes()
    paths = {"acquired": write(study[Role.STIR], tmp_path / "DOE_JANE_stir.nrrd")}
    header = {
        "CCDNN_Notice": "SYNTHETIC",
        "CCDNN_Model": "tiny 0.0.1",
        "CCDNN_Reference": "DOE^JANE t1",
        "CCDNN_Input_T1": "DOE^JANE t1 (covers 1.0000)",
        "PatientName": "DOE^JANE",
    }
    made = study[Role.STIR].with_array(study[Role.STIR].array * 0.5 + 10, metadata=header)
    paths["synthetic"] = tmp_path / "DOE_JANE_synthetic.nrrd"
    write_volume(made, paths["synthetic"])
    paths["t1"] = write(study[Role.T1], tmp_path / "DOE_JANE_t1.nrrd")
    paths["labels"] = write(Volume(label_map(), sagittal_matrix()), tmp_path / "labels.nrrd")
    paths["names"] = tmp_path / "labels.json"
    paths["names"].write_text(json.dumps(LABELS))
    return {name: str(path) for name, path in paths.items()}


def arguments(leg, *names: str) -> list[str]:
    return ["measure", *(word for name in names for word in (f"--{name}", leg[name]))]


def tables(capsys) -> dict:
    return json.loads(capsys.readouterr().out)["tables"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("acquired", "synthetic"), {"similarity", "similarity-of-synthetic-stir-and-acquired-stir"}),
        (("acquired", "labels", "names"), {"cnr-between-tissues"}),
        (("synthetic", "labels", "names"), {"cnr-between-tissues"}),
    ],
)
def test_any_part_is_measured_with_what_there_is(leg, capsys, given, expected):
    assert main([*arguments(leg, *given), "--json"]) == 0
    assert set(tables(capsys)) == expected


@pytest.mark.parametrize("line", [["20,10,20 20,-10,20"], ["20,10,20", "20,-10,20"], ["20,10,20 20,0,20", "20,-10,20"]])
def test_a_line_is_written_in_quotes_or_apart(leg, capsys, line):
    assert main([*arguments(leg, "acquired"), "--line", *line, "--json"]) == 0
    rows = tables(capsys)["line-profile-samples"]["rows"]
    assert (rows[0]["A"], rows[-1]["A"]) == (10, -10)


def test_a_line_may_begin_with_a_minus(leg, capsys):
    assert main([*arguments(leg, "acquired", "t1"), "--line", "-0.5,10,20 20,-10,20", "--json"]) == 0
    assert tables(capsys)["line-profile-samples"]["rows"][0]["R"] == -0.5


def test_pairs_and_form_are_the_users(leg, capsys):
    assert main([*arguments(leg, "acquired", "labels", "names"), "--pairs", "fat/muscle", "--form", "pooled", "--json"]) == 0
    (row,) = tables(capsys)["cnr-between-tissues"]["rows"]
    stir, labels = read_array(leg["acquired"]).astype(float), read_array(leg["labels"])
    f, b = stir[labels == 1], stir[labels == 2]
    pooled = np.sqrt((f.var(ddof=1) + b.var(ddof=1)) / 2)
    assert row["CNR acquired"] == pytest.approx(abs(f.mean() - b.mean()) / pooled, rel=1e-6)


def test_labels_without_names_go_by_their_values(leg, capsys):
    Path(leg["names"]).unlink()
    assert main([*arguments(leg, "acquired", "labels"), "--pairs", "1/2", "--json"]) == 0
    (row,) = tables(capsys)["cnr-between-tissues"]["rows"]
    assert row["CNR acquired"] > 0


@pytest.mark.parametrize("place", ["labels.json", "tissues.json"])
def test_names_are_found_beside_the_labels(leg, tmp_path, capsys, place):
    assert main([*arguments(leg, "acquired", "labels", "names"), "--json"]) == 0
    expected = tables(capsys)
    (tmp_path / "tissues").mkdir()
    leg["labels"] = str(Path(leg["labels"]).rename(tmp_path / "tissues" / "tissues.nrrd"))
    (tmp_path / "tissues" / "labels.json").write_text('{"1": "no such tissue"}')
    found = Path(leg["names"]).rename(tmp_path / "tissues" / place)
    assert main([*arguments(leg, "acquired", "labels"), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["tables"] == expected
    assert str(found) in err


def test_the_names_that_were_found_are_not_overwritten(leg, tmp_path, capsys):
    names = Path(leg["names"])
    (tmp_path / "cnr-between-tissues.csv").hardlink_to(names)
    assert main([*arguments(leg, "acquired", "labels"), "--csv", str(tmp_path)]) == 5
    assert json.loads(names.read_text())["1"] == "fat"


def test_a_sidecar_beside_the_labels_is_no_list_of_names(leg, tmp_path, capsys):
    leg["labels"] = str(Path(leg["labels"]).rename(tmp_path / "dseg.nrrd"))
    (tmp_path / "dseg.json").write_text('{"Manual": true, "Atlas": "none"}')
    assert main([*arguments(leg, "acquired", "labels"), "--json"]) == 0
    assert tables(capsys)["cnr-between-tissues"]["rows"][0]["CNR acquired"] > 0


@pytest.mark.parametrize(
    ("more", "message"),
    [((), "its labels are 1, 2, 3"), (("--names",), "has no pair of tissues"), (("--pairs", "1/2"), "does not vary")],
    ids=["unnamed", "wrong names", "constant"],
)
def test_labels_that_serve_for_nothing_are_an_error(leg, tmp_path, capsys, more, message):
    Path(leg["names"]).unlink()
    if more == ("--names",):
        Path(leg["names"]).write_text('{"1": "Fett"}')
        more = ("--names", leg["names"])
    if "--pairs" in more:
        flat = np.where(label_map() == 2, 5, np.arange(label_map().size).reshape(label_map().shape))
        leg["acquired"] = str(write(Volume(flat, sagittal_matrix()), tmp_path / "flat.nrrd"))
    assert main([*arguments(leg, "acquired", "labels"), *more, "--csv", str(tmp_path / "csv")]) == 3
    out, err = capsys.readouterr()
    assert message in err and err.count("\n") == 1 and out == ""
    assert not (tmp_path / "csv").exists()


def test_labels_may_serve_as_a_mask_alone(leg, capsys):
    Path(leg["names"]).unlink()
    assert main([*arguments(leg, "acquired", "synthetic", "labels"), "--mask", "2", "--json"]) == 0
    assert tables(capsys)["cnr-between-tissues"]["rows"][0]["CNR acquired"] is None


def test_a_mask_keeps_the_rest_out(leg, capsys):
    assert (
        main([*arguments(leg, "acquired", "synthetic", "labels", "names"), "--mask", "Muscle", "--scaling", "none", "--json"]) == 0
    )
    found = {row["name"]: row for row in tables(capsys)["similarity"]["rows"]}
    inside = read_array(leg["labels"]) == 2
    difference = (read_array(leg["synthetic"]).astype(float) - read_array(leg["acquired"]))[inside]
    assert found["MSE"]["value"] == pytest.approx((difference**2).mean(), rel=1e-6)
    assert found["MSE"]["n"] == inside.sum()


def test_a_synthetic_volume_on_another_grid_is_resampled_and_that_is_said(leg, tmp_path, capsys):
    original = volumes()[Role.STIR]
    matrix = original.ijk_to_ras.copy()
    matrix[:3, 3] += 0.5 * matrix[:3, 0]
    grid = Grid((6, 40, 30), matrix)  # half a pixel further, six columns less
    leg["synthetic"] = write(resample_onto(original, grid).volume, tmp_path / "moved.nrrd")
    assert (
        main([*arguments({**leg, "synthetic": str(leg["synthetic"])}, "acquired", "synthetic"), "--scaling", "none", "--json"]) == 0
    )
    out, err = capsys.readouterr()
    assert "resampled onto the grid of the acquired one" in err and "36×40×6" in err
    (mse,) = [row for row in json.loads(out)["tables"]["similarity"]["rows"] if row["name"] == "MSE"]
    assert 0 < mse["n"] < original.array.size  # what the synthetic does not cover is not measured


def test_terminal_shows_numbers_with_units_and_notes(leg, capsys):
    assert main([*arguments(leg, "acquired", "synthetic", "labels", "names"), "--line", "20,10,20 20,-10,20"]) == 0
    out, err = capsys.readouterr()
    for words in ("cartilage–bone", "CNR acquired", "Ratio synthetic/acquired", "PSNR", " dB", " mm", "Pearson r"):
        assert words in out
    assert "CNR = |mean_f − mean_b| / SD_b" in err
    assert "MS-SSIM: Slices of 36×40 pixels are too small" in err or "too small for MS-SSIM" in err


# ---------------------------------------------------------------------------------------------------------------- report


def everything_in(folder: Path) -> bytes:
    return b"\n".join([path.name.encode() + path.read_bytes() for path in sorted(folder.iterdir())]).upper()


def test_report_names_no_patient_unless_asked_to(leg, tmp_path):
    given = [*arguments(leg, "acquired", "synthetic", "t1", "labels", "names"), "--line", "20,10,20 20,-10,20", "-q"]
    assert main([*given, "--report", str(tmp_path / "report")]) == 0
    written = everything_in(tmp_path / "report")
    assert b"DOE" not in written and b"JANE" not in written
    assert b"TINY 0.0.1" in written and b"COVERS 1.0000" in written
    assert b"--ACQUIRED ACQUIRED" in written
    assert main([*given, "--report", str(tmp_path / "named"), "--with-names"]) == 0
    assert b"DOE^JANE T1" in everything_in(tmp_path / "named")


def test_report_on_dicom_names_no_patient(tmp_path):
    dicom_factory.write(dicom_factory.series(), tmp_path / "study")
    given = ["measure", "--acquired", str(tmp_path / "study"), "--report", str(tmp_path / "report")]
    assert main(given) == 0
    written = everything_in(tmp_path / "report")
    for secret in ("DOE", "JANE", "SECRET", "1970", "1.2.3"):
        assert secret.encode() not in written, secret
    assert b"600" in written  # TR


def test_report_shows_the_chosen_slice(leg, tmp_path):
    assert main([*arguments(leg, "acquired", "synthetic"), "--slice", "2", "--report", str(tmp_path / "report"), "-q"]) == 0
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert "slice 2 of 6" in page and "slice 3 of 6" not in page
    acquired, synthetic = (
        sitk.GetArrayFromImage(sitk.ReadImage(next((tmp_path / "report").glob(f"picture-*-{name}.png"))))
        for name in ("acquired-stir", "synthetic-stir")
    )
    # One looks like the other though their units differ, and both hang as the leg stands.
    assert acquired.shape == (40, 36)
    assert np.corrcoef(acquired.ravel(), synthetic.ravel())[0, 1] > 0.99


def test_report_folder_of_something_else_is_refused_before_the_work(leg, tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    assert main([*arguments(leg, "acquired", "synthetic"), "--report", str(tmp_path / "mine")]) == 5
    assert "notes.txt" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


# ---------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("given", "more", "message"),
    [
        (("t1",), (), "No STIR was given"),
        (("acquired",), (), "nothing to measure"),
        (("acquired",), ("--line", "1,2"), "is not a line"),
        (("acquired",), ("--line", "1,2 3,4 5,6"), "is not a line"),
        (("acquired",), ("--line", "a,b,c"), "is not a line"),
        (("acquired",), ("--line", "20,10,20"), "one point"),
        (("acquired",), ("--line", "900,10,20 900,-10,20"), "outside"),
        (("acquired", "synthetic"), ("--mask", "fat"), "--labels"),
        (("acquired", "synthetic", "labels", "names"), ("--mask", "nerve"), "no label called “nerve”"),
        (("acquired", "labels", "names"), ("--pairs", "fat"), "not a pair"),
        (("acquired", "synthetic"), ("--slice", "7"), "slices 1 to 6"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(leg, tmp_path, capsys, given, more, message):
    assert main([*arguments(leg, *given), *more, "--csv", str(tmp_path / "csv")]) == 3
    out, err = capsys.readouterr()
    assert message in err and out == "" and "Traceback" not in err
    assert not (tmp_path / "csv").exists()


@pytest.mark.parametrize("content", ["[1, 2]", '{"one": "fat"}', "not JSON"])
def test_a_list_of_names_that_is_none_is_refused(leg, tmp_path, capsys, content):
    Path(leg["names"]).write_text(content)
    assert main([*arguments(leg, "acquired", "labels", "names")]) == 3
    assert re.search(r"labels.json is not (a valid label list|valid JSON)", capsys.readouterr().err)


def test_labels_on_another_grid_are_refused(leg, tmp_path, capsys):
    matrix = sagittal_matrix()
    matrix[:3, 3] += 0.3 * matrix[:3, 0]
    leg["labels"] = str(write(Volume(label_map(), matrix), tmp_path / "shifted.nrrd"))
    assert main(arguments(leg, "acquired", "labels", "names")) == 3
    assert "different grids" in capsys.readouterr().err


def flipped(volume: Volume) -> Volume:
    """The same voxels with slices counted from the other end and rows and columns exchanged."""
    turn = np.eye(4)
    turn[:3, :3] = [[0, 1, 0], [1, 0, 0], [0, 0, -1]]
    turn[2, 3] = volume.array.shape[0] - 1
    return Volume(volume.array[::-1].swapaxes(1, 2), volume.ijk_to_ras @ turn)


@pytest.mark.parametrize("how", ["turned", "cropped"])
def test_labels_on_the_same_voxels_in_another_order_or_a_part_of_them(leg, tmp_path, capsys, how):
    assert main([*arguments(leg, "acquired", "labels", "names"), "--json"]) == 0
    expected = tables(capsys)["cnr-between-tissues"]["rows"]
    labels = Volume(label_map(), sagittal_matrix())
    if how == "turned":
        other = flipped(labels)
    else:  # the box around the labels, as Slicer saves a segmentation
        where = np.argwhere(labels.array)
        low, high = where.min(axis=0), where.max(axis=0) + 1
        matrix = labels.ijk_to_ras.copy()
        matrix[:3, 3] += matrix[:3, :3] @ low[::-1]
        other = Volume(labels.array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))], matrix)
    leg["labels"] = str(write(other, tmp_path / "other.nrrd"))
    assert main([*arguments(leg, "acquired", "labels", "names"), "--json"]) == 0
    assert tables(capsys)["cnr-between-tissues"]["rows"] == expected


def test_segment_names_of_slicer_are_known(leg, tmp_path, capsys):
    image = sitk.GetImageFromArray(label_map().astype(np.uint8))
    placed = sitk.ReadImage(write(Volume(label_map(), sagittal_matrix()), tmp_path / "plain.nrrd"))
    image.CopyInformation(placed)
    for number, (value, name) in enumerate({1: "fat", 2: "muscle"}.items()):
        image.SetMetaData(f"Segment{number}_Name", name)
        image.SetMetaData(f"Segment{number}_LabelValue", str(value))
    sitk.WriteImage(image, tmp_path / "leg.seg.nrrd")
    leg["labels"] = str(tmp_path / "leg.seg.nrrd")
    assert main([*arguments(leg, "acquired", "labels"), "--pairs", "fat/muscle", "--json"]) == 0
    assert tables(capsys)["cnr-between-tissues"]["rows"][0]["CNR acquired"] > 0


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_in_the_names_is_no_obstacle(leg, tmp_path, capsys, encoding):
    names = tmp_path / "names.json"
    names.write_text('{"1": "fat", "2": "muscle"}', encoding=encoding)
    leg["names"] = str(names)
    assert main([*arguments(leg, "acquired", "labels", "names"), "--pairs", "fat/muscle", "--json"]) == 0
    assert tables(capsys)["cnr-between-tissues"]["rows"][0]["CNR acquired"] > 0


def test_a_tissue_that_is_missing_leaves_its_row_empty_and_says_why(leg, capsys):
    assert main([*arguments(leg, "acquired", "labels", "names"), "--pairs", "fat/muscle;fat/nerve", "--json"]) == 0
    first, second = tables(capsys)["cnr-between-tissues"]["rows"]
    assert first["CNR acquired"] > 0
    assert second["CNR acquired"] is None and "nerve" in second["Note"]
