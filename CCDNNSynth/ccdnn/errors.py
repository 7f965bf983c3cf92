"""The errors a user can meet, each with the exit code a script sees.

A message is one sentence that says what is wrong, in which file or node, and what to do about it. It never holds patient data.
"""

from collections.abc import Iterable

from ccdnn.text import shown


class CcdnnError(Exception):
    """Base of every error that is the user's to mend; anything else is a bug and keeps its traceback.

    The message is one line, and each of `items`, a list that the message announces, is one more. What does not print in the names
    and values that they quote is escaped.
    """

    exit_code = 1

    def __init__(self, message: object = "", items: Iterable[object] = ()) -> None:
        super().__init__("\n  - ".join(shown(" ".join(str(line).split()), longest=None) for line in (message, *items)))


class InputError(CcdnnError):
    """An input that cannot be read, or does not hold what is needed."""

    exit_code = 3


class ModelError(CcdnnError):
    """A model file that is damaged, foreign, altered or missing."""

    exit_code = 4


class OutputError(CcdnnError):
    """A result that could not be written; whatever stood at its place before is untouched."""

    exit_code = 5


class DeviceError(CcdnnError):
    """A device or precision that was asked for and cannot be used here."""

    exit_code = 6


class Cancelled(CcdnnError):
    """The user stopped the run; nothing was written."""

    exit_code = 130
