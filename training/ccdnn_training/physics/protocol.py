"""Sequence parameters: the paper's protocol (section 2.3) and protocols drawn around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ccdnn_training.physics import signals

CONTRASTS = ("t1", "t2", "gre", "stir")
INPUT_CONTRASTS = CONTRASTS[:3]


@dataclass(frozen=True)
class Sequence:
    """One series' parameters: times in ms, flip angle in degrees. `kind` chooses the signal equation."""

    kind: str  # "spin_echo", "gradient_echo" or "inversion_recovery"
    tr: float
    te: float
    ti: float | None = None
    flip_angle: float | None = None

    def signal(self, s0: np.ndarray, t1: np.ndarray, t2: np.ndarray, t2_star: np.ndarray) -> np.ndarray:
        """Signed signal, relative to S0, of tissues given by S0, T1, T2 and T2* (ms)."""
        if self.kind == "spin_echo":
            return signals.spin_echo(s0, t1, t2, tr=self.tr, te=self.te)
        if self.kind == "gradient_echo":
            return signals.spoiled_gradient_echo(s0, t1, t2_star, tr=self.tr, te=self.te, flip_angle=self.flip_angle)
        if self.kind == "inversion_recovery":
            return signals.inversion_recovery(s0, t1, t2, tr=self.tr, te=self.te, ti=self.ti)
        raise ValueError(f"There is no signal equation for a {self.kind!r} sequence.")


Protocol = Mapping[str, Sequence]

PAPER_PROTOCOL: Protocol = {
    "t1": Sequence("spin_echo", tr=522, te=11),
    "t2": Sequence("spin_echo", tr=3000, te=80),
    "gre": Sequence("gradient_echo", tr=500, te=10, flip_angle=25),
    "stir": Sequence("inversion_recovery", tr=4478, te=60, ti=220),
}

# What other scanners and sites use for the same three series, around the paper's values. The STIR is the product, so it keeps
# the paper's protocol: a network cannot know which TI its reader has in mind.
PARAMETER_RANGES: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "t1": {"tr": (420, 720), "te": (8, 20)},
    "t2": {"tr": (2500, 4500), "te": (65, 100)},
    "gre": {"tr": (350, 700), "te": (7, 18), "flip_angle": (18, 35)},
    "stir": {},
}


def draw_protocol(rng: np.random.Generator) -> Protocol:
    """A protocol whose inputs are uniform in `PARAMETER_RANGES`; the STIR is the paper's."""
    return {
        contrast: replace(sequence, **{name: float(rng.uniform(*limits)) for name, limits in PARAMETER_RANGES[contrast].items()})
        for contrast, sequence in PAPER_PROTOCOL.items()
    }
