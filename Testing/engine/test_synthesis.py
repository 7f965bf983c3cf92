"""The pipeline: what it makes of good inputs, what it says of doubtful ones, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from small_study import SHAPE, sagittal_matrix, volumes, write_model

from ccdnn.acquisition import Acquisition
from ccdnn.errors import Cancelled, InputError
from ccdnn.inference.synthesizer import Synthesizer
from ccdnn.model.file import load_model
from ccdnn.normalisation import robust_maximum
from ccdnn.plausibility import swap_warning
from ccdnn.provenance import digest_of
from ccdnn.series import Role
from ccdnn.synthesis import synthesize
from ccdnn.volume import Volume


@pytest.fixture(scope="module")
def synthesizer(tmp_path_factory) -> Synthesizer:
    path = write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")
    return Synthesizer(load_model(path), device="cpu", precision="fp32")


@pytest.fixture
def inputs() -> dict[Role, Volume]:
    return volumes()


def _shifted(volume: Volume, slices: int) -> Volume:
    matrix = volume.ijk_to_ras.copy()
    matrix[:3, 3] += slices * matrix[:3, 2]
    return Volume(volume.array, matrix, name=volume.name)


def test_result_is_the_network_on_normalised_inputs_in_the_order_of_the_card(synthesizer, inputs):
    result = synthesize(inputs, synthesizer)
    contrasts = np.stack([inputs[role].array / robust_maximum(inputs[role].array) for role in (Role.T1, Role.T2, Role.GRE)])
    np.testing.assert_allclose(result.volume.array, synthesizer.run(contrasts), atol=1e-5)
    assert result.volume.grid.same_as(inputs[Role.T1].grid)
    assert np.array_equal(result.volume.ijk_to_ras, inputs[Role.T1].ijk_to_ras)
    assert set(result.coverage.values()) == {1.0}
    assert result.notes == ()
    assert result.warnings == ()


def test_scale_of_each_series_does_not_matter(synthesizer, inputs):
    before = synthesize(inputs, synthesizer).volume.array
    inputs[Role.T2] = inputs[Role.T2].with_array(inputs[Role.T2].array * 37)
    np.testing.assert_allclose(synthesize(inputs, synthesizer).volume.array, before, atol=1e-5)


def test_result_says_what_it_is(synthesizer, inputs):
    header = synthesize(inputs, synthesizer).volume.metadata
    assert "SYNTHETIC" in header["CCDNN_Notice"]
    assert "not acquired" in header["CCDNN_Notice"]
    assert header["CCDNN_Model"] == "tiny 0.0.1"
    assert header["CCDNN_Model_SHA256"] == synthesizer.model.sha256
    assert header["CCDNN_Input_GRE"] == f"covers 1.0000, voxels {digest_of(inputs[Role.GRE].array)}"
    assert header["CCDNN_Reference"] == "T1-w"
    named = synthesize(inputs, synthesizer, with_names=True).volume.metadata
    assert named["CCDNN_Input_GRE"].startswith("leg gre, covers 1.0000, voxels ")
    assert named["CCDNN_Reference"] == "T1-w: leg t1"
    assert "volume_percentile (percentile 99.5, foreground_fraction 0.1)" in header["CCDNN_Normalisation"]
    assert all(isinstance(value, str) for value in header.values())


def test_uids_stay_in_memory(synthesizer, inputs):
    inputs[Role.T1] = inputs[Role.T1].with_array(inputs[Role.T1].array, metadata={"series_instance_uid": "1.2.3"})
    result = synthesize(inputs, synthesizer)
    assert result.sources[Role.T1]["series_instance_uid"] == "1.2.3"
    assert not any("1.2.3" in value for value in result.volume.metadata.values())


def test_series_on_another_grid_is_resampled_and_said(synthesizer, inputs):
    inputs[Role.GRE] = _shifted(inputs[Role.GRE], slices=2)
    result = synthesize(inputs, synthesizer)
    assert result.coverage[Role.GRE] == pytest.approx(4 / 6)
    assert any("GRE leg gre" in note and "66.7%" in note for note in result.notes)
    assert any("33.3% of the result" in note for note in result.notes)


def test_where_an_input_is_missing_the_result_is_zero(synthesizer, inputs):
    inputs[Role.GRE] = _shifted(inputs[Role.GRE], slices=2)
    seen = {}
    result = synthesize(inputs, synthesizer, on_slice=lambda index, image: seen.__setitem__(index, image.copy()))
    assert not result.volume.array[:2].any()
    assert result.volume.array[2:].any(axis=(1, 2)).all()
    np.testing.assert_array_equal(result.covered.any(axis=(1, 2)), [False, False, True, True, True, True])
    np.testing.assert_array_equal(np.stack([seen[index] for index in range(SHAPE[0])]), result.volume.array)


@pytest.mark.parametrize("reference", [Role.GRE, "volume"])
def test_result_lies_on_the_reference_that_was_asked_for(synthesizer, inputs, reference):
    other = Volume(np.ones((3, 20, 50)), sagittal_matrix((10.4, 20, 30)), name="other")
    if reference is Role.GRE:
        inputs[Role.GRE] = _shifted(inputs[Role.GRE], slices=1)
    wanted = inputs[Role.GRE] if reference is Role.GRE else other
    result = synthesize(inputs, synthesizer, reference=reference if reference is Role.GRE else other)
    assert result.volume.array.shape == wanted.array.shape
    assert np.array_equal(result.volume.ijk_to_ras, wanted.ijk_to_ras)


def test_some_slices_are_those_of_the_whole_result_in_their_place(synthesizer, inputs):
    whole, seen = synthesize(inputs, synthesizer).volume, {}
    some = synthesize(inputs, synthesizer, slices=range(2, 4), on_slice=seen.__setitem__).volume
    np.testing.assert_allclose(some.array, whole.array[2:4], atol=1e-6)
    np.testing.assert_allclose(some.ijk_to_ras @ [5, 6, 0, 1], whole.ijk_to_ras @ [5, 6, 2, 1])
    assert list(seen) == [2, 3]


@pytest.mark.parametrize("slices", [range(-1, 2), range(2, 2), range(5, SHAPE[0] + 1), range(0, 4, 2)])
def test_slices_the_reference_has_not_are_refused(synthesizer, inputs, slices):
    with pytest.raises(InputError, match=f"has slices 0 to {SHAPE[0] - 1}"):
        synthesize(inputs, synthesizer, slices=slices)


def test_less_than_half_is_refused_unless_forced(synthesizer, inputs):
    inputs[Role.T2] = _shifted(inputs[Role.T2], slices=4)
    with pytest.raises(InputError, match=r"leg t2, used as T2-w, covers only 33%"):
        synthesize(inputs, synthesizer)
    assert synthesize(inputs, synthesizer, force=True).coverage[Role.T2] == pytest.approx(1 / 3)


def test_no_overlap_is_refused_even_when_forced(synthesizer, inputs):
    inputs[Role.T2] = _shifted(inputs[Role.T2], slices=40)
    with pytest.raises(InputError, match="does not overlap"):
        synthesize(inputs, synthesizer, force=True)


def test_inputs_that_share_no_voxel_are_refused(synthesizer, inputs):
    inputs[Role.T2], inputs[Role.GRE] = _shifted(inputs[Role.T2], 4), _shifted(inputs[Role.GRE], -4)
    with pytest.raises(InputError, match="share no voxel"):
        synthesize(inputs, synthesizer, force=True)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full(SHAPE, np.nan), r"leg t2.*NaN|NaN.*leg t2"),
        (np.where(np.arange(SHAPE[2]) == 3, np.inf, 1.0) * np.ones(SHAPE), r"leg t2"),
        (np.zeros(SHAPE), r"leg t2"),
        (np.arange(12.0).reshape(1, 3, 4), r"leg t2.*single slice"),
    ],
    ids=["NaN", "Inf", "all zero", "single slice"],
)
def test_voxels_that_are_no_image_are_refused_by_name(synthesizer, inputs, array, message):
    inputs[Role.T2] = inputs[Role.T2].with_array(array)
    with pytest.raises(InputError, match=message):
        synthesize(inputs, synthesizer)


def test_missing_role_is_named(synthesizer, inputs):
    del inputs[Role.GRE]
    with pytest.raises(InputError, match="needs a GRE series"):
        synthesize(inputs, synthesizer)


def test_cancelled_run_raises_and_progress_counts_slices(synthesizer, inputs):
    with pytest.raises(Cancelled):
        synthesize(inputs, synthesizer, cancelled=lambda: True)
    counts = []
    synthesize(inputs, synthesizer, on_progress=lambda done, total: counts.append((done, total)))
    assert counts[-1] == (SHAPE[0], SHAPE[0])


def test_swapped_t1_and_t2_are_noticed_from_the_voxels_before_the_network_runs(synthesizer, inputs):
    inputs[Role.T1], inputs[Role.T2] = inputs[Role.T2], inputs[Role.T1]
    messages = []
    with pytest.raises(Cancelled):
        synthesize(inputs, synthesizer, on_message=lambda *message: messages.append(message), cancelled=lambda: True)
    assert any(kind == "warning" and "swapped" in sentence for kind, sentence in messages)


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.04])
def test_the_voxel_test_for_a_swap_is_right_both_ways_and_silent_on_other_contrasts(noise):
    leg = volumes(noise)
    assert swap_warning(leg[Role.T2], leg[Role.T1], {}) is not None
    for first, second in ((Role.T1, Role.T2), (Role.T1, Role.STIR), (Role.STIR, Role.T1), (Role.T1, Role.GRE), (Role.T1, Role.T1)):
        assert swap_warning(leg[first], leg[second], {}) is None, (first, second)


def test_known_acquisitions_decide_on_a_swap_and_not_the_voxels(inputs):
    t1w, t2w = Acquisition(tr_ms=522, te_ms=11), Acquisition(tr_ms=3000, te_ms=80)
    first, second = inputs[Role.T1], inputs[Role.T2]
    assert "longer TR and TE" in swap_warning(first, second, {Role.T1: t2w, Role.T2: t1w})
    assert swap_warning(second, first, {Role.T1: t1w, Role.T2: t2w}) is None


def test_one_image_in_two_roles_is_said(synthesizer, inputs):
    inputs[Role.GRE] = inputs[Role.T1]
    assert [w for w in synthesize(inputs, synthesizer).warnings if "T1-w and the GRE series are the same image" in w]


def test_protocol_far_from_the_card_is_said(synthesizer, inputs):
    acquisitions = {Role.T1: Acquisition(tr_ms=600, te_ms=14), Role.T2: Acquisition(tr_ms=3850, te_ms=17, fat_suppressed=True)}
    warnings = synthesize(inputs, synthesizer, acquisitions=acquisitions).warnings
    assert [sentence for sentence in warnings if "TE 17 ms, far from the 60 to 100 ms" in sentence]
    assert [sentence for sentence in warnings if "fat-suppressed" in sentence]
    assert not [sentence for sentence in warnings if "T1-w series has" in sentence]


# -------------------------------------------------------------------------------------------------------------- another plane


def _coronal(volume: Volume, spacing: float) -> Volume:
    """A volume in coronal slices that covers another one."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[1, 0, 0], [0, 0, -1], [0, -1, 0]]) * [0.8, 0.8, spacing]
    matrix[:3, 3] = volume.ijk_to_ras[:3, 3] - (2, -2, -2)
    return Volume(np.random.default_rng(0).uniform(1, 9, (int(36 / spacing) + 2, 48, 30)), matrix, name="cor t2")


