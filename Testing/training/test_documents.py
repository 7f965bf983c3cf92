"""The documents: their links lead somewhere, and every command they show is one that the programs accept."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from ccdnn.cli.main import build_parser as engine_parser
from ccdnn_training.cli.main import build_parser as training_parser

ROOT = Path(__file__).resolve().parents[2]
# Reports are written by a command, and show the command of their time.
DOCUMENTS = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").glob("*.md"),
    ROOT / "training" / "README.md",
    *(ROOT / "training" / "results").rglob("README.md"),
]
PARSERS = {"ccdnn": engine_parser(), "ccdnn-train": training_parser()}


def commands_of(text: str) -> list[str]:
    """The command lines of the code blocks and, if they are whole, of the sentences."""
    blocks = [block.replace("\\\n", " ") for block in re.findall(r"```\n(.*?)```", text, re.DOTALL)]
    lines = [line.partition(" #")[0].strip() for block in blocks for line in block.splitlines()]
    lines += [
        re.sub(r"\s+", " ", code)
        for code in re.findall(r"`(ccdnn(?:-train)? [^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    ]
    return [line for line in lines if line.startswith(("ccdnn ", "ccdnn-train ")) and "…" not in line]


COMMANDS = sorted(
    {(str(path.relative_to(ROOT)), line) for path in DOCUMENTS for line in commands_of(path.read_text(encoding="utf-8"))}
)


@pytest.mark.parametrize(("document", "command"), COMMANDS)
def test_a_command_is_accepted(document: str, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    program, *arguments = shlex.split(re.sub(r"\{(.*?)\}|\$\w+|\[.*?\]", "1", command))
    try:
        PARSERS[program].parse_args(arguments)
    except SystemExit as end:
        message = capsys.readouterr().err
        # A sentence may name a command without what it needs.
        assert end.code == 0 or "arguments are required" in message, f"{document}: {command}: {message}"


def test_the_reference_of_commands_is_that_of_the_programs() -> None:
    """After a change: python docs/tools/commands.py"""
    script = ROOT / "docs" / "tools" / "commands.py"
    spec = importlib.util.spec_from_file_location("commands_page", script)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.page() == (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")


def test_commands_were_found() -> None:
    assert len(COMMANDS) > 40


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, anchor = target.partition("#")
        if target.startswith(("http:", "https:", "mailto:")):
            continue
        linked = (path.parent / file) if file else path
        assert linked.exists(), target
        if anchor and linked.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}, target
