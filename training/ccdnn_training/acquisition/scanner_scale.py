"""Scanner scale: every series is written with a gain of its own, as integers; nothing relates one series' numbers to another's.

Arguments: the value that the image's maximum gets.
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
