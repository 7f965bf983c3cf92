"""Simulated studies for training, of several kinds; their order and all random draws depend only on a seed and a number.

| kind | anatomy | tissues | scanner |
|---|---|---|---|
| paper-like | a knee | the knee's | one well-calibrated scanner, a protocol around the paper's |
| hospital | a knee | the knee's, at 0.3, 1.5 or 3 T | any hospital's, see `acquisition.series.draw_wide_study` |
| any-tissue | a knee | any that are physical, in parts of the knee's regions | any hospital's |
| regions | random regions | any that are physical | any hospital's |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import ndimage

from ccdnn.normalisation import VolumePercentile
from ccdnn_training.acquisition.series import draw_study, draw_wide_study
from ccdnn_training.data.knees import Knees
from ccdnn_training.phantom.anatomy import Anatomy
from ccdnn_training.phantom.random_regions import random_regions, tissue_count
from ccdnn_training.physics.any_tissues import ANYTHING, FAT_LIKE, MUSCLE_LIKE, NOTHING, draw_for_knee, draw_tissues
from ccdnn_training.physics.protocol import CONTRASTS, draw_protocol, draw_wide_protocol
from ccdnn_training.physics.tissues import MARROW, TISSUE_NAMES, TissueValues, draw_tissue_values

PAPER_LIKE, HOSPITAL, ANY_TISSUE, REGIONS = KINDS = ("paper-like", "hospital", "any-tissue", "regions")

# The 90th percentile of the foreground is muscle or fat in every contrast; a higher one depends on the amount of fluid.
NORMALISATION = VolumePercentile(percentile=90.0, foreground_fraction=0.2)

FIELDS = {0.3: 0.15, 1.5: 0.4, 3.0: 0.45}  # tesla: share of the studies
# Shares of the voxels of random regions, as in most bodies.
CLASSES = {FAT_LIKE: 0.42, MUSCLE_LIKE: 0.28, ANYTHING: 0.30}
PARTS = 8  # of a knee, whose tissues differ from part to part

REGIONS_SLICES, REGIONS_MATRIX = 8, (224, 256, 320)
# Largest SD of the texture relative to the mean, in the marrow and in other tissues of a hospital's knee.
_MARROW_TEXTURE, _TEXTURE = 0.2, 0.06


@dataclass(frozen=True, eq=False)
class SimulatedStudy:
    """One study.

    Args:
        contrasts: (contrast, slice, row, column) float16, normalised, in the order of `CONTRASTS`.
        labels: (slice, row, column) uint8, see `phantom.render.LABELS`; all 0 in random regions.
        record: everything that was drawn.
    """

    contrasts: np.ndarray
    labels: np.ndarray
    record: Mapping[str, Any]


class SimulatedStudies:
    """Studies 0, 1, 2, …

    Args:
        knees: the anatomies of all kinds but `regions`.
        shares: kind → share of the slices.
        seed: for all random draws.
    """

    def __init__(self, knees: Knees, shares: Mapping[str, float], seed: int) -> None:
        self._knees, self._seed = knees, seed
        slices = {kind: REGIONS_SLICES if kind == REGIONS else knees.recipe.slices for kind in KINDS}
        weights = np.array([shares.get(kind, 0.0) / slices[kind] for kind in KINDS])
        self._chances = weights / weights.sum()
        self._slices = slices

    def kind(self, number: int) -> str:
        return KINDS[self._rng(number, 0).choice(len(KINDS), p=self._chances)]

    def slices(self, number: int) -> int:
        """How many slices study `number` has, known before it is made."""
        return self._slices[self.kind(number)]

    def study(self, number: int) -> SimulatedStudy:
        kind, rng = self.kind(number), self._rng(number, 1)
        anatomy, values, tesla = self._subject(kind, rng)
        if kind == PAPER_LIKE:
            scans = draw_study(draw_protocol(rng), rng)
        else:
            fat_t1 = float(np.median(values.fat_t1))
            scans = draw_wide_study(draw_wide_protocol(rng, fat_t1), tesla, rng)
        series = [scans[contrast].acquire(anatomy, values) for contrast in CONTRASTS]
        record = {"kind": kind, "tesla": tesla, "acquisitions": {name: scan.record() for name, scan in scans.items()}}
        contrasts = np.stack([NORMALISATION.apply(image) for image in series]).astype(np.float16)
        return SimulatedStudy(contrasts, anatomy.labels, record)

    def _subject(self, kind: str, rng: np.random.Generator) -> tuple[Anatomy, TissueValues, float]:
        """An anatomy, its tissues' values at the field, and the field in tesla."""
        tesla = float(rng.choice(list(FIELDS), p=list(FIELDS.values())))
        if kind == REGIONS:
            anatomy = random_regions(rng, slices=REGIONS_SLICES, matrix=int(rng.choice(REGIONS_MATRIX)))
            classes = rng.choice(list(CLASSES), tissue_count(anatomy) - 1, p=list(CLASSES.values()))
            return anatomy, draw_tissues([NOTHING, *classes], rng).at_field(tesla), tesla
        anatomy = self._knees.anatomy(int(rng.integers(2**31)))
        if kind == PAPER_LIKE:
            return anatomy, draw_tissue_values(rng), 3.0
        anatomy = textured(anatomy, rng)
        if kind == HOSPITAL:
            return anatomy, draw_tissue_values(rng).at_field(tesla), tesla
        return in_parts(anatomy, rng), draw_for_knee(PARTS, rng).at_field(tesla), tesla

    def _rng(self, number: int, purpose: int) -> np.random.Generator:
        return np.random.default_rng((self._seed, number, purpose))


def textured(anatomy: Anatomy, rng: np.random.Generator) -> Anatomy:
    """The anatomy with a rougher texture, the same in all series: coarse trabeculae in marrow, a little in every tissue."""
    lengths = np.exp(rng.uniform(np.log(0.25), np.log(1.2), 3)) / np.array(anatomy.spacing)
    noise = ndimage.gaussian_filter(rng.standard_normal(anatomy.shape, dtype=np.float32), lengths)
    noise /= max(float(noise.std()), 1e-6)
    amplitude = np.full(256, rng.uniform(0, _TEXTURE), np.float32)
    amplitude[[TISSUE_NAMES.index(name) for name in MARROW]] = rng.uniform(0, _MARROW_TEXTURE)
    factors = 1 + amplitude[anatomy.tissues] * noise
    return replace(anatomy, amounts=(anatomy.amounts * np.clip(factors, 0, 2)).astype(np.float16))


def in_parts(anatomy: Anatomy, rng: np.random.Generator) -> Anatomy:
    """The anatomy with tissues renumbered in each of `PARTS` parts of the body, so that their values can differ between parts."""
    part = np.zeros(anatomy.shape, np.uint8)
    axes = np.meshgrid(*(np.arange(n) * d for n, d in zip(anatomy.shape, anatomy.spacing, strict=True)), indexing="ij", sparse=True)
    for bit in range(3):
        length = rng.uniform(15, 60)  # mm, half a wavelength
        phase, direction = rng.uniform(0, 2 * np.pi), rng.normal(size=3)
        wave = sum(a * d for a, d in zip(axes, direction / np.linalg.norm(direction), strict=True)) * np.pi / length + phase
        part |= (np.sin(wave) > 0).astype(np.uint8) << bit
    count = len(TISSUE_NAMES)
    numbers = [tuple(n + count * p for n in numbers for p in range(PARTS)) for numbers in (anatomy.vessels, anatomy.arteries)]
    return replace(anatomy, tissues=anatomy.tissues + np.uint8(count) * part, vessels=numbers[0], arteries=numbers[1])
