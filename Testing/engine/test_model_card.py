"""The card goes to JSON and back, and says by name what is wrong with it."""

import json

import pytest
from safetensors import safe_open
from small_study import card

from ccdnn.acquisition import Acquisition
from ccdnn.errors import ModelError
from ccdnn.model.card import Contrast, MeasuredResult, ModelCard
from ccdnn.model.catalog import resolve_model


def full_card() -> ModelCard:
    result = MeasuredResult("PSNR", 31.5, 1.2, 12, "12 simulated knees", "ccdnn-train evaluate")
    return card(results=[result], training={"losses": ["c1+0.3*c2"], "epochs": [2, 2]})


def test_json_and_back():
    original = full_card()
    assert ModelCard.from_json(original.to_json()) == original
    assert original.roles == ("t1", "t2", "gre")


def test_json_keeps_the_format_of_models_already_published():
    """One object, "protocol", has the four parameters, those unknown as null, and the ranges."""
    stated = json.loads(card().to_json())
    assert stated["contrasts"][0] == {
        "role": "t1",
        "protocol": {
            "tr_ms": 522, "te_ms": 11, "ti_ms": None, "flip_angle_deg": None,
            "ranges": {"tr_ms": [400, 700], "te_ms": [8, 20]},
        },
    }  # fmt: skip
    protocol = {"tr_ms": 4478, "te_ms": 60, "ti_ms": 220, "flip_angle_deg": None, "ranges": {}}
    assert stated["target"] == {"role": "stir", "protocol": protocol}


def test_bundled_card_is_written_as_it_was_read():
    with safe_open(resolve_model().path, "numpy") as file:
        assert resolve_model().card.to_json() == file.metadata()["ccdnn_card"]


def _change(entries: dict, path: str, value) -> None:
    *parents, last = path.split("/")
    for parent in parents:
        entries = entries[int(parent) if parent.isdigit() else parent]
    if value is KeyError:
        del entries[last]
    else:
        entries[last] = value


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("schema", 99, "schema 99"),
        ("schema", KeyError, "schema None"),
        ("architecture", "unet", "'unet' is unknown"),
        ("branch_width", 10**9, "branch_width"),
        ("branch_width", True, "branch_width"),
        ("name", " ", "name must be a non-empty string"),
        ("licence", KeyError, "lacks 'licence'"),
        ("surprise", 1, "unknown entry 'surprise'"),
        ("seed", "one", "seed"),
        ("contrasts", [], "contrasts"),
        ("contrasts", "t1", "contrasts"),
        ("contrasts/1/role", "t1", "contrasts must be distinct"),
        ("contrasts/0/role", ["t1"], "role must be a non-empty string"),
        ("contrasts/0/protocol/tr_ms", -1, "tr_ms"),
        ("contrasts/0/protocol/te_ms", KeyError, r"contrasts\[0\].protocol lacks 'te_ms'"),
        ("contrasts/0/protocol/ranges/tr_ms", [600, 700], "range of tr_ms"),
        ("contrasts/0/protocol/ranges/ti_ms", [1, 2], "'ti_ms'"),
        ("target/role", "t1", "target must be 'stir'"),
        ("target", None, "target must be an object"),
        ("normalisation/strategy", "per_slice", "strategy"),
        ("normalisation/constants/percentile", 0, "percentile"),
        ("normalisation", None, "strategy"),
        ("training", None, "training"),
        ("results/0/mean", "high", "'PSNR'"),
        ("results/0/mean", 10**400, "'PSNR'"),
        ("results/0/n", 0, "number of measurements"),
        ("fusion_dilations", [[1, 1]], "fusion_dilations must be 3 pairs"),
        ("fusion_dilations", [[1, 1], [2, 2], [5, 0]], "fusion_dilations"),
        ("fusion_dilations", [[1, 1], [2, 2], [5, 10**6]], "fusion_dilations"),
        ("fusion_dilations", "125", "fusion_dilations"),
        ("fusion_dilations", [1, 2, 5], "fusion_dilations"),
        ("optional", ["stir"], "optional must name some, but not all, of the model's contrasts"),
        ("optional", ["t1", "t2", "gre"], "but not all"),
        ("optional", ["gre", "gre"], "optional"),
        ("optional", "gre", "optional"),
        ("optional", [["gre"]], "optional"),
    ],
)
def test_names_what_is_wrong(path, value, said):
    entries = json.loads(full_card().to_json())
    _change(entries, path, value)
    with pytest.raises(ModelError, match=said):
        ModelCard.from_json(json.dumps(entries))


def test_a_card_of_before_is_of_the_papers_network_and_needs_every_input():
    entries = json.loads(full_card().to_json())
    del entries["fusion_dilations"], entries["optional"]
    old = ModelCard.from_json(json.dumps(entries))
    assert old.fusion_dilations == ((1, 1), (1, 1), (1, 1))
    assert (old.optional, old.required) == ((), ("t1", "t2", "gre"))


def test_dilations_and_optional_inputs_go_to_json_and_back():
    original = card(fusion_dilations=[[1, 2], [2, 4], [4, 8]], optional=["gre"])
    assert ModelCard.from_json(original.to_json()) == original
    assert original.required == ("t1", "t2")


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", "[" * 100_000])
def test_refuses_what_is_no_card(text):
    with pytest.raises(ModelError):
        ModelCard.from_json(text)


def test_refuses_to_write_what_json_cannot_hold():
    with pytest.raises(ModelError, match="cannot be written as JSON"):
        card(training={"rate": float("nan")}).to_json()


def test_range_of_a_parameter_must_hold_the_nominal_value():
    with pytest.raises(ModelError, match="te_ms"):
        Contrast("t1", Acquisition(500, 10), {"te_ms": (20, 30)})


def test_a_card_states_no_more_of_an_acquisition_than_its_json_has():
    with pytest.raises(ModelError, match="fat_suppressed=True"):
        Contrast("t1", Acquisition(500, 10, fat_suppressed=True))
