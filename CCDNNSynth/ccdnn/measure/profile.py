"""Line profiles: the intensities of several images along one line, and the similarity of those of acquired and synthetic STIR.

Distances are in mm along the line, from its first point. Profiles are plotted as they are stored or scaled to 0–1. The scale is
that of the whole volume, never of the profile, whose minimum and maximum change whenever the line moves: acquired and
synthetic STIR as a pair (`Scaling.TISSUE`), every input by its own robust maximum (`Scaling.PERCENTILE`), see
`ccdnn.measure.scaling`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from ccdnn import chart
from ccdnn.chart import Chart, Series
from ccdnn.errors import InputError
from ccdnn.measure.correlation import pearson_r, shift
from ccdnn.measure.edge import Edge, main_edge
from ccdnn.measure.line import SampledLine, default_step, sample_image, sample_line
from ccdnn.measure.scaling import Scaled, Scaling, scale, scale_pair
from ccdnn.measure.table import Column, Measurement, Table, table_of
from ccdnn.volume import Volume

# The maximum shift searched: well beyond patient motion between two series of a visit.
SHIFT_LIMIT_MM = 5.0
# The maximum distance between the same edge in both STIRs: a few pixels, but not as far as the next layer of the knee.
EDGE_LIMIT_MM = 2.0
# The minimum number of consecutive common samples for a comparison.
SMALLEST_COUNT = 8

_SHIFT_METHOD = f"peak of the cross-correlation within ±{SHIFT_LIMIT_MM:g} mm; positive: synthetic lies further along the line"


class Image(str, Enum):
    """The image of a profile; the value is its name in the legend."""

    ACQUIRED = "acquired STIR"
    SYNTHETIC = "synthetic STIR"
    T1 = "T1-w"
    T2 = "T2-w"
    GRE = "GRE"


_PAIR = (Image.ACQUIRED, Image.SYNTHETIC)
_COLOURS = {
    Image.ACQUIRED: chart.ACQUIRED,
    Image.SYNTHETIC: chart.SYNTHETIC,
    Image.T1: chart.INPUTS["t1"],
    Image.T2: chart.INPUTS["t2"],
    Image.GRE: chart.INPUTS["gre"],
}


@dataclass(frozen=True)
class Scale:
    """The scale (intensity − low) / (high − low), and how it was chosen."""

    low: float
    high: float
    scaling: Scaling

    def apply(self, values: np.ndarray) -> np.ndarray:
        return (values - self.low) / (self.high - self.low)

    def __str__(self) -> str:
        return f"{self.scaling.value} scaling, {self.low:.4g}…{self.high:.4g} to 0…1"


@dataclass(frozen=True, eq=False)
class LineProfiles:
    """The intensities of images along a line.

    Args:
        line: the positions of the samples.
        values: (n,) for each image, as stored; NaN outside the volume.
        scales: of the images that have one.
        problem: why some images have no scale, in a sentence; else empty.
        half_width: (n,) of the 95 % interval around the synthetic profile, as stored; None if it is not known.
    """

    line: SampledLine
    values: Mapping[Image, np.ndarray]
    scales: Mapping[Image, Scale]
    problem: str = ""
    half_width: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not any(np.isfinite(values).any() for values in self.values.values()):
            raise InputError("The line lies outside the volumes; move it, or choose the volumes it was drawn on.")

    @property
    def comparable(self) -> bool:
        return Image.ACQUIRED in self.values and Image.SYNTHETIC in self.values

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about images that the line leaves or that have no scale."""
        outside = {image: int(np.isnan(values).sum()) for image, values in self.values.items()}
        return tuple(
            f"{count} of the line's {len(self.line.distance)} samples have no value in {image.value}."
            for image, count in outside.items()
            if count
        ) + ((self.problem,) if self.problem else ())

    def scaled(self, image: Image) -> np.ndarray:
        return self.scales[image].apply(self.values[image])


def measure_profiles(
    volumes: Mapping[Image, Volume], points: np.ndarray, step_mm: float | None = None, uncertainty: Volume | None = None
) -> LineProfiles:
    """Profiles of volumes along a polyline.

    Args:
        points: (n, 3) corners in mm RAS.
        step_mm: between samples; by default half the smallest in-plane spacing of all the volumes.
        uncertainty: half the width of the 95 % interval of the synthetic STIR, see `ccdnn.trust`.

    Raises:
        InputError: no usable line (see `sample_line`), or it lies outside all volumes.
    """
    line = sample_line(points, step_mm or default_step(*(volume.grid for volume in volumes.values())))
    values = {image: sample_image(volume.array, volume.ijk_to_ras, line.points) for image, volume in volumes.items()}
    scales, problem = scales_of({image: volume.array for image, volume in volumes.items()})
    half_width = None if uncertainty is None else sample_image(uncertainty.array, uncertainty.ijk_to_ras, line.points)
    return LineProfiles(line, values, scales, problem, half_width)


