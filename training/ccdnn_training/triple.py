"""Three numbers, one per direction of space."""

from __future__ import annotations

from collections.abc import Iterable


def triple(values: Iterable[float]) -> tuple[float, float, float]:
    """The three `values` as plain floats, which JSON can hold."""
    first, second, third = map(float, values)
    return first, second, third
