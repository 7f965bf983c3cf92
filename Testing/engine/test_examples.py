"""The examples in the engine's docstrings give what they say."""

from __future__ import annotations

import doctest
import importlib.util
import pkgutil
from pathlib import Path

import numpy as np
import pytest

import ccdnn

NAMES = [module.name for module in pkgutil.walk_packages(ccdnn.__path__, "ccdnn.") if not module.name.endswith("__main__")]
WITH_EXAMPLES = [name for name in NAMES if ">>> " in Path(importlib.util.find_spec(name).origin).read_text(encoding="utf-8")]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_examples(name: str) -> None:
    with np.printoptions(legacy="1.25"):
        result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.attempted and not result.failed


def test_there_are_examples() -> None:
    assert {"ccdnn.volume", "ccdnn.normalisation", "ccdnn.measure.cnr", "ccdnn.measure.similarity"} <= set(WITH_EXAMPLES)
