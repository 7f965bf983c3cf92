"""How far to trust a result: intervals, their factors, regions, and how unlike the training a study is."""

import csv
import html
import json
import math

import numpy as np
import pytest
import small_network
from small_study import card, volumes, write_model, write_study

import ccdnn
from ccdnn.cli.main import main
from ccdnn.errors import InputError, ModelError
from ccdnn.files import read_volume, write_volume
from ccdnn.inference.synthesizer import Synthesizer
from ccdnn.model.card import ModelCard
from ccdnn.model.familiarity import BINS, HIGHEST, Familiarity, cells_of
from ccdnn.model.file import load_model
from ccdnn.model.uncertainty import INTERVALS, RegionError, Uncertainty
from ccdnn.normalisation import robust_maximum
from ccdnn.series import Role
from ccdnn.synthesis import synthesize
from ccdnn.trust import UNCERTAINTY_NAME, compare_regions, region_error_of
from ccdnn.volume import Volume

ROLES = (Role.T1, Role.T2, Role.GRE)


def familiarity(limit=0.05, joint=True):
    """Every cell occurred in training; of the joint ones, those of `joint`."""
    local = {role.value: np.ones((BINS, BINS), bool) for role in ROLES}
    return Familiarity(("t1", "t2", "gre"), np.broadcast_to(joint, (BINS,) * 3).copy(), local, limit)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    return write_model(path, uncertainty=small_network.uncertainty(), familiarity=familiarity(), optional=("gre",))


@pytest.fixture(scope="module")
def synthesizer(model_file):
    return Synthesizer(load_model(model_file), "cpu", "fp32")


@pytest.mark.parametrize(("missing", "factor"), [((), 3.0), ((Role.GRE,), 3.5)])
def test_the_map_is_the_scale_times_the_factor_for_what_is_missing(synthesizer, missing, factor):
    inputs = {role: volume for role, volume in volumes().items() if role in ROLES and role not in missing}
    result = synthesize(inputs, synthesizer)
    normalised = [
        inputs[role].array / robust_maximum(inputs[role].array) if role in inputs else 0 * inputs[Role.T1].array for role in ROLES
    ]
    expected = np.exp(small_network.plain_log_scale(synthesizer.model.network, np.stack(normalised))) * factor
    np.testing.assert_allclose(result.uncertainty.array, expected, rtol=1e-3)
    assert result.uncertainty.name == UNCERTAINTY_NAME
    assert result.uncertainty.grid.same_as(result.volume.grid)
    assert "SYNTHETIC" in result.uncertainty.metadata["CCDNN_Notice"]


def test_the_map_is_in_the_units_of_the_result(tmp_path):
    """`dataset_minmax` with a range of 200 gives scanner units."""
    normalisation = {"strategy": "dataset_minmax", "constants": {"min": -50.0, "max": 150.0}}
    path = write_model(tmp_path / "minmax.safetensors", uncertainty=small_network.uncertainty(), normalisation=normalisation)
    synthesizer = Synthesizer(load_model(path), "cpu", "fp32")
    inputs = volumes()
    scaled = np.stack([(inputs[role].array + 50) / 200 for role in ROLES])
    log_scale = synthesizer.predict(scaled.astype(np.float32)).log_scale
    np.testing.assert_allclose(synthesize(inputs, synthesizer).uncertainty.array, np.exp(log_scale) * 3.0 * 200, rtol=1e-4)


def test_a_model_without_uncertainty_gives_none(tmp_path):
    synthesizer = Synthesizer(load_model(write_model(tmp_path / "plain.safetensors")), "cpu", "fp32")
    result = synthesize(volumes(), synthesizer)
    assert result.uncertainty is result.familiarity is result.typical_half_width is None
    with pytest.raises(InputError, match="does not estimate its error"):
        result.save_uncertainty(tmp_path / "map.nrrd")


