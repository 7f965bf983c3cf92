"""Console output: messages and progress on stderr, results on stdout, so that a script can pipe them separately."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from ccdnn.errors import OutputError
from ccdnn.measure.table import Measurement
from ccdnn.text import shown


def prepare_streams() -> None:
    """Escape characters that the terminal cannot show (×, µ) instead of failing, and replace closed streams."""
    sys.stdout = sys.stdout or _Closed()
    sys.stderr = sys.stderr or io.StringIO()  # nobody reads it
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


class _Closed(io.TextIOBase):
    """Stand-in for a standard output that the caller closed (`>&-`)."""

    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, "it is closed")

    def flush(self) -> None:
        return


@contextmanager
def _to_stdout() -> Iterator[None]:
    """Report a failed write to stdout within the block as a one-sentence error.

    Raises:
        OutputError: the output cannot be written, for example because the disk is full.
        BrokenPipeError: the reader closed the pipe.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        drop_stdout()
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise OutputError(f"The result cannot be printed: {reason}.") from None


def drop_stdout() -> None:
    """Discard buffered standard output, so that Python does not report an error at exit."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def note(sentence: str) -> None:
    _say("", sentence)


def warning(sentence: str) -> None:
    _say("Warning: ", sentence, "yellow")


def error(sentence: str) -> None:
    _say("Error: ", sentence, "bold red")


def result(line: str) -> None:
    """Print one line of the result on stdout, unstyled and never wrapped."""
    with _to_stdout():
        print(_escaped(line))


@contextmanager
def progress(label: str, unit: str, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr with the remaining time; yields a function to call with (done, total).

    The bar appears at the first call, so that an earlier error is not printed below an empty bar. If stderr is not a terminal, only
    the final state is written, on one line.
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
    """Print a table on stdout. Columns after the first are right-aligned for numbers, unless they contain `words`."""
    table = Table(title=_escaped(title), title_justify="left")
    for column, heading in enumerate(headings):
        table.add_column(heading, justify="right" if column and not words else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(_escaped, row))
    print_wide(table)


def print_wide(table: Table, width: int | None = None) -> None:
    """Print a rich table on stdout.

    Args:
        width: in characters, used if stdout is not a terminal.
    """
    terminal = Console(markup=False, highlight=False)
    with _to_stdout():
        (terminal if terminal.is_terminal or width is None else Console(markup=False, highlight=False, width=width)).print(table)


def value_of(measurement: Measurement) -> str:
    """A measurement's value with its unit, to four digits; a dash if there is no value."""
    if measurement.value != measurement.value:
        return "–"
    return f"{measurement.value:.4g}" + ("" if measurement.unit == "1" else f" {measurement.unit}")


def _say(prefix: str, sentence: str, style: str = "") -> None:
    console = Console(stderr=True, markup=False, highlight=False)
    console.print(prefix, style=style, end="") if prefix else None
    console.print(_escaped(sentence), soft_wrap=True)


def _escaped(text: str) -> str:
    """Lines without control characters; file and series names are untrusted."""
    return "\n".join(shown(line, longest=None) for line in text.split("\n"))
