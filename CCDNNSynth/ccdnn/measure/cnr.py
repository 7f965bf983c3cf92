"""Contrast-to-noise ratio between two tissues (Eq. 11 and Figure 8 of the paper).

The paper prints CNR(f, b) = (mean_f + mean_b) / SD_b. With a plus, two tissues of equal brightness would have a high CNR, so the
default here is the difference; the printed form stays selectable and is named as such wherever its numbers appear.
SD is the sample standard deviation (n − 1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from ccdnn.errors import InputError
from ccdnn.measure.table import Measurement


class CnrForm(str, Enum):
    """Which formula."""

    DIFFERENCE = "difference"
    PRINTED = "printed"
    POOLED = "pooled"

    @property
    def formula(self) -> str:
        return _FORMULAS[self]


_FORMULAS = {
    CnrForm.DIFFERENCE: "|mean_f − mean_b| / SD_b",
    CnrForm.PRINTED: "(mean_f + mean_b) / SD_b, as printed in Eq. 11",
    CnrForm.POOLED: "|mean_f − mean_b| / sqrt((SD_f² + SD_b²) / 2)",
}


@dataclass(frozen=True)
class TissuePair:
    """Foreground and background of a CNR, by the names of the label map."""

    foreground: str
    background: str

    def __str__(self) -> str:
        return f"{self.foreground}–{self.background}"


# Figure 8. "Bone" is bone marrow: the cortex gives no signal and would be a background of mere noise.
PAPER_PAIRS = (
    TissuePair("cartilage", "bone"),
    TissuePair("cartilage", "meniscus"),
    TissuePair("muscle", "bone"),
    TissuePair("muscle", "fat"),
    TissuePair("muscle", "meniscus"),
)


def cnr(
    foreground: np.ndarray,
    background: np.ndarray,
    form: CnrForm = CnrForm.DIFFERENCE,
    *,
    name: str = "CNR",
    measured_on: str = "image",
) -> Measurement:
    """CNR between the voxels of two regions.

    Args:
        foreground, background: voxel values of the regions, any shape.
        form: the formula.
        name, measured_on: for the row.

    Returns:
        A row without unit; n counts the voxels of both regions. NaN, with a note in one sentence, where a region is empty, the
        SD needs a second voxel, or the SD is 0.
    """
    f, b = (np.asarray(values, np.float64).ravel() for values in (foreground, background))
    row = {"name": name, "unit": "1", "measured_on": measured_on, "method": f"CNR = {form.formula}", "n": f.size + b.size}
    problem = _too_few(f, b, form)
    if problem:
        return Measurement(value=float("nan"), note=problem, **row)
    noise = float(np.sqrt((f.var(ddof=1) + b.var(ddof=1)) / 2)) if form is CnrForm.POOLED else float(b.std(ddof=1))
    signal = f.mean() + b.mean() if form is CnrForm.PRINTED else abs(f.mean() - b.mean())
    if not np.isfinite(signal) or not np.isfinite(noise):
        return Measurement(value=float("nan"), note="A region holds NaN or infinite voxels; mend or mask them first.", **row)
    # A constant region may leave an SD of the last float digit instead of 0; a ratio to that would be rounding, not contrast.
    if noise <= 1e-9 * max(abs(f.mean()), abs(b.mean()), 1e-30):
        return Measurement(
            value=float("nan"), note="The background does not vary (SD 0), so no ratio to its noise exists; choose another.", **row
        )
    return Measurement(value=float(signal / noise), **row)


def cnr_of_pairs(
    image: np.ndarray,
    labels: np.ndarray,
    names: Mapping[str, int | Sequence[int]],
    *,
    pairs: Sequence[TissuePair] = PAPER_PAIRS,
    form: CnrForm = CnrForm.DIFFERENCE,
    measured_on: str = "image",
) -> list[Measurement]:
    """CNR of tissue pairs, one row a pair, regions taken from a label map.

    Args:
        image, labels: (slice, row, column) on one grid.
        names: tissue name → its label value, or values where a tissue has several.

    Raises:
        InputError: the label map has another shape than the image, or a pair asks for a name that `names` lacks.
    """
    if image.shape != labels.shape:
        raise InputError(
            f"The label map ({labels.shape}) and the image ({image.shape}) lie on different grids; resample one first."
        )
    missing = sorted({name for pair in pairs for name in (pair.foreground, pair.background)} - set(names))
    if missing:
        raise InputError(f"The label map has no tissue named {', '.join(missing)}; it has {', '.join(sorted(names))}.")
    regions = {
        name: image[np.isin(labels, names[name])] for name in {n for pair in pairs for n in (pair.foreground, pair.background)}
    }
    return [
        cnr(regions[pair.foreground], regions[pair.background], form, name=f"CNR {pair}", measured_on=measured_on) for pair in pairs
    ]


def _too_few(foreground: np.ndarray, background: np.ndarray, form: CnrForm) -> str:
    if foreground.size == 0:
        return "The foreground region holds no voxel; draw or choose another."
    if background.size == 0:
        return "The background region holds no voxel; draw or choose another."
    if background.size < 2 or (form is CnrForm.POOLED and foreground.size < 2):
        return "A region of one voxel has no standard deviation; draw a larger one."
    return ""