def test_part_of_a_study_has_the_uncertainty_of_the_whole(synthesizer):
    whole = synthesize(volumes(), synthesizer)
    part = synthesize(volumes(), synthesizer, slices=range(1, 3))
    np.testing.assert_allclose(part.uncertainty.array, whole.uncertainty.array[1:3], rtol=1e-5)
    assert part.uncertainty.grid.same_as(part.volume.grid)


# ------------------------------------------------------------------------------------------------------------------ card


def test_a_card_comes_back_with_both_entries(model_file):
    stored = load_model(model_file).card
    again = ModelCard.from_json(stored.to_json())
    assert again.uncertainty == stored.uncertainty == small_network.uncertainty()
    assert again.familiarity is not None
    assert np.array_equal(again.familiarity.joint, stored.familiarity.joint)
    assert again.to_json() == stored.to_json()


def test_a_card_without_them_does_not_mention_them():
    assert {"uncertainty", "familiarity"}.isdisjoint(json.loads(card().to_json()))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"maps": 0}, "maps of the uncertainty"),
        ({"maps": True}, "maps of the uncertainty"),
        ({"factors": {"gre": [1, 2, 3]}}, "no input is missing"),
        ({"factors": {"": [1, 3, 2]}}, "rising numbers"),
        ({"factors": {"": [1, 2]}}, "rising numbers"),
        ({"factors": {"": [1, 2, float("1e400")]}}, "rising numbers"),
        ({"region": {"voxel": 1.0, "floor": 2.0, "volume_mm3": 1.0}}, "floor no higher"),
        ({"region": {"voxel": "1"}}, "missing or unknown entry"),
        ({"region": {"voxel": -1.0, "floor": 0.0, "volume_mm3": 1.0}}, "must be a number from 0"),
        ({"more": 1}, "missing or unknown entry"),
    ],
)
def test_a_wrong_uncertainty_is_refused(change, words):
    entries = json.loads(card(uncertainty=small_network.uncertainty()).to_json())["uncertainty"]
    with pytest.raises(ModelError, match=words):
        Uncertainty.of_entries({**entries, **change})


@pytest.mark.parametrize(
    "change",
    [{"joint": "AAAA"}, {"joint": "*"}, {"joint": 3}, {"local": {}}, {"limit": 2}, {"limit": True}, {"limit": float("nan")}],
)
def test_a_wrong_familiarity_is_refused(change):
    with pytest.raises(ModelError, match="familiarity of the card is not valid"):
        Familiarity.of_entries({**familiarity().entries(), **change}, ("t1", "t2", "gre"))


# ---------------------------------------------------------------------------------------------------------------- intervals


def test_an_unmeasured_combination_of_missing_inputs_gets_the_widest_interval():
    uncertainty = small_network.uncertainty()
    assert [uncertainty.factor((), interval) for interval in INTERVALS] == [0.7, 1.6, 3.0]
    assert uncertainty.factor(("gre",)) == uncertainty.factor(("t2", "gre")) == 3.5


def test_a_region_errs_less_than_a_voxel_but_never_less_than_the_floor():
    error = RegionError(voxel=2.0, floor=0.5, volume_mm3=40.0)
    deviations = [error.deviation(0.1, volume) for volume in (0, 1, 40, 1e9)]
    np.testing.assert_allclose(np.square(deviations) / 0.01, [2.0, 0.5 + 1.5 / (1 + 1 / 40), 1.25, 0.5], rtol=1e-6)


