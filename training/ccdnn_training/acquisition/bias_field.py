"""Bias field: the coil receives near tissue better than far tissue, differently in every series.

Arguments: coefficients of a polynomial of second order in the position, whose exponential multiplies the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

_EXPONENTS = tuple(e for e in product(range(3), repeat=3) if 0 < sum(e) <= 2)


@dataclass(frozen=True)
class BiasField:
    coefficients: tuple[float, ...]

    @classmethod
    def draw(cls, rng: np.random.Generator, strength: float = 0.12) -> BiasField:
        return cls(tuple(float(c) for c in rng.uniform(-strength, strength, len(_EXPONENTS))))

    def field(self, shape: tuple[int, int, int]) -> np.ndarray:
        """The multiplicative field (slice, row, column), near 1."""
        axes = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in shape), indexing="ij", sparse=True)
        log = sum(
            np.float32(c) * axes[0] ** a * axes[1] ** b * axes[2] ** d
            for c, (a, b, d) in zip(self.coefficients, _EXPONENTS, strict=True)
        )
        return np.exp(np.broadcast_to(log, shape))

    def apply(self, image: np.ndarray) -> np.ndarray:
        return image * self.field(image.shape)
