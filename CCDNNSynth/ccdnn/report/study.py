"""A report of the volumes of one knee: what each of them is, a slice of each, and how the synthetic one was made.

Volumes are labelled by role ("T1-w", "acquired STIR") and not by their own names, which are free text and may contain a patient's
name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ccdnn.acquisition import PARAMETERS, Acquisition
from ccdnn.chart import DIFFERENCE_SHOWN
from ccdnn.errors import InputError
from ccdnn.measure.scaling import Scaling
from ccdnn.measure.table import Column, Table
from ccdnn.normalisation import robust_maximum
from ccdnn.pictures import screen_slice
from ccdnn.report.colours import COLOURS_IN_WORDS, coloured, uncertainty_limit
from ccdnn.report.content import Picture, Section
from ccdnn.report.png import diverging, grey
from ccdnn.series import plane_of
from ccdnn.trust import INTERVAL_ENTRY, UNFAMILIAR_ENTRY, typical_half_width
from ccdnn.volume import Grid, Volume

# Header entries of a synthetic volume (`ccdnn.provenance`) that contain no free text.
_SAFE_ENTRIES = {
    "CCDNN_Image": "Image",
    "CCDNN_Model": "Model",
    "CCDNN_Model_SHA256": "Model file, SHA-256",
    "CCDNN_Engine": "Made by",
    "CCDNN_Normalisation": "Normalisation",
    "CCDNN_Voxels_Outside_Inputs": "Voxels outside the inputs",
    "CCDNN_Made_Without": "Made without",
    "CCDNN_Forced": "Forced in spite of",
    UNFAMILIAR_ENTRY: "Unlike the training",
    "CCDNN_Other_Plane_T1": "T1-w interpolated from",
    "CCDNN_Other_Plane_T2": "T2-w interpolated from",
    "CCDNN_Other_Plane_GRE": "GRE interpolated from",
}
_INPUT_ENTRY = re.compile(r"CCDNN_Input_(\w+)")
# Headers of earlier versions begin with the name of the input, with the rest in parentheses.
_WITHOUT_NAME = re.compile(r"(?:^|\(|, )(covers [0-9.]+)(, voxels [0-9a-f]+)?\)?\s*$")


@dataclass(frozen=True, eq=False)
class Shown:
    """One volume of a report.

    Args:
        label: what it is, such as "acquired STIR".
        volume: its `name` appears only in a report that may identify the patient.
        acquisition: how it was acquired, as far as known.
        window: the intensities shown black and white; None for 0 and the robust maximum.
        synthetic: whether it was computed and not acquired.
    """

    label: str
    volume: Volume
    acquisition: Acquisition = field(default_factory=Acquisition)
    window: tuple[float, float] | None = None
    synthetic: bool = False


def volumes_table(items: Sequence[Shown], named: bool) -> Table:
    """A row for each volume: grid, plane and, if known, the protocol.

    Args:
        named: whether to show the volumes' own names.
    """
    columns = [Column("volume"), Column("columns × rows × slices"), Column("voxel", "mm"), Column("plane")]
    rows: list[list] = []
    for item in items:
        slices, height, width = item.volume.grid.shape
        spacing = "×".join(f"{value:.3g}" for value in item.volume.grid.spacing)
        rows.append([item.label, f"{width}×{height}×{slices}", spacing, plane_of(item.volume.ijk_to_ras)])
    for parameter in PARAMETERS:
        values = [parameter.of(item.acquisition) for item in items]
        if any(value is not None for value in values):
            columns.append(Column(parameter.label, parameter.unit))
            for row, value in zip(rows, values, strict=True):
                row.append(value)
    if named:
        columns.append(Column("name"))
        for row, item in zip(rows, items, strict=True):
            row.append(item.volume.name)
    return Table("Volumes", tuple(columns), tuple(map(tuple, rows)))


def pictures(items: Sequence[Shown], reference: Grid, index: int) -> tuple[Picture, ...]:
    """From each volume, the slice nearest to the middle of slice `index` of `reference`."""
    return tuple(_picture(item, _nearest_slice(item.volume.grid, reference, index)) for item in items)


def difference_picture(difference: np.ndarray, grid: Grid, scaling: Scaling, index: int) -> Picture:
    """Synthetic minus acquired on slice `index`.

    Args:
        difference: (slice, row, column), of the two images scaled to 0–1.
        scaling: how they were scaled to 0–1.
    """
    image, aspect = screen_slice(difference, grid, index)
    note = (
        f"slice {index + 1} of {len(difference)}, each scaled to 0–1 ({scaling.value}), shown from −{DIFFERENCE_SHOWN:g} "
        f"(blue: synthetic darker) to +{DIFFERENCE_SHOWN:g} (orange: brighter)"
    )
    return Picture("synthetic − acquired", diverging(image, DIFFERENCE_SHOWN), aspect, note, synthetic=True)


def trust_section(
    synthetic: Volume, uncertainty: Volume | None, reference: Grid, index: int, limit: float | None = None
) -> Section | None:
    """Where not to trust the synthetic STIR: a picture of its uncertainty, and what is known of it, in words.

    Args:
        uncertainty: on the grid of `synthetic`, see `ccdnn.trust`; None if the model does not estimate its error.
        reference, index: the slice to show, see `pictures`.
        limit: the half width in the lightest colour; see `uncertainty_limit` by default.

    Returns:
        None if nothing is known: no uncertainty, and a model whose card does not say what training saw.
    """
    notes, shown = [], []
    if uncertainty is not None:
        limit = limit or uncertainty_limit(synthetic.array, uncertainty.array)
        place = _nearest_slice(uncertainty.grid, reference, index)
        image, aspect = screen_slice(uncertainty.array, uncertainty.grid, place)
        note = f"slice {place + 1} of {len(uncertainty.array)}, ± (95 %) from 0 to {limit:.4g}: {COLOURS_IN_WORDS}"
        shown = [Picture("uncertainty of the synthetic STIR", coloured(image, limit), aspect, note, synthetic=True)]
        typical = typical_half_width(synthetic.array, uncertainty.array)
        notes = [
            uncertainty.metadata.get(INTERVAL_ENTRY, ""),
            f"At half of the voxels of tissue it is at most ± {typical:.2g}, in the units of the synthetic STIR.",
        ]
    if UNFAMILIAR_ENTRY in synthetic.metadata:
        notes.append(f"Unlike the images that the model learned from: {synthetic.metadata[UNFAMILIAR_ENTRY]}.")
    return Section("Where not to trust it", notes=tuple(filter(None, notes)), pictures=tuple(shown)) if notes else None


def provenance_entries(header: Mapping[str, str], named: bool) -> dict[str, str]:
    """A synthetic volume's provenance as readable text.

    Args:
        header: entries of `ccdnn.provenance.synthetic_header`, such as a file's metadata; other entries are ignored.
        named: whether to show the names of the inputs.
    """
    entries = {words: header[entry] for entry, words in _SAFE_ENTRIES.items() if entry in header}
    if named and "CCDNN_Reference" in header:
        entries["On the grid of"] = header["CCDNN_Reference"]
    for entry, text in header.items():
        role, plain = _INPUT_ENTRY.fullmatch(entry), _WITHOUT_NAME.search(text)
        if role and named:
            entries[f"Input {role[1]}"] = text
        elif role and plain:
            entries[f"Input {role[1]}"] = f"{plain[1]} of the result's voxels{plain[2] or ''}"
    return entries or {"Synthetic STIR": "The volume does not state how it was made."}


def _picture(item: Shown, index: int) -> Picture:
    volume = item.volume
    low, high = item.window or _whole_range(volume.array)
    image, aspect = screen_slice(volume.array, volume.grid, index)
    note = f"slice {index + 1} of {len(volume.array)}, {plane_of(volume.ijk_to_ras)}, shown from {low:.4g} to {high:.4g}"
    return Picture(item.label, grey(image, low, high), aspect, note, item.synthetic)


def _whole_range(array: np.ndarray) -> tuple[float, float]:
    try:
        return 0.0, robust_maximum(array)
    except InputError:  # nowhere positive, or constant
        return float(np.nanmin(array)), float(np.nanmax(array))


def _nearest_slice(grid: Grid, reference: Grid, index: int) -> int:
    """The slice of `grid` nearest to the middle of slice `index` of `reference`."""
    _slices, rows, columns = reference.shape
    middle = reference.ijk_to_ras @ [(columns - 1) / 2, (rows - 1) / 2, index, 1]
    k = (np.linalg.inv(grid.ijk_to_ras) @ middle)[2]
    return int(min(max(round(k), 0), grid.shape[0] - 1))
