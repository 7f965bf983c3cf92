"""Parses the numbers in file headers. A value that cannot be parsed is an error that quotes it, never a default."""

from __future__ import annotations

import math
from pathlib import Path

from ccdnn.errors import InputError
from ccdnn.text import shown

# No size or byte count has more digits.
_MOST_DIGITS = 18


def whole_numbers(path: Path, key: str, text: str, count: int, least: int = 1) -> tuple[int, ...]:
    """Exactly `count` whole numbers of at least `least`, or of 0 for byte counts.

    Raises:
        InputError: the entry cannot be parsed; the message quotes it.
    """
    words = text.split()
    if len(words) == count and all(len(word) <= _MOST_DIGITS and word.lstrip("-").isdecimal() and word.isascii() for word in words):
        numbers = tuple(int(word) for word in words)
        if all(number >= (least if key not in _COUNTS_OF_BYTES else min(least, 0)) for number in numbers):
            return numbers
    raise _unparsable(path, key, text, count, "whole number")


def finite_numbers(path: Path, key: str, text: str, count: int) -> tuple[float, ...]:
    """Exactly `count` finite numbers.

    Raises:
        InputError: the entry cannot be parsed; the message quotes it.
    """
    words = text.split()
    try:
        numbers = tuple(float(word) for word in words)
    except ValueError:
        numbers = ()
    if len(numbers) == len(words) == count and all(math.isfinite(number) for number in numbers):
        return numbers
    raise _unparsable(path, key, text, count, "number")


_COUNTS_OF_BYTES = ("HeaderSize", "CompressedDataSize", "line skip", "byte skip")


def _unparsable(path: Path, key: str, text: str, count: int, what: str) -> InputError:
    if not text.strip():
        return InputError(f"{path.name} does not state {key}; its header is damaged, export it again.")
    hint = " (with decimal points, not commas)" if "," in text else ""
    wanted = f"a {what} is" if count == 1 else f"{count} {what}s are"
    return InputError(f"{path.name} states {key} = “{shown(text)}”, but {wanted} needed{hint}; export it again.")
