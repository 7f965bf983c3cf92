"""Processes the studies: here one after the other, in processes of this machine, or on a cluster.

Dask distributes them. A study is one task; a worker keeps the model between its studies. A study whose worker dies is given to
another worker, which does nothing if the record says that the study is done.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Protocol

from ccdnn.cohort.record import DONE, FAILED, STARTED, Detail, Record, read_record, write_record, write_summary
from ccdnn.cohort.studies import NamedStudy
from ccdnn.errors import CcdnnError, DeviceError, InputError, OutputError
from ccdnn.writing import make_folder

# A study that killed this many workers, for instance for lack of memory, is given up.
MOST_DEATHS = 2


class Task(Protocol):
    """What is done with each study. It is sent to the processes that do it.

    Attributes:
        columns: of the summary, for the details of a study.
        fingerprint: equal for tasks that give equal results.
    """

    columns: ClassVar[tuple[str, ...]]

    @property
    def fingerprint(self) -> str: ...

    def output_of(self, study: NamedStudy) -> str:
        """The name of the study's result in the output folder."""

    def make(self, study: NamedStudy, output: Path, work: Work) -> None:
        """Make the study's result at `output`.

        Raises:
            Exception: why it failed; a `CcdnnError` has a sentence for the user.
        """


class Work:
    """What a task reports about a study.

    Attributes:
        warnings: sentences.
        details: by column of the summary.
        writing: to be called before anything is written, since the process may be killed while it writes.
    """

    def __init__(self, writing: Callable[[], None]) -> None:
        self.warnings: list[str] = []
        self.details: dict[str, Detail] = {}
        self.writing = writing


def run_cohort(
    studies: Sequence[NamedStudy],
    folder: Path,
    task: Task,
    *,
    jobs: int = 1,
    scheduler: str | None = None,
    on_study: Callable[[Record, int, int], None] | None = None,
) -> list[Record]:
    """Process every study that is not done yet; a failure is recorded, and the others continue.

    Args:
        folder: for the results, the records and the summary; created if missing.
        jobs: processes on this machine.
        scheduler: address of a running Dask scheduler, used instead of processes of this machine.
        on_study: called with (record, studies finished, studies).

    Returns:
        the records, in the order of `studies`.

    Raises:
        InputError: `folder` has results of another task.
        OutputError: `folder` cannot be written.
        DeviceError: Dask is needed and not installed, or there is no scheduler at the address.
    """
    make_folder(folder)
    known = {study.name: _known(folder, study.name, task) for study in studies}
    finished: dict[str, Record] = {name: record for name, record in known.items() if record is not None}
    open_studies = [study for study in studies if study.name not in finished]

    def finish(record: Record) -> None:
        finished[record.study] = record
        if on_study is not None:
            on_study(record, len(finished), len(studies))

    try:
        if jobs == 1 and scheduler is None:
            for study in open_studies:
                finish(process(study, folder, task))
        elif open_studies:
            for record in _distributed(open_studies, folder, task, jobs, scheduler):
                finish(record)
    finally:
        records = [finished[study.name] for study in studies if study.name in finished]
        write_summary(folder, records, task.columns)
    return records


def process(study: NamedStudy, folder: Path, task: Task) -> Record:
    """Make one study's result and its record. An error ends in the record, so that the other studies continue."""
    if (known := _known(folder, study.name, task)) is not None:
        return known
    _remove_unfinished(folder, study.name)
    started = time.perf_counter()
    output = task.output_of(study)
    work = Work(lambda: write_record(folder, Record(study.name, STARTED, output=output)))
    try:
        task.make(study, folder / output, work)
        status, error, settings = DONE, "", task.fingerprint
    except Exception as failure:
        if isinstance(failure, OutputError) and not os.access(folder, os.W_OK):
            raise  # no other study could be written either
        status, output, settings = FAILED, "", ""
        error = str(failure) if isinstance(failure, CcdnnError) else f"An unexpected error ({type(failure).__name__}: {failure})."
    seconds = round(time.perf_counter() - started, 2)
    record = Record(study.name, status, output, work.details, seconds, " ".join(work.warnings), error, settings)
    write_record(folder, record)
    return record


def _known(folder: Path, name: str, task: Task) -> Record | None:
    """The record of a study that is done; failed ones are tried again."""
    record = read_record(folder, name)
    if record is None or record.status != DONE or not (folder / record.output).exists():
        return None
    if record.settings != task.fingerprint:
        raise InputError(f"{folder} has results of another model or other options; name another folder.")
    return record


def _remove_unfinished(folder: Path, name: str) -> None:
    """A process may have been killed between a DICOM series, which is never replaced, and its record."""
    record = read_record(folder, name)
    if record is not None and record.status == STARTED and (folder / record.output).is_dir():
        shutil.rmtree(folder / record.output)


def _distributed(studies: Sequence[NamedStudy], folder: Path, task: Task, jobs: int, scheduler: str | None) -> Iterator[Record]:
    """The records, as the studies are finished."""
    with _client(jobs, scheduler) as client:
        from distributed import as_completed
        from distributed.scheduler import KilledWorker

        names = {client.submit(process, study, folder.resolve(), task, pure=False): study.name for study in studies}
        for future in as_completed(names):
            try:
                yield future.result()
            except KilledWorker:
                record = Record(names[future], FAILED, error="Its process was killed repeatedly, perhaps for lack of memory.")
                write_record(folder, record)
                yield record


@contextmanager
def _client(jobs: int, scheduler: str | None) -> Iterator[Any]:
    try:
        import dask
        from distributed import Client, LocalCluster
    except ModuleNotFoundError as error:
        raise DeviceError(
            'Several studies at a time need Dask, which is not installed: pip install "ccdnnsynth[cohort]", or leave out --jobs.'
        ) from error
    dask.config.set({"distributed.scheduler.allowed-failures": MOST_DEATHS})
    if scheduler is not None:
        try:
            client = Client(scheduler, timeout="10s")
        except (OSError, ValueError) as error:
            raise DeviceError(f"There is no Dask scheduler at {scheduler} ({str(error).splitlines()[0]}).") from error
        with client:
            yield client
        return
    with (
        LocalCluster(n_workers=jobs, threads_per_worker=1, dashboard_address=None, silence_logs="ERROR") as cluster,
        Client(cluster) as client,
    ):
        yield client


def threads_for(jobs: int) -> int:
    """CPU threads of each of `jobs` processes, so that together they use every core once."""
    return max(1, (os.cpu_count() or 1) // jobs)
