"""`ccdnn-train` without the packages of its extra says what to install."""

from __future__ import annotations

import sys

import pytest

from ccdnn_training.cli.main import main


@pytest.mark.parametrize(
    ("package", "arguments"),
    [("lightning", ["fit", "--config", "fit.yaml"]), ("sklearn", ["evaluate", "cache", "--train", "cache", "-o", "out"])],
)
def test_a_missing_package_is_one_sentence(
    package: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] == package or name.startswith(("ccdnn_training.fitting", "ccdnn_training.evaluation")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    assert main(arguments) == 1
    message = capsys.readouterr().err
    assert package in message and 'pip install "ccdnnsynth[training]"' in message and "Traceback" not in message
