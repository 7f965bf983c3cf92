"""How the commands talk: messages and progress on stderr, results on stdout, so that a script can pipe one without the other."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from ccdnn.measure.table import Measurement


def prepare_streams() -> None:
    """Let a terminal that lacks × or µ show an escape for it instead of ending the run."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def note(sentence: str) -> None:
    _say("", sentence)


def warning(sentence: str) -> None:
    _say("Warning: ", sentence, "yellow")


def error(sentence: str) -> None:
    _say("Error: ", sentence, "bold red")


def result(line: str) -> None:
    """One line of the result on stdout, unstyled and never wrapped."""
    print(line)


@contextmanager
def progress(label: str, unit: str, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr with the time left; yields the function to call with (done, in all).

    The bar appears with the first call, so that an error before it is not told under an empty bar. Where stderr is no terminal,
    only the last state is written, one line.
    """
    columns = (
        TextColumn(label),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TextColumn("·"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    bar = Progress(*columns, console=Console(stderr=True), disable=quiet)
    task = bar.add_task(label, total=None, start=False)

    def advance(done: int, total: int) -> None:
        if not bar.tasks[task].started:
            bar.start()
            bar.start_task(task)
        bar.update(task, completed=done, total=total)

    try:
        yield advance
    finally:
        if bar.tasks[task].started:
            bar.stop()


def print_table(title: str, headings: Iterable[str], rows: Iterable[Iterable[str]], words: bool = False) -> None:
    """A table on stdout. All columns but the first are aligned to the right, as numbers are, unless they hold `words`."""
    table = Table(title=title, title_justify="left")
    for column, heading in enumerate(headings):
        table.add_column(heading, justify="right" if column and not words else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(markup=False, highlight=False).print(table)


def shown(measurement: Measurement) -> str:
    """The value of a measurement with its unit, to four digits; a dash where there is none."""
    if measurement.value != measurement.value:
        return "–"
    return f"{measurement.value:.4g}" + ("" if measurement.unit == "1" else f" {measurement.unit}")


def _say(prefix: str, sentence: str, style: str = "") -> None:
    console = Console(stderr=True, markup=False, highlight=False)
    console.print(prefix, style=style, end="") if prefix else None
    console.print(sentence, soft_wrap=True)
