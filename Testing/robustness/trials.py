"""A trial: one target, one kind of damage, and how it ends."""

from __future__ import annotations

import hashlib
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from damage import Damage


class Target(Protocol):
    """What is attacked.

    Args:
        name: in the table of outcomes.
        damages: that are tried on it.
    """

    name: str
    damages: tuple[Damage, ...]

    def make(self, folder: Path) -> Path:
        """Write what is good into an empty folder; gives the file to damage."""

    def header(self, content: bytes) -> int:
        """How many bytes of that file are header."""

    def judge(self, folder: Path, path: Path, changed: bool, damage: Damage) -> tuple[str, str]:
        """Use the damaged file as a user would; gives an end (see `attack.Outcome`) and a detail.

        Whatever it raises is the end "traceback".
        """


@dataclass(frozen=True)
class Trial:
    target: Target
    damage: Damage

    @property
    def how(self) -> str:
        return self.damage.__name__


def targets() -> tuple[Target, ...]:
    import on_arguments
    import on_export
    import on_images
    import on_models
    import on_texts

    return (*on_images.TARGETS, *on_texts.TARGETS, *on_models.TARGETS, *on_export.TARGETS, *on_arguments.TARGETS)


def draw(seed: int, number: int) -> Trial:
    """Trial `number`, from nothing but its number and the seed."""
    rng = np.random.default_rng((seed, number))
    every = targets()
    target = every[int(rng.integers(len(every)))]
    return Trial(target, target.damages[int(rng.integers(len(target.damages)))])


def run(seed: int, number: int, folder: Path) -> tuple[str, str]:
    """How the trial ends, and a detail."""
    trial = draw(seed, number)
    path = trial.target.make(folder)
    good = path.read_bytes()
    content = trial.damage(good, trial.target.header(good), np.random.default_rng((seed, number, 1)))
    path.write_bytes(content)
    before = _hashes(folder)
    try:
        end, detail = trial.target.judge(folder, path, content != good, trial.damage)
    except Exception:
        return "traceback", traceback.format_exc().strip().replace("\n", " | ")[-1500:]
    after = _hashes(folder)
    if any(after.get(name) != content for name, content in before.items()):
        return "damage", "a file that was there was changed or removed"
    return end, detail


def _hashes(folder: Path) -> dict[str, str]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def refused_or_read(use: Callable[[], object]) -> tuple[str, str]:
    """The end of a use that may raise one of the program's own errors, whose message is one line."""
    from ccdnn.errors import CcdnnError

    try:
        use()
    except CcdnnError as error:
        message = str(error)
        if "\n" in message or not message or not message.isprintable():
            return "wrong", f"the message {message!r} is not one printable line"
        return "refused", message
    return "read", ""