def scales_of(arrays: Mapping[Image, np.ndarray]) -> tuple[dict[Image, Scale], str]:
    """The scale of each whole volume, and why any has none, in a sentence ("" if all have one)."""
    scales: dict[Image, Scale] = {}
    problems = []
    pair = (Image.SYNTHETIC, Image.ACQUIRED)
    alone = [image for image in arrays if image not in pair]
    if all(image in arrays for image in pair):
        try:
            both = scale_pair(arrays[Image.SYNTHETIC], arrays[Image.ACQUIRED], Scaling.TISSUE, names=(pair[0].value, pair[1].value))
            scales.update({image: _scale(scaled) for image, scaled in zip(pair, both, strict=True)})
        except InputError as error:
            problems.append(str(error))
    else:
        alone += [image for image in pair if image in arrays]
    for image in alone:
        try:
            scales[image] = _scale(scale(arrays[image], Scaling.PERCENTILE, name=image.value))
        except InputError as error:
            problems.append(str(error))
    return scales, " ".join(problems)


def compare(profiles: LineProfiles) -> list[Measurement]:
    """Pearson r, RMSE, edge widths and shift between acquired and synthetic STIR, each NaN with a note if it is undefined.

    Measured over the samples that both have, and for edges and shift over the longest run without a gap. The synthetic STIR's edge
    is the steepest one in the acquired edge's direction within `EDGE_LIMIT_MM` of it.

    Raises:
        InputError: one of the two images is missing, or they share too little of the line.
    """
    if not profiles.comparable:
        raise InputError("Profiles are compared between an acquired and a synthetic STIR; choose both.")
    acquired, synthetic = profiles.values[Image.ACQUIRED], profiles.values[Image.SYNTHETIC]
    both = np.isfinite(acquired) & np.isfinite(synthetic)
    n = int(both.sum())
    if n < SMALLEST_COUNT:
        raise InputError(f"Only {n} samples of the line lie in both STIRs, but {SMALLEST_COUNT} are needed; move the line.")
    stretch = _longest_stretch(both)
    first, second = acquired[stretch], synthetic[stretch]
    if len(first) < SMALLEST_COUNT:
        raise InputError(
            f"Only {len(first)} samples of the line lie in both STIRs, but {SMALLEST_COUNT} are needed; move the line."
        )
    step, n = profiles.line.step, int(both.sum())
    scaled = "; ".join(f"{image.value}: {profiles.scales[image]}" for image in _PAIR if image in profiles.scales) or "not scaled"
    pair = " against ".join(image.value for image in reversed(_PAIR))

    def row(name: str, unit: str, method: str, samples: int, measure: Callable[[], float]) -> Measurement:
        try:
            return Measurement(name, measure(), unit, pair, method, samples)
        except InputError as error:
            return Measurement(name, math.nan, unit, pair, method, samples, str(error))

    edges = _edges(first, second, step)
    start = stretch.start * step
    return [
        row("Pearson r", "1", "over the samples", n, lambda: pearson_r(acquired[both], synthetic[both])),
        row("RMSE", "1", f"over the samples; {scaled}", n, lambda: _rmse(profiles, both)),
        row("shift", "mm", _SHIFT_METHOD, len(first), lambda: shift(first, second, step, SHIFT_LIMIT_MM)),
        *(_edge_row("edge width 10–90 %", image, edge, lambda edge: edge.width, len(first)) for image, edge in edges.items()),
        *(_edge_row("edge position", image, edge, lambda edge: start + edge.position, len(first)) for image, edge in edges.items()),
    ]


def profile_table(profiles: LineProfiles) -> Table:
    """The comparison, one row per number; if one of the two STIRs is missing, no rows and a note that says so."""
    title = "Line profile"
    about = f"Line of {profiles.line.length:.2f} mm, sampled every {profiles.line.step:.3g} mm, interpolated linearly."
    if not profiles.comparable:
        missing = next(image for image in _PAIR if image not in profiles.values)
        return replace(table_of([], title), notes=(f"There is no {missing.value} to compare with.", *profiles.notes, about))
    try:
        rows, reasons = compare(profiles), []
    except InputError as error:
        rows, reasons = [], [str(error)]
    reasons += [row.note for row in rows]
    notes = [note for note in dict.fromkeys([*reasons, *profiles.notes, about]) if note]
    return replace(table_of(rows, title), notes=tuple(notes))


