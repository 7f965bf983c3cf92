"""Fixtures of the tests of the worker and of the DICOM export."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dicom_factory as factory
import numpy as np
import pytest
from dicom_export import synthetic, volume_of
from small_study import volumes, write_model
from worker_client import WorkerClient, running

from ccdnn.series import INPUT_ROLES, Role
from ccdnn.volume import Volume


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture(scope="module")
def worker() -> Iterator[WorkerClient]:
    """One for all tests that leave it as it was: that it lives on is a part of each."""
    with running() as client:
        yield client


@pytest.fixture
def study() -> dict[Role, Volume]:
    return {role: volume for role, volume in volumes().items() if role in INPUT_ROLES}


@pytest.fixture
def long_study(study) -> dict[Role, Volume]:
    """Of so many slices that there is time to act before the last."""
    return {role: volume.with_array(np.tile(volume.array, (100, 1, 1))) for role, volume in study.items()}


@pytest.fixture
def source(tmp_path) -> list[Path]:
    return factory.write(factory.series(5), tmp_path / "source", order=(3, 1, 4, 0, 2))


@pytest.fixture
def volume(source) -> Volume:
    return synthetic(volume_of(source))


@pytest.fixture
def out(tmp_path) -> Path:
    """A folder to be made, in one where anything left beside it is seen."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "series"
