"""Sequence parameters: the paper's protocol (section 2.3) and protocols drawn around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from ccdnn.acquisition import Acquisition
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

    def signal(self, s0: ArrayLike, t1: ArrayLike, t2: ArrayLike, t2_star: ArrayLike) -> np.ndarray:
        """Signed signal, relative to S0, of tissues given by S0, T1, T2 and T2* (ms)."""
        if self.kind == "spin_echo":
            return signals.spin_echo(s0, t1, t2, tr=self.tr, te=self.te)
        if self.kind == "gradient_echo":
            assert self.flip_angle is not None
            return signals.spoiled_gradient_echo(s0, t1, t2_star, tr=self.tr, te=self.te, flip_angle=self.flip_angle)
        if self.kind == "inversion_recovery":
            assert self.ti is not None
            return signals.inversion_recovery(s0, t1, t2, tr=self.tr, te=self.te, ti=self.ti)
        raise ValueError(f"There is no signal equation for a {self.kind!r} sequence.")

    def with_parameters(self, **parameters: float) -> Sequence:
        """A sequence of the same kind with other values of some parameters."""
        return replace(self, kind=self.kind, **parameters)

    @property
    def acquisition(self) -> Acquisition:
        """The parameters in the engine's form, as a file's header and a model card state them."""
        return Acquisition(self.tr, self.te, self.ti, self.flip_angle)


Protocol = Mapping[str, Sequence]

PAPER_TI = 220  # ms
PAPER_PROTOCOL: Protocol = {
    "t1": Sequence("spin_echo", tr=522, te=11),
    "t2": Sequence("spin_echo", tr=3000, te=80),
    "gre": Sequence("gradient_echo", tr=500, te=10, flip_angle=25),
    "stir": Sequence("inversion_recovery", tr=4478, te=60, ti=PAPER_TI),
}

# Values of other scanners and sites for the same three series, around the paper's. The STIR is the output, so it keeps the
# paper's protocol: a network cannot know which TI a reader wants.
Ranges = Mapping[str, Mapping[str, tuple[float, float]]]
PARAMETER_RANGES: Ranges = {
    "t1": {"tr": (420, 720), "te": (8, 20)},
    "t2": {"tr": (2500, 4500), "te": (65, 100)},
    "gre": {"tr": (350, 700), "te": (7, 18), "flip_angle": (18, 35)},
    "stir": {},
}

PAPER_FAT_T1 = 370.0  # ms, at the 3 T of the paper's protocol

# The full range of values in hospitals.
WIDE_RANGES: Ranges = {
    "t1": {"tr": (350, 2500), "te": (6, 30)},
    "t2": {"tr": (1800, 7000), "te": (50, 120)},
    "gre": {"tr": (15, 1000), "te": (3, 25), "flip_angle": (8, 70)},
    "stir": {},
}


def draw_protocol(rng: np.random.Generator) -> Protocol:
    """A protocol whose inputs are uniform in `PARAMETER_RANGES`; the STIR is the paper's."""
    return {
        contrast: sequence.with_parameters(
            **{name: float(rng.uniform(*limits)) for name, limits in PARAMETER_RANGES[contrast].items()}
        )
        for contrast, sequence in PAPER_PROTOCOL.items()
    }


def draw_wide_protocol(rng: np.random.Generator, fat_t1: float = PAPER_FAT_T1) -> Protocol:
    """A protocol whose inputs have parameters in `WIDE_RANGES`, drawn on a logarithmic scale.

    A T1-w with a long TR, which shows little T1 contrast, is rare.

    Args:
        fat_t1: T1 of the study's fat in ms, shorter at lower fields. The STIR's TI follows it, as at every site, so that the
            output nulls the same share of fat as the paper's.
    """
    protocol = {}
    for contrast, sequence in PAPER_PROTOCOL.items():
        drawn = {}
        for name, (low, high) in WIDE_RANGES[contrast].items():
            place = rng.beta(1.0, 2.5) if (contrast, name) == ("t1", "tr") else rng.random()
            drawn[name] = float(low * (high / low) ** place)
        protocol[contrast] = sequence.with_parameters(**drawn)
    protocol["stir"] = replace(protocol["stir"], ti=PAPER_TI * fat_t1 / PAPER_FAT_T1)
    return protocol
