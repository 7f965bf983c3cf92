"""Attacks on model files. Each must give the saved network or an error message."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import damage
from damage import Damage
from trials import refused_or_read


@cache
def _good() -> bytes:
    import small_study

    with TemporaryDirectory() as folder:
        return small_study.write_model(Path(folder) / "tiny.safetensors").read_bytes()


class ModelFile:
    """A model file. Its header consists of a length and JSON text."""

    name = "model file"
    damages: tuple[Damage, ...] = (*damage.ANYWHERE, damage.replace_a_word, damage.write_a_number, damage.flip_header_bits)

    def make(self, folder: Path) -> Path:
        path = folder / "tiny.safetensors"
        path.write_bytes(_good())
        return path

    def header(self, content: bytes) -> int:
        return 8 + int.from_bytes(content[:8], "little")

    def judge(self, folder: Path, path: Path, changed: bool, how: Damage) -> tuple[str, str]:
        from ccdnn.model.file import load_model
        from ccdnn.model.header import read_card

        end, detail = refused_or_read(lambda: load_model(path))
        refused_or_read(lambda: read_card(path))
        if end == "read" and how is damage.cut and changed:
            return "wrong", "a truncated file was loaded"
        return end, detail


TARGETS = (ModelFile(),)
