"""Which intensities training saw, for a card's familiarity."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from ccdnn.model.familiarity import BINS, Familiarity, cells_of

# Cells are kept in the order of how much of the training's tissue they hold, until they hold this share.
KEPT_SHARE = 0.998
# A study is unlike the training above this quantile of the shares of validation studies, and a margin; `ccdnn.trust` has a floor.
LIMIT_QUANTILE, MARGIN = 0.95, 1.5


class CellsSeen:
    """Counts the cells of studies; every study counts the same.

    Args:
        roles: the contrasts, in order.
    """

    def __init__(self, roles: Sequence[str]) -> None:
        self._roles = tuple(roles)
        self._joint = np.zeros((BINS,) * len(roles))
        self._local = {role: np.zeros((BINS, BINS)) for role in roles}

    def add(self, contrasts: np.ndarray) -> None:
        """Count a study, (contrast, slice, row, column), normalised."""
        _, bins, pairs = cells_of(contrasts, [True] * len(self._roles))
        weights = np.full(bins.shape[1], 1 / max(bins.shape[1], 1))
        np.add.at(self._joint, tuple(bins), weights)
        for role, pair in zip(self._roles, pairs, strict=True):
            np.add.at(self._local[role], tuple(pair), weights)

    def familiarity(self, validation: Iterable[np.ndarray]) -> Familiarity:
        """The card's entry: the fullest cells, and the limit from the `validation` studies, (contrast, slice, row, column) each."""
        local = {role: _kept(counts) for role, counts in self._local.items()}
        found = Familiarity(self._roles, _kept(self._joint), local, limit=1.0)
        shares = []
        for contrasts in validation:
            strange, tissue = found.unfamiliar(contrasts, [True] * len(self._roles))
            shares.append(float(strange.sum() / tissue.sum()))
        return replace(found, limit=round(MARGIN * float(np.quantile(shares, LIMIT_QUANTILE)), 4))


def _kept(counts: np.ndarray) -> np.ndarray:
    """The fullest cells, until they hold `KEPT_SHARE`."""
    order = np.argsort(counts, axis=None)[::-1]
    summed = np.cumsum(counts.ravel()[order]) / counts.sum()
    kept = np.zeros(counts.size, bool)
    kept[order[: int(np.searchsorted(summed, KEPT_SHARE)) + 1]] = True
    return kept.reshape(counts.shape)
