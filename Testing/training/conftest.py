"""A small cache of simulated subjects, for the tests of training."""

from __future__ import annotations

from pathlib import Path

import pytest

from ccdnn_training.cli.main import main
from ccdnn_training.data.cache import SliceCache


@pytest.fixture(scope="module")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    arguments = ["simulate", str(folder), "--train", "3", "--validation", "1", "--slices", "2", "--matrix", "96"]
    assert main(arguments) == 0
    return folder


@pytest.fixture(scope="module")
def cache(cache_folder: Path) -> SliceCache:
    return SliceCache(cache_folder)
