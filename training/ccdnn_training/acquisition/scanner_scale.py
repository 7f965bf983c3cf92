"""Scanner scale: every series is stored as integers with its own gain, so intensities of two series are not comparable.

Arguments: the value of the image's maximum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ScannerScale:
    maximum: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> ScannerScale:
        return cls(float(np.exp(rng.uniform(np.log(600), np.log(4000)))))

    def apply(self, image: np.ndarray) -> np.ndarray:
        return np.round(image * (self.maximum / image.max()))
