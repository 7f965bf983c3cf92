"""Slicer installs what the CMake lists name and nothing else, so they must name every file users need."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "CCDNNSynth"


def listed(variable: str) -> list[str]:
    text = (MODULE / "CMakeLists.txt").read_text(encoding="utf-8")
    text = re.sub(r"#.*", "", text).replace("${MODULE_NAME}", "CCDNNSynth")
    return re.search(rf"set\({variable}\s+(.*?)\)", text, re.DOTALL).group(1).split()


def in_tree() -> list[str]:
    """What git tracks below the module, or would if it were added; relative to the module."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "."]
    run = subprocess.run(command, cwd=MODULE, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        pytest.skip("this is no git checkout")
    return [name for name in run.stdout.splitlines() if (MODULE / name).is_file() and name != "CMakeLists.txt"]


def test_every_script_is_listed_and_exists():
    assert sorted(listed("MODULE_PYTHON_SCRIPTS")) == sorted(name for name in in_tree() if name.endswith(".py"))


def test_every_resource_is_listed_and_exists():
    assert sorted(listed("MODULE_PYTHON_RESOURCES")) == sorted(name for name in in_tree() if not name.endswith(".py"))


@pytest.mark.parametrize("variable", ["MODULE_PYTHON_SCRIPTS", "MODULE_PYTHON_RESOURCES"])
def test_the_lists_are_sorted_so_that_a_missing_file_is_seen(variable):
    names = listed(variable)
    assert names == sorted(names, key=lambda name: (name.count("/") > 0, name))


def test_extension_tells_the_catalogue_what_it_asks_for():
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    for name in ("HOMEPAGE", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS", "KEYWORDS"):
        assert re.search(rf'set\(EXTENSION_{name} "[^"]+', text), name
    assert 'set(EXTENSION_DEPENDS "PyTorch")' in text
    for name in re.findall(r"CCDNNSynth/main/([\w/.-]+)", text):
        assert (ROOT / name).is_file(), f"{name} is shown by the catalogue and not there"
    entry = json.loads((ROOT / "CCDNNSynth.json").read_text(encoding="utf-8"))
    assert entry["build_dependencies"] == ["PyTorch"]


def test_the_icon_has_the_size_of_the_catalogue():
    assert Image.open(ROOT / "Resources" / "CCDNNSynth.png").size == (128, 128)
