"""The errors that a user can encounter, each with its exit code for scripts.

A message is one sentence that says what is wrong, in which file or node, and what to do about it. It never contains patient data.
"""

from collections.abc import Iterable

from ccdnn.text import shown


class CcdnnError(Exception):
    """Base of every error that the user can fix; anything else is a bug and keeps its traceback.

    The message is one line, followed by one line for each of `items`. Unprintable characters in quoted names and values are
    escaped.
    """

    exit_code = 1

    def __init__(self, message: object = "", items: Iterable[object] = ()) -> None:
        super().__init__("\n  - ".join(shown(" ".join(str(line).split()), longest=None) for line in (message, *items)))


class InputError(CcdnnError):
    """An input that cannot be read, or lacks required content."""

    exit_code = 3


class ModelError(CcdnnError):
    """A model file that is damaged, foreign, altered or missing."""

    exit_code = 4


class OutputError(CcdnnError):
    """A result that could not be written; any existing file is untouched."""

    exit_code = 5


class DeviceError(CcdnnError):
    """A requested device or precision that cannot be used here."""

    exit_code = 6


class Cancelled(CcdnnError):
    """The user stopped the run; nothing was written."""

    exit_code = 130
