"""Bundled models are found by name, with their hash checked."""

import json

import pytest
import small_study

from ccdnn.errors import ModelError
from ccdnn.model.catalog import list_models, models_folder, resolve_model
from ccdnn.model.file import load_model


@pytest.fixture
def folder(tmp_path):
    """A catalogue of two models, `small` the default."""
    rows = []
    for model_id in ("small", "paper"):
        path = small_study.write_model(tmp_path / f"{model_id}.safetensors", name=model_id)
        digest = load_model(path).sha256
        rows.append({"id": model_id, "title": model_id, "file": path.name, "sha256": digest, "default": model_id == "small"})
    _write(tmp_path, rows)
    return tmp_path


def _write(folder, rows):
    (folder / "models.json").write_text(json.dumps({"models": rows}))


def _rows(folder):
    return json.loads((folder / "models.json").read_text())["models"]


def test_finds_the_default_an_id_and_a_path(folder):
    assert [entry.id for entry in list_models(folder)] == ["small", "paper"]
    assert resolve_model(None, folder).card.name == "small"
    assert resolve_model("paper", folder).card.name == "paper"
    assert resolve_model(folder / "paper.safetensors", folder).card.name == "paper"


def test_an_unknown_name_lists_the_known(folder):
    with pytest.raises(ModelError, match=r"'large'.*small, paper"):
        resolve_model("large", folder)


def test_a_bundled_file_that_was_altered_is_refused(folder):
    small_study.write_model(folder / "small.safetensors", name="other")
    with pytest.raises(ModelError, match="SHA-256"):
        resolve_model(None, folder)


@pytest.mark.parametrize("content", [None, "", "[]", '{"models": []}', '{"models": [1]}', '{"models": [{"id": "a"}]}'])
def test_a_missing_or_damaged_list_is_said(tmp_path, content):
    if content is not None:
        (tmp_path / "models.json").write_text(content)
    with pytest.raises(ModelError, match=r"models\.json"):
        resolve_model(None, tmp_path)


@pytest.mark.parametrize(
    "change",
    [{"file": "../small.safetensors"}, {"sha256": "abc"}, {"default": "yes"}, {"id": "paper"}, {"default": False}, {"title": ""}],
)
def test_a_wrong_row_is_said(folder, change):
    rows = _rows(folder)
    _write(folder, [{**rows[0], **change}, rows[1]])
    with pytest.raises(ModelError, match=r"models\.json"):
        list_models(folder)


def test_the_folder_lies_beside_the_package(project_root):
    assert models_folder() == project_root / "CCDNNSynth" / "Resources" / "Models"
