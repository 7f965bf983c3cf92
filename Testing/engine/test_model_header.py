"""Reading a model's card without torch."""

from __future__ import annotations

import subprocess
import sys

import pytest
import small_study

from ccdnn.errors import ModelError
from ccdnn.model.file import load_model
from ccdnn.model.header import read_card


def test_the_card_is_the_one_that_loading_gives(tmp_path):
    path = small_study.write_model(tmp_path / "tiny.safetensors")
    assert read_card(path) == load_model(path).card


def test_listing_models_and_reading_cards_loads_no_torch(tmp_path):
    path = small_study.write_model(tmp_path / "tiny.safetensors")
    code = (
        "import sys; from ccdnn.model.header import read_card; import ccdnn.model.catalog; read_card(sys.argv[1]); "
        "sys.exit('torch' in sys.modules or 'SimpleITK' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, path], check=False).returncode == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "too short"),
        (b"\xff" * 20, "truncated"),
        (b"\x04\0\0\0\0\0\0\0nonsense", "not JSON"),
        (b"\x02\0\0\0\0\0\0\0{}", "no CC-DNN card"),
        (b"\x02\0\0\0\0\0\0\0[]", "no CC-DNN card"),
        (b"\x1b\0\0\0\0\0\0\0" + b'{"__metadata__": {"a": "b"}}'[:27], "not JSON"),
    ],
)
def test_a_file_that_is_no_model_is_named(tmp_path, content, words):
    path = tmp_path / "other.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=words) as caught:
        read_card(path)
    assert "other.safetensors" in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"gone\.safetensors"):
        read_card(tmp_path / "gone.safetensors")
