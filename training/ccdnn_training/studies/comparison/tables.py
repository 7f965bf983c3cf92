"""The comparison's tables, from the rows that were measured.

A subject counts once in every mean: its measurements from several folds (a subject with a lesion is predicted by the methods of all
folds) are averaged first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ccdnn.measure.table import Cell, Column, Table
from ccdnn_training.evaluation.significance import signed_rank_p, stars
from ccdnn_training.evaluation.table_1 import FIGURES, METRICS, Metric
from ccdnn_training.reporting import markdown_table
from ccdnn_training.studies.comparison.cells import FitRecord
from ccdnn_training.studies.comparison.figures_of_paper import CNR_RATIOS, SECONDS_A_SLICE
from ccdnn_training.studies.comparison.layout import Cell as StudyCell
from ccdnn_training.studies.comparison.measurements import (
    ACQUIRED,
    BRIGHT_SHARE,
    DICE,
    LESION_CONTRAST,
    LESION_ERROR,
    LESION_SIGNAL,
    PROFILE_NUMBERS,
    REST_PSNR,
    SCALED_PSNR,
    SMOOTHED_SSIM,
    Row,
)
from ccdnn_training.studies.comparison.methods.catalog import METHODS
from ccdnn_training.studies.comparison.timing import SliceTime

AGAINST = METHODS["cc-dnn"].title


class Measured:
    """All rows, looked up by name, image and subject."""

    def __init__(self, rows: Iterable[Row]) -> None:
        values: dict[tuple[str, str], dict[str, list[float]]] = {}
        self._lesions: dict[str, str] = {}
        for row in rows:
            self._lesions[row.subject] = row.lesion
            if math.isfinite(row.value):
                values.setdefault((row.name, row.image), {}).setdefault(row.subject, []).append(row.value)
        self._values = {key: {s: float(np.mean(found)) for s, found in of.items()} for key, of in values.items()}

    @property
    def methods(self) -> list[str]:
        """The titles of the methods that have been measured, in the order of `METHODS`."""
        there = {image for _, image in self._values}
        return [method.title for method in METHODS.values() if method.title in there]

    def lesions(self) -> list[str]:
        """The subjects' lesions, each once."""
        return sorted({lesion for lesion in self._lesions.values() if lesion})

    def names(self, start: str) -> list[str]:
        """The names that begin with `start`, in the order of the rows."""
        return list(dict.fromkeys(name for name, _ in self._values if name.startswith(start)))

    def of(self, name: str, image: str, lesion: str = "") -> dict[str, float]:
        """Subject → value, of subjects with that lesion, or without any."""
        return {s: v for s, v in self._values.get((name, image), {}).items() if self._lesions[s] == lesion}

    def pairs(self, name: str, first: str, second: str, lesion: str = "") -> tuple[np.ndarray, np.ndarray]:
        """The values of two images of the same subjects."""
        one, other = self.of(name, first, lesion), self.of(name, second, lesion)
        shared = [subject for subject in one if subject in other]
        return np.array([one[s] for s in shared]), np.array([other[s] for s in shared])


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation (n − 1) over subjects."""

    mean: float
    sd: float
    n: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        found = np.array(list(values), np.float64)
        mean = float(found.mean()) if found.size else math.nan
        return cls(mean, float(found.std(ddof=1)) if found.size > 1 else math.nan, found.size)

    def text(self, digits: int) -> str:
        return Metric("", "", digits).text(self.mean, self.sd)


def quality_table(measured: Measured) -> Table:
    """Table 1, with the paper's row under each of ours."""
    rows = []
    for method in measured.methods:
        cells: list[Cell] = [method, len(measured.of("MSE", method))]
        for metric in METRICS:
            found = Spread.of(measured.of(metric.name, method).values())
            mark = "" if method == AGAINST else stars(signed_rank_p(*measured.pairs(metric.name, AGAINST, method)))
            cells.append(metric.text(found.mean, found.sd) + mark.replace("*", "\\*"))
        rows.append(tuple(cells))
        if method in FIGURES:
            paper = (metric.text(*FIGURES[method][metric.name]) for metric in METRICS)
            rows.append((f"*{method}, the paper's*", 12, *(f"*{text}*" for text in paper)))
    columns = (Column("method"), Column("n"), *(Column(metric.title) for metric in METRICS))
    return Table("Quality of synthetic STIR", columns, tuple(rows))


