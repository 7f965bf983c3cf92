"""The report: its drawings, its page and its folder."""

from __future__ import annotations

import csv
import errno
import io
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from small_study import volumes

from ccdnn.acquisition import Acquisition
from ccdnn.chart import ACQUIRED, SYNTHETIC, Chart, ChartKind, Series
from ccdnn.errors import OutputError
from ccdnn.measure.scaling import Scaling
from ccdnn.measure.table import Column, Table
from ccdnn.report.content import Picture, Report, Section
from ccdnn.report.page import LONGEST_SHOWN_TABLE
from ccdnn.report.png import diverging, grey, png
from ccdnn.report.study import Shown, difference_picture, pictures, provenance_entries, volumes_table
from ccdnn.report.svg import chart_svg
from ccdnn.report.write import write_report
from ccdnn.series import Role

SVG = "{http://www.w3.org/2000/svg}"
NAN = float("nan")

LINES = Chart(
    "Signal <along> the line",
    "distance (mm)",
    "signal (1)",
    (
        Series("acquired STIR", (0.0, 5.0, NAN, 10.0, 20.0), (0.0, 1.0, 2.0, 3.0, 4.0), ACQUIRED),
        Series("synthetic STIR", (1.0, 2.0, 3.0, 4.0, 5.0), (0.0, 1.0, 2.0, 3.0, 4.0), SYNTHETIC, dashed=True),
    ),
)
BARS = Chart(
    "CNR",
    "tissues",
    "CNR (1)",
    (Series("acquired STIR", (8.0, NAN), colour=ACQUIRED), Series("synthetic STIR", (2.0, 4.0), colour=SYNTHETIC)),
    ChartKind.BAR,
    ("cartilage–bone", "muscle–fat"),
)
TABLE = Table(
    "CNR",
    (Column("pair"), Column("CNR", "1"), Column("width", "mm"), Column("voxels")),
    (("cartilage–<b>bone</b>", 7.123456789, NAN, 1200), ("muscle–fat", float("inf"), -0.5, 3)),
    ("One & only note.",),
)


def beside(folder: Path, name: str) -> Path:
    """The one file of that name, but for its kind and number, beside the page."""
    (path,) = folder.glob(f"*-[0-9][0-9]-{name}")
    return path


def texts(svg: str) -> list[str]:
    return [element.text for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def rectangles(svg: str, colour: str) -> list[dict]:
    """Those of bars: outlined in the series' colour and wider than the sign in the legend is high."""
    found = [r.attrib for r in ElementTree.fromstring(svg).iter(f"{SVG}rect") if r.get("stroke") == colour]
    return found[1:]  # the legend's comes first


# ------------------------------------------------------------------------------------------------------------------- svg


def test_a_line_goes_through_its_values_and_stops_at_gaps():
    svg = chart_svg(LINES)
    paths = [p for p in ElementTree.fromstring(svg).iter(f"{SVG}path") if p.get("stroke") == ACQUIRED]
    points = np.array(re.findall(r"[ML]([\d.]+) ([\d.]+)", paths[-1].get("d")), dtype=float)
    assert len(points) == 4
    assert paths[-1].get("d").count("M") == 2  # begun again after the gap
    x, y = points.T
    # Equal steps of x, and y falling on the page in proportion to the value.
    np.testing.assert_allclose((x - x[0]) / (x[-1] - x[0]), [0, 0.25, 0.75, 1], atol=1e-3)
    np.testing.assert_allclose((y[0] - y) / (y[0] - y[-1]), [0, 0.25, 0.5, 1], atol=1e-3)
    dashed = [p.get("stroke-dasharray") for p in ElementTree.fromstring(svg).iter(f"{SVG}path") if p.get("stroke") == SYNTHETIC]
    assert dashed and all(dashed)


def test_bars_are_as_high_as_their_values_and_a_missing_one_is_a_dash():
    svg = chart_svg(BARS)
    (acquired,), synthetic = rectangles(svg, ACQUIRED), rectangles(svg, SYNTHETIC)
    heights = [float(bar["height"]) for bar in (acquired, *synthetic)]
    np.testing.assert_allclose(np.array(heights) / heights[0], [1, 0.25, 0.5], rtol=1e-3)
    base = {round(float(bar["y"]) + float(bar["height"]), 1) for bar in (acquired, *synthetic)}
    assert len(base) == 1
    assert {"8", "2", "4", "–"} <= set(texts(svg))
    assert synthetic[0]["fill"].startswith("url(#")  # told from the first series without colour, too


def test_axes_name_their_units_and_have_round_ticks():
    written = texts(chart_svg(LINES))
    assert {"distance (mm)", "signal (1)", "Signal <along> the line", "acquired STIR", "synthetic STIR"} <= set(written)
    assert {"0", "5", "10", "15", "20"} <= set(written)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0.0003, 0.0001), {"0.0001", "0.0002", "0.0003"}),
        ((-2.0, 2.0), {"−2", "−1", "0", "1", "2"}),
        ((0.94, 0.98), {"0.94", "0.95", "0.96", "0.97", "0.98"}),
        ((2e7, 4e7), {"2e+07", "4e+07"}),
        ((3.0, 3.0), {"3"}),
    ],
)
def test_ticks_suit_small_large_negative_and_equal_values(values, expected):
    assert expected <= set(texts(chart_svg(Chart("t", "x", "y", (Series("s", values, (0.0, 1.0)),)))))


