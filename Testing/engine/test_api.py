"""`import ccdnn` for scripts: every kind of input gives what the command gives, and a wrong one is a single sentence."""

from __future__ import annotations

import inspect
import json
import re
import shutil
import subprocess
import sys
from enum import Enum
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from small_study import LABELS, SHAPE, label_map, read_array, sagittal_matrix, volumes, write, write_model, write_study

import ccdnn
from ccdnn.cli.main import main
from ccdnn.conversion import to_nibabel, to_sitk, volume_of
from ccdnn.files import read_volume
from ccdnn.series import Role

ON_CPU = {"device": "cpu", "precision": "fp32"}


@pytest.fixture(scope="module")
def model_file(tmp_path_factory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture(scope="module")
def model(model_file) -> ccdnn.Synthesizer:
    return ccdnn.load_model(model_file, **ON_CPU)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    return write_study(tmp_path_factory.mktemp("study") / "study")


@pytest.fixture(scope="module")
def by_command(study, model_file, tmp_path_factory) -> sitk.Image:
    out = tmp_path_factory.mktemp("command") / "stir.nrrd"
    assert (
        main(["synthesize", str(study), "-o", str(out), "--model", str(model_file), "--device", "cpu", "--precision", "fp32"]) == 0
    )
    return sitk.ReadImage(out)


def is_one_sentence(error: Exception) -> bool:
    return "\n" not in str(error) and str(error).endswith(".")


# ------------------------------------------------------------------------------------------------------------ the import


def test_import_loads_nothing_heavy():
    heavy = ("numpy", "SimpleITK", "pydicom", "nibabel", "onnxruntime", "torch")
    code = f"import sys, ccdnn; dir(ccdnn); print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_api_loads_no_library_that_computes_or_reads_dicom():
    heavy = ("pydicom", "nibabel", "onnxruntime", "torch", "matplotlib", "skimage")
    code = f"import sys, ccdnn; ccdnn.synthesize; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_every_public_name_is_there_documented_and_listed():
    from ccdnn import api

    assert sorted(ccdnn.__all__) == sorted(api.__all__)
    for name in ccdnn.__all__:
        assert name in dir(ccdnn)
        assert inspect.getdoc(getattr(ccdnn, name)), name
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = ccdnn.nonsense


@pytest.mark.parametrize("before", ["", "import ccdnn.measure.cnr; "])
def test_measure_is_a_function_and_a_package(before):
    code = f"{before}import ccdnn; print(type(ccdnn.measure).__name__, end=' '); ccdnn.measure()"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "InputError: No STIR was given" in run.stderr
    assert list(inspect.signature(ccdnn.measure).parameters)[:2] == ["acquired", "synthetic"]


# ------------------------------------------------------------------------------------------------------------- synthesis


def test_study_gives_what_the_command_gives(study, model, by_command):
    result = ccdnn.synthesize_study(study, model=model)
    np.testing.assert_array_equal(result.volume.array, sitk.GetArrayFromImage(by_command))
    assert result.volume.metadata["CCDNN_Notice"] == by_command.GetMetaData("CCDNN_Notice")


@pytest.mark.parametrize(
    "how",
    [
        {"t1": 2, "t2": "3"},
        {"t1": "{study}::2", "gre": Path("{study}/gre.nrrd")},
        {"reference": "t1"},
        {"reference": "{study}/t1.nrrd"},
        {"reference": 2},
    ],
)
def test_series_of_a_study_are_named_as_in_the_command(study, model, by_command, how):
    named = {
        key: type(value)(str(value).replace("{study}", str(study))) if not isinstance(value, int) else value
        for key, value in how.items()
    }
    made = ccdnn.synthesize_study(str(study), model=model, **named)
    np.testing.assert_array_equal(made.volume.array, sitk.GetArrayFromImage(by_command))


def nibabel_image(path: Path) -> nibabel.Nifti1Image:
    """By nibabel's own rules alone: (i, j, k), RAS."""
    image = sitk.ReadImage(path)
    return nibabel.Nifti1Image(sitk.GetArrayFromImage(image).transpose(2, 1, 0), sagittal_matrix())


KINDS = {
    "file": lambda path: path,
    "text": str,
    "row": lambda path: f"{path.parent}::{['gre', 't1', 't2'].index(path.stem) + 1}",
    "series": lambda path: next(series for series in ccdnn.inspect(path).series),
    "Volume": read_volume,
    "SimpleITK": lambda path: sitk.ReadImage(path),
    "nibabel": nibabel_image,
    "nibabel, one time point": lambda path: nibabel.Nifti1Image(
        nibabel_image(path).get_fdata(dtype=np.float32)[..., None], sagittal_matrix()
    ),
    "pair": lambda path: (read_array(path).T, sagittal_matrix()),
    "pair of lists": lambda path: (read_array(path).T.tolist(), sagittal_matrix().tolist()),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_image_gives_what_the_command_gives(study, model, by_command, kind):
    result = ccdnn.synthesize(*(KINDS[kind](study / f"{name}.nrrd") for name in ("t1", "t2", "gre")), model=model)
    np.testing.assert_array_equal(result.volume.array, sitk.GetArrayFromImage(by_command))
    np.testing.assert_allclose(result.volume.ijk_to_ras, sagittal_matrix(), atol=1e-6)


def test_image_file_of_nibabel_is_read_by_nibabel(study, model, by_command, tmp_path):
    paths = []
    for name in ("t1", "t2", "gre"):
        paths.append(tmp_path / f"{name}.nii.gz")
        nibabel.save(nibabel_image(study / f"{name}.nrrd"), paths[-1])
    result = ccdnn.synthesize(*map(nibabel.load, paths), model=model)
    np.testing.assert_array_equal(result.volume.array, sitk.GetArrayFromImage(by_command))
    paths = [path.rename(path.with_name(f"sub-{number}_{path.name}")) for number, path in enumerate(paths)]
    with pytest.raises(ccdnn.InputError, match="different patients"):
        ccdnn.synthesize(*map(nibabel.load, paths), model=model)
    assert ccdnn.synthesize(*map(nibabel.load, paths), model=model, force=True).warnings


@pytest.mark.parametrize("reference", ["gre", "image"])
def test_reference_decides_the_grid(study, model, reference):
    grid = volumes()[Role.GRE].ijk_to_ras.copy()
    grid[:3, 3] += 0.5 * grid[:3, 2]
    gre = (read_array(study / "gre.nrrd").T, grid)
    made = ccdnn.synthesize(
        study / "t1.nrrd", study / "t2.nrrd", gre, reference="gre" if reference == "gre" else gre, model=model, force=True
    )
    np.testing.assert_allclose(made.volume.ijk_to_ras, grid)


def test_without_gre(study, model, tmp_path):
    with pytest.raises(ccdnn.InputError, match="needs a GRE series, but none was given"):
        ccdnn.synthesize(study / "t1.nrrd", study / "t2.nrrd", model=model)
    with pytest.raises(ccdnn.InputError, match="--gre cannot be none"):
        ccdnn.synthesize_study(study, gre="none", model=model)
    optional = ccdnn.load_model(write_model(tmp_path / "optional.safetensors", optional=("gre",)), **ON_CPU)
    by_images = ccdnn.synthesize(study / "t1.nrrd", study / "t2.nrrd", model=optional)
    of_study = ccdnn.synthesize_study(study, gre="none", model=optional)
    np.testing.assert_array_equal(by_images.volume.array, of_study.volume.array)
    assert "made without GRE" in by_images.warnings[0]


def test_a_file_that_cannot_be_read_is_a_warning(model, tmp_path):
    folder = write_study(tmp_path / "study")
    (folder / "broken.nrrd").write_text("no image")
    assert any("broken.nrrd" in warning for warning in ccdnn.synthesize_study(folder, model=model).warnings)


# ---------------------------------------------------------------------------------------------------------------- models


def test_model_is_a_name_or_a_file_or_loaded(study, model_file, by_command):
    made = ccdnn.synthesize_study(study, model=str(model_file), **ON_CPU)
    np.testing.assert_array_equal(made.volume.array, sitk.GetArrayFromImage(by_command))
    assert (made.device, made.precision) == ("cpu", "fp32")
    assert ccdnn.load_model("small", device="cpu").model.card.name == ccdnn.load_model(device="cpu").model.card.name


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"model": "no such model"}, ccdnn.ModelError, "no such model"),
        ({"model": 3}, ccdnn.InputError, "model is of the type int"),
        ({"device": "tpu"}, ccdnn.DeviceError, "'tpu' is unknown"),
        ({"precision": "fp4", "device": "cpu"}, ccdnn.DeviceError, "'fp4' is unknown"),
    ],
)
def test_a_model_or_device_that_cannot_be_used(study, options, kind, message):
    with pytest.raises(kind, match=message) as caught:
        ccdnn.synthesize_study(study, **options)
    assert is_one_sentence(caught.value)


