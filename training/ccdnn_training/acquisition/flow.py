"""Flow: moving blood loses signal in a spin echo, gains it where it enters unsaturated, and pulsates into ghosts.

Ghosts are copies of the artery displaced along phase encoding, strongest in STIR, whose inversion pulse the inflowing blood
has not seen (paper, Discussion; `physics.md`).
Arguments: `brightness` scales the vessels' signal; ghosts have an `amplitude` relative to it and a `spacing` in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_BRIGHTNESS = {"t1": (0.15, 0.7), "t2": (0.1, 0.5), "gre": (0.9, 1.5), "stir": (0.35, 1.2)}
_GHOSTS = {"t1": (0.0, 0.05), "t2": (0.0, 0.06), "gre": (0.0, 0.06), "stir": (0.03, 0.11)}
GHOSTS_EACH_SIDE = 3


@dataclass(frozen=True)
class Flow:
    brightness: float
    amplitude: float
    spacing: float
    phase_axis: int

    @classmethod
    def draw(cls, rng: np.random.Generator, contrast: str, phase_axis: int) -> Flow:
        return cls(
            brightness=float(rng.uniform(*_BRIGHTNESS[contrast])),
            amplitude=float(rng.uniform(*_GHOSTS[contrast])),
            spacing=float(rng.uniform(24, 60)),
            phase_axis=phase_axis,
        )

    def apply(self, image: np.ndarray, artery: np.ndarray) -> np.ndarray:
        """`image` with ghosts of `artery` (both (slice, row, column); the artery's own signal) that fade with distance."""
        ghosts = np.zeros_like(image)
        for order in range(1, GHOSTS_EACH_SIDE + 1):
            distance = round(order * self.spacing)
            weight = self.amplitude * (-1) ** order / order
            for shift in (distance, -distance):
                ghosts += weight * np.roll(artery, shift, axis=self.phase_axis)
        return image + ghosts
