"""The comparison's pictures, after the paper's Figures 5 to 8 and S3. All STIR but the acquired one are labelled as synthetic."""

from __future__ import annotations

import csv
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ccdnn.chart import ACQUIRED as BLUE
from ccdnn.chart import BLACK, GREEN, ORANGE, PURPLE, SKY_BLUE, VERMILION
from ccdnn.measure.overlap import MENISCUS_THRESHOLD
from ccdnn.measure.profile import Image
from ccdnn.writing import replacing
from ccdnn_training.evaluation.table_1 import METRICS
from ccdnn_training.studies.comparison.layout import Cell
from ccdnn_training.studies.comparison.measurements import ACQUIRED, Stirs, meniscus_surroundings, profiles_of
from ccdnn_training.studies.comparison.tables import Measured, Spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    ACQUIRED: BLUE,
    "CC-DNN": VERMILION,
    "Multimodal": GREEN,
    "Replica": PURPLE,
    "Pix2pix": SKY_BLUE,
    "U-Net": ORANGE,
}
SYNTHETIC_NOTE = "All but the acquired STIR are synthetic: computed, not measured. Research use only, not for diagnosis."

# Half the side of a magnified square, as a share of the picture's rows.
INSET = 0.11


def draw_examples(examples: Sequence[tuple[Mapping[str, Stirs], int, tuple[int, int]]], path: Path) -> None:
    """Figures 5 and 6: acquired and synthetic slices, one row per example, each with a magnified square.

    Args:
        examples: STIRs of one subject by method, the slice, and the (row, column) to magnify.
    """
    methods = list(dict.fromkeys(title for stirs, _, _ in examples for title in stirs))
    figure = _figure(2.3 * (1 + len(methods)), 2.45 * len(examples) + 0.4)
    grid = figure.subplots(len(examples), 1 + len(methods), squeeze=False)
    for axes, (stirs, index, centre) in zip(grid, examples, strict=True):
        first = next(iter(stirs.values()))
        # Fluid is by far the brightest: a window up to it would leave everything else dark.
        top = float(np.percentile(first.acquired[index], 99.5)) * 1.1
        images = {ACQUIRED: first.acquired, **{title: found.predicted for title, found in stirs.items()}}
        for axis, title in zip(axes, (ACQUIRED, *methods), strict=True):
            axis.set_axis_off()
            if title in images:
                _show(axis, images[title][index], top, centre)
        name = first.subject.name + (f", {first.subject.lesion}" if first.subject.lesion else "")
        axes[0].set_title(f"{name}, slice {index + 1}", fontsize=7, loc="left", y=-0.09)
    for axis, title in zip(grid[0], (ACQUIRED, *methods), strict=True):
        axis.annotate(title, (0.5, 1.02), xycoords="axes fraction", ha="center", fontsize=10)
    _save(figure, path)


def draw_subjects(measured: Measured, path: Path) -> None:
    """Every subject's four metrics, one line per method."""
    figure = _figure(11, 6)
    subjects = sorted({subject for method in measured.methods for subject in measured.of("MSE", method)})
    for axis, metric in zip(figure.subplots(2, 2).ravel(), METRICS, strict=True):
        for method in measured.methods:
            found = measured.of(metric.name, method)
            there = [place for place, subject in enumerate(subjects) if subject in found]
            values = [found[subjects[place]] * metric.factor for place in there]
            axis.plot(there, values, "o-", color=COLOURS[method], label=method, linewidth=1, markersize=4)
        axis.set_ylabel(metric.title)
        axis.set_xticks(range(len(subjects)), subjects, rotation=45, ha="right", fontsize=7)
        axis.grid(alpha=0.3)
    figure.axes[0].legend(fontsize=8)
    _save(figure, path, note="")


def has_structures(stirs: Mapping[str, Stirs]) -> bool:
    """Whether `draw_structures` can show this subject."""
    first = next(iter(stirs.values()))
    return meniscus_surroundings(first) is not None and profiles_of(first) is not None


def draw_structures(stirs: Mapping[str, Stirs], path: Path) -> None:
    """Figure 7: the menisci by threshold in one slice, and the profiles of a line through the joint.

    Args:
        stirs: STIRs of one subject by method; its regions have the menisci and the cartilage.
    """
    first = next(iter(stirs.values()))
    inside = meniscus_surroundings(first)
    assert inside is not None
    index = int(first.regions["meniscus"].sum(axis=(1, 2)).argmax())
    figure = _figure(2.3 * (1 + len(stirs)), 5.6)
    (upper,), (lower,) = figure.subfigures(2, 1, squeeze=False, height_ratios=(1, 1.25))
    rows, columns = np.nonzero(inside[index])
    window = slice(max(0, rows.min() - 8), rows.max() + 9), slice(max(0, columns.min() - 8), columns.max() + 9)
    images = {ACQUIRED: first.acquired, **{title: found.predicted for title, found in stirs.items()}}
    for axis, (title, image) in zip(upper.subplots(1, len(images)), images.items(), strict=True):
        axis.imshow(image[index][window], cmap="gray", vmin=0, vmax=0.35)
        axis.contour(((image[index] < MENISCUS_THRESHOLD) & inside[index])[window], [0.5], colors=COLOURS[title], linewidths=1)
        if title != ACQUIRED:
            dark = (first.acquired[index] < MENISCUS_THRESHOLD) & inside[index]
            axis.contour(dark[window], [0.5], colors=BLUE, linewidths=0.8, linestyles="dashed")
        axis.set_title(title, fontsize=9)
        axis.set_axis_off()
    upper.suptitle(f"{first.subject.name}, slice {index + 1}: below {MENISCUS_THRESHOLD:g} near the menisci", fontsize=9)
    axis = lower.subplots()
    for title, found in stirs.items():
        profiles = profiles_of(found)
        assert profiles is not None
        if title == next(iter(stirs)):
            axis.plot(profiles.line.distance, profiles.values[Image.ACQUIRED], color=BLUE, linewidth=2, label=ACQUIRED)
        axis.plot(profiles.line.distance, profiles.values[Image.SYNTHETIC], color=COLOURS[title], linewidth=1, label=title)
    axis.set_xlabel("Distance along the line, from above the joint to below (mm)")
    axis.set_ylabel("Intensity, 0–1")
    axis.legend(fontsize=8)
    axis.grid(alpha=0.3)
    _save(figure, path)