def test_device_of_a_loaded_model_is_chosen_already(study, model):
    with pytest.raises(ccdnn.InputError, match="loaded already"):
        ccdnn.synthesize_study(study, model=model, device="cpu")


# --------------------------------------------------------------------------------------------------------- wrong inputs

GRID = np.eye(4)
ARRAY = np.random.default_rng(0).random((8, 8, 4))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (ARRAY, "t1 is of the type ndarray; give a path, .*pair"),
        (7, "t1 is of the type int"),
        ((ARRAY[0], GRID), "t1 has 2 dimensions"),
        ((np.zeros((8, 8, 4, 2)), GRID), "t1 has 4 dimensions"),
        ((ARRAY, np.eye(3)), "4×4"),
        ((ARRAY, "here"), "affine of t1"),
        ((ARRAY, np.zeros((4, 4))), "invertible"),
        ((ARRAY, GRID * 1e4), "which no part of a body does"),
        ((ARRAY + 1j, GRID), "complex"),
        ((ARRAY.astype(str), GRID), "one number per voxel"),
        (([[[1]], [[1, 2]]], GRID), "unequal length"),
        ((ARRAY * np.nan, GRID), "NaN"),
        ((np.ones((8, 8, 4)), GRID), "in every voxel"),
        (sitk.GetImageFromArray(ARRAY[0]), "t1 has 2 dimensions"),
        (sitk.GetImageFromArray(np.zeros((4, 8, 8, 3)), isVector=True), "3 values per voxel"),
        (nibabel.Nifti1Image(np.zeros((8, 8, 4, 2), np.float32), GRID), "t1 has 4 dimensions"),
        (nibabel.Nifti1Image(ARRAY.astype(np.complex64), GRID), "complex"),
        ("nowhere.nrrd", "nowhere.nrrd"),
    ],
)
def test_an_image_that_cannot_be_used_is_one_sentence(study, model, image, message):
    with pytest.raises(ccdnn.InputError, match=message) as caught:
        ccdnn.synthesize(image, study / "t2.nrrd", study / "gre.nrrd", model=model)
    assert is_one_sentence(caught.value)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"t1": 9}, "has rows 1 to 3"),
        ({"t1": ARRAY}, "t1 is of the type ndarray.*ccdnn.synthesize"),
        ({"reference": "pd"}, "pd"),
        ({"study": None}, "study is of the type NoneType"),
        ({"study": "nowhere"}, "nowhere"),
    ],
)
def test_a_study_that_cannot_be_used_is_one_sentence(study, model, how, message):
    with pytest.raises(ccdnn.InputError, match=message) as caught:
        ccdnn.synthesize_study(**{"study": study, "model": model, **how})
    assert is_one_sentence(caught.value)


