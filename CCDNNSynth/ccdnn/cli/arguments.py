"""Values of options that several commands have."""

from __future__ import annotations

import argparse

# Of --threads, --batch and --jobs; a larger number is a typing error.
MOST_THREADS = 1024


def positive(text: str) -> int:
    """A whole number from 1.

    Raises:
        argparse.ArgumentTypeError: it is none.

    >>> positive("4")
    4
    """
    number = int(text) if text.isdecimal() and len(text) < 10 else 0
    if not 1 <= number <= MOST_THREADS:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a whole number from 1 to {MOST_THREADS}")
    return number