def test_slices_are_counted_whole():
    chart = Chart("t", "slice", "y", (Series("s", (1.0, 2.0, 3.0), (1, 2, 3)),))
    ticks = [text for text in texts(chart_svg(chart)) if re.fullmatch(r"[\d.]+", text)]
    assert "1.5" not in ticks and {"1", "2", "3"} <= set(ticks)


@pytest.mark.parametrize("series", [(), (Series("s", (), ()),), (Series("s", (NAN, NAN), (0.0, 1.0)),)])
def test_a_chart_of_nothing_says_so(series):
    assert "Nothing could be measured." in texts(chart_svg(Chart("t", "x", "y", series)))


def test_all_is_inside_the_drawing_and_drawn_the_same_again():
    long_names = tuple(f"a tissue of a long name, number {n}" for n in range(9))
    chart = Chart("t", "x", "y", tuple(Series(name, (1.0,) * 9) for name in long_names), ChartKind.BAR, long_names)
    svg = chart_svg(chart)
    assert svg == chart_svg(chart)
    root = ElementTree.fromstring(svg)
    _left, _top, width, height = map(float, root.get("viewBox").split())
    for element in root.iter():
        if element.tag in (f"{SVG}text", f"{SVG}rect") and element.get("x"):
            assert 0 <= float(element.get("x")) <= width and 0 <= float(element.get("y")) <= height


# ------------------------------------------------------------------------------------------------------------------- png


