"""What pip installs is what the tree holds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it

ROOTS = {"ccdnn": "CCDNNSynth/ccdnn", "ccdnn_training": "training/ccdnn_training"}


@pytest.fixture(scope="module")
def settings(project_root: Path) -> dict:
    return tomllib.loads((project_root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]


@pytest.mark.parametrize("name", ROOTS)
def test_every_package_is_listed(settings: dict, project_root: Path, name: str) -> None:
    folder = project_root / ROOTS[name]
    assert settings["package-dir"][name] == ROOTS[name]
    found = {
        ".".join([name, *init.parent.relative_to(folder).parts])
        for init in folder.rglob("__init__.py")
        if "__pycache__" not in init.parts
    }
    listed = {package for package in settings["packages"] if package.split(".")[0] == name}
    assert listed == found


def test_models_and_sample_travel_with_the_engine(settings: dict, project_root: Path) -> None:
    for folder in ("Models", "SampleData"):
        assert f"ccdnn_resources.{folder}" in settings["packages"]
        assert settings["package-data"][f"ccdnn_resources.{folder}"] == ["*"]
        assert any((project_root / "CCDNNSynth" / "Resources" / folder).iterdir())


@pytest.mark.slow
def test_an_installed_copy_finds_its_models(project_root: Path, tmp_path: Path) -> None:
    """Installed for good, not as a link to the checkout, in a folder of its own."""
    source, target = tmp_path / "source", tmp_path / "target"
    for name in ("CCDNNSynth", "training"):
        shutil.copytree(project_root / name, source / name)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(project_root / name, source)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(source)]
    subprocess.run(command, check=True, timeout=300)
    script = (
        "import ccdnn; from ccdnn.model.catalog import resolve_model; from ccdnn_training.configurations import configuration\n"
        "print(ccdnn.__file__, resolve_model().path, *map(configuration, ('bundled/small.yaml', 'studies/comparison/small')))"
    )
    environment = {**os.environ, "PYTHONPATH": str(target)}
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert all(path.startswith(str(target)) for path in done.stdout.split())
