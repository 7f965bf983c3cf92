"""Spikes: single voxels of one series that are far too bright or dark, as vessels, calcifications and faulty pixels are.

Arguments: their share of all voxels, and the seed of their positions and factors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Spikes:
    share: float
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Spikes:
        return cls(float(10 ** rng.uniform(-5, -3.3)), int(rng.integers(2**31)))

    def apply(self, image: np.ndarray) -> np.ndarray:
        """A copy of the image, of any shape, with voxels multiplied by 0 to 3."""
        rng = np.random.default_rng(self.seed)
        count = rng.binomial(image.size, self.share)
        result = image.copy()
        places = rng.integers(image.size, size=count)
        result.reshape(-1)[places] *= rng.uniform(0, 3, count).astype(np.float32)
        return result
