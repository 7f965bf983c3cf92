"""A report as an HTML page and the files beside it.

The page embeds its pictures and plots, so that it can be sent alone. It needs no script and loads nothing, so that it opens on any
machine. The files beside it are for programs (CSV) and for slides (PNG, SVG).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from ccdnn import __version__
from ccdnn.chart import Chart
from ccdnn.measure.table import Table, readable
from ccdnn.provenance import NOTICE
from ccdnn.report.content import Picture, Report, Section
from ccdnn.report.png import png
from ccdnn.report.svg import chart_svg

INDEX = "index.html"

# Longer tables are for programs: the page links the CSV and shows the chart.
LONGEST_SHOWN_TABLE = 60

# Wider tables are split into parts of this many columns after the first.
WIDEST_SHOWN_TABLE = 9
PART_WIDTH = 6

_GENERATOR = '<meta name="generator" content="ccdnn report '
# Suffix → prefix of the file names; `is_of_report` recognises only these.
_KINDS = {".csv": "table", ".svg": "plot", ".png": "picture"}
_OWN_NAME = re.compile("|".join(rf"{kind}-\d{{2,3}}-[a-z0-9-]{{1,60}}\{suffix}" for suffix, kind in _KINDS.items()))

_BANNER = "The synthetic images on this page were computed by a neural network and not acquired."

_STYLE = """\
body { font: 15px/1.45 Helvetica, Arial, "Liberation Sans", sans-serif; color: #222; background: #fff;
  max-width: 60rem; margin: 2rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.6rem; margin: 0 0 .8rem; }
