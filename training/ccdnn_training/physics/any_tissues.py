"""Tissues beyond the phantom's: values drawn over the physical range, as in the paper's simulation study (section 2.2).

A network that has only seen the phantom's eighteen tissues learns these tissues instead of the relation of STIR to the inputs,
which is the same for every tissue and every body. Part of the training images therefore shows tissues of any T1, T2, T2*, proton
density and fat share.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ccdnn_training.physics.tissues import TISSUE_NAMES, TissueValues

FAT_LIKE, MUSCLE_LIKE, ANYTHING, NOTHING = "fat", "muscle", "anything", "nothing"

# The class that replaces each of the phantom's tissues; ANYTHING for tissues not listed.
CLASSES = {"air": NOTHING, "subcutaneous_fat": FAT_LIKE, "yellow_marrow": FAT_LIKE, "muscle": MUSCLE_LIKE}

# Share of a class's tissues that follow the class; the others may be anything.
FAITHFUL = 0.75


def draw_tissues(classes: Sequence[str], rng: np.random.Generator) -> TissueValues:
    """Values of one tissue for each of `classes`, at 3 T; see `TissueValues.at_field`.

    All tissues share the T1 and T2 of fat; they differ in their share of fat.
    """
    count = len(classes)
    faithful = rng.random(count) < FAITHFUL
    kinds = np.array([kind if keep or kind == NOTHING else ANYTHING for kind, keep in zip(classes, faithful, strict=True)])
    fat_like, muscle_like = kinds == FAT_LIKE, kinds == MUSCLE_LIKE

    t1 = _log_uniform(rng, 250, 4000, count)
    t2 = np.minimum(_log_uniform(rng, 8, 800, count), 0.9 * t1)
    fat = np.where(rng.random(count) < 0.5, 0.0, rng.random(count))
    density = rng.uniform(0.2, 1.0, count)
    t1 = np.where(muscle_like, rng.uniform(1200, 1500, count), t1)
    t2 = np.where(muscle_like, rng.uniform(26, 42, count), t2)
    fat = np.where(muscle_like, rng.uniform(0, 0.12, count), np.where(fat_like, rng.uniform(0.84, 0.98, count), fat))
    density = np.where(fat_like | muscle_like, rng.uniform(0.65, 1.0, count), density)
    density = np.where(kinds == NOTHING, 0.0, density)

    ones = np.ones(count)
    fat_t2 = rng.uniform(90, 150)
    return TissueValues(
        water_density=density * (1 - fat),
        water_t1=t1,
        water_t2=t2,
        water_t2_star=t2 * _log_uniform(rng, 0.15, 0.95, count),
        fat_density=density * fat,
        fat_t1=ones * rng.uniform(345, 395),
        fat_t2=ones * fat_t2,
        fat_t2_star=fat_t2 * _log_uniform(rng, 0.06, 0.5, count),
    )


def draw_for_knee(cells: int, rng: np.random.Generator) -> TissueValues:
    """Values for an anatomy with `TISSUE_NAMES` in each of `cells` parts of the knee, numbered tissue + part · tissues."""
    return draw_tissues([CLASSES.get(name, ANYTHING) for name in TISSUE_NAMES] * cells, rng)


def _log_uniform(rng: np.random.Generator, low: float, high: float, count: int) -> np.ndarray:
    return np.exp(rng.uniform(np.log(low), np.log(high), count))
