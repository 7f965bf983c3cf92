"""The report of a comparison: the paper's Table 1 and Figures 5 to 8 for this cohort, as Markdown and HTML.

report/
  report.md report.html
  measurements.csv          every number of every subject
  *.csv                     the tables
  *.png                     the pictures
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from ccdnn.errors import InputError
from ccdnn.report.page import file_stem
from ccdnn.writing import make_folder, write_text
from ccdnn_training.code_version import code_version
from ccdnn_training.data.cache import CachedSubject, SliceCache
from ccdnn_training.evaluation.significance import STARS_IN_WORDS
from ccdnn_training.reporting import Progress, command_line, read_records, write_records
from ccdnn_training.studies.comparison import pictures, tables
from ccdnn_training.studies.comparison.cells import read_prediction, read_record
from ccdnn_training.studies.comparison.layout import Cell, Layout
from ccdnn_training.studies.comparison.measurements import ACQUIRED, DICE, SMOOTHED_SSIM, Row, Stirs
from ccdnn_training.studies.comparison.tables import AGAINST, Measured
from ccdnn_training.studies.comparison.timing import SliceTime, time_slices

EXAMPLES = 4  # number of healthy subjects shown, as in Figure 5

_STYLE = """\
body { font: 15px/1.45 Helvetica, Arial, "Liberation Sans", sans-serif; color: #222; max-width: 72rem; margin: 2rem auto;
  padding: 0 1.5rem; }
