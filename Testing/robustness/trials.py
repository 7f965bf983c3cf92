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
        name: for the table of outcomes.
        damages: the kinds of damage to try.
    """

    name: str
    damages: tuple[Damage, ...]

    def make(self, folder: Path) -> Path:
        """Write good files into an empty folder, and return the one to damage."""

    def header(self, content: bytes) -> int:
        """The length of that file's header in bytes."""

    def judge(self, folder: Path, path: Path, changed: bool, damage: Damage) -> tuple[str, str]:
        """Use the damaged file as a user would, and return an end (see `attack.Outcome`) and a detail.

        Any exception counts as the end "traceback".
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
    """Draw trial `number`, from only its number and the seed."""
    rng = np.random.default_rng((seed, number))
    every = targets()
    target = every[int(rng.integers(len(every)))]
    return Trial(target, target.damages[int(rng.integers(len(target.damages)))])


def run(seed: int, number: int, folder: Path) -> tuple[str, str]:
    """Run a trial, and return how it ends and a detail."""
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
        return "damage", "an existing file was changed or removed"
    return end, detail


def _hashes(folder: Path) -> dict[str, str]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def refused_or_read(use: Callable[[], object]) -> tuple[str, str]:
    """Call `use` and return its end. It may raise the program's own errors, whose messages must be one line."""
    from ccdnn.errors import CcdnnError

    try:
        use()
    except CcdnnError as error:
        message = str(error)
        if "\n" in message or not message or not message.isprintable():
            return "wrong", f"the message {message!r} is not one printable line"
        return "refused", message
    return "read", ""