# ---------------------------------------------------------------------------------------------------------------- result


@pytest.fixture(scope="module")
def result(study, model) -> ccdnn.SynthesisResult:
    return ccdnn.synthesize_study(study, model=model)


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz"])
def test_saved_file_is_that_of_the_command(study, model_file, result, tmp_path, suffix):
    result.save(tmp_path / f"api{suffix}")
    out = tmp_path / f"command{suffix}"
    main(["synthesize", str(study), "-o", str(out), "--model", str(model_file), "--device", "cpu", "--precision", "fp32"])
    if suffix == ".nrrd":
        assert (tmp_path / "api.nrrd").read_bytes() == out.read_bytes()
    else:
        assert (tmp_path / "api.json").read_bytes() == (tmp_path / "command.json").read_bytes()
    np.testing.assert_array_equal(read_array(tmp_path / f"api{suffix}"), read_array(out))


@pytest.mark.parametrize(("name", "message"), [("stir.png", "no suffix"), ("no/folder/stir.nrrd", "no such folder")])
def test_a_file_that_cannot_be_written(result, tmp_path, name, message):
    with pytest.raises(ccdnn.OutputError, match=message):
        result.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", ["study", "images"])
def test_inputs_are_never_overwritten(model, tmp_path, how):
    folder = write_study(tmp_path / "study")
    images = [folder / f"{name}.nrrd" for name in ("t1", "t2", "gre")]
    result = ccdnn.synthesize_study(folder, model=model) if how == "study" else ccdnn.synthesize(*images, model=model)
    content = images[1].read_bytes()
    with pytest.raises(ccdnn.OutputError, match="is an input"):
        result.save(images[1])
    assert images[1].read_bytes() == content


