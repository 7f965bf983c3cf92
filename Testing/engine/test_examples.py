"""The examples in the docstrings give what they say."""

from __future__ import annotations

import doctest
import importlib.util
import pkgutil
from pathlib import Path

import numpy as np
import pytest

import ccdnn

TRAINING = Path(__file__).resolve().parents[2] / "training"
ENGINE_NAMES = [module.name for module in pkgutil.walk_packages(ccdnn.__path__, "ccdnn.") if not module.name.endswith("__main__")]
TRAINING_NAMES = [
    ".".join(path.relative_to(TRAINING).with_suffix("").parts) for path in (TRAINING / "ccdnn_training").rglob("[!_]*.py")
]
NAMES = [*ENGINE_NAMES, *sorted(TRAINING_NAMES)]
WITH_EXAMPLES = [name for name in NAMES if ">>> " in Path(importlib.util.find_spec(name).origin).read_text(encoding="utf-8")]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_examples(name: str) -> None:
    with np.printoptions(legacy="1.25"):
        result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.attempted and not result.failed


def test_there_are_examples() -> None:
    assert {"ccdnn.volume", "ccdnn.normalisation", "ccdnn.measure.cnr", "ccdnn.measure.similarity"} <= set(WITH_EXAMPLES)
