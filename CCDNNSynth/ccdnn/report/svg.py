"""A chart as deterministic SVG text, legible on paper, without colour and for colour-blind readers.

The chart defines the colours. Colour is never the only cue: lines are also dashed, every second series of bars is hatched, and each
bar shows its value.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from ccdnn.chart import Chart, ChartKind, Series

WIDTH, HEIGHT = 760, 340  # px, at which text matches the size of the page's text

_TEXT, _GRID, _AXIS = "#222222", "#dddddd", "#666666"
_FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"
_LETTER = 0.56  # mean letter width of these fonts, relative to the font size
_TITLE_SIZE, _SIZE, _SMALL = 15, 13, 12
_LINE_HEIGHT = 16
_DASH = "7 4"
_BARS_SHARE = 0.72  # of a category's width
_NARROWEST_LABELLED_BAR = 24.0


@dataclass(frozen=True)
class _Axis:
    """Maps values to pixels. `ticks` lie within `low` and `high`."""

    low: float
    high: float
    ticks: tuple[float, ...]
    start: float = 0.0
    end: float = 1.0

    def at(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def between(self, start: float, end: float) -> _Axis:
        return _Axis(self.low, self.high, self.ticks, start, end)

    @property
    def labels(self) -> list[str]:
        return [_number(tick, _step(self.ticks)) for tick in self.ticks]


def chart_svg(chart: Chart, key: str = "chart") -> str:
    """The chart as one <svg> element, as wide as its page and at most `WIDTH`.

    Args:
        key: letters and digits; prefix of the identifiers inside, unique for each chart of a page.
    """
    bars = chart.kind is ChartKind.BAR
    legend, legend_bottom = _legend(chart, key)
    x = _category_axis(chart) if bars else _value_axis([value for series in chart.series for value in series.x], parts=8)
    y = _value_axis([value for series in chart.series for value in series.y], from_tick_to_tick=True, zero=bars)
    left = 44 + max(len(label) for label in y.labels) * _LETTER * _SMALL
    x = x.between(left, WIDTH - 16)
    names = [_wrapped(name, (x.end - x.start) / max(1, len(chart.categories))) for name in chart.categories]
    foot = 30 + _LINE_HEIGHT * max([1, *map(len, names)])
    y = y.between(HEIGHT - foot, legend_bottom + (20 if bars else 12))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="{escape(_FONT)}" font-size="{_SMALL}" fill="{_TEXT}" style="width:100%;max-width:{WIDTH}px">',
        f"<title>{escape(chart.title)}</title>",
        *_hatches(chart, key),
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(chart.title, 16, 22, size=_TITLE_SIZE, weight="bold"),
        *legend,
        *_frame(chart, x, y),
        *(_categories(x, y, names) if bars else _x_ticks(x, y)),
        *(_bars(chart, x, y, key) if bars else _lines(chart, x, y)),
        *_emptiness(chart, x, y),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


# ---------------------------------------------------------------------------------------------------------------- axes


def _value_axis(values: Sequence[float], parts: int = 5, from_tick_to_tick: bool = False, zero: bool = False) -> _Axis:
    """An axis over the finite `values` in about `parts` intervals; for bars, it starts at 0 and leaves room for their values."""
    finite = [float(value) for value in values if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    if zero:
        room = 0.07 * (max(high, 0.0) - min(low, 0.0))
        low, high = (low - room if low < 0 else 0.0), (high + room if high > 0 else 0.0)
    if high - low <= 1e-12 * max(abs(low), abs(high), 1e-300):
        margin = abs(low) / 10 or 1.0
        low, high = low - (0.0 if zero else margin), high + margin
    step = _nice_step((high - low) / parts)
    if all(value.is_integer() for value in finite):
        step = max(step, 1.0)  # slices, for example
    if from_tick_to_tick:
        low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return _Axis(low, high, tuple(index * step for index in range(first, last + 1)))


def _category_axis(chart: Chart) -> _Axis:
    return _Axis(0.0, float(max(1, len(chart.categories))), ())


def _nice_step(rough: float) -> float:
    """The smallest of 1, 2, 2.5, 5 times a power of ten that is at least `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * (1 - 1e-9))


def _step(ticks: Sequence[float]) -> float:
    return ticks[1] - ticks[0] if len(ticks) > 1 else 1.0


def _number(value: float, step: float) -> str:
    """A tick's label, with no more decimals than the step and as a power from 10⁶ up."""
    if value and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.3g}".replace("-", "−")
    decimals = max(0, 1 - math.floor(math.log10(step) + 1e-9))
    text = f"{value:.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text.replace("-", "−")


def _frame(chart: Chart, x: _Axis, y: _Axis) -> Iterator[str]:
    for tick, label in zip(y.ticks, y.labels, strict=True):
        at = y.at(tick)
        yield _line(x.start, at, x.end, at, _GRID)
        yield _text(label, x.start - 7, at + 4, anchor="end")
    base = y.at(0.0) if chart.kind is ChartKind.BAR else y.start
    yield _line(x.start, base, x.end, base, _AXIS)
    yield _line(x.start, y.start, x.start, y.end, _AXIS)
    yield _text(chart.x_title, (x.start + x.end) / 2, HEIGHT - 9, anchor="middle", size=_SIZE)
    middle = (y.start + y.end) / 2
    yield _text(chart.y_title, 18, middle, anchor="middle", size=_SIZE, turned=True)


def _x_ticks(x: _Axis, y: _Axis) -> Iterator[str]:
    for tick, label in zip(x.ticks, x.labels, strict=True):
        at = x.at(tick)
        yield _line(at, y.start, at, y.start + 5, _AXIS)
        yield _text(label, at, y.start + 19, anchor="middle")


def _categories(x: _Axis, y: _Axis, names: Sequence[Sequence[str]]) -> Iterator[str]:
    for index, lines in enumerate(names):
        for row, line in enumerate(lines):
            yield _text(line, x.at(index + 0.5), y.start + 17 + row * _LINE_HEIGHT, anchor="middle")


def _wrapped(name: str, width: float) -> list[str]:
    """A category's name in lines that fit; words are not split, and a dash or slash stays with the preceding word."""
    words = name.replace("–", "– ").replace("/", "/ ").split()
    lines = [""]
    for word in words:
        joint = "" if lines[-1].endswith(("–", "/")) or not lines[-1] else " "
        if lines[-1] and (len(lines[-1]) + len(joint) + len(word)) * _LETTER * _SMALL > width - 6:
            lines.append(word)
        else:
            lines[-1] += joint + word
    return lines


# ---------------------------------------------------------------------------------------------------------------- series


def _lines(chart: Chart, x: _Axis, y: _Axis) -> Iterator[str]:
    for series in chart.series:
        steps, drawing = [], False
        for place, value in zip(series.x, series.y, strict=True):
            if not (math.isfinite(place) and math.isfinite(value)):
                drawing = False
                continue
            # A value between two gaps is a zero-length line, which round caps show as a dot.
            steps.append(f"{'L' if drawing else 'M'}{_px(x.at(place))} {_px(y.at(value))}{'' if drawing else 'h0'}")
            drawing = True
        yield f'<path d="{"".join(steps)}" {_stroke(series)}/>'


def _emptiness(chart: Chart, x: _Axis, y: _Axis) -> Iterator[str]:
    if not any(math.isfinite(value) for series in chart.series for value in series.y):
        yield _text("Nothing could be measured.", (x.start + x.end) / 2, (y.start + y.end) / 2, anchor="middle", size=_SIZE)


def _stroke(series: Series) -> str:
    dash = f' stroke-dasharray="{_DASH}"' if series.dashed else ""
    colour, width = escape(series.colour), 0.8 if series.thin else 2
    return f'fill="none" stroke="{colour}" stroke-width="{width}"{dash} stroke-linecap="round" stroke-linejoin="round"'


def _bars(chart: Chart, x: _Axis, y: _Axis, key: str) -> Iterator[str]:
    category = x.at(1) - x.at(0)
    width = category * _BARS_SHARE / max(1, len(chart.series))
    base = y.at(0.0)
    for index, series in enumerate(chart.series):
        for place, value in enumerate(series.y):
            left = x.at(place) + category * (1 - _BARS_SHARE) / 2 + index * width
            if not math.isfinite(value):
                yield _text("–", left + width / 2, base - 5, anchor="middle")
                continue
            top = y.at(value)
            box = f'x="{_px(left)}" y="{_px(min(top, base))}" width="{_px(0.94 * width)}" height="{_px(abs(base - top))}"'
            yield f'<rect {box} fill="{_fill(series, index, key)}" stroke="{escape(series.colour)}"/>'
            if width >= _NARROWEST_LABELLED_BAR:
                at = top - 5 if value >= 0 else top + 14
                yield _text(f"{value:.3g}".replace("-", "−"), left + 0.47 * width, at, anchor="middle", size=11)


def _fill(series: Series, index: int, key: str) -> str:
    return f"url(#{key}-hatch-{index})" if index % 2 else escape(series.colour)


def _hatches(chart: Chart, key: str) -> Iterator[str]:
    """The fill of every second series of bars: its colour, hatched with white lines."""
    if chart.kind is not ChartKind.BAR:
        return
    for index, series in list(enumerate(chart.series))[1::2]:
        yield (
            f'<defs><pattern id="{key}-hatch-{index}" width="6" height="6" patternUnits="userSpaceOnUse" '
            f'patternTransform="rotate(45)"><rect width="6" height="6" fill="{escape(series.colour)}"/>'
            '<rect width="1.6" height="6" fill="#ffffff"/></pattern></defs>'
        )


def _legend(chart: Chart, key: str) -> tuple[list[str], float]:
    """The legend of series names and symbols, on as many lines as needed, and where the last line ends."""
    parts, left, top = [], 16.0, 44.0
    for index, series in enumerate(chart.series):
        width = 34 + len(series.name) * _LETTER * _SIZE + 22
        if left > 16 and left + width > WIDTH:
            left, top = 16.0, top + _LINE_HEIGHT + 3
        if chart.kind is ChartKind.BAR:
            box = f'x="{_px(left)}" y="{_px(top - 11)}" width="26" height="12"'
            parts.append(f'<rect {box} fill="{_fill(series, index, key)}" stroke="{escape(series.colour)}"/>')
        else:
            parts.append(f'<path d="M{_px(left)} {_px(top - 5)}h26" {_stroke(series)}/>')
        parts.append(_text(series.name, left + 34, top, size=_SIZE))
        left += width
    return parts, top if chart.series else 26.0


# ---------------------------------------------------------------------------------------------------------------- elements


def _text(
    text: str, x: float, y: float, *, anchor: str = "start", size: int = _SMALL, weight: str = "normal", turned: bool = False
) -> str:
    turn = f' transform="rotate(-90 {_px(x)} {_px(y)})"' if turned else ""
    style = f' font-size="{size}"' * (size != _SMALL) + f' font-weight="{weight}"' * (weight != "normal")
    return f'<text x="{_px(x)}" y="{_px(y)}" text-anchor="{anchor}"{style}{turn}>{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<path d="M{_px(x1)} {_px(y1)}L{_px(x2)} {_px(y2)}" stroke="{colour}"/>'


def _px(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