def test_a_lesion_is_compared_with_marrow():
    image, scale = np.zeros((2, 10, 10)), np.full((2, 10, 10), 0.1)
    lesion, marrow = np.zeros(image.shape, bool), np.zeros(image.shape, bool)
    lesion[0, :2, :5], marrow[1] = True, True
    image[lesion] = 0.3
    error = RegionError(voxel=1.0, floor=0.25, volume_mm3=1.0)
    found = compare_regions(image, scale, lesion, marrow, error, voxel_mm3=0.5)
    deviation = math.hypot(error.deviation(0.1, 5.0), error.deviation(0.1, 50.0))
    assert (found.difference, found.deviation) == pytest.approx((0.3, deviation))
    assert found.brighter == pytest.approx(0.5 * (1 + math.erf(0.3 / deviation / math.sqrt(2))))
    assert compare_regions(image, scale, marrow, lesion, error, 0.5).brighter == pytest.approx(1 - found.brighter)
    indices = compare_regions(image, scale, np.flatnonzero(lesion), np.flatnonzero(marrow), error, 0.5)
    assert indices == found
    with pytest.raises(InputError, match="contains no voxel"):
        compare_regions(image, scale, lesion & ~lesion, marrow, error, 0.5)


def test_the_map_says_how_far_the_mean_of_a_region_errs(synthesizer):
    """In units of the map, not of the scale that only the model knows."""
    result = synthesize(volumes(), synthesizer)
    region = region_error_of(result.uncertainty.metadata, "map")
    in_map = region.deviation(float(result.uncertainty.array.mean()), 100.0)
    in_scales = small_network.uncertainty().region.deviation(float(result.uncertainty.array.mean()) / 3.0, 100.0)
    assert in_map == pytest.approx(in_scales)
    with pytest.raises(InputError, match="not an uncertainty map"):
        region_error_of(result.volume.metadata, "stir.nrrd")
    with pytest.raises(InputError, match="damaged"):
        region_error_of({**result.uncertainty.metadata, "CCDNN_Region_Error": "{}"}, "stir.nrrd")


# -------------------------------------------------------------------------------------------------------------- familiarity


def test_tissue_whose_combination_did_not_occur_is_unfamiliar():
    contrasts = np.zeros((3, 2, 20, 20), np.float32)
    contrasts[:, :, 4:16, 4:16] = np.array([1.0, 0.5, 0.7])[:, None, None, None]
    seen = np.zeros((BINS,) * 3, bool)
    seen[tuple(cells_of(contrasts, [True] * 3)[1])] = True
    changed = contrasts.copy()
    changed[:, 1, 4:16, 10:16] = np.array([0.5, 1.5, 0.7])[:, None, None]
    strange, tissue = familiarity(joint=seen).unfamiliar(changed, [True] * 3)
    assert tissue[1, 7:13, 7:13].all()
    assert strange[1, 7:13, 12:14].all()
    assert not strange[0].any()
    assert not strange[1, :, :9].any()


