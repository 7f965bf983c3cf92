"""Tissue values of a knee at 3 T, and their spread between subjects.

T1 and T2: Gold et al., AJR 2004;183:343; Stanisz et al., MRM 2005;54:507; de Bazelaire et al., Radiology 2004;230:652, where they
give a value; the others are ranges in common use. Proton density is relative to synovial fluid. Fat keeps the long T2 that
fast-spin-echo trains show.

Every tissue is a mixture of water and fat: both relax on their own, and fat resonates about 440 Hz lower at 3 T.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

Range = tuple[float, float]


@dataclass(frozen=True)
class TissueRange:
    """Where a subject's tissue values are drawn from, uniformly: ms, and fractions of 1."""

    t1: Range
    t2: Range
    t2_star: Range
    density: Range
    fat: Range = (0.0, 0.0)  # share of the protons that are fat's; those have the T1 and T2 of `FAT`


FAT = TissueRange(t1=(355, 385), t2=(115, 145), t2_star=(30, 50), density=(0.92, 1.0), fat=(1.0, 1.0))

# In the order of the fraction maps; index 0 is outside the patient.
TISSUES: Mapping[str, TissueRange] = {
    "air": TissueRange((1000, 1000), (1, 1), (0.5, 0.5), (0.0, 0.0)),
    "skin": TissueRange((900, 1100), (20, 30), (8, 14), (0.5, 0.65), (0.1, 0.25)),
    "subcutaneous_fat": TissueRange((900, 1200), (35, 45), (25, 35), (0.92, 1.0), (0.93, 0.98)),
    "connective": TissueRange((700, 950), (12, 20), (4, 8), (0.4, 0.55), (0.1, 0.2)),
    "muscle": TissueRange((1380, 1460), (29.5, 34), (20, 28), (0.8, 0.9), (0.01, 0.05)),
    "tendon": TissueRange((600, 800), (3, 10), (1, 3), (0.3, 0.5)),
    "ligament": TissueRange((800, 1000), (15, 25), (8, 12), (0.55, 0.65), (0.0, 0.08)),
    "meniscus": TissueRange((800, 1100), (10, 15), (5, 8), (0.6, 0.7)),
    "cartilage": TissueRange((1130, 1350), (30, 43), (20, 25), (0.6, 0.75)),
    "cortical_bone": TissueRange((250, 306), (0.5, 4), (0.4, 0.6), (0.05, 0.2)),
    "yellow_marrow": TissueRange((900, 1300), (35, 50), (10, 15), (0.86, 0.94), (0.86, 0.95)),
    "red_marrow": TissueRange((900, 1200), (38, 55), (10, 14), (0.8, 0.9), (0.45, 0.62)),
    "synovial_fluid": TissueRange((3300, 3940), (600, 850), (200, 400), (0.98, 1.0)),
    "artery": TissueRange((1850, 2020), (225, 325), (30, 100), (0.8, 0.9)),
    "vein": TissueRange((1600, 1900), (40, 80), (15, 30), (0.8, 0.9)),
    "nerve": TissueRange((1000, 1250), (60, 80), (25, 40), (0.7, 0.8), (0.15, 0.3)),
    "edema": TissueRange((1000, 1400), (60, 100), (12, 20), (0.88, 0.96), (0.3, 0.65)),
    "ganglion": TissueRange((2500, 3500), (300, 600), (150, 300), (0.97, 1.0)),
}
TISSUE_NAMES = tuple(TISSUES)

# Marrow fat decays faster in a gradient echo than subcutaneous fat: trabeculae disturb its field.
MARROW_FAT_T2_STAR: Range = (8, 15)
MARROW = frozenset({"yellow_marrow", "red_marrow", "edema"})


@dataclass(frozen=True)
class TissueValues:
    """Values of the water and the fat of every tissue (ms; density of 1), each an array over tissues: over `TISSUE_NAMES`, or over
    the numbers that an anatomy of other tissues gives them.
    """

    water_density: np.ndarray
    water_t1: np.ndarray
    water_t2: np.ndarray
    water_t2_star: np.ndarray
    fat_density: np.ndarray
    fat_t1: np.ndarray
    fat_t2: np.ndarray
    fat_t2_star: np.ndarray

    def at_field(self, tesla: float) -> TissueValues:
        """The same tissues at a field other than 3 T: T1 grows with a power of the field, T2 hardly changes.

        The powers are those between the values at 1.5 T and 3 T of Gold et al. (muscle 1130 and 1420 ms, fat 288 and 371 ms,
        synovial fluid 2850 and 3620 ms); a fluid's T1, above 2 s, depends on the field half as much below 1.5 T.
        T2* comes closer to T2 where the field, and with it the field's disturbance, is lower.
        """
        relative = tesla / 3.0
        exponent = np.where(self.water_t1 > 2000, _FIELD_POWER / (2 if tesla < 1.5 else 1), _FIELD_POWER)
        return replace(
            self,
            water_t1=self.water_t1 * relative**exponent,
            fat_t1=self.fat_t1 * relative**_FIELD_POWER,
            water_t2_star=_at_field(self.water_t2_star, self.water_t2, relative),
            fat_t2_star=_at_field(self.fat_t2_star, self.fat_t2, relative),
        )


_FIELD_POWER = 0.34


def _at_field(t2_star: np.ndarray, t2: np.ndarray, relative: float) -> np.ndarray:
    """T2* when the static disturbance, 1/T2' = 1/T2* − 1/T2, is proportional to the field."""
    return 1 / (1 / t2 + np.maximum(1 / t2_star - 1 / t2, 0) * relative)


def draw_tissue_values(rng: np.random.Generator) -> TissueValues:
    """One subject's tissue values."""
    ranges = TISSUES.values()

    def draw(name: str) -> np.ndarray:
        return np.array([rng.uniform(*getattr(tissue, name)) for tissue in ranges])

    density, fat_share = draw("density"), draw("fat")
    fat_t2_star = np.full(len(TISSUES), rng.uniform(*FAT.t2_star))
    marrow_t2_star = rng.uniform(*MARROW_FAT_T2_STAR)
    fat_t2_star[[name in MARROW for name in TISSUE_NAMES]] = marrow_t2_star
    return TissueValues(
        water_density=density * (1 - fat_share),
        water_t1=draw("t1"),
        water_t2=draw("t2"),
        water_t2_star=draw("t2_star"),
        fat_density=density * fat_share,
        fat_t1=np.full(len(TISSUES), rng.uniform(*FAT.t1)),
        fat_t2=np.full(len(TISSUES), rng.uniform(*FAT.t2)),
        fat_t2_star=fat_t2_star,
    )
