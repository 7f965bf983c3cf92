"""Processes the studies: here one after the other, in processes of this machine, or on a cluster.

Dask distributes them. A study is one task; a worker keeps the model between its studies. A study whose worker dies is given to
another worker, which does nothing if the record says that the study is done.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ccdnn.cohort.record import DONE, FAILED, STARTED, Record, read_record, write_record, write_summary
from ccdnn.cohort.studies import NamedStudy
from ccdnn.errors import CcdnnError, DeviceError, InputError, OutputError
from ccdnn.study_synthesis import DICOM, check_output, synthesize_study, write_result
from ccdnn.writing import make_folder

if TYPE_CHECKING:
    from ccdnn.inference.synthesizer import Synthesizer

# A study that killed this many workers, for instance for lack of memory, is given up.
MOST_DEATHS = 2


@dataclass(frozen=True)
class CohortSettings:
    """What is the same for all studies.

    Args:
        model: path of the model file, on every machine of a cluster the same.
        sha256: of that file.
        device, precision, batch, threads: see `Synthesizer`.
        form: see `ccdnn.study_synthesis.check_output`.
        force, with_names: see `ccdnn.synthesis.synthesize`.
    """

    model: str
    sha256: str
    device: str = "auto"
    precision: str = "auto"
    batch: int | None = None
    threads: int | None = None
    form: str = ".nrrd"
    force: bool = False
    with_names: bool = False

    @property
    def fingerprint(self) -> str:
        """Equal for settings that give equal results."""
        result = {k: v for k, v in asdict(self).items() if k not in ("model", "batch", "threads", "device", "precision")}
        return hashlib.sha256(json.dumps(result, sort_keys=True).encode()).hexdigest()[:16]


def run_cohort(
    studies: Sequence[NamedStudy],
    folder: Path,
    settings: CohortSettings,
    *,
    jobs: int = 1,
    scheduler: str | None = None,
    on_study: Callable[[Record, int, int], None] | None = None,
) -> list[Record]:
    """Process every study that is not done yet; a failure is recorded, and the others go on.

    Args:
        folder: for the results, the records and the summary; created if missing.
        jobs: processes on this machine.
        scheduler: address of a running Dask scheduler, used instead of processes of this machine.
        on_study: called with (record, studies finished, studies).

    Returns:
        the records, in the order of `studies`.

    Raises:
        InputError: `folder` has results of other settings.
        OutputError: `folder` cannot be written.
        DeviceError: Dask is needed and not installed, or there is no scheduler at the address.
    """
    make_folder(folder)
    known = {study.name: _known(folder, study.name, settings) for study in studies}
    finished: dict[str, Record] = {name: record for name, record in known.items() if record is not None}
    open_studies = [study for study in studies if study.name not in finished]

    def finish(record: Record) -> None:
        finished[record.study] = record
        if on_study is not None:
            on_study(record, len(finished), len(studies))

    try:
        if jobs == 1 and scheduler is None:
            for study in open_studies:
                finish(process(study, folder, settings))
        elif open_studies:
            for record in _distributed(open_studies, folder, settings, jobs, scheduler):
                finish(record)
    finally:
        records = [finished[study.name] for study in studies if study.name in finished]
        write_summary(folder, records)
    return records


def process(study: NamedStudy, folder: Path, settings: CohortSettings) -> Record:
    """Make one study's result and its record. An error ends in the record, so that the other studies go on."""
    if (known := _known(folder, study.name, settings)) is not None:
        return known
    _remove_unfinished(folder, study.name)
    started = time.perf_counter()
    name = study.name + ("" if settings.form == DICOM else settings.form)
    warnings: list[str] = []
    try:
        check_output(folder / name, settings.form)
        made = synthesize_study(
            study.choice,
            _synthesizer(settings),
            force=settings.force,
            with_names=settings.with_names,
            output=folder / name,
            on_message=lambda kind, sentence: warnings.append(sentence) if kind == "warning" else None,
        )
        warnings += made.problems
        write_record(folder, Record(study.name, STARTED, output=name))
        warnings += write_result(made, folder / name, settings.form, force=settings.force)
        result = made.result
        record = Record(
            study.name,
            DONE,
            output=name,
            **{role.value: row for role, row in made.rows.items()},
            covered_by_all=round(float(result.covered.mean()), 4),
            without=", ".join(role.label for role in made.missing),
            device=result.device,
            precision=result.precision,
            seconds=round(time.perf_counter() - started, 2),
            warnings=" ".join(warnings),
            settings=settings.fingerprint,
        )
    except Exception as error:
        if isinstance(error, OutputError) and not os.access(folder, os.W_OK):
            raise  # no other study could be written either
        reason = str(error) if isinstance(error, CcdnnError) else f"An unexpected error ({type(error).__name__}: {error})."
        seconds = round(time.perf_counter() - started, 2)
        record = Record(study.name, FAILED, seconds=seconds, warnings=" ".join(warnings), error=reason)
    write_record(folder, record)
    return record


@lru_cache(maxsize=1)
def _synthesizer(settings: CohortSettings) -> Synthesizer:
    """The model of this process, loaded once."""
    from ccdnn.inference.synthesizer import Synthesizer
    from ccdnn.model.file import load_model

    model = load_model(settings.model, settings.sha256)
    return Synthesizer(model, settings.device, settings.precision, settings.batch, settings.threads)


def _known(folder: Path, name: str, settings: CohortSettings) -> Record | None:
    """The record of a study that is done; failed ones are tried again."""
    record = read_record(folder, name)
    if record is None or record.status != DONE or not (folder / record.output).exists():
        return None
    if record.settings != settings.fingerprint:
        raise InputError(f"{folder} has results of another model or other options; name another folder.")
    return record


def _remove_unfinished(folder: Path, name: str) -> None:
    """A process may have been killed between a DICOM series, which is never replaced, and its record."""
    record = read_record(folder, name)
    if record is not None and record.status == STARTED and (folder / record.output).is_dir():
        shutil.rmtree(folder / record.output)


def _distributed(
    studies: Sequence[NamedStudy], folder: Path, settings: CohortSettings, jobs: int, scheduler: str | None
) -> Iterator[Record]:
    """The records, as the studies are finished."""
    with _client(jobs, scheduler) as client:
        from distributed import as_completed
        from distributed.scheduler import KilledWorker

        names = {client.submit(process, study, folder.resolve(), settings, pure=False): study.name for study in studies}
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