def test_a_missing_series_is_not_looked_at():
    contrasts = np.zeros((3, 1, 12, 12), np.float32)
    contrasts[:2, :, 3:9, 3:9] = 0.9
    seen = np.zeros((BINS,) * 3, bool)
    seen[:, :, BINS // 2] = True  # every T1-w and T2-w, but only with a bright GRE
    assert familiarity(joint=seen).unfamiliar(contrasts, [True] * 3)[0].any()
    assert not familiarity(joint=seen).unfamiliar(contrasts, [True, True, False])[0].any()


def test_intensities_beyond_the_cells_belong_to_the_outermost_ones():
    contrasts = np.full((1, 1, 9, 9), 100 * HIGHEST, np.float32)
    _, joint, local = cells_of(contrasts, [True])
    assert set(joint.ravel()) == {BINS - 1}
    assert set(local[:, 0].ravel()) == {BINS - 1}


def test_a_study_unlike_the_training_is_announced(tmp_path):
    model = write_model(tmp_path / "strange.safetensors", familiarity=familiarity(limit=0.02, joint=False))
    messages = []
    result = synthesize(volumes(), Synthesizer(load_model(model), "cpu", "fp32"), on_message=lambda *m: messages.append(m))
    assert result.familiarity.share == 1.0
    assert result.familiarity.doubtful
    assert all(share == 1.0 or math.isnan(share) for share in result.familiarity.by_slice)
    assert result.familiarity.where.array.sum() > 0
    (warning,) = (text for kind, text in messages if kind == "warning" and "unlike" in text)
    assert warning.startswith("100.0% of the tissue looks unlike the images that the model learned from (usual is up to 5%).")
    assert warning in result.warnings
    assert result.volume.metadata["CCDNN_Unfamiliar"].startswith("1.0000 of the tissue")


def test_a_familiar_study_is_not_warned_of(synthesizer):
    result = synthesize(volumes(), synthesizer)
    assert result.familiarity.share == 0
    assert not result.familiarity.doubtful
    assert not any("unlike" in warning for warning in result.warnings)


# ------------------------------------------------------------------------------------------------------------- command line


def test_the_command_writes_the_map_beside_the_result(model_file, tmp_path, capsys):
    study = write_study(tmp_path / "study")
    arguments = ["synthesize", str(study), "-o", str(tmp_path / "stir.nrrd"), "--model", str(model_file)]
    assert main([*arguments, "--uncertainty", str(tmp_path / "map.nii.gz"), "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)
    assert entries["familiarity"]["share"] == 0.0
    half_widths, stir = read_volume(tmp_path / "map.nii.gz"), read_volume(tmp_path / "stir.nrrd")
    assert half_widths.grid.same_as(stir.grid)
    assert entries["half_width_95"] > 0
    region_error_of(half_widths.metadata, "map.nii.gz")


def test_many_studies_get_no_maps(model_file, tmp_path, capsys):
    write_study(tmp_path / "studies" / "one")
    arguments = ["synthesize", "--each", str(tmp_path / "studies"), "-o", str(tmp_path / "out"), "--model", str(model_file)]
    assert main([*arguments, "--uncertainty", str(tmp_path / "map.nrrd")]) == 3
    assert "--uncertainty is for one study" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_command_refuses_a_map_that_it_cannot_make(model_file, tmp_path, capsys):
    study = write_study(tmp_path / "study")
    plain = write_model(tmp_path / "plain.safetensors")
    output = tmp_path / "stir.nrrd"
    for model, name, words in (
        (plain, "map.nrrd", "does not estimate its error"),
        (model_file, "stir.nrrd", "write the uncertainty to another"),
        (model_file, "map.txt", "has no suffix"),
        (model_file, "missing/map.nrrd", "missing"),
    ):
        arguments = ["synthesize", str(study), "-o", str(output), "--model", str(model), "--uncertainty", str(tmp_path / name)]
        assert main(arguments) != 0
        assert words in capsys.readouterr().err
        assert not output.exists()


# ------------------------------------------------------------------------------------------------------------ measurements


@pytest.fixture
def measured_study(model_file, tmp_path):
    """Acquired and synthetic STIR, the uncertainty, and labels of two tissues; all as files."""
    result = synthesize(volumes(), Synthesizer(load_model(model_file), "cpu", "fp32"))
    result.save(tmp_path / "stir.nrrd")
    result.save_uncertainty(tmp_path / "map.nrrd")
    write_volume(volumes()[Role.STIR], tmp_path / "acquired.nrrd")
    labels = np.zeros(result.volume.grid.shape, np.float32)
    labels[:, 2:8, 2:8], labels[:, 10:16, 10:16] = 1, 2
    write_volume(Volume(labels, result.volume.ijk_to_ras), tmp_path / "labels.nrrd", np.uint8)
    (tmp_path / "labels.json").write_text('{"1": "edema", "2": "bone"}', encoding="utf-8")
    return tmp_path, result, labels


def test_the_cnr_table_has_the_difference_with_its_interval(measured_study, capsys):
    folder, result, labels = measured_study
    files = ["--acquired", f"{folder}/acquired.nrrd", "--synthetic", f"{folder}/stir.nrrd", "--labels", f"{folder}/labels.nrrd"]
    arguments = ["measure", *files, "--pairs", "edema/bone; bone/fat", "--uncertainty", f"{folder}/map.nrrd"]
    assert main([*arguments, "--csv", str(folder / "csv")]) == 0
    rows = list(csv.DictReader((folder / "csv" / "cnr-between-tissues.csv").open(encoding="utf-8")))
    error = region_error_of(result.uncertainty.metadata, "map")
    voxel = float(np.prod(result.volume.grid.spacing))
    expected = compare_regions(result.volume.array, result.uncertainty.array, labels == 1, labels == 2, error, voxel)
    assert float(rows[0]["Difference synthetic"]) == pytest.approx(expected.difference, rel=1e-4)
    assert float(rows[0]["± (95 %)"]) == pytest.approx(expected.interval[1] - expected.difference, rel=1e-4)
    assert float(rows[0]["P(f brighter than b)"]) == pytest.approx(expected.brighter, abs=1e-4)
    assert rows[1]["± (95 %)"] == ""  # there is no fat


def test_a_result_brings_its_uncertainty_to_a_measurement(measured_study):
    folder, result, _ = measured_study
    line = result.volume.ijk_to_ras[:3, :3] @ np.array([[2, 2, 1], [20, 20, 1]]).T + result.volume.ijk_to_ras[:3, 3:]
    measured = ccdnn.measure(folder / "acquired.nrrd", result, labels=folder / "labels.nrrd", pairs="edema/bone", line=line.T)
    assert "± (95 %)" in [column.name for column in measured.tables["CNR between tissues"].columns]
    (section,) = (section for section in measured.sections if section.title == "Line profiles")
    by_name = {series.name: series for series in section.charts[0].series}
    lower, upper = (np.array(by_name[f"95 % interval, {end}"].y) for end in ("lower", "upper"))
    assert (lower < upper).all()
    np.testing.assert_allclose((lower + upper) / 2, by_name["synthetic STIR"].y, rtol=1e-5)


def test_a_report_says_where_not_to_trust_the_result(measured_study):
    folder, result, _ = measured_study
    files = ["--acquired", f"{folder}/acquired.nrrd", "--synthetic", f"{folder}/stir.nrrd", "--uncertainty", f"{folder}/map.nrrd"]
    assert main(["measure", *files, "--report", str(folder / "report"), "--slice", "2", "-q"]) == 0
    page = html.unescape((folder / "report" / "index.html").read_text(encoding="utf-8"))
    section = page.partition("<h2>Where not to trust it</h2>")[2].partition("<h2>")[0]
    assert f"at most ± {result.typical_half_width:.2g}" in section
    assert "slice 2 of 6" in section and "it does not know what no input shows" in section
    assert "0.0000 of the tissue (limit 0.0500)" in section
    assert "--uncertainty UNCERTAINTY" in page  # in the command that repeats it
    assert main(["measure", *files[:4], "--report", str(folder / "without"), "-q"]) == 0
    page = html.unescape((folder / "without" / "index.html").read_text(encoding="utf-8"))
    section = page.partition("<h2>Where not to trust it</h2>")[2].partition("<h2>")[0]
    assert "of the tissue" in section and "<img" not in section


def test_an_uncertainty_of_something_else_is_refused(measured_study, capsys):
    folder, _, _ = measured_study
    pair = ["--acquired", f"{folder}/acquired.nrrd", "--synthetic", f"{folder}/stir.nrrd"]
    assert main(["measure", *pair, "--uncertainty", f"{folder}/stir.nrrd"]) == 3
    assert "not an uncertainty map" in capsys.readouterr().err
    half_widths = read_volume(folder / "map.nrrd")
    moved = half_widths.ijk_to_ras.copy()
    moved[0, 3] += 5
    write_volume(Volume(half_widths.array, moved, metadata=half_widths.metadata), folder / "moved.nrrd")
    assert main(["measure", *pair, "--uncertainty", f"{folder}/moved.nrrd"]) == 3
    assert "not on the grid of the synthetic STIR" in capsys.readouterr().err
