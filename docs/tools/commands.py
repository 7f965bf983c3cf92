"""Write docs/commands.md, the reference of every command and option, from the parsers themselves:

python docs/tools/commands.py
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from ccdnn.cli import main as engine
from ccdnn_training.cli import main as training

PAGE = Path(__file__).resolve().parents[1] / "commands.md"


def page() -> str:
    lines = ["# Commands", "", "Written by `python docs/tools/commands.py`. `COMMAND --help` prints the same, with examples.", ""]
    for parser in (engine.build_parser(), training.build_parser()):
        for command in _commands(parser):
            lines += _section(command)
    return "\n".join(lines).rstrip() + "\n"


def _commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield parser
    for group in groups:
        for command in group.choices.values():
            yield from _commands(command)


def _section(parser: argparse.ArgumentParser) -> list[str]:
    rows = [_row(parser, action) for action in parser._actions if action.help != argparse.SUPPRESS and action.dest != "help"]
    table = ["| | |", "|---|---|", *rows, ""] if rows else []
    return [f"## {parser.prog}", "", *([_escaped(parser.description), ""] if parser.description else []), *table]


def _row(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    values = action.metavar or (action.choices and "|".join(map(str, action.choices))) or action.dest.upper()
    value = " ".join(values) if isinstance(values, tuple) else str(values)
    if action.nargs == 0:
        value = ""
    elif action.nargs in ("+", "*") or isinstance(action.nargs, int):
        value += " …"
    name = " ".join([", ".join(action.option_strings), value]).strip() if action.option_strings else value
    text = (action.help or "") % {**vars(action), "prog": parser.prog}
    return f"| `{_escaped(name)}` | {_escaped(text)}{' (required)' if action.required and action.option_strings else ''} |"


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
