"""An anatomy for the scanner: which tissues lie in every voxel, and how much of each.

Few tissues meet in one voxel, so an anatomy is stored as layers, each with a tissue's number and its amount. Tissues are numbered
in the order of `physics.tissues.TISSUE_NAMES`, or in any way that matches the tissue values given to the scanner.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ccdnn_training.physics.tissues import TISSUE_NAMES

VESSELS = tuple(TISSUE_NAMES.index(name) for name in ("artery", "vein"))
ARTERIES = (TISSUE_NAMES.index("artery"),)


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Layers of tissues.

    Args:
        tissues: (layer, slice, row, column) uint8, numbers of tissues.
        amounts: the same shape, float16: proton density relative to the tissue's own, times the share of the voxel.
        spacing: mm from voxel to voxel, (slice, row, column).
        labels: (slice, row, column) uint8, regions as `phantom.render.LABELS` names them; all 0 if there are none.
        vessels, arteries: numbers of the tissues in which blood flows.
    """

    tissues: np.ndarray
    amounts: np.ndarray
    spacing: tuple[float, float, float]
    labels: np.ndarray
    vessels: tuple[int, ...] = VESSELS
    arteries: tuple[int, ...] = ARTERIES

    @classmethod
    def from_amounts(
        cls, amounts: np.ndarray, labels: np.ndarray, spacing: tuple[float, float, float], layers: int | None = None
    ) -> Anatomy:
        """The layers of dense `amounts` (tissue, slice, row, column), as `phantom.render.render` returns them.

        Args:
            layers: number of layers to keep, the largest amounts first, rescaled to the voxel's total; None keeps all.
        """
        count = min(layers or len(amounts), int(np.max(np.count_nonzero(amounts, axis=0), initial=1)))
        shape = (count, *amounts.shape[1:])
        tissues, kept = np.zeros(shape, np.uint8), np.zeros(shape, np.float16)
        for index in range(amounts.shape[1]):
            left = amounts[:, index].copy()
            for layer in range(count):
                largest = left.argmax(axis=0)[None]
                tissues[layer, index] = largest[0]
                kept[layer, index] = np.take_along_axis(left, largest, axis=0)[0]
                np.put_along_axis(left, largest, 0, axis=0)
        if layers is not None:
            total = amounts.sum(axis=0, dtype=np.float32)
            found = kept.sum(axis=0, dtype=np.float32)
            kept = (kept * (total / np.maximum(found, 1e-3))).astype(np.float16)
        return cls(tissues, kept, spacing, labels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(slice, row, column)."""
        return self.labels.shape

    def mixture(self, of_tissue: np.ndarray) -> np.ndarray:
        """A property of the voxels, (slice, row, column) float32, from that of each tissue, (tissue,)."""
        table = np.zeros(256, np.float32)
        table[: len(of_tissue)] = of_tissue
        total = np.zeros(self.shape, np.float32)
        for tissues, amounts in zip(self.tissues, self.amounts, strict=True):
            total += table[tissues] * amounts
        return total

    def mixture_of(self, of_tissue: np.ndarray, numbers: Iterable[int]) -> np.ndarray:
        """`mixture` of only these tissues."""
        chosen = np.zeros_like(of_tissue)
        chosen[list(numbers)] = of_tissue[list(numbers)]
        return self.mixture(chosen)
