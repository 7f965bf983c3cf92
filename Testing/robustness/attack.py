"""Feed the product damaged and hostile files, many thousands if asked, and count what does not end as it should.

    python Testing/robustness/attack.py --trials 2000 --seed 1

Every trial is drawn from its number and the seed alone, so that `--only NUMBER` repeats it. It runs in a process of its own kind,
with limited time and memory. A trial ends well when it gives the right volume, or a sentence and the exit code of bad input. The
columns count the other ends: a traceback, a crash of the process, a hang, a wrong volume in silence, a changed input, and a secret
of the input's that was shown.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from trials import Trial, draw, run

COLUMNS = ("traceback", "crash", "hang", "wrong", "damage", "leak")
SECONDS = 20.0
# Beyond what the process holds when a trial begins.
BYTES = 2 << 30


@dataclass(frozen=True)
class Outcome:
    """How a trial ended: "read", "refused", or one of `COLUMNS`; and what it was, in words."""

    number: int
    trial: Trial
    end: str
    detail: str = ""


def attack(seed: int, numbers: range, seconds: float = SECONDS) -> Iterator[Outcome]:
    """The outcomes of trials, in their order."""
    context = multiprocessing.get_context("spawn")
    process, pipe = _start(context)
    try:
        for number in numbers:
            trial = draw(seed, number)
            pipe.send((seed, number))
            end, detail = "hang", f"more than {seconds:g} s"
            if pipe.poll(seconds):
                try:
                    end, detail = pipe.recv()
                except EOFError:
                    process.join()
                    end, detail = "crash", f"the process ended with {process.exitcode}"
            if end in ("hang", "crash"):
                process.kill()
                process.join()
                process, pipe = _start(context)
            yield Outcome(number, trial, end, detail)
    finally:
        process.kill()
        process.join()


def _start(context: multiprocessing.context.SpawnContext) -> tuple[multiprocessing.process.BaseProcess, Connection]:
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _serve(pipe: Connection) -> None:
    """The attacked process: one trial after the other."""
    _limit_memory()
    while True:
        seed, number = pipe.recv()
        with tempfile.TemporaryDirectory() as folder:
            pipe.send(run(seed, number, Path(folder)))


def _limit_memory() -> None:
    """What would take more memory than any study needs fails instead of stopping the machine."""
    try:
        import resource
    except ImportError:  # Windows
        return
    import ccdnn.cli.main
    import ccdnn.dicom.reader  # noqa: F401

    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() if sys.platform == "linux" else 0
    if held:
        resource.setrlimit(resource.RLIMIT_AS, (held + BYTES, held + BYTES))


def table(outcomes: list[Outcome]) -> str:
    """Markdown: a row for each kind of target."""
    header = ("target", "trials", "read", "refused", *COLUMNS)
    rows = []
    for target in dict.fromkeys(outcome.trial.target.name for outcome in outcomes):
        ends = Counter(outcome.end for outcome in outcomes if outcome.trial.target.name == target)
        rows.append((target, ends.total(), *(ends[end] for end in header[2:])))
    rows.sort()
    total = Counter(outcome.end for outcome in outcomes)
    rows.append(("all", total.total(), *(total[end] for end in header[2:])))
    lines = [header, ("---", *["---:"] * (len(header) - 1)), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


PAGE = """\
# What damaged and hostile files do

`make attack` feeds the product files that a hospital did not make, or that an accident changed: images of every format it reads,
sidecars and label names, model files and lists of models, sources of a DICOM export, command lines. Each trial takes a good file,
damages it in a way drawn from the seed and the trial's number, and runs the product on it in a process with limited memory (2 GiB
beyond what it holds) and time (20 s). {trials} trials, seed {seed}:

{table}

*read*: the right volume, where the damage changed nothing that matters. *refused*: one sentence and the exit code of bad input. The
other columns are faults: a traceback, a crash of the process, a hang, a wrong volume in silence, a changed input, or a secret of
the input that was shown. `Testing/robustness/attack.py --only NUMBER` repeats a trial.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, metavar="NUMBER", help="repeat one trial")
    parser.add_argument("--output", type=Path, help="write the page of the counts there as Markdown")
    chosen = parser.parse_args()
    numbers = range(chosen.trials) if chosen.only is None else range(chosen.only, chosen.only + 1)
    outcomes = []
    for outcome in attack(chosen.seed, numbers):
        outcomes.append(outcome)
        if outcome.end in COLUMNS or chosen.only is not None:
            print(
                f"{outcome.number}: {outcome.trial.target.name}, {outcome.trial.how}: {outcome.end}: {outcome.detail}", flush=True
            )
        elif len(outcomes) % 200 == 0:
            print(f"{len(outcomes)} of {len(numbers)} trials", flush=True)
    counts = table(outcomes)
    print(f"{len(outcomes)} trials, seed {chosen.seed}.\n\n{counts}\n")
    if chosen.output is not None:
        page = PAGE.format(trials=f"{len(outcomes):,}", seed=chosen.seed, table=counts)
        chosen.output.write_text(page, encoding="utf-8")
    return int(any(outcome.end in COLUMNS for outcome in outcomes))


if __name__ == "__main__":
    raise SystemExit(main())