def test_result_as_an_image_in_memory(result, tmp_path):
    image = result.to_sitk()
    assert image.GetSize() == SHAPE[::-1]
    assert "SYNTHETIC" in image.GetMetaData("CCDNN_Notice")
    nifti = result.to_nibabel()
    nifti.to_filename(tmp_path / "stir.nii.gz")
    assert nifti.shape == SHAPE[::-1] and b"SYNTHETIC" in nifti.header["descrip"].item()
    np.testing.assert_allclose(nifti.affine, result.volume.ijk_to_ras)
    for read in (sitk.GetArrayFromImage(image), read_array(tmp_path / "stir.nii.gz"), np.asanyarray(nifti.dataobj).T):
        np.testing.assert_array_equal(read, result.volume.array)


@pytest.mark.parametrize("there", [to_sitk, to_nibabel], ids=["SimpleITK", "nibabel"])
def test_conversions_and_back(there):
    volume = volumes()[Role.STIR].with_array(volumes()[Role.STIR].array, metadata={"CCDNN_Notice": "SYNTHETIC", "Patient": "Doe"})
    back = volume_of(there(volume), "back")
    np.testing.assert_array_equal(back.array, volume.array)
    assert back.grid.same_as(volume.grid)
    if there is to_sitk:
        assert dict(back.metadata) == {"CCDNN_Notice": "SYNTHETIC"}


# --------------------------------------------------------------------------------------------------------------- measures


