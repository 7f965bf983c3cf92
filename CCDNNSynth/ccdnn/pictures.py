"""Pictures of volumes for print and the README. The only module that uses matplotlib, which is loaded when needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ccdnn.chart import BLACK, DIFFERENCE_SHOWN, LESS, MORE
from ccdnn.errors import InputError
from ccdnn.measure.scaling import TISSUE_FOREGROUND, TISSUE_PERCENTILE
from ccdnn.normalisation import robust_maximum
from ccdnn.volume import Grid, Volume, require_same_grid
from ccdnn.writing import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

_BACKGROUND = "#0d1117"
_TEXT = "#e6edf3"
_FAINT = "#8b949e"
_ACCENT = "#ffb454"

# The few voxels of fluid would dominate the window of a STIR; readers lower it to about this many times muscle.
_STIR_WINDOW = 2.2

# Radiological orientation: (towards the right of the picture, towards its bottom), by the axis slices are stacked along.
_SCREEN_AXES = {
    "R": (np.array([0, -1, 0]), np.array([0, 0, -1])),  # sagittal: posterior to the right, inferior down
    "A": (np.array([-1, 0, 0]), np.array([0, 0, -1])),  # coronal: the patient's left to the right, inferior down
    "S": (np.array([-1, 0, 0]), np.array([0, -1, 0])),  # axial: the patient's left to the right, posterior down
}


@dataclass(frozen=True)
class Panel:
    """One image of a comparison.

    Args:
        volume: intensities scaled to 0–1.
        title, subtitle: what it is; the subtitle is smaller.
        accent: whether to highlight the title, for synthetic images.
        top: the intensity shown white.
        difference: drawn in a diverging colour map around 0, with a colour bar.
    """

    volume: Volume
    title: str
    subtitle: str = ""
    accent: bool = False
    top: float = 1.0
    difference: bool = False


def screen_slice(array: np.ndarray, grid: Grid, index: int) -> tuple[np.ndarray, float]:
    """A slice in radiological orientation, and the ratio of its pixel's height to its width.

    Args:
        array: (slice, row, column).
        index: which slice.
    """
    directions = grid.ijk_to_ras[:3, :3] / grid.spacing
    stacked_along = "RAS"[int(np.abs(directions[:, 2]).argmax())]
    right, down = _SCREEN_AXES[stacked_along]
    image, (width, height, _) = array[index], grid.spacing
    column, row = directions[:, 0], directions[:, 1]
    if abs(column @ right) < abs(row @ right):
        image, (width, height), (column, row) = image.T, (height, width), (row, column)
    image = image[:, ::-1] if column @ right < 0 else image
    image = image[::-1] if row @ down < 0 else image
    return image, height / width


def stir_top(array: np.ndarray) -> float:
    """The intensity of a STIR volume to show as white, with 0 black; volumes in different units then look alike.

    Raises:
        InputError: the volume has no scale, see `ccdnn.normalisation.robust_maximum`.
    """
    return _STIR_WINDOW * robust_maximum(array, TISSUE_PERCENTILE, TISSUE_FOREGROUND)


def draw_comparison(rows: Sequence[Sequence[Panel]], index: int, heading: str, footer: str = "") -> Figure:
    """Slice `index` of every panel, in rows, on a dark page.

    Raises:
        InputError: the volumes lie on different grids, or matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError('Pictures need matplotlib; install it with: pip install "ccdnnsynth[pictures]".') from error
    panels = [panel for row in rows for panel in row]
    grid = require_same_grid(*(panel.volume for panel in panels))
    columns = max(len(row) for row in rows)
    image, aspect = screen_slice(panels[0].volume.array, grid, index)
    # Inches. The page is as wide as its panels, whose height follows from the slice.
    edge, gap, panel_width, head, caption, foot = 0.16, 0.1, 3.9, 0.6, 0.5, 0.45
    panel_height = panel_width * aspect * image.shape[0] / image.shape[1]
    width = 2 * edge + columns * panel_width + (columns - 1) * gap
    height = head + len(rows) * (panel_height + caption) + foot
    with mpl.rc_context({"text.color": _TEXT, "font.family": "sans-serif"}):
        figure = Figure(figsize=(width, height), facecolor=_BACKGROUND)

        def write(x: float, y: float, text: str, **style: Any) -> None:
            figure.text(x / width, 1 - y / height, text, va="center", **style)

        write(edge, 0.55 * head, heading, fontsize=17, fontweight="bold")
        write(edge, height - 0.5 * foot, footer, fontsize=11, color=_FAINT)
        for r, row in enumerate(rows):
            top = head + r * (panel_height + caption)
            for c, panel in enumerate(row):
                left = edge + c * (panel_width + gap)
                box = (left, height - top - caption - panel_height, panel_width, panel_height)
                _draw_panel(figure.add_axes((box[0] / width, box[1] / height, box[2] / width, box[3] / height)), panel, index)
                write(left, top + 0.55 * caption, panel.title, fontsize=14.5, color=_ACCENT if panel.accent else _TEXT)
                write(left + panel_width, top + 0.55 * caption, panel.subtitle, fontsize=11, color=_FAINT, ha="right")
    return figure


def save_picture(figure: Figure, path: Path, dots_per_inch: int = 125) -> None:
    """Write a PNG, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=dots_per_inch, format="png", facecolor=figure.get_facecolor())


def difference_colours() -> Colormap:
    """The colour map of a difference image, from −1 (less) to black to +1 (more), of `ccdnn.chart`."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("difference", [LESS, BLACK, MORE])


def _draw_panel(axes: Axes, panel: Panel, index: int) -> None:
    image, aspect = screen_slice(panel.volume.array, panel.volume.grid, index)
    axes.set_axis_off()
    if not panel.difference:
        axes.imshow(image, cmap="gray", vmin=0, vmax=panel.top, aspect=aspect, interpolation="bilinear")
        return
    limit = DIFFERENCE_SHOWN
    drawn = axes.imshow(image, cmap=difference_colours(), vmin=-limit, vmax=limit, aspect=aspect, interpolation="bilinear")
    inset = axes.inset_axes((0.93, 0.06, 0.022, 0.4))
    bar = axes.figure.colorbar(drawn, cax=inset, ticks=[-limit, 0, limit])
    bar.outline.set_visible(False)
    inset.yaxis.set_ticks_position("left")
    inset.set_yticklabels([f"−{limit:.2f}", "0", f"+{limit:.2f}"], fontsize=11, color=_TEXT)
    inset.tick_params(length=0)
