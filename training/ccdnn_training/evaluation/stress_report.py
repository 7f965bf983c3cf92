"""The stress test's table and picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ccdnn.writing import replacing
from ccdnn_training.evaluation.stress import INPUT_CONTRASTS, Shown, StressScore
from ccdnn_training.reporting import markdown_table

# Measure → column title and number of digits.
COLUMNS = {
    "r": ("r", 2),
    "contrast of bone-marrow edema": ("edema kept", 2),
    "CNR of bone-marrow edema": ("edema CNR", 1),
    "contrast of ganglion": ("ganglion kept", 2),
    "fluid to fat": ("fluid : fat", 2),
    "muscle to fat": ("muscle : fat", 2),
    "marrow to fat": ("marrow : fat", 2),
    "marrow SD": ("marrow SD", 2),
    "false bright marrow": ("false bright, %", 1),
    "crescent": ("crescent", 2),
    "streaks in air": ("streaks, %", 1),
}
_PERCENT = ("false bright marrow", "streaks in air")

EXPLANATION = """\
Each row changes one thing in the inputs of otherwise unchanged studies. The figures of several models are in the order {models}.
A – marks an input that a model requires, or a change that cannot be made to these studies.

- **r**: correlation with the study's STIR in the body. **kept**: a lesion's contrast to marrow, 1 is as acquired. **CNR**: of the
  lesion to marrow.
- **fluid, muscle, marrow : fat**: their brightness relative to fat, divided by the same in the acquired STIR; 1 is as acquired.
- **marrow SD**: of healthy marrow, divided by the acquired one. **false bright**: healthy marrow brighter than half an edema's
  contrast where the acquired STIR is not.
- **crescent**: what the change adds to marrow within 6 pixels of its border (99th percentile), relative to an edema's contrast.
- **streaks**: how far air 6 to 20 pixels outside the skin deviates from its median (99th percentile), relative to the body's
  99.5th percentile.
"""


def stress_table(scores: Sequence[StressScore], models: Sequence[str], changes: Iterable[str]) -> str:
    """Means over the subjects, one row per change."""
    found = {score.measure for score in scores}
    columns = {measure: column for measure, column in COLUMNS.items() if measure in found}
    values: dict[tuple[str, str, str], list[float]] = {}
    for score in scores:
        values.setdefault((score.change, score.model, score.measure), []).append(score.value)
    rows = []
    for change in changes:
        cells = [change]
        for measure, (_, digits) in columns.items():
            texts = [_mean_text(values.get((change, model, measure), []), digits, measure in _PERCENT) for model in models]
            cells.append(" / ".join(texts) if set(texts) != {"–"} else "–")
        rows.append(cells)
    return markdown_table(("change", *(title for title, _ in columns.values())), rows)


def _mean_text(values: Sequence[float], digits: int, percent: bool) -> str:
    finite = [value for value in values if np.isfinite(value)]
    return f"{np.mean(finite) * (100 if percent else 1):.{digits}f}" if finite else "–"


def draw(shown: Sequence[Shown], models: Sequence[str], path: Path) -> None:
    """One row per change: the inputs, the reference STIR, and each model's result."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = [*INPUT_CONTRASTS, "STIR", *models]
    figure = Figure(figsize=(1.45 * len(columns) + 1.2, 1.5 * len(shown) + 0.6), dpi=80)
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(shown), len(columns), squeeze=False)
    for axes, row in zip(grid, shown, strict=True):
        top = float(np.percentile(row.stir, 99.7))
        images = {**row.inputs, "STIR": row.stir, **row.results}
        for axis, column in zip(axes, columns, strict=True):
            axis.set_axis_off()
            if column in images:
                image = images[column]
                limit = top if column not in INPUT_CONTRASTS else max(float(np.percentile(image, 99.5)), 1e-6)
                axis.imshow(image, cmap="gray", vmin=0, vmax=limit, interpolation="antialiased")
            else:
                axis.text(0.5, 0.5, "–", ha="center", va="center", transform=axis.transAxes)
        axes[0].set_title(row.change, fontsize=7, loc="left", pad=2)
    for axis, column in zip(grid[0], columns, strict=True):
        axis.text(0.5, 1.22, column, ha="center", fontsize=8, transform=axis.transAxes)
    note = "Models' images are synthetic: computed, not measured. Research use only, not for diagnosis."
    figure.text(0.01, 0.003, note, fontsize=7)
    figure.tight_layout(pad=0.3, rect=(0, 0.008, 1, 0.99))
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
