"""What the commands for many studies share: their options, the progress, the end."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ccdnn.cli import console
from ccdnn.cli.arguments import positive
from ccdnn.cohort.record import FAILED, SUMMARY, Record
from ccdnn.cohort.studies import find_studies
from ccdnn.errors import Cancelled, InputError

if TYPE_CHECKING:
    from ccdnn.cohort.run import Task


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add --each, --jobs and --scheduler."""
    many = parser.add_argument_group("many studies")
    many.add_argument("--each", type=Path, metavar="STUDIES", help="folder with a subfolder for each study, or a CSV file")
    many.add_argument("--jobs", type=positive, default=1, metavar="N", help="studies at a time, each in a process (default: 1)")
    many.add_argument("--scheduler", metavar="ADDRESS", help="a running Dask scheduler that computes, such as tcp://host:8786")


def refuse_for_one(options: argparse.Namespace) -> None:
    """
    Raises:
        InputError: an option of `add_options` was given without --each.
    """
    if options.jobs > 1 or options.scheduler:
        raise InputError("--jobs and --scheduler are for many studies; name them with --each.")


def run_each(options: argparse.Namespace, task: Task, label: str, quiet: bool) -> list[Record]:
    """Do `task` with each of the studies of `options.each`, with progress; the results are in `options.output`.

    Args:
        label: what is done, for the progress bar.

    Raises:
        Cancelled: it was stopped; what is finished is kept.
        CcdnnError: see `find_studies` and `run_cohort`.
    """
    from ccdnn.cohort.run import run_cohort

    studies = find_studies(options.each, options.output)
    finished = 0
    with console.progress(label, "studies", quiet) as on_progress:

        def on_study(record: Record, done: int, total: int) -> None:
            nonlocal finished
            finished = done
            if record.status == FAILED:
                console.warning(f"{record.study}: {record.error}")
            on_progress(done, total)

        try:
            return run_cohort(studies, options.output, task, jobs=options.jobs, scheduler=options.scheduler, on_study=on_study)
        except KeyboardInterrupt:
            raise Cancelled(
                f"Stopped after {finished} of {len(studies)} studies; run the same command again to do what is left."
            ) from None


def end(options: argparse.Namespace, records: list[Record]) -> None:
    """Raise an error if a study failed, after all that could be done is done.

    Raises:
        InputError: it says how many failed, and where the reasons are.
    """
    if failed := sum(record.status == FAILED for record in records):
        raise InputError(f"{failed} of {len(records)} studies failed; {options.output / SUMMARY} gives the reason for each.")


def summary_line(options: argparse.Namespace, records: list[Record]) -> str:
    """Where the summary is, and how many studies failed."""
    failed = sum(record.status == FAILED for record in records)
    return f"{options.output / SUMMARY}: {len(records)} studies, {failed} of them failed"
