"""What every `ccdnn` command shares: help, version, streams, and the list of models."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from small_study import write_model, write_study

import ccdnn
from ccdnn.cli.main import main

CCDNN = [sys.executable, "-m", "ccdnn.cli.main"]


@pytest.fixture
def bundled(tmp_path, monkeypatch):
    """A folder of two bundled models in place of the project's own."""
    from ccdnn.model.file import load_model

    rows = []
    for name in ("one", "two"):
        path = write_model(tmp_path / f"{name}.safetensors", name=name)
        row = {"id": name, "title": name.title(), "file": path.name, "sha256": load_model(path).sha256, "default": name == "two"}
        rows.append(row)
    (tmp_path / "models.json").write_text(json.dumps({"models": rows}))
    monkeypatch.setattr("ccdnn.model.catalog.models_folder", lambda: tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", ["inspect", "synthesize", "measure", "models", "demo"])
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert f"usage: ccdnn {command}" in capsys.readouterr().out


def test_version(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"ccdnn {ccdnn.__version__}\n"


def test_models_are_listed_with_the_default(bundled, capsys):
    assert main(["models"]) == 0
    printed = capsys.readouterr().out
    assert "two (default)" in printed
    assert "one (default)" not in printed
    assert main(["models", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(row["id"], row["default"], row["branch_width"]) for row in listed] == [("one", False, 2), ("two", True, 2)]


def test_an_altered_bundled_model_is_not_listed_as_if_it_were_whole(bundled, capsys):
    path = bundled / "one.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert main(["models"]) == 4
    assert "one.safetensors" in capsys.readouterr().err


def test_card_of_a_model_names_its_protocols_and_ranges(bundled, capsys):
    assert main(["models", "one"]) == 0
    printed = capsys.readouterr().out
    assert "TR 522 (400–700) ms, TE 11 (8–20) ms" in printed
    assert "FA 25°" in printed
    assert main(["models", str(bundled / "one.safetensors"), "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert card["contrasts"][2]["protocol"]["flip_angle_deg"] == 25
    assert len(card["sha256"]) == 64


def test_a_terminal_without_unicode_gets_escapes_and_no_traceback(tmp_path):
    study = write_study(tmp_path / "study")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*CCDNN, "inspect", study], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert r"36\xd740\xd76" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="pipes end otherwise on Windows")
def test_a_reader_that_leaves_early_causes_no_complaint(tmp_path):
    study = write_study(tmp_path / "study")
    process = subprocess.Popen([*CCDNN, "inspect", study, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    stderr = process.stderr.read()
    process.wait(timeout=60)
    process.stderr.close()
    assert stderr == ""
    assert process.returncode == 0


def test_verbose_shows_where_an_error_was_raised(tmp_path, capsys):
    assert main(["inspect", str(tmp_path / "none")]) == 3
    plain = capsys.readouterr().err
    assert main(["--verbose", "inspect", str(tmp_path / "none")]) == 3
    told = capsys.readouterr().err
    assert "Traceback" in told and "Traceback" not in plain and told.endswith(plain)


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_names_the_commands(shell, capsys):
    with pytest.raises(SystemExit) as end:
        main(["--print-completion", shell])
    script = capsys.readouterr().out
    assert end.value.code == 0 and "synthesize" in script and "--each" in script
