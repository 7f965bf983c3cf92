"""All that can be measured on the images of one knee: CNR between tissues, profiles along a line, similarity of the two STIRs.

`ccdnn measure`, `ccdnn demo` and `ccdnn.measure` in Python all measure here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np

from ccdnn.errors import InputError
from ccdnn.measure.cnr import PAPER_PAIRS, CnrForm, TissuePair, cnr_chart, cnr_table, samples_of, tissue_name, tissue_voxels
from ccdnn.measure.contrast import with_contrast
from ccdnn.measure.labels import Labels
from ccdnn.measure.overlap import MENISCUS_THRESHOLD, overlap_measurement
from ccdnn.measure.profile import Image, measure_profiles, profile_chart, profile_table, profile_values
from ccdnn.measure.scaling import Scaling
from ccdnn.measure.similarity import Measure, measurements, scaled_pair, similarity_by_slice
from ccdnn.measure.similarity_table import overlap_by_slice, similarity_chart, similarity_table
from ccdnn.measure.table import Table, table_of
from ccdnn.patient import difference_of_patients, require_one_patient
from ccdnn.report.content import Section
from ccdnn.resample import resample_onto
from ccdnn.trust import region_error_of
from ccdnn.volume import Grid, Volume

# A message lists no more labels than this.
LISTED_LABELS = 12

_STIRS = {Image.ACQUIRED: "acquired", Image.SYNTHETIC: "synthetic"}


@dataclass(frozen=True, eq=False)
class Images:
    """The images to measure on, at least one of the two STIRs among them; see `on_one_grid`.

    Args:
        own: the volumes on their own grids.
        shared: the STIRs on one grid, the acquired one's if present.
        known: mask of the grid's voxels that the synthetic STIR covers; None for all.
        labels: the tissues, on that grid; None if there are none.
        uncertainty: half the width of the 95 % interval of the synthetic STIR, on its own grid and on the shared one; None if it is
            not known.
        remark: a sentence on the resampling; "" if there was none.
        warnings: what may be wrong with the images, a sentence each.
    """

    own: Mapping[Image, Volume]
    shared: Mapping[Image, Volume]
    known: np.ndarray | None = None
    labels: Labels | None = None
    uncertainty: tuple[Volume, Volume] | None = None
    remark: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def grid(self) -> Grid:
        return (self.shared.get(Image.ACQUIRED) or self.shared[Image.SYNTHETIC]).grid

    @property
    def are_a_pair(self) -> bool:
        return Image.ACQUIRED in self.shared and Image.SYNTHETIC in self.shared


@dataclass(frozen=True, eq=False)
class Measurements:
    """What was measured.

    Args:
        sections: the tables and charts of each kind of measurement.
        notes: what was done that a reader should know, a sentence each. Each table has notes of its own.
        warnings: what may be wrong, a sentence each.
    """

    sections: tuple[Section, ...]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def tables(self) -> dict[str, Table]:
        """Title → table."""
        return {table.title: table for section in self.sections for table in section.tables}


def on_one_grid(
    volumes: Mapping[Image, Volume], labels: Labels | None = None, uncertainty: Volume | None = None, *, force: bool = False
) -> Images:
    """The volumes, with the synthetic STIR and the labels on the acquired STIR's grid, or the labels on that of the only STIR.

    Args:
        labels: the tissues, on a grid with the same voxels.
        uncertainty: of the synthetic STIR, see `ccdnn.trust`.
        force: continue even if the volumes are of different patients; a warning then says so.

    Raises:
        InputError: there is no STIR, the two STIRs do not overlap, the labels lie on another grid, or the uncertainty is not
            that of the synthetic STIR.
        DifferentPatients: the volumes are of different patients.
    """
    if not any(image in volumes for image in _STIRS):
        raise InputError("No STIR was given; give the acquired or the synthetic one, or both to compare them.")
    if not force:
        require_one_patient(volumes.values())
    difference = difference_of_patients(volumes.values())
    warnings = [f"The measurement was forced: {difference}."] if difference else []
    warnings += [warning for volume in volumes.values() for warning in volume.warnings]
    warnings += labels.volume.warnings if labels else ()
    images = _resampled(volumes)
    placed = _placed(uncertainty, volumes, images.grid) if uncertainty is not None else None
    return replace(images, labels=labels.on(images.grid) if labels else None, uncertainty=placed, warnings=tuple(warnings))


def _placed(uncertainty: Volume, volumes: Mapping[Image, Volume], grid: Grid) -> tuple[Volume, Volume]:
    region_error_of(uncertainty.metadata, uncertainty.name)
    synthetic = volumes.get(Image.SYNTHETIC)
    if synthetic is None or not uncertainty.grid.same_as(synthetic.grid):
        raise InputError(
            f"{uncertainty.name} is not on the grid of the synthetic STIR; give the uncertainty that was written with it."
        )
    return uncertainty, resample_onto(uncertainty, grid).volume


def _resampled(volumes: Mapping[Image, Volume]) -> Images:
    if not all(image in volumes for image in _STIRS):
        return Images(volumes, volumes)
    acquired, synthetic = volumes[Image.ACQUIRED], volumes[Image.SYNTHETIC]
    resampled = resample_onto(synthetic, acquired.grid)
    if not resampled.changed:
        return Images(volumes, volumes)
    remark = (
        f"The synthetic STIR ({synthetic.grid}) was resampled onto the grid of the acquired one ({acquired.grid}), of which it "
        f"covers {resampled.coverage:.1%}."
    )
    return Images(volumes, {**volumes, Image.SYNTHETIC: resampled.volume}, resampled.covered, remark=remark)


def measure_images(
    images: Images,
    *,
    pairs: Sequence[TissuePair] = PAPER_PAIRS,
    form: CnrForm = CnrForm.DIFFERENCE,
    line: np.ndarray | None = None,
    scaling: Scaling = Scaling.TISSUE,
    mask: str | None = None,
    threshold: float = MENISCUS_THRESHOLD,
) -> Measurements:
    """Measure all that the images allow: CNR with labels, profiles with a line, similarity with both STIRs.

    Args:
        pairs, form: for the CNR, see `cnr_table`.
        line: (n, 3) corners in mm RAS.
        scaling: how the two STIRs are scaled to 0–1 to measure their similarity.
        mask: the label inside which the similarity is measured; None for everywhere.
        threshold: for the Dice overlap, on images scaled to 0–1.

    Returns:
        No section where there is nothing to measure.

    Raises:
        InputError: nothing can be measured with the labels; or the line, the mask or an image is unusable, see `cnr_table`,
            `measure_profiles` and `scaled_pair`.
    """
    sections = [
        *_cnr(images, pairs, form, required=mask is None),
        *_profiles(images, line),
        *_similarity(images, scaling, mask, threshold),
    ]
    return Measurements(tuple(sections), (images.remark,) if images.remark else (), images.warnings)


def _cnr(images: Images, pairs: Sequence[TissuePair], form: CnrForm, required: bool) -> Iterator[Section]:
    """The CNR of the pairs. If it is `required`, a table without a single number is an error."""
    if images.labels is None:
        return
    arrays = {name: images.shared[image].array for image, name in _STIRS.items() if image in images.shared}
    table = cnr_table(arrays, images.labels.regions(), pairs, form)
    measured = np.array([table.column(f"CNR {name}") for name in arrays], dtype=float)
    if required and not np.isfinite(measured).any():
        raise InputError(_why_no_cnr(images.labels, pairs, table))
    chart = cnr_chart(table)
    if images.uncertainty is not None:
        table = _with_contrast(images, table, pairs)
    yield Section("Contrast-to-noise ratio", (table,), (chart,))


def _with_contrast(images: Images, table: Table, pairs: Sequence[TissuePair]) -> Table:
    assert images.labels is not None and images.uncertainty is not None
    half_widths, voxels = images.uncertainty[1], tissue_voxels(images.labels.regions())
    synthetic, widths = (samples_of(volume.array, voxels) for volume in (images.shared[Image.SYNTHETIC], half_widths))
    error = region_error_of(half_widths.metadata, half_widths.name)
    return with_contrast(table, pairs, synthetic, widths, error, float(np.prod(images.grid.spacing)))


def _why_no_cnr(labels: Labels, pairs: Sequence[TissuePair], table: Table) -> str:
    known = {tissue_name(name) for name in labels.values}
    for pair, note in zip(pairs, table.column("Note"), strict=True):
        if {tissue_name(pair.foreground), tissue_name(pair.background)} <= known:
            return f"No CNR can be measured with {labels.volume.name}: {note}"
    names = ", ".join(list(labels.values)[:LISTED_LABELS]) + (", …" if len(labels.values) > LISTED_LABELS else "")
    return (
        f"{labels.volume.name} has no pair of tissues to measure: its labels are {names or 'all 0'}, but the pairs are "
        f"{', '.join(map(str, pairs))}; give the names of the labels (--names) or other pairs (--pairs)."
    )


def _profiles(images: Images, line: np.ndarray | None) -> Iterator[Section]:
    if line is None:
        return
    profiles = measure_profiles(images.own, line, uncertainty=images.uncertainty[0] if images.uncertainty else None)
    tables = (profile_table(profiles), profile_values(profiles))
    yield Section("Line profiles", tables, (profile_chart(profiles, scaled=True),))


def _similarity(images: Images, scaling: Scaling, mask: str | None, threshold: float) -> Iterator[Section]:
    if mask is not None and (images.labels is None or not images.are_a_pair):
        raise InputError("A mask is a label inside which two STIRs are compared; it needs both STIRs and labels (--labels).")
    if not images.are_a_pair:
        return
    pair = scaled_pair(
        images.shared[Image.SYNTHETIC].array,
        images.shared[Image.ACQUIRED].array,
        scaling,
        names=(Image.SYNTHETIC.value, Image.ACQUIRED.value),
        mask=images.labels.mask(mask) if images.labels and mask is not None else None,
        known=images.known,
    )
    slices, overlaps = list(similarity_by_slice(pair)), overlap_by_slice(pair, threshold)
    of_slices = similarity_table(pair, slices, overlaps)
    words = " against ".join(pair.names)
    overlap = overlap_measurement(reduce(add, overlaps), words, f"of “{mask}”" if mask else "of the volume")
    of_volume = table_of([*measurements(pair, slices, words), overlap], "Similarity")
    charts = (
        similarity_chart(measure, [one.values[measure] for one in slices], f"{measure.value} by slice") for measure in Measure
    )
    yield Section("Image similarity", (replace(of_volume, notes=of_slices.notes), of_slices), tuple(charts))