def margin_table(measured: Measured) -> Table:
    """How far CC-DNN is ahead of each other method, subject by subject, with the paper's difference of means."""
    rows = []
    for method in (title for title in measured.methods if title != AGAINST):
        for metric in METRICS:
            ours, other = measured.pairs(metric.name, AGAINST, method)
            if not ours.size:
                continue
            ahead = metric.ahead(ours, other)
            lead, p = Spread.of(ahead), signed_rank_p(ours, other)
            paper = "–"
            if method in FIGURES:
                of_paper = (np.float64(FIGURES[which][metric.name][0]) for which in (AGAINST, method))
                paper = metric.text(float(metric.ahead(*of_paper)), math.nan, "+")
            count = f"{int((ahead > 0).sum())} of {lead.n}"
            rows.append((method, metric.title, metric.text(lead.mean, lead.sd, "+"), count, _p_text(p), paper))
    columns = ("method", "metric", f"{AGAINST} ahead by", "in subjects", "P", "the paper's means")
    return Table(f"{AGAINST} against the others", tuple(map(Column, columns)), tuple(rows))


def error_table(measured: Measured) -> Table:
    """Where Table 1's errors lie: in the few brightest voxels, in the scale of the whole image, or elsewhere."""
    metrics = (
        Metric("PSNR", "PSNR (dB)", 2),
        Metric(BRIGHT_SHARE, f"{BRIGHT_SHARE} (%)", 0, factor=100),
        Metric(REST_PSNR, f"{REST_PSNR} (dB)", 2),
        Metric(SCALED_PSNR, f"{SCALED_PSNR} (dB)", 2),
    )
    rows = []
    for method in measured.methods:
        found = (Spread.of(measured.of(metric.name, method).values()) for metric in metrics)
        rows.append((method, *(metric.text(spread.mean, spread.sd) for metric, spread in zip(metrics, found, strict=True))))
    return Table("Where the errors lie", (Column("method"), *(Column(metric.title) for metric in metrics)), tuple(rows))


def smoothness_table(measured: Measured) -> Table:
    """SSIM before and after smoothing all methods' images alike, and how far CC-DNN is ahead after smoothing."""
    rows = []
    for method in measured.methods:
        texts = [Spread.of(measured.of(name, method).values()).text(3) for name in ("SSIM", SMOOTHED_SSIM)]
        ours, other = measured.pairs(SMOOTHED_SSIM, AGAINST, method)
        lead = Spread.of(ours - other)
        against = (Metric("SSIM", "", 3).text(lead.mean, lead.sd, "+"), _p_text(signed_rank_p(ours, other)))
        rows.append((method, *texts, *(("–", "–") if method == AGAINST else against)))
    columns = ("method", "SSIM", SMOOTHED_SSIM, f"{AGAINST} ahead by, both smoothed", "P")
    return Table("SSIM and smoothness", tuple(map(Column, columns)), tuple(rows))


def lesion_table(measured: Measured, lesion: str) -> Table:
    """Figure 6 in numbers: the lesion's CNR to marrow in the acquired and each synthetic STIR, and the lesion's error.

    The CNR is unsigned; the contrast is signed: 1 is as acquired, 0 invisible, negative a dark lesion.
    """
    (name, *_) = [n for n in measured.names("CNR ") if measured.of(n, ACQUIRED, lesion)] or ["CNR"]
    rows: list[tuple[Cell, ...]] = []
    for image in (ACQUIRED, *measured.methods):
        found = measured.of(name, image, lesion)
        rows.append(
            (
                image,
                len(found),
                Spread.of(found.values()).text(2),
                Spread.of(measured.of(LESION_CONTRAST, image, lesion).values()).text(2),
                *(Spread.of(measured.of(what, image, lesion).values()).text(3) for what in (LESION_ERROR, LESION_SIGNAL)),
            )
        )
    columns = (
        "STIR",
        "n",
        name,
        "contrast to bone, of the acquired",
        "mean absolute error in it",
        "mean synthetic / mean acquired",
    )
    return Table(f"Subjects with {lesion}", tuple(map(Column, columns)), tuple(rows))


