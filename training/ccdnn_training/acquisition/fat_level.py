"""Fat level: the brightness of fat relative to water in one series, due to echo spacing, off-resonance or weak fat suppression.

Arguments: the factor on fat's signal; 1 is what the signal equation gives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEVELS = (0.3, 1.2)


@dataclass(frozen=True)
class FatLevel:
    factor: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> FatLevel:
        """Usually near 1; in a fifth of the series any value in `LEVELS`."""
        anything, near = rng.uniform(*LEVELS), rng.uniform(0.85, 1.1)
        return cls(float(anything if rng.random() < 0.2 else near))

    def apply(self, fat: np.ndarray) -> np.ndarray:
        return fat * np.float32(self.factor)
