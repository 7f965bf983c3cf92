"""Makes untrusted text safe to display."""

from __future__ import annotations

import unicodedata


def shown(text: object, longest: int | None = 80) -> str:
    """One line that a terminal, a label or a header can show: unprintable characters are escaped, and long text is truncated.

    Files, paths and model cards may contain control characters that move the cursor, change the colour or reverse the text
    direction, and bytes that are not text.

    >>> shown("SAG T1\\x1b[31m")
    'SAG T1\\\\x1b[31m'
    >>> shown("a long description", 8)
    'a long …'
    """
    letters = (letter if letter.isprintable() else _escaped(letter) for letter in str(text))
    line = "".join(letters)
    return line if longest is None or len(line) <= longest else line[: longest - 1] + "…"


def _escaped(letter: str) -> str:
    if unicodedata.category(letter) == "Zs":  # a space of another width
        return " "
    return letter.encode("unicode_escape").decode("ascii")