def draw_contrast(measured: Measured, path: Path) -> None:
    """Figure 8: CNR of tissue pairs, acquired and synthetic, mean and standard deviation over subjects."""
    names = [name for name in measured.names("CNR ") if measured.of(name, ACQUIRED)]
    images = (ACQUIRED, *measured.methods)
    figure = _figure(11, 4.5)
    axis = figure.subplots()
    for place, image in enumerate(images):
        found = [Spread.of(measured.of(name, image).values()) for name in names]
        x = np.arange(len(names)) + (place - (len(images) - 1) / 2) * 0.8 / len(images)
        deviations = np.nan_to_num([f.sd for f in found])
        means = [f.mean for f in found]
        axis.bar(x, means, 0.8 / len(images), yerr=deviations, color=COLOURS[image], label=image, error_kw={"linewidth": 0.8})
    axis.set_xticks(range(len(names)), [name.removeprefix("CNR ") for name in names])
    axis.set_ylabel("CNR = |mean_f − mean_b| / SD_b")
    axis.legend(fontsize=8)
    axis.grid(axis="y", alpha=0.3)
    _save(figure, path, note="")


def validation_curves(cells: Iterable[Cell]) -> dict[Cell, tuple[list[int], list[float]]]:
    """Epochs and validation errors of every cell whose method has epochs."""
    return {cell: found for cell in cells if (found := _validation_of(cell))}


def draw_validation(curves: Mapping[Cell, tuple[list[int], list[float]]], path: Path) -> None:
    """After Figure S3: the `validation_curves`, one line per fold."""
    titles = list(dict.fromkeys(cell.method.title for cell in curves))
    figure = _figure(3 * len(titles), 3.2)
    for axis, title in zip(np.atleast_1d(figure.subplots(1, len(titles), sharey=True)), titles, strict=True):
        for cell, (epochs, errors) in curves.items():
            if cell.method.title == title:
                axis.plot(epochs, errors, label=f"fold {cell.fold}", linewidth=1)
                kept = int(np.argmin(errors)) if cell.method.stop_early else -1
                axis.plot(epochs[kept], errors[kept], "o", color=BLACK, markersize=3)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("Epoch")
        axis.set_yscale("log")
        axis.grid(alpha=0.3, which="both")
    figure.axes[0].set_ylabel("Validation MSE, normalised intensities")
    figure.axes[0].legend(fontsize=7)
    _save(figure, path, note="")


def place_to_magnify(stirs: Stirs, index: int) -> tuple[int, int]:
    """Row and column of the centre of the lesion, else of the cartilage, else of the slice."""
    for region in (stirs.lesion, stirs.regions.get("cartilage")):
        if region is not None and region[index].any():
            rows, columns = np.nonzero(region[index])
            return int(np.median(rows)), int(np.median(columns))
    _, height, width = stirs.acquired.shape
    return height // 2, width // 2


def slice_to_show(stirs: Stirs) -> int:
    """The slice with most of the lesion, else of the cartilage, else the middle one."""
    for region in (stirs.lesion, stirs.regions.get("cartilage")):
        if region is not None:
            return int(region.sum(axis=(1, 2)).argmax())
    return len(stirs.acquired) // 2


def _validation_of(cell: Cell) -> tuple[list[int], list[float]] | None:
    """Epochs and errors of all starts and resumptions of a fit; None for a method without epochs."""
    found: dict[int, float] = {}
    logs = sorted((cell.run / "csv").glob("version_*"), key=lambda folder: int(folder.name.removeprefix("version_")))
    for log in logs:
        with (log / "metrics.csv").open(newline="", encoding="utf-8") as file:
            found |= {int(r["epoch"]) + 1: float(r["validation/mse"]) for r in csv.DictReader(file) if r.get("validation/mse")}
    return (sorted(found), [found[epoch] for epoch in sorted(found)]) if found else None


def _show(axis: Axes, image: np.ndarray, top: float, centre: tuple[int, int]) -> None:
    """The slice, a square drawn on it, and the square magnified in its lower right corner."""
    axis.imshow(image, cmap="gray", vmin=0, vmax=top)
    half = max(4, round(INSET * image.shape[0]))
    row, column = (int(np.clip(c, half, size - half)) for c, size in zip(centre, image.shape, strict=True))
    inset = axis.inset_axes((0.58, 0.0, 0.42, 0.42))
    inset.imshow(image[row - half : row + half, column - half : column + half], cmap="gray", vmin=0, vmax=top)
    inset.set_xticks([])
    inset.set_yticks([])
    for spine in inset.spines.values():
        spine.set_color("yellow")
    from matplotlib.patches import Rectangle

    axis.add_patch(Rectangle((column - half, row - half), 2 * half, 2 * half, fill=False, color="yellow", linewidth=0.8))


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, path: Path, note: str = SYNTHETIC_NOTE) -> None:
    if note:
        # At 7 points, 18 letters fit into an inch with room to spare; a narrow figure needs several lines.
        figure.supxlabel(textwrap.fill(note, round(18 * figure.get_figwidth())), fontsize=7)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
