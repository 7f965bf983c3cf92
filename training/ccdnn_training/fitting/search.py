"""The loss's ratios and window, chosen by the validation error alone (section 2.6, Figure S2).

OUT/
  c2_0.3-c3_0.3-k_5/    a trial: the folder of its fit, and result.json once it is done
  search.csv  search.md  ratio_c2.svg  ratio_c3.svg  window.svg
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import product
from pathlib import Path

from ccdnn.chart import BLUE, Chart, Series
from ccdnn.errors import InputError
from ccdnn.measure.table import Column, Table
from ccdnn.report.svg import chart_svg
from ccdnn.writing import make_folder, write_text
from ccdnn_training.fitting.command import fit
from ccdnn_training.fitting.guard import FitError
from ccdnn_training.reporting import fingerprint, markdown_table, write_page

RESULT = "result.json"
SYMBOLS = {"ratio_c2": "ratio of c2 (α)", "ratio_c3": "ratio of c3 (β)", "window": "window k, pixels"}


@dataclass(frozen=True)
class Trial:
    """One setting of the loss."""

    ratio_c2: float
    ratio_c3: float
    window: int

    @property
    def name(self) -> str:
        return f"c2_{self.ratio_c2:g}-c3_{self.ratio_c3:g}-k_{self.window}"

    @property
    def arguments(self) -> list[str]:
        return [argument for name, value in asdict(self).items() for argument in (f"--model.{name}", f"{value:g}")]


@dataclass(frozen=True)
class Result:
    """A trial and its validation error after the last epoch; NaN if the fit failed (`note` gives the reason)."""

    trial: Trial
    validation_mse: float
    note: str = ""


def trials_of(ratios_c2: Iterable[float], ratios_c3: Iterable[float], windows: Iterable[int]) -> list[Trial]:
    """Every combination."""
    return [Trial(*setting) for setting in product(ratios_c2, ratios_c3, windows)]


def search(
    trials: Sequence[Trial],
    folder: Path,
    arguments: Sequence[str],
    *,
    on_trial: Callable[[int, int], None] | None = None,
) -> list[Result]:
    """Fit every trial that has no result in `folder` yet, and update the tables and charts after each.

    A stopped trial resumes from its last checkpoint.

    Args:
        arguments: arguments of `fit`, the same for all trials.
        on_trial: called with (trials done, trials).

    Raises:
        InputError: `folder` contains trials of other settings; or no trial finished.
    """
    settings = fingerprint(Path(argument).read_bytes() if Path(argument).is_file() else argument.encode() for argument in arguments)
    known = {trial: found for trial in trials if (found := _known_result(trial, folder / trial.name, settings))}
    for done, trial in enumerate(trials, start=1):
        if trial not in known:
            known[trial] = _run(trial, folder / trial.name, arguments, settings)
        results = [known[trial] for trial in trials if trial in known]
        _write(results, folder)
        if on_trial:
            on_trial(done, len(trials))
    if all(math.isnan(result.validation_mse) for result in results):
        raise InputError(f"No trial of the search finished: {results[0].note}")
    return results


def best_of(results: Iterable[Result]) -> Result:
    """The trial with the smallest validation error."""
    return min((result for result in results if not math.isnan(result.validation_mse)), key=lambda result: result.validation_mse)


def _run(trial: Trial, folder: Path, arguments: Sequence[str], settings: str) -> Result:
    make_folder(folder)
    last = folder / "checkpoints" / "last.ckpt"
    resume = ["--ckpt_path", str(last)] if last.exists() else []
    try:
        trainer = fit([*arguments, *trial.arguments, "--run", str(folder), *resume])
        result = Result(trial, float(trainer.callback_metrics["validation/mse"]))
    except FitError as error:
        result = Result(trial, math.nan, str(error))
    entries = {"validation_mse": None if math.isnan(result.validation_mse) else result.validation_mse, "note": result.note}
    write_text(json.dumps({**entries, "settings": settings}, indent=1), folder / RESULT)
    return result


def _known_result(trial: Trial, folder: Path, settings: str) -> Result | None:
    path = folder / RESULT
    if not path.exists():
        return None
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        mse = math.nan if entries["validation_mse"] is None else float(entries["validation_mse"])
        result, made_with = Result(trial, mse, entries["note"]), entries["settings"]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged ({error}); remove {folder} to run the trial again.") from error
    if made_with != settings:
        raise InputError(f"{folder} was fitted with other settings; name another folder for this search.")
    return result


def _write(results: Sequence[Result], folder: Path) -> None:
    ordered = sorted(results, key=lambda result: (math.isnan(result.validation_mse), result.validation_mse))
    table = Table(
        "Validation error by loss ratio and window",
        (*(Column(SYMBOLS[field.name]) for field in fields(Trial)), Column("validation MSE · 10³"), Column("note")),
        tuple((*asdict(r.trial).values(), 1e3 * r.validation_mse, r.note) for r in ordered),
    )
    write_text(table.to_csv(), folder / "search.csv")
    rows = ((f"{cell:.4g}" if isinstance(cell, float) else cell for cell in row) for row in table.rows)
    about = f"{table.title}: after the last epoch, on validation subjects only; best first."
    write_page(about, "", markdown_table((column.heading for column in table.columns), rows), folder / "search.md")
    if all(math.isnan(result.validation_mse) for result in results):
        return
    best = best_of(results).trial
    for field in fields(Trial):
        # As in Figure S2: one setting changes, the others keep their best values.
        line = sorted(
            (getattr(r.trial, field.name), 1e3 * r.validation_mse)
            for r in results
            if all(getattr(r.trial, other.name) == getattr(best, other.name) for other in fields(Trial) if other != field)
        )
        x, y = zip(*line, strict=True)
        others = ", ".join(f"{other.name} {getattr(best, other.name):g}" for other in fields(Trial) if other != field)
        chart = Chart(f"Validation MSE with {others}", SYMBOLS[field.name], "MSE · 10³", (Series("validation", y, x, BLUE),))
        write_text(chart_svg(chart), folder / f"{field.name}.svg")
