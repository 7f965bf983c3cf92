"""Run the product on damaged and hostile files, and count the trials that do not end as they should.

    python Testing/robustness/attack.py --trials 2000 --seed 1

A trial depends only on its number and the seed, so `--only NUMBER` repeats it. It runs in a separate process with limited time and
memory. A trial ends well if it gives the right volume, or an error message and the exit code for bad input. The columns count the
other outcomes: a traceback, a crash, a hang, a wrong volume without a warning, a changed input file, and a secret of the input in
the output.
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
# In addition to the memory that the process uses at its start.
BYTES = 2 << 30


@dataclass(frozen=True)
class Outcome:
    """How a trial ended: "read", "refused" or one of `COLUMNS`, with a detail."""

    number: int
    trial: Trial
    end: str
    detail: str = ""


def attack(seed: int, numbers: range, seconds: float = SECONDS) -> Iterator[Outcome]:
    """Run the trials, and yield their outcomes in order."""
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
    """The attacked process: run one trial after another."""
    _limit_memory()
    while True:
        seed, number = pipe.recv()
        with tempfile.TemporaryDirectory() as folder:
            pipe.send(run(seed, number, Path(folder)))


def _limit_memory() -> None:
    """Limit the memory, so that an excessive allocation fails instead of stopping the machine."""
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
    """A Markdown table with a row for each kind of target."""
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
# Robustness against damaged and hostile files

`make attack` runs the product on damaged and hostile input: images of every supported format, sidecars and label names, model
files and lists of models, source series of a DICOM export, and command lines. Each trial takes a good file, damages it in a way
drawn from the seed and the trial's number, and runs the product on it in a process with limited memory (2 GiB more than at its
start) and time (20 s). {trials} trials, seed {seed}:

{table}

*read*: the right volume, since the damage changed nothing that matters. *refused*: an error message and the exit code for bad
input. The other columns are faults: a traceback, a crash, a hang, a wrong volume without a warning, a changed input file, or a
secret of the input in the output. `Testing/robustness/attack.py --only NUMBER` repeats a trial.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, metavar="NUMBER", help="repeat one trial")
    parser.add_argument("--output", type=Path, help="write the counts to this file as a Markdown page")
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