@pytest.mark.parametrize(
    ("reference", "crossing", "onto", "words"),
    [
        (Role.T1, Role.T2, "sagittal", "coronal slices 3 mm apart"),
        (Role.T2, Role.T1, "coronal", "sagittal slices 3 mm apart"),
    ],
)
def test_an_input_of_another_plane_draws_a_warning_that_names_the_danger(without_gre, inputs, reference, crossing, onto, words):
    pair = {Role.T1: inputs[Role.T1], Role.T2: _coronal(inputs[Role.T1], 3.0)}
    result = synthesize(pair, without_gre, reference=reference, force=True)
    (warning,) = [sentence for sentence in result.warnings if "can look like an edema" in sentence]
    assert f"used as {crossing.label}" in warning and words in warning and f"onto {onto} slices" in warning
    assert result.volume.metadata[f"CCDNN_Other_Plane_{crossing.value.upper()}"] == words


def test_thick_slices_of_the_same_plane_draw_it_and_fine_ones_do_not(without_gre, inputs):
    def with_slices(factor: float) -> Volume:
        matrix = inputs[Role.T2].ijk_to_ras @ np.diag([1, 1, factor, 1])
        return Volume(inputs[Role.T2].array[: max(int(6 / factor), 2)], matrix, name="t2")

    for factor, warned in ((0.5, False), (1.0, False), (1.9, False), (2.5, True)):
        result = synthesize({Role.T1: inputs[Role.T1], Role.T2: with_slices(factor)}, without_gre)
        assert any("can look like an edema" in sentence for sentence in result.warnings) is warned, factor


