"""The content of a plot, independent of what draws it: Slicer's plot view in the panel, SVG in the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

# Okabe and Ito's colours, which colour-blind readers can distinguish.
BLACK, ORANGE, SKY_BLUE, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"

# One colour for each image wherever it is plotted.
ACQUIRED, SYNTHETIC = BLUE, VERMILION
INPUTS = {"t1": GREEN, "t2": PURPLE, "gre": SKY_BLUE}

# Of a difference image: the colours for smaller and larger, and the limit shown, for images scaled to 0–1, with black for 0.
# The range is fixed, so that a colour means the same for every pair.
LESS, MORE = SKY_BLUE, ORANGE
DIFFERENCE_SHOWN = 0.25


class ChartKind(str, Enum):
    LINE = "line"
    BAR = "bar"


@dataclass(frozen=True)
class Series:
    """One line, or one group of bars.

    Args:
        name: for the legend.
        y: the values; NaN leaves a gap.
        x: as many values, for a line; bars stand at the chart's categories.
        colour: "#rrggbb".
        dashed: for a line, so that prints without colour are legible.
        thin: for a line that bounds another one.
    """

    name: str
    y: Sequence[float]
    x: Sequence[float] = ()
    colour: str = BLACK
    dashed: bool = False
    thin: bool = False


@dataclass(frozen=True)
class Chart:
    """A plot.

    Args:
        title: what is shown.
        x_title, y_title: the axes, with their units.
        categories: of a bar chart, one for each bar of every series.
    """

    title: str
    x_title: str
    y_title: str
    series: tuple[Series, ...]
    kind: ChartKind = ChartKind.LINE
    categories: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for series in self.series:
            expected = len(self.categories) if self.kind is ChartKind.BAR else len(series.x)
            if len(series.y) != expected:
                raise ValueError(f"The series {series.name!r} has {len(series.y)} values for {expected} places.")
