"""Similarity as a table, a row for the volume and one for each slice, and as a chart over the slices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from operator import add

from ccdnn.chart import SYNTHETIC, Chart, Series
from ccdnn.measure.overlap import Overlap, threshold_overlap
from ccdnn.measure.similarity import Measure, ScaledPair, SliceSimilarity, notes_on, of_volume
from ccdnn.measure.table import Column, Table

VOLUME_ROW = "volume"


def overlap_by_slice(pair: ScaledPair, threshold: float) -> list[Overlap]:
    """The threshold overlap of every slice; see `ccdnn.measure.overlap`."""
    images = zip(pair.image.array, pair.reference.array, pair.inside, strict=True)
    return [threshold_overlap(x, y, threshold, inside) for x, y, inside in images]


def similarity_table(pair: ScaledPair, slices: Sequence[SliceSimilarity], overlaps: Sequence[Overlap]) -> Table:
    """A row for the volume, then one for each slice, counted from 1.

    A slice in which nothing was measured has no numbers. PSNR is infinite where the images are equal.

    Args:
        slices: of `similarity_by_slice`, all of them.
        overlaps: of `overlap_by_slice`, all of them.
    """
    total = reduce(add, overlaps)
    columns = (
        Column("slice"),
        *(Column(measure.value, measure.unit) for measure in Measure),
        Column("Dice", "1"),
        Column("voxels"),
        *(Column(f"voxels below {total.threshold:g}, {which}") for which in (*pair.names, "both")),
    )

    def row(name: str, values: dict[Measure, float], overlap: Overlap, voxels: int) -> tuple:
        numbers = (values[measure] for measure in Measure)
        return (name, *numbers, overlap.dice, voxels, overlap.image, overlap.reference, overlap.both)

    volume = row(VOLUME_ROW, of_volume(slices), total, sum(one.voxels for one in slices))
    of_slices = [
        row(str(index), one.values, overlap, one.voxels)
        for index, (one, overlap) in enumerate(zip(slices, overlaps, strict=True), start=1)
    ]
    title = f"Similarity of {' and '.join(pair.names)}"
    return Table(title, columns, (volume, *of_slices), _notes(pair, slices, total))


def similarity_chart(measure: Measure, values: Sequence[float], title: str = "Similarity by slice") -> Chart:
    """One measure over the slices, counted from 1.

    Args:
        values: one for each slice; NaN, and the infinite PSNR of equal slices, leave a gap.
    """
    unit = f" ({measure.unit})" if measure.unit != "1" else ""
    shown = [value if math.isfinite(value) else math.nan for value in values]
    series = Series(measure.value, shown, list(range(1, len(shown) + 1)), SYNTHETIC)
    return Chart(title, "slice", f"{measure.value}{unit}", (series,))


def _notes(pair: ScaledPair, slices: Sequence[SliceSimilarity], overlap: Overlap) -> tuple[str, ...]:
    region = "everywhere, air included" if pair.mask is None else "in the mask"
    notes = [
        f"Scaling: {pair.image.scaling.meaning} {_ranges(pair)}",
        "MSE and PSNR are computed over the voxels; SSIM and MS-SSIM are means over the slices, with Gaussian 11×11 windows.",
    ]
    if pair.mask is not None:
        notes.append(
            "Measured inside the mask: MSE and PSNR over its voxels, SSIM and MS-SSIM as means of their maps over its pixels, "
            "with windows that extend beyond it; the slices' means are weighted by these pixels."
        )
    if pair.known is not None and not pair.known.all():
        notes.append(f"Only the {100 * pair.known.mean():.1f} % of the voxels that both volumes cover were measured.")
    notes += dict.fromkeys(notes_on(pair, slices).values())
    notes.append(f"Dice: overlap of the voxels below {overlap.threshold:g} {region} (Figure 7 of the paper: 0.1, menisci).")
    if overlap.note:
        notes.append(overlap.note)
    return tuple(notes)


def _ranges(pair: ScaledPair) -> str:
    """Which intensities became 0 and 1."""
    ranges = (
        f"{name} {scaled.low:.4g} to {scaled.high:.4g}"
        for name, scaled in zip(pair.names, (pair.image, pair.reference), strict=True)
    )
    return f"(0 to 1 is {', '.join(ranges)}.)"
