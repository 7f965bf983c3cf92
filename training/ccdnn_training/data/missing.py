"""Inputs left out at random, so that a network learns to do without them; see `ccdnn.model.card.ModelCard.optional`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ccdnn.errors import InputError


class MissingInputs:
    """Which inputs of a patch are left out.

    Args:
        rates: contrast → share of the patches without it; each is drawn independently, and one input always stays.
        contrasts: the inputs, in order.

    Raises:
        InputError: an unknown input, a rate that is not from 0 to below 1, or a rate for every input.
    """

    def __init__(self, rates: Mapping[str, float] | None, contrasts: Sequence[str]) -> None:
        rates = dict(rates or {})
        for name, rate in rates.items():
            if name not in contrasts or not 0 <= rate < 1:
                raise InputError(
                    f"missing: {name} {rate:g} is not valid; name one of {', '.join(contrasts)} and a share from 0 to below 1."
                )
        self._rates = np.array([rates.get(name, 0.0) for name in contrasts])
        if len(contrasts) == np.count_nonzero(self._rates):
            raise InputError("missing: every input has a rate; leave out the one that every study has.")

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """(contrast,) bool, true for the inputs left out."""
        return rng.random(len(self._rates)) < self._rates