def profile_values(profiles: LineProfiles) -> Table:
    """Every sample: its distance, its position, and each image's intensity, as stored and scaled."""
    columns = [Column("distance", "mm"), Column("R", "mm"), Column("A", "mm"), Column("S", "mm")]
    cells = [profiles.line.distance, *profiles.line.points.T]
    for image, values in profiles.values.items():
        columns.append(Column(image.value))
        cells.append(values)
        if image in profiles.scales:
            columns.append(Column(f"{image.value}, scaled"))
            cells.append(profiles.scaled(image))
    if profiles.half_width is not None:
        columns.append(Column("± (95 %), synthetic STIR"))
        cells.append(profiles.half_width)
    rows = tuple(tuple(float(cell) for cell in row) for row in np.stack(cells, axis=1))
    return Table("Line profile, samples", tuple(columns), rows, tuple(f"{i.value}: {s}." for i, s in profiles.scales.items()))


def profile_chart(profiles: LineProfiles, scaled: bool) -> Chart:
    """The profiles over the distance; the synthetic one is dashed, with its 95 % interval in thin lines if that is known.

    As stored if `scaled` is requested but a scale is missing.
    """
    scaled = scaled and all(image in profiles.scales for image in profiles.values)
    series = tuple(
        Series(
            image.value,
            tuple(profiles.scaled(image) if scaled else values),
            tuple(profiles.line.distance),
            _COLOURS[image],
            dashed=image is Image.SYNTHETIC,
        )
        for image, values in profiles.values.items()
    )
    series += _bounds(profiles, scaled)
    return Chart(
        "Line profiles", "Distance along the line (mm)", "Intensity, scaled to 0–1" if scaled else "Intensity as stored", series
    )


def _bounds(profiles: LineProfiles, scaled: bool) -> tuple[Series, ...]:
    """The lines between which the acquired profile lies with 95 % probability."""
    if profiles.half_width is None or Image.SYNTHETIC not in profiles.values:
        return ()
    synthetic = profiles.values[Image.SYNTHETIC]
    lines = {"95 % interval, lower": synthetic - profiles.half_width, "95 % interval, upper": synthetic + profiles.half_width}
    scale = profiles.scales[Image.SYNTHETIC].apply if scaled else np.asarray
    colour = _COLOURS[Image.SYNTHETIC]
    return tuple(Series(n, tuple(scale(y)), tuple(profiles.line.distance), colour, thin=True) for n, y in lines.items())


def _edges(acquired: np.ndarray, synthetic: np.ndarray, step: float) -> dict[Image, Edge | InputError]:
    """The edge of each profile, or why it has none."""
    edges: dict[Image, Edge | InputError] = {}
    for image, values in zip(_PAIR, (acquired, synthetic), strict=True):
        reference = edges.get(Image.ACQUIRED)
        like = reference if isinstance(reference, Edge) else None
        try:
            edges[image] = main_edge(values, step, like=like, within_mm=EDGE_LIMIT_MM, name=f"The profile of the {image.value}")
        except InputError as error:
            edges[image] = error
    return edges


def _edge_row(name: str, image: Image, edge: Edge | InputError, measure: Callable[[Edge], float], samples: int) -> Measurement:
    value, note = (math.nan, str(edge)) if isinstance(edge, InputError) else (measure(edge), "")
    name = f"{name}, {image.name.lower()}"  # acquired or synthetic
    return Measurement(name, value, "mm", image.value, "error function fitted to the steepest edge", samples, note)


def _scale(scaled: Scaled) -> Scale:
    return Scale(scaled.low, scaled.high, scaled.scaling)


def _rmse(profiles: LineProfiles, samples: np.ndarray) -> float:
    if any(image not in profiles.scales for image in _PAIR):
        raise InputError(profiles.problem)
    difference = profiles.scaled(Image.SYNTHETIC) - profiles.scaled(Image.ACQUIRED)
    return float(np.sqrt(np.mean(difference[samples] ** 2)))


def _longest_stretch(present: np.ndarray) -> slice:
    """The longest run of samples that are all present."""
    borders = np.flatnonzero(np.diff(np.concatenate([[False], present, [False]]).astype(int)))
    starts, stops = borders[::2], borders[1::2]
    if not len(starts):
        return slice(0, 0)
    longest = int(np.argmax(stops - starts))
    return slice(int(starts[longest]), int(stops[longest]))
