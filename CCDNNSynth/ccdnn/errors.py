"""The errors a user can meet, each with the exit code a script sees.

A message is one sentence that says what is wrong, in which file or node, and what to do about it. It never holds patient data.
"""


class CcdnnError(Exception):
    """Base of every error that is the user's to mend; anything else is a bug and keeps its traceback."""

    exit_code = 1


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
