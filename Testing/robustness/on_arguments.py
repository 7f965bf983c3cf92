"""Attacks on the command line with implausible paths and values. Each must end with an error message and an exit code."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

from damage import NASTY, Damage

COMMANDS = (
    ("inspect", "X"),
    ("synthesize", "X", "-o", "out.nrrd"),
    ("synthesize", "study", "-o", "X"),
    ("synthesize", "study", "--t1", "X", "-o", "out.nrrd"),
    ("synthesize", "study", "--reference", "X", "-o", "out.nrrd"),
    ("synthesize", "study", "--model", "X", "-o", "out.nrrd"),
    ("synthesize", "study", "--device", "X", "-o", "out.nrrd"),
    ("synthesize", "study", "--threads", "X", "-o", "out.nrrd"),
    ("synthesize", "study", "--precision", "X", "-o", "out.nrrd"),
    ("measure", "--acquired", "X"),
    ("measure", "--acquired", "study/x.nrrd", "--labels", "X"),
    ("measure", "--acquired", "study/x.nrrd", "--labels", "study/x.nrrd", "--names", "X"),
    ("measure", "--acquired", "study/x.nrrd", "--synthetic", "study/x.nrrd", "--line", "X"),
    ("measure", "--acquired", "study/x.nrrd", "--synthetic", "study/x.nrrd", "--slice", "X", "--report", "report"),
    ("export-dicom", "X", "--no-reference", "-o", "out"),
    ("export-dicom", "study/x.nrrd", "--reference", "X", "-o", "out"),
    ("reader-study", "X", "-o", "out", "--key", "key.json"),
    ("models", "X"),
)
PATHS = (
    b"a" * 5000, b"a/" * 3000 + b"b", b"\xff\xfe\xe9", b"/dev/null", b"/dev/full", b"/dev/zero", b"x\nz",
    b"study::999999999999", b"study::-1", b"::", b"study", b"study/x.nrrd/below", b"\xe2\x80\xaegnp.exe", b"CON",
    b"a" * 300 + b".nrrd", b"no/such/folder.nrrd",
)  # fmt: skip


def a_nasty_argument(content: bytes, header: int, rng) -> bytes:
    """The arguments of a command, joined by a separator, with one of them replaced."""
    command = COMMANDS[int(rng.integers(len(COMMANDS)))]
    values = (*NASTY, *PATHS)
    value = values[int(rng.integers(len(values)))].replace(b"\0", b"\\0")
    return b"\x1e".join(value if word == "X" else word.encode() for word in command)


class Arguments:
    """A command line, run in a folder with one small image."""

    name = "command line"
    damages: tuple[Damage, ...] = (a_nasty_argument,)

    def make(self, folder: Path) -> Path:
        from good_files import KINDS

        (folder / "study").mkdir()
        KINDS["NRRD, gzip"].write(folder / "study")
        path = folder / "arguments"
        path.write_bytes(b"")
        return path

    def header(self, content: bytes) -> int:
        return 0

    def judge(self, folder: Path, path: Path, changed: bool, how: Damage) -> tuple[str, str]:
        from ccdnn.cli.main import main

        words = [os.fsdecode(word) for word in path.read_bytes().split(b"\x1e")]
        streams = io.StringIO(), io.StringIO()
        before = Path.cwd()
        os.chdir(folder)
        try:
            with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
                code = main(words)
        except SystemExit as end:  # argparse
            code = end.code
        finally:
            os.chdir(before)
        said = streams[1].getvalue()
        if code not in (0, 2, 3, 4, 5, 6):
            return "wrong", f"exit code {code}"
        if "Traceback" in said or (code and not said.strip()):
            return "wrong", f"exit code {code} without an error message"
        if any(not line.isprintable() for line in (said + streams[0].getvalue()).splitlines()):
            return "leak", "control characters reach the terminal"
        return ("read", "") if code == 0 else ("refused", said.strip()[:200])


TARGETS = (Arguments(),)