@pytest.fixture(scope="module")
def leg(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("leg")
    stir = volumes()[Role.STIR]
    (folder / "labels.json").write_text(json.dumps(LABELS))
    return {
        "acquired": write(stir, folder / "acquired.nrrd"),
        "synthetic": write(stir.with_array(stir.array * 0.5 + 10), folder / "synthetic.nrrd"),
        "t1": write(volumes()[Role.T1], folder / "t1.nrrd"),
        "labels": write(stir.with_array(label_map()), folder / "labels.nrrd"),
    }


def test_measures_are_those_of_the_command(leg, tmp_path):
    options = [word for name, path in leg.items() for word in (f"--{name}", str(path))]
    line = ["--line", "20,10,20 20,-10,20", "--mask", "muscle", "--form", "pooled", "--scaling", "percentile"]
    assert main(["measure", *options, *line, "--csv", str(tmp_path)]) == 0
    more = {"mask": "muscle", "form": "pooled", "scaling": "percentile"}
    measured = ccdnn.measure(**leg, line=[[20, 10, 20], [20, -10, 20]], **more)
    assert sorted(table.to_csv() for table in measured.tables.values()) == sorted(
        path.read_text(encoding="utf-8") for path in tmp_path.glob("*.csv")
    )
    images = {name: sitk.ReadImage(path) for name, path in leg.items()}
    in_memory = ccdnn.measure(**images, names=LABELS, line=np.array([[20, 10, 20], [20, -10, 20]]), **more)
    assert {title: table.to_csv() for title, table in in_memory.tables.items()} == {
        title: table.to_csv() for title, table in measured.tables.items()
    }


def test_a_result_is_measured_as_it_is(leg, result):
    similarity = ccdnn.measure(leg["acquired"], result).tables["Similarity"]
    assert similarity.column("name") == ("MSE", "PSNR", "SSIM", "MS-SSIM", "Dice")
    moved = result.volume.ijk_to_ras.copy()
    moved[:3, 3] += moved[:3, 2]
    measured = ccdnn.measure(leg["acquired"], (result.volume.array.T, moved))
    assert "resampled onto the grid" in measured.notes[0]


@pytest.mark.parametrize("names", [LABELS, {str(value): name for value, name in LABELS.items()}, "file"])
def test_names_of_labels(leg, names):
    names = leg["labels"].with_name("labels.json") if names == "file" else names
    table = ccdnn.measure(leg["acquired"], labels=leg["labels"], names=names).tables["CNR between tissues"]
    assert np.isfinite(np.array(table.column("CNR acquired"))).all()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"acquired": None}, "No STIR was given"),
        ({}, "nothing to measure"),
        ({"synthetic": (ARRAY, GRID), "scaling": "tissues"}, "'tissues' is not a scaling; use percentile, tissue, minmax, none"),
        ({"labels": "labels", "form": "ratio"}, "'ratio' is not a form"),
        ({"line": [1, 2, 3]}, "The line must be points"),
        ({"line": "1,2,3 4,5,6"}, "The line must be points"),
        ({"mask": "fat"}, "needs both STIRs and labels"),
        ({"labels": "labels", "names": {"one": "fat"}}, "The name of the label one"),
        ({"labels": "labels", "names": 5}, "names is of the type int"),
        ({"labels": "labels", "names": {1: "Fett"}}, "has no pair of tissues to measure: its labels are Fett"),
        ({"labels": (np.round(ARRAY), GRID)}, "different grids"),
        ({"labels": "labels", "pairs": "fat"}, "not a pair"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(leg, how, message):
    how = {key: leg["labels"] if isinstance(value, str) and value == "labels" else value for key, value in how.items()}
    with pytest.raises(ccdnn.InputError, match=message) as caught:
        ccdnn.measure(**{"acquired": leg["acquired"], **how})
    assert is_one_sentence(caught.value)


def test_inspect_lists_what_the_command_lists(study):
    found = ccdnn.inspect(str(study))
    assert [series.role for series in found.series] == [Role.GRE, Role.T1, Role.T2]
    with pytest.raises(ccdnn.CcdnnError):
        ccdnn.inspect(study / "nowhere")


# ------------------------------------------------------------------------------------------------------------- reference


def test_signatures_in_the_reference_are_those_of_the_functions(project_root):
    page = (project_root / "docs" / "api.md").read_text(encoding="utf-8")
    for name in ("inspect", "load_model", "measure", "synthesize", "synthesize_study"):
        (stated,) = re.findall(rf"^ccdnn\.{name}(\(.*?\)) -> (\w+)$", page, re.DOTALL | re.MULTILINE)
        found = inspect.signature(getattr(ccdnn, name))
        bare = [parameter.replace(annotation=parameter.empty) for parameter in found.parameters.values()]
        bare = [p.replace(default=p.default.value) if isinstance(p.default, Enum) else p for p in bare]
        wanted = str(inspect.Signature(bare)).replace("'", '"')
        assert (" ".join(stated[0].split()), stated[1]) == (wanted, found.return_annotation)


def test_examples_in_the_reference_run(project_root, study, leg, result, model, tmp_path, monkeypatch):
    page = (project_root / "docs" / "api.md").read_text(encoding="utf-8")
    first, many, memory = re.findall(r"```python\n(.*?)```", page.partition("## Images")[0], re.DOTALL)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(study, "study")
    shutil.copytree(study, "studies/one")
    for path in leg["labels"].parent.iterdir():
        shutil.copy(path, tmp_path)
    for name in ("t1", "t2", "gre"):
        nibabel.save(nibabel_image(study / f"{name}.nrrd"), f"{name}.nii.gz")
    monkeypatch.setattr("ccdnn.api.load_model", lambda *_, **__: model)
    for code in (first, many, memory):
        exec(code, {})
    np.testing.assert_array_equal(read_array(tmp_path / "stir.nrrd"), result.volume.array)
    np.testing.assert_array_equal(read_array(tmp_path / "one.nii.gz"), result.volume.array)