def structure_table(measured: Measured) -> Table:
    """Figure 7 in numbers: overlap of the menisci by threshold, and the profile of a line through the joint."""
    rows = tuple(
        (method, *(Spread.of(measured.of(name, method).values()).text(3) for name in (DICE, *PROFILE_NUMBERS)))
        for method in measured.methods
    )
    columns = ("method", "Dice of the menisci", *(f"profile: {name}" for name in PROFILE_NUMBERS))
    return Table("Menisci and line profiles", tuple(map(Column, columns)), rows)


def cnr_table(measured: Measured) -> Table:
    """Figure 8 in numbers; ratios are CC-DNN's mean divided by the acquired one's."""
    rows = []
    for name in (n for n in measured.names("CNR ") if measured.of(n, ACQUIRED)):
        means = {image: Spread.of(measured.of(name, image).values()) for image in (ACQUIRED, *measured.methods)}
        ratio = means[AGAINST].mean / means[ACQUIRED].mean if AGAINST in means else math.nan
        paper = CNR_RATIOS.get(name)
        rows.append(
            (
                name.removeprefix("CNR "),
                *(found.text(2) for found in means.values()),
                f"{ratio:.2f}",
                f"{paper:g}" if paper else "–",
            )
        )
    columns = ("pair", ACQUIRED, *measured.methods, f"{AGAINST} / {ACQUIRED}", "the paper's")
    return Table("CNR between tissues", tuple(map(Column, columns)), tuple(rows))


def time_table(times: Sequence[SliceTime]) -> Table:
    """The time of every method for a slice, and its multiple of CC-DNN's on the same device."""
    ours = {found.device: found.median_ms for found in times if found.method == AGAINST}
    rows = tuple(
        (
            found.method,
            f"{found.median_ms:.1f}",
            f"{found.fastest_ms:.1f}–{found.slowest_ms:.1f}",
            f"{found.median_ms / ours[found.device]:.2f}" if found.device in ours else "–",
            found.device,
        )
        for found in times
    )
    size, runs = f"{times[0].columns} × {times[0].rows}", times[0].runs
    note = (
        f"{size} pixels, networks in plain float32, {runs} interleaved runs of each. "
        f"The paper: {SECONDS_A_SLICE:g} s for CC-DNN at 384 × 384 on a GeForce GTX 1080 Ti."
    )
    columns = ("method", "median ms per slice", "fastest–slowest", f"of {AGAINST}'s", "on")
    return Table("Time for a slice", tuple(map(Column, columns)), rows, (note,))


def cost_table(records: Mapping[StudyCell, FitRecord]) -> Table:
    """The cost of the fits, method by method."""
    rows = []
    for method in METHODS.values():
        found = [record for cell, record in records.items() if cell.method is method]
        if found:
            hours = sum(record.seconds for record in found) / 3600
            progress = "; ".join(dict.fromkeys(_without_kept(record.progress) for record in found))
            devices = ", ".join(dict.fromkeys(record.device for record in found))
            peak = max(record.peak_gigabytes for record in found)
            codes = ", ".join(dict.fromkeys(record.code for record in found))
            rows.append((method.title, len(found), progress, f"{hours:.2f}", devices, f"{peak:.1f}", codes))
    columns = ("method", "fits", "each", "hours in all", "on", "peak memory (GB)", "code")
    note = "Hours of fitting and validation. Memory: of the GPU; without one, of the process, including earlier fits in it."
    return Table("What the fits took", tuple(map(Column, columns)), tuple(rows), (note,))


def markdown(table: Table) -> str:
    """The table as Markdown, its notes below."""
    headings = (column.heading for column in table.columns)
    return "\n".join([markdown_table(headings, table.rows), *(f"{note}\n" for note in table.notes)])


def _p_text(p: float | None) -> str:
    return "–" if p is None else f"{p:.2g}" if p >= 0.001 else "< .001"


def _without_kept(progress: str) -> str:
    return progress.partition(";")[0]