table { border-collapse: collapse; margin: .8rem 0; font-size: .92rem; }
th, td { border: 1px solid #ccc; padding: .25rem .55rem; text-align: left; }
th { background: #f2f2f2; }
img { max-width: 100%; }
"""


def write_comparison(layout: Layout, progress: Progress) -> Path:
    """Write the report of all finished cells, replacing an earlier one; returns the Markdown file.

    Raises:
        InputError: no cell is finished, or one is damaged.
    """
    cells = layout.measured_cells()
    if not cells:
        raise InputError(f"{layout.folder} contains no fitted and measured method yet; run without --report-only.")
    times = _times(layout, cells, progress)
    rows = [row for cell in cells for row in read_records(Row, cell.measurements)]
    make_folder(layout.report)
    write_records(_without_repeats(rows), Row, layout.report / "measurements.csv")
    text = "\n".join(_sections(layout, cells, Measured(rows), times))
    write_text(text, layout.report / "report.md")
    write_text(_page(text), layout.report / "report.html")
    return layout.report / "report.md"


def _sections(layout: Layout, cells: Sequence[Cell], measured: Measured, times: Sequence[SliceTime]) -> Iterator[str]:
    def picture(title: str, stem: str, draw: Callable[[Path], None]) -> str:
        draw(layout.report / f"{stem}.png")
        return f"![{title}]({stem}.png)\n"

    yield "# Comparison of methods\n"
    yield "Synthetic images are computed, not acquired. Research use only, not for diagnosis.\n"
    yield f"Command: `{command_line()}`  \nCode: {code_version()}  \nCohort: {_cohort_in_words(layout)}\n"
    if missing := _missing(layout, cells):
        yield f"**Not complete**: {missing}\n"
    yield "## Quality (Table 1)\n"
    yield (
        "Mean ± SD over test subjects, each predicted by a method that was fitted without it. Images are scaled to 0–1 by the "
        f"acquired STIR's maximum. Wilcoxon signed-rank test against {AGAINST}: {STARS_IN_WORDS}. The paper's figures are of other "
        "subjects, in vivo.\n"
    )
    yield tables.markdown(tables.quality_table(measured))
    yield tables.markdown(tables.margin_table(measured))
    yield picture("Every subject", "subjects", partial(pictures.draw_subjects, measured))
    yield "## Where the errors lie\n"
    yield (
        "The brightest voxels of the acquired STIR are fluid and vessels. The best scale is that of a least-squares fit to the "
        "acquired image, which removes the unknown scale of the series.\n"
    )
    yield tables.markdown(tables.error_table(measured))
    if measured.names(SMOOTHED_SSIM):
        yield (
            "SSIM prefers a smooth estimate of a noisy image. With all methods' images smoothed alike, the remaining differences "
            "have other causes.\n"
        )
        yield tables.markdown(tables.smoothness_table(measured))
    if healthy := _healthy(layout, cells):
        yield "## Examples (Figure 5)\n"
        yield picture("Acquired and synthetic STIR", "examples", partial(pictures.draw_examples, healthy))
    if measured.lesions():
        yield "## Subjects with a lesion, in no fold (Figure 6)\n"
        yield (
            "Every subject was predicted by the methods of all folds; the picture shows one fold's. The CNR is unsigned. "
            "The contrast to bone is signed: 1 is as acquired, 0 invisible, negative a dark lesion.\n"
        )
    for lesion in measured.lesions():
        yield f"### {lesion[:1].upper()}{lesion[1:]}\n"
        yield tables.markdown(tables.lesion_table(measured, lesion))
        if examples := _with_lesion(layout, cells, lesion):
            yield picture(lesion, file_stem(lesion), partial(pictures.draw_examples, examples))
    if measured.names(DICE):
        yield "## Menisci and line profiles (Figure 7)\n"
        yield tables.markdown(tables.structure_table(measured))
        if stirs := next((stirs for stirs, *_ in healthy if pictures.has_structures(stirs)), None):
            yield picture("Menisci and profiles", "structures", partial(pictures.draw_structures, stirs))
    if any(measured.of(name, ACQUIRED) for name in measured.names("CNR ")):
        yield "## CNR (Figure 8)\n"
        yield tables.markdown(tables.cnr_table(measured))
        yield picture("CNR between tissues", "cnr", partial(pictures.draw_contrast, measured))
    yield "## Time and cost\n"
    yield tables.markdown(tables.time_table(times))
    yield tables.markdown(tables.cost_table({cell: read_record(cell) for cell in cells}))
    if curves := pictures.validation_curves(cells):
        yield "## Convergence (after Figure S3)\n"
        yield "Validation error by epoch; the dot is the epoch that was kept.\n"
        yield picture("Validation error", "validation", partial(pictures.draw_validation, curves))


def _page(text: str) -> str:
    from markdown import markdown

    body = markdown(text, extensions=["tables"])
    head = f'<meta charset="utf-8"><title>Comparison of methods</title><style>\n{_STYLE}</style>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _times(layout: Layout, cells: Sequence[Cell], progress: Progress) -> list[SliceTime]:
    """Measured once for the same methods: the first fold of each, on a slice of its first test subject."""
    first = {cell.name: cell for cell in reversed(cells)}
    timed = [first[name] for name in layout.methods() if name in first]
    if layout.timing.exists():
        known = read_records(SliceTime, layout.timing)
        if {found.method for found in known} == {cell.method.title for cell in timed}:
            return known
    inputs = SliceCache(layout.cache, timed[0].fold).part("test")[0].array()[:-1]
    with progress("timing a slice") as on_run:
        times = time_slices(timed, inputs[:, inputs.shape[1] // 2][:, None], on_run=on_run)
    write_records(times, SliceTime, layout.timing)
    return times


def _without_repeats(rows: Sequence[Row]) -> list[Row]:
    """Drop repeats, since measurements on the acquired STIR are the same for all methods of a fold."""
    seen: dict[tuple, Row] = {}
    for row in rows:
        seen.setdefault((row.subject, row.image, row.name, row.fold), row)
    return list(seen.values())


def _healthy(layout: Layout, cells: Sequence[Cell]) -> list[tuple[Mapping[str, Stirs], int, tuple[int, int]]]:
    """A test subject of each fold, in turn until there are enough."""
    parts = {fold: SliceCache(layout.cache, fold).part("test") for fold in dict.fromkeys(cell.fold for cell in cells)}
    turns = [(fold, subjects[turn]) for turn in range(EXAMPLES) for fold, subjects in parts.items() if turn < len(subjects)]
    there = [(fold, subject) for fold, subject in turns if _images_there(cells, fold, subject)]
    return [_example(cells, fold, subject) for fold, subject in there[:EXAMPLES]]


def _with_lesion(layout: Layout, cells: Sequence[Cell], lesion: str) -> list[tuple[Mapping[str, Stirs], int, tuple[int, int]]]:
    """Subjects with the lesion, predicted by the methods of the first fold that has their images."""
    for fold in dict.fromkeys(cell.fold for cell in cells):
        subjects = [subject for subject in SliceCache(layout.cache, fold).apart if subject.lesion == lesion][:EXAMPLES]
        if all(_images_there(cells, fold, subject) for subject in subjects):
            return [_example(cells, fold, subject) for subject in subjects]
    return []


def _images_there(cells: Sequence[Cell], fold: int, subject: CachedSubject) -> bool:
    """Whether the predictions exist; they may be removed to save space once they are measured."""
    return all(cell.prediction(subject.name).exists() for cell in cells if cell.fold == fold)


def _example(cells: Sequence[Cell], fold: int, subject: CachedSubject) -> tuple[Mapping[str, Stirs], int, tuple[int, int]]:
    stirs = {cell.method.title: Stirs.of(subject, read_prediction(cell, subject.name)) for cell in cells if cell.fold == fold}
    first = next(iter(stirs.values()))
    index = pictures.slice_to_show(first)
    return stirs, index, pictures.place_to_magnify(first, index)


def _cohort_in_words(layout: Layout) -> str:
    cache = SliceCache(layout.cache, 1)
    shapes = {subject.array().shape[1:] for subject in cache.subjects}
    sizes = ", ".join(f"{slices} slices of {columns} × {rows}" for slices, rows, columns in sorted(shapes))
    parts = ", ".join(f"{len(cache.part(part))} {part}" for part in ("train", "validation", "test"))
    apart = f", and {len(cache.apart)} with a lesion, in no fold" if cache.apart else ""
    return f"{len(cache.subjects)} subjects ({parts} in fold 1){apart}; {sizes}; `{cache.made_by}`"


def _missing(layout: Layout, cells: Sequence[Cell]) -> str:
    """Unfinished cells, by method."""
    done = {(cell.name, cell.fold) for cell in cells}
    folds = layout.folds()
    return "; ".join(
        f"{cell_name} lacks fold {', '.join(map(str, left))}"
        for cell_name in layout.methods()
        if (left := [fold for fold in folds if (cell_name, fold) not in done])
    )