h2 { font-size: 1.2rem; margin: 2rem 0 .6rem; border-bottom: 1px solid #ccc; break-after: avoid; }
.notice { border: 2px solid #b3261e; padding: .6rem .8rem; background: #fdf1f0; }
.note { color: #444; margin: .3rem 0; }
table { border-collapse: collapse; margin: .8rem 0; font-size: .92rem; }
caption { text-align: left; font-weight: bold; padding-bottom: .3rem; }
caption a { font-weight: normal; }
th, td { border: 1px solid #ccc; padding: .25rem .55rem; text-align: left; vertical-align: top; }
thead th { background: #f2f2f2; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
thead .number { white-space: normal; }
.entries th { font-weight: normal; color: #444; white-space: nowrap; }
.entries td { overflow-wrap: anywhere; }
.pictures { display: grid; grid-template-columns: repeat(3, 1fr); gap: 1rem; align-items: start; }
figure { margin: 0; break-inside: avoid; }
figure img { width: 100%; display: block; background: #000; }
figcaption { font-size: .85rem; padding-top: .3rem; }
.synthetic figcaption strong { color: #b3261e; }
.chart { margin: 1rem 0; }
footer { margin-top: 2.5rem; border-top: 1px solid #ccc; font-size: .85rem; color: #444; }
@page { margin: 15mm; }
@media print {
  body { font-size: 10pt; max-width: none; margin: 0; padding: 0; }
  .notice, thead th { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  tr { break-inside: avoid; }
  a { color: inherit; text-decoration: none; }
}
"""


def render(report: Report) -> dict[str, bytes]:
    """File name → content, the page under `INDEX`."""
    files = _Files()
    body = list(_body(report, files))
    head = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        # The browser must not load anything, even if a name or note contains markup.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'{_GENERATOR}{escape(__version__)}">',
        f"<title>{escape(report.title)}</title>",
        f"<style>\n{_STYLE}</style>",
        "</head>",
    ]
    page = "\n".join([*head, "<body>", *body, "</body>", "</html>"]) + "\n"
    return {INDEX: page.encode("utf-8"), **files.contents}


def is_page(page: str) -> bool:
    """Whether a file's content is a page of a report."""
    return page.startswith("<!DOCTYPE html>") and _GENERATOR in page.partition("</head>")[0]


def is_of_report(name: str) -> bool:
    """Whether a file name is one that a report uses; the content is not checked."""
    return name == INDEX or _OWN_NAME.fullmatch(name) is not None


def file_stem(title: str) -> str:
    """A file stem made of the ASCII letters and digits of a title."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60] or "part"


class _Files:
    """The files beside the page, under descriptive names numbered in the order of the page."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}

    def add(self, title: str, suffix: str, content: bytes) -> str:
        """Store the content and return its file name."""
        name = f"{_KINDS[suffix]}-{len(self.contents) + 1:02}-{file_stem(title)}{suffix}"
        self.contents[name] = content
        return name


def _body(report: Report, files: _Files) -> Iterator[str]:
    yield f"<h1>{escape(report.title)}</h1>"
    yield f'<p class="notice" role="note"><strong>Research use only. Not for diagnosis.</strong> {_BANNER}</p>'
    if report.identity:
        yield "<h2>Patient</h2>"
        yield from _entries(report.identity)
    yield "<h2>Volumes</h2>"
    yield from _table(report.inputs, files)
    if report.pictures:
        yield "<h2>Pictures</h2>"
        yield from _pictures(report.pictures, files)
    for section in report.sections:
        yield from _section(section, files)
    yield "<h2>Provenance</h2>"
    yield from _entries(report.provenance)
    yield f"<footer>{escape(_closing(report))}</footer>"


def _closing(report: Report) -> str:
    identity = "It names the patient: handle it like a patient record." if report.identity else "It names no patient."
    return f"Written by ccdnn {__version__}. {identity}"


def _section(section: Section, files: _Files) -> Iterator[str]:
    yield f"<h2>{escape(section.title)}</h2>"
    yield from (f"<p>{escape(note)}</p>" for note in section.notes)
    yield from _pictures(section.pictures, files)
    for table in section.tables:
        yield from _table(table, files)
    for chart in section.charts:
        yield _chart(chart, files)


def _entries(entries: Mapping[str, str]) -> Iterator[str]:
    yield '<table class="entries"><tbody>'
    for what, how in entries.items():
        yield f'<tr><th scope="row">{escape(what)}</th><td>{escape(how)}</td></tr>'
    yield "</tbody></table>"


def _table(table: Table, files: _Files) -> Iterator[str]:
    name = escape(files.add(table.title, ".csv", table.to_csv().encode("utf-8")))
    link = f'<a href="{name}">{name}</a>'
    if len(table.rows) > LONGEST_SHOWN_TABLE:
        yield f"<p><strong>{escape(table.title)}</strong>: {len(table.rows)} rows, in {link}</p>"
    else:
        for number, columns in enumerate(_parts(table)):
            yield "<table>" + ("" if number else f"<caption>{escape(table.title)} ({link})</caption>")
            yield from _columns(table, columns)
            yield "</table>"
    yield from (f'<p class="note">{escape(note)}</p>' for note in table.notes)


def _parts(table: Table) -> list[list[int]]:
    """The non-empty columns, split into parts that fit on paper; each part begins with the first column."""
    told = [index for index in range(len(table.columns)) if not table.rows or any(row[index] != "" for row in table.rows)]
    if len(told) <= WIDEST_SHOWN_TABLE:
        return [told]
    first, rest = told[:1], told[1:]
    return [first + rest[start : start + PART_WIDTH] for start in range(0, len(rest), PART_WIDTH)]


def _columns(table: Table, columns: Sequence[int]) -> Iterator[str]:
    words = {index: any(isinstance(row[index], str) for row in table.rows) for index in columns}
    kinds = {index: "" if words[index] else ' class="number"' for index in columns}
    heads = (f'<th scope="col"{kinds[index]}>{escape(table.columns[index].heading)}</th>' for index in columns)
    yield f"<thead><tr>{''.join(heads)}</tr></thead>\n<tbody>"
    for row in table.rows:
        cells = (f"<td{kinds[index]}>{escape(readable(row[index]))}</td>" for index in columns)
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</tbody>"


def _chart(chart: Chart, files: _Files) -> str:
    drawing = chart_svg(chart, key=f"chart{len(files.contents)}")
    files.add(chart.title, ".svg", drawing.encode("utf-8"))
    return f'<figure class="chart">\n{drawing}</figure>'


def _pictures(pictures: Sequence[Picture], files: _Files) -> Iterator[str]:
    if pictures:
        yield '<div class="pictures">'
        yield from (_picture(picture, files) for picture in pictures)
        yield "</div>"


def _picture(picture: Picture, files: _Files) -> str:
    description = f"{picture.title}. {NOTICE}" if picture.synthetic else picture.title
    content = png(picture.pixels, description)
    files.add(picture.title, ".png", content)
    rows, columns = picture.pixels.shape[:2]
    kind = ' class="synthetic"' if picture.synthetic else ""
    return (
        f"<figure{kind}>"
        f'<img alt="{escape(picture.title)}" style="aspect-ratio:{columns}/{rows * picture.aspect:.6g}" '
        f'src="data:image/png;base64,{base64.b64encode(content).decode("ascii")}">'
        f"<figcaption><strong>{escape(picture.title)}</strong><br>{escape(picture.note)}</figcaption></figure>"
    )
