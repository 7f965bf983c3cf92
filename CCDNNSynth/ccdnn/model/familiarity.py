"""How unlike the training a study's inputs are: the share of its tissue whose intensities training did not see.

A card has four sets of cells. One is of the three contrasts together, averaged over 2 × 2 pixels: which combinations of brightness
occurred. The others are of each contrast alone: which local contrast (SD) occurred at which local brightness. A voxel is unfamiliar
if its combination, or the local contrast of at least one series, did not occur in training, or hardly ever.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ccdnn.errors import ModelError

BINS = 20
# Normalised intensities at the borders of the outermost cells; 1 is the robust maximum.
LOWEST, HIGHEST = 0.0, 2.0
HIGHEST_SD = 0.5
# A voxel is tissue where any input is brighter than this, normalised.
TISSUE = 0.2
SD_RADIUS = 2  # of the square for the local contrast, in blocks of 2 × 2 pixels


@dataclass(frozen=True, eq=False)
class Familiarity:
    """The cells that training filled.

    Args:
        roles: the contrasts, in the network's order.
        joint: (bin,) × contrasts, bool.
        local: role → (bin of the mean, bin of the SD), bool.
        limit: share of unfamiliar tissue above which a study is unlike the training.
    """

    roles: tuple[str, ...]
    joint: np.ndarray
    local: Mapping[str, np.ndarray] = field(repr=False)
    limit: float

    def unfamiliar(self, contrasts: np.ndarray, present: Sequence[bool]) -> tuple[np.ndarray, np.ndarray]:
        """Where a study's tissue is unlike the training's.

        Args:
            contrasts: (contrast, slice, row, column), normalised, in the order of `roles`.
            present: for each contrast, whether the study has it; the others are not looked at.

        Returns:
            (slice, row, column) bool each: unfamiliar tissue, and tissue.
        """
        tissue, joint, local = cells_of(contrasts, present)
        absent = tuple(axis for axis, there in enumerate(present) if not there)
        seen = np.logical_or.reduce(self.joint, axis=absent) if absent else self.joint
        strange = ~seen[tuple(joint)]
        for role, pair in zip((role for role, there in zip(self.roles, present, strict=True) if there), local, strict=True):
            strange |= ~self.local[role][tuple(pair)]
        found = np.zeros(tissue.shape, bool)
        found[tissue] = strange
        rows, columns = contrasts.shape[2:]
        unfamiliar, all_tissue = (np.repeat(np.repeat(blocks, 2, 1), 2, 2)[:, :rows, :columns] for blocks in (found, tissue))
        return unfamiliar, all_tissue

    def entries(self) -> dict[str, Any]:
        """As in the card's JSON."""
        local = {role: _text(cells) for role, cells in self.local.items()}
        return {"joint": _text(self.joint), "local": local, "limit": self.limit}

    @classmethod
    def of_entries(cls, entries: Any, roles: Sequence[str]) -> Familiarity:
        """From the card's JSON.

        Raises:
            ModelError: an entry is missing or wrong.
        """
        try:
            joint = _bits(entries["joint"], (BINS,) * len(roles))
            local = {role: _bits(entries["local"][role], (BINS, BINS)) for role in roles}
            limit = entries["limit"]
            if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not 0 <= limit <= 1:
                raise ValueError(f"limit must be a share from 0 to 1, not {limit!r}")
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            raise ModelError(f"the familiarity of the card is not valid ({error}).") from error
        return cls(tuple(roles), joint, local, limit)


def cells_of(contrasts: np.ndarray, present: Sequence[bool]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The cell of every block of 2 × 2 pixels of tissue.

    Args:
        contrasts: (contrast, slice, row, column), normalised.
        present: for each contrast, whether the study has it.

    Returns:
        The mask of tissue, (slice, row, column) of blocks; for its n blocks the bin of each present contrast, (contrast, n), and
        the bins of local mean and local SD of each, (contrast, 2, n).
    """
    images = [_blocks(np.asarray(image, np.float32)) for image, there in zip(contrasts, present, strict=True) if there]
    tissue = np.logical_or.reduce([image > TISSUE for image in images])
    joint, local = [], []
    for image in images:
        joint.append(_bin(image[tissue], LOWEST, HIGHEST))
        mean = _mean(image)[tissue]
        variance = np.maximum(_mean(image * image)[tissue] - mean * mean, 0)
        local.append([_bin(mean, LOWEST, HIGHEST), _bin(np.sqrt(variance), 0.0, HIGHEST_SD)])
    return tissue, np.array(joint), np.array(local)


def _blocks(image: np.ndarray) -> np.ndarray:
    """Means over 2 × 2 pixels of every slice; a last odd row or column is repeated."""
    slices, rows, columns = image.shape
    even = np.pad(image, ((0, 0), (0, rows % 2), (0, columns % 2)), mode="edge")
    return even.reshape(slices, even.shape[1] // 2, 2, even.shape[2] // 2, 2).mean(axis=(2, 4))


def _mean(image: np.ndarray) -> np.ndarray:
    """The mean over a square around every block."""
    import SimpleITK as sitk  # takes a while to import, and reading a card does not need it

    return sitk.GetArrayFromImage(sitk.BoxMean(sitk.GetImageFromArray(image), (SD_RADIUS, SD_RADIUS, 0)))


def _bin(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip((values - low) * (BINS / (high - low)), 0, BINS - 1).astype(np.intp)


def _text(cells: np.ndarray) -> str:
    return base64.b64encode(np.packbits(cells).tobytes()).decode("ascii")


def _bits(text: str, shape: tuple[int, ...]) -> np.ndarray:
    count = int(np.prod(shape))
    packed = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
    if len(packed) != -(-count // 8):
        raise ValueError(f"{len(packed)} bytes for {count} cells")
    return np.unpackbits(packed, count=count).astype(bool).reshape(shape)
