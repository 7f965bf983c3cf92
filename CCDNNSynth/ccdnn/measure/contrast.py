"""How much brighter one tissue is than another in the synthetic STIR, with the interval that holds the acquired difference.

For a suspected lesion as foreground and normal marrow as background, the probability says how sure the model is that the lesion is
brighter than marrow in truth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ccdnn.measure.cnr import NO_VOXEL, TissuePair, TissueSample, tissue_name
from ccdnn.measure.table import Cell, Column, Table
from ccdnn.model.uncertainty import RegionError
from ccdnn.trust import RegionDifference

DIFFERENCE, HALF_WIDTH, PROBABILITY = "Difference synthetic", "± (95 %)", "P(f brighter than b)"

_NOTE = (
    "Difference: mean of foreground minus background in the synthetic STIR; the acquired one lies within ± of it with 95 % "
    "probability. P: probability that the foreground is brighter in the acquired STIR. Both were measured on simulated knees."
)


def with_contrast(
    table: Table,
    pairs: Sequence[TissuePair],
    synthetic: Mapping[str, TissueSample],
    half_widths: Mapping[str, TissueSample],
    error: RegionError,
    voxel_mm3: float,
) -> Table:
    """A CNR table with three more columns, before "Definition".

    Args:
        table: of `cnr_table`, with a row for each of `pairs`.
        synthetic: tissue (see `tissue_name`) → its sample in the synthetic STIR.
        half_widths: tissue → the sample of the uncertainty map at the same voxels.
        error: of a region's mean, see `ccdnn.trust.region_error_of`.
        voxel_mm3: volume of a voxel.
    """
    place = [column.name for column in table.columns].index("Definition")

    def insert(cells: Sequence, more: Sequence) -> tuple:
        return (*cells[:place], *more, *cells[place:])

    rows = []
    for pair, row in zip(pairs, table.rows, strict=True):
        names = [tissue_name(name) for name in (pair.foreground, pair.background)]
        means, widths = ([samples.get(name, NO_VOXEL) for name in names] for samples in (synthetic, half_widths))
        rows.append(insert(row, _cells(means, widths, error, voxel_mm3)))
    columns = insert(table.columns, [Column(DIFFERENCE), Column(HALF_WIDTH), Column(PROBABILITY, "1")])
    return replace(table, columns=columns, rows=tuple(rows), notes=(*table.notes, _NOTE))


def _cells(means: Sequence[TissueSample], widths: Sequence[TissueSample], error: RegionError, voxel_mm3: float) -> list[Cell]:
    """Difference, half width and probability; NaN without voxels, or if one is NaN."""
    numbers = [value for sample in (*means, *widths) for value in (sample.mean,)]
    if not all(map(math.isfinite, numbers)):
        return [math.nan] * 3
    found = RegionDifference.of(
        [sample.mean for sample in means],
        [error.deviation(width.mean, width.n * voxel_mm3) for width in widths],
    )
    low, high = found.interval
    return [found.difference, (high - low) / 2, found.brighter]