def read_png(content: bytes, tmp_path) -> np.ndarray:
    (tmp_path / "read.png").write_bytes(content)
    return sitk.GetArrayFromImage(sitk.ReadImage(tmp_path / "read.png"))


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
def test_png_is_read_back_by_another_library(tmp_path, shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    content = png(pixels, "synthetic – not acquired")
    np.testing.assert_array_equal(read_png(content, tmp_path), pixels)
    assert b"tEXtDescription\0synthetic ? not acquired" in content


def test_grey_follows_the_window():
    np.testing.assert_array_equal(grey(np.array([[-1.0, 0, 50, 100, 999, NAN]]), 0, 100), [[0, 0, 128, 255, 255, 0]])


def test_differences_of_both_signs_have_colours_of_their_own():
    colours = diverging(np.array([[-2.0, -0.5, 0, 0.5, 2]]), 1.0)[0]
    assert (colours[2] == 0).all()
    assert colours[0, 2] > colours[0, 0] and colours[4, 0] > colours[4, 2]  # blue below, orange above
    np.testing.assert_array_equal(colours[0], [0x56, 0xB4, 0xE9])
    np.testing.assert_allclose(colours[1] * 2.0, colours[0], atol=1.1)


# ----------------------------------------------------------------------------------------------------------------- volumes


def shown() -> list[Shown]:
    study = volumes()
    acquisition = Acquisition(tr_ms=522, te_ms=11)
    items = [Shown(role.label, study[role], acquisition) for role in (Role.T1, Role.T2, Role.GRE)]
    return [*items, Shown("acquired STIR", study[Role.STIR]), Shown("synthetic STIR", study[Role.STIR], synthetic=True)]


def test_volumes_are_told_by_role_and_by_name_only_on_request():
    items = shown()
    table = volumes_table(items, named=False)
    assert table.column("volume") == ("T1-w", "T2-w", "GRE", "acquired STIR", "synthetic STIR")
    assert table.column("TR") == (522, 522, 522, None, None)
    assert "leg" not in table.to_csv()
    assert "FA" not in [column.name for column in table.columns]
    assert volumes_table(items, named=True).column("name")[0] == "leg t1"


def test_pictures_show_the_slice_at_one_place():
    items = shown()
    moved = items[0].volume
    matrix = moved.ijk_to_ras.copy()
    matrix[:3, 3] -= matrix[:3, 2]  # the same knee, its first slice one slice further out
    items[0] = Shown("T1-w", type(moved)(moved.array, matrix))
    drawn = pictures(items, items[-1].volume.grid, 2)
    assert [picture.note.split(",")[0] for picture in drawn] == ["slice 4 of 6"] + ["slice 3 of 6"] * 4
    assert [picture.synthetic for picture in drawn] == [False] * 4 + [True]
    assert drawn[0].pixels.shape == (40, 36)


def test_difference_is_black_where_there_is_none():
    grid = volumes()[Role.STIR].grid
    difference = np.zeros(grid.shape, np.float32)
    difference[3, 20, 18] = 0.1
    picture = difference_picture(difference, grid, Scaling.TISSUE, 3)
    assert (picture.pixels.any(axis=-1)).sum() == 1
    assert picture.synthetic and "slice 4 of 6" in picture.note


def test_provenance_leaves_out_names_unless_asked_for():
    header = {
        "CCDNN_Model": "small 1",
        "CCDNN_Reference": "DOE^JANE T1",
        "CCDNN_Input_T1": "DOE^JANE T1 (covers 0.9876)",
        "CCDNN_Input_T2": "DOE^JANE",
        "CCDNN_Made_Without": "GRE",
        "CCDNN_Other_Plane_T2": "coronal slices 3 mm apart",
        "PatientName": "DOE^JANE",
    }
    entries = provenance_entries(header, named=False)
    assert entries == {
        "Model": "small 1",
        "Input T1": "covers 0.9876 of the result's voxels",
        "Made without": "GRE",
        "T2-w interpolated from": "coronal slices 3 mm apart",
    }
    named = provenance_entries(header, named=True)
    assert named["On the grid of"] == "DOE^JANE T1" and named["Input T2"] == "DOE^JANE"
    assert "does not state" in " ".join(provenance_entries({}, named=False).values())


# ------------------------------------------------------------------------------------------------------------------- page


def report(**changes) -> Report:
    items = shown()
    entries = {
        "title": "Acquired & synthetic STIR",
        "inputs": volumes_table(items, named=False),
        "provenance": {"Model": "<small> 1"},
        "pictures": pictures(items, items[0].volume.grid, 2),
        "sections": (Section("CNR", (TABLE,), (BARS,)), Section("Profiles", (), (LINES,))),
    }
    return Report(**{**entries, **changes})


class Page(HTMLParser):
    """What a browser finds on a page: its elements, their attributes, its words."""

    VOID = frozenset({"meta", "img", "br", "link"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements, self.words, self.open = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


def test_page_holds_everything_and_loads_nothing(tmp_path):
    page = Page(write_report(tmp_path / "report", report()).read_text(encoding="utf-8"))
    for tag, attributes in page.elements:
        assert tag not in ("script", "link", "iframe", "object")
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href"):
            target = attributes.get(name, "data:")
            assert target.startswith("data:") or (tmp_path / "report" / target).is_file()
    assert sum(tag == "img" for tag, _ in page.elements) == 5
    assert sum(tag == "svg" for tag, _ in page.elements) == 2
    for words in ("Research use only. Not for diagnosis.", "computed by a neural network", "cartilage–<b>bone</b>", "<small> 1"):
        assert words in page.text
    for words in ("7.123", "∞", "−0.5", "1200", "width (mm)", "One & only note.", "Signal <along> the line"):
        assert words in page.text
    assert "b" not in [tag for tag, _ in page.elements]  # markup in a name stays text


def test_identifiers_are_unique_on_the_page(tmp_path):
    twice = report(sections=(Section("CNR", (TABLE, TABLE), (BARS, BARS)),))
    page = Page(write_report(tmp_path / "report", twice).read_text(encoding="utf-8"))
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers)) == 2
    names = [path.name for path in (tmp_path / "report").iterdir()]
    assert len([name for name in names if name.endswith("-cnr.csv")]) == len([n for n in names if n.endswith("-cnr.svg")]) == 2


def test_csv_beside_the_page_has_all_digits(tmp_path):
    write_report(tmp_path / "report", report())
    rows = list(csv.DictReader(io.StringIO(beside(tmp_path / "report", "cnr.csv").read_text(encoding="utf-8"))))
    assert rows[0] == {"pair": "cartilage–<b>bone</b>", "CNR": "7.123456789", "width (mm)": "", "voxels": "1200"}


def test_a_long_table_is_named_and_not_printed(tmp_path):
    rows = tuple((f"row {n}",) for n in range(LONGEST_SHOWN_TABLE + 1))
    page = write_report(tmp_path / "report", report(sections=(Section("S", (Table("Long", (Column("a"),), rows),)),)))
    text = Page(page.read_text(encoding="utf-8")).text
    assert "row 7" not in text and "long.csv" in text
    assert "row 7" in beside(tmp_path / "report", "long.csv").read_text(encoding="utf-8")


def test_a_wide_table_is_printed_in_parts_and_columns_without_a_word_are_left_out(tmp_path):
    columns = (Column("pair"), *(Column(f"quantity {n}") for n in range(13)), Column("remark"))
    row = ("muscle–fat", *(float(n) for n in range(13)), "")
    wide = Table("Wide", columns, (row,))
    page = Page(write_report(tmp_path / "report", report(sections=(Section("S", (wide,)),))).read_text(encoding="utf-8"))
    assert page.text.count("muscle–fat") == 3
    assert all(page.text.count(f"quantity {n} ") == 1 for n in range(13))
    assert "remark" not in page.text
    assert "remark" in beside(tmp_path / "report", "wide.csv").read_text(encoding="utf-8")


def test_synthetic_pictures_say_so_in_the_page_and_in_the_file(tmp_path):
    page = write_report(tmp_path / "report", report()).read_text(encoding="utf-8")
    assert page.count('<figure class="synthetic">') == 1
    assert b"SYNTHETIC" in beside(tmp_path / "report", "synthetic-stir.png").read_bytes()
    assert b"SYNTHETIC" not in beside(tmp_path / "report", "acquired-stir.png").read_bytes()


def test_identity_is_on_the_page_only_when_it_is_given(tmp_path):
    page = write_report(tmp_path / "report", report(identity={"Patient name": "Doe, Jane"})).read_text(encoding="utf-8")
    assert "Doe, Jane" in page and "names the patient" in page
    assert "names no patient" in write_report(tmp_path / "other", report()).read_text(encoding="utf-8")


# ----------------------------------------------------------------------------------------------------------------- folder


def test_the_same_report_gives_the_same_files_and_replaces_the_one_before(tmp_path):
    folder = tmp_path / "a" / "report"
    write_report(folder, report())
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    write_report(folder, report(sections=()))
    assert not list(folder.glob("*-cnr.csv"))
    write_report(folder, report())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first
    assert [path.name for path in folder.parent.iterdir()] == ["report"]


@pytest.mark.parametrize("name", ["notes.txt", "index.html"])
def test_a_folder_of_something_else_is_left_alone(tmp_path, name):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text("mine")
    with pytest.raises(OutputError, match=name):
        write_report(tmp_path / "mine", report())
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", name]


def test_a_file_added_to_a_report_is_not_lost(tmp_path):
    write_report(tmp_path / "report", report())
    (tmp_path / "report" / "remarks.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"remarks\.txt"):
        write_report(tmp_path / "report", report())
    assert (tmp_path / "report" / "remarks.txt").read_text() == "mine"


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "report").write_text("mine")
    with pytest.raises(OutputError, match="is a file"):
        write_report(tmp_path / "report", report())
    assert (tmp_path / "report").read_text() == "mine"


def test_a_failure_half_way_leaves_the_report_that_was_there(tmp_path, monkeypatch):
    write_report(tmp_path / "report", report())
    before = sorted(path.name for path in (tmp_path / "report").iterdir())

    def full(path, content):
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OutputError, match="report cannot be written: the disk is full"):
        write_report(tmp_path / "report", report(sections=()))
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == before
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_report_needs_no_library_that_slicer_may_lack():
    blocked = ("torch", "matplotlib", "SimpleITK", "skimage", "scipy", "pydicom", "rich")
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked!r}));"
        "import ccdnn.report.write, ccdnn.report.study; print('imported')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "imported\n", done.stderr


def test_a_picture_keeps_the_shape_of_its_voxels(tmp_path):
    tall = Picture("tall", np.zeros((10, 20), np.uint8), aspect=4.0)
    page = Page(write_report(tmp_path / "report", report(pictures=(tall,))).read_text(encoding="utf-8"))
    (image,) = [attributes for tag, attributes in page.elements if tag == "img"]
    assert image["style"] == "aspect-ratio:20/40"