def test_an_isotropic_input_may_cross(without_gre, inputs):
    """Its slices are as fine as the picture's pixels, so interpolation mixes nothing."""
    result = synthesize({Role.T1: inputs[Role.T1], Role.T2: _coronal(inputs[Role.T1], 0.8)}, without_gre)
    assert not any("edema" in sentence for sentence in result.warnings)


# ---------------------------------------------------------------------------------------------------------- without an input


@pytest.fixture(scope="module")
def without_gre(tmp_path_factory) -> Synthesizer:
    """A model that can do without the GRE."""
    path = write_model(tmp_path_factory.mktemp("model") / "optional.safetensors", optional=("gre",))
    return Synthesizer(load_model(path), device="cpu", precision="fp32")


def test_an_input_that_is_missing_is_background_and_is_announced(without_gre, inputs):
    del inputs[Role.GRE]
    said = []
    result = synthesize(inputs, without_gre, on_message=lambda kind, sentence: said.append((kind, sentence)))
    contrasts = [inputs[role].array / robust_maximum(inputs[role].array) for role in (Role.T1, Role.T2)]
    expected = without_gre.run(np.stack([*contrasts, np.zeros(SHAPE)]))
    np.testing.assert_allclose(result.volume.array, expected, atol=1e-5)
    assert result.volume.name == "synthetic STIR without GRE"
    assert result.volume.metadata["CCDNN_Made_Without"] == "GRE"
    assert "CCDNN_Input_GRE" not in result.volume.metadata
    assert set(result.coverage) == {Role.T1, Role.T2}
    assert ("warning", result.warnings[0]) in said
    assert "made without GRE" in result.warnings[0]


def test_with_all_inputs_nothing_is_said_of_missing_ones(without_gre, inputs):
    result = synthesize(inputs, without_gre)
    assert result.volume.name == "synthetic STIR"
    assert "CCDNN_Made_Without" not in result.volume.metadata
    assert result.warnings == ()


@pytest.mark.parametrize("role", [Role.T1, Role.T2])
def test_what_a_model_needs_is_still_needed(without_gre, inputs, role):
    del inputs[role]
    with pytest.raises(InputError, match=f"needs a {role.label} series"):
        synthesize(inputs, without_gre, reference=Role.GRE)


def test_a_reference_that_is_missing_is_refused(without_gre, inputs):
    del inputs[Role.GRE]
    with pytest.raises(InputError, match="reference GRE"):
        synthesize(inputs, without_gre, reference=Role.GRE)
