"""Models on simulated subjects unseen in training, compared with predictors without a network."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ccdnn.inference.synthesizer import Synthesizer
from ccdnn.measure.similarity import similarity
from ccdnn.model.card import MeasuredResult
from ccdnn.model.file import Model, load_model
from ccdnn.normalisation import Normalisation
from ccdnn.series import Role
from ccdnn.writing import write_text
from ccdnn_training.data.cache import CachedSubject
from ccdnn_training.evaluation import table_1
from ccdnn_training.evaluation.baselines import PixelRegressor, best_affine_fit
from ccdnn_training.evaluation.checks import body_of, edema_contrast_of, lesion_checks, marrow_checks, streaks_in_air
from ccdnn_training.evaluation.significance import signed_rank_p
from ccdnn_training.parallel import fresh_processes
from ccdnn_training.physics.protocol import INPUT_CONTRASTS
from ccdnn_training.reporting import markdown_table, plus_minus, write_rows

METRICS = tuple(metric.name for metric in table_1.METRICS)
# Further metrics, where a subject has them (`evaluation.checks`): metric → number of digits.
CHECKS = {
    "contrast of bone-marrow edema": 2,
    "CNR of bone-marrow edema": 1,
    "contrast of ganglion": 2,
    "marrow SD": 2,
    "false bright marrow": 4,
    "streaks in air": 4,
}
_COMPARED = ("PSNR", "SSIM", "MS-SSIM", "contrast of bone-marrow edema", "false bright marrow")


@dataclass(frozen=True)
class Score:
    """One metric (of `METRICS` or `CHECKS`) of one method on one subject."""

    subject: str
    method: str
    metric: str
    value: float


def title_of(model: Model, missing: Sequence[str] = ()) -> str:
    """A model's name among the methods."""
    without = f", without {' and '.join(Role(role).label for role in missing)}" if missing else ""
    return f"{model.card.name} {model.card.version}{without}"


def score_subjects(
    models: Sequence[Model],
    train: tuple[CachedSubject, ...],
    test: tuple[CachedSubject, ...],
    *,
    jobs: int = 1,
    on_subject: Callable[[int, int], None] | None = None,
) -> list[Score]:
    """Score the networks, a pixel regressor fitted on `train`, and the best affine fit of each input, on the `test` subjects.

    A network with an optional input is scored with all inputs and without that one. All methods predict the acquired STIR
    in the cards' normalisation; then both are divided by the acquired STIR's maximum (its minimum is 0), one factor per
    subject, so that images are scaled to 0–1 as in the paper's section 2.8.

    Args:
        models: all with the same normalisation.
        train, test: subjects of slice caches normalised as the models' cards state.
        jobs: processes, of one thread each.
        on_subject: called with (subjects done, subjects).
    """
    regressor = PixelRegressor(train)
    contrasts = [edema_contrast_of(np.asarray(subject.array()[-1], np.float32), subject.regions()) for subject in test]
    typical = float(np.nanmean(contrasts)) if np.isfinite(contrasts).any() else float("nan")
    scores: list[Score] = []
    with fresh_processes(jobs, _start_worker, [model.path for model in models], regressor, typical) as pool:
        for done, of_subject in enumerate(pool.map(_score_subject, test), start=1):
            scores += of_subject
            if on_subject:
                on_subject(done, len(test))
    return scores


_worker: tuple[list[Synthesizer], PixelRegressor, float]  # of this process, set by `_start_worker`


def _start_worker(model_paths: Sequence[Path], regressor: PixelRegressor, edema_contrast: float) -> None:
    global _worker
    _worker = ([Synthesizer(load_model(path), threads=1) for path in model_paths], regressor, edema_contrast)


def _score_subject(subject: CachedSubject) -> list[Score]:
    synthesizers, regressor, edema_contrast = _worker
    array = subject.array().astype(np.float32)
    inputs, acquired = array[:-1], array[-1]
    predictions: dict[str, np.ndarray] = {}
    for synthesizer in synthesizers:
        card = synthesizer.model.card
        predictions[title_of(synthesizer.model)] = synthesizer.run(inputs)
        for role in card.optional:
            partial = inputs.copy()
            partial[card.roles.index(role)] = Normalisation.from_card(card.normalisation).background
            predictions[title_of(synthesizer.model, [role])] = synthesizer.run(partial)
    predictions["pixel regressor"] = regressor.predict(inputs)
    for contrast, image in zip(INPUT_CONTRASTS, inputs, strict=True):
        predictions[f"{Role(contrast).label}, best fit"] = best_affine_fit(image, acquired)
    top, regions, body = acquired.max(), subject.regions(), body_of(inputs, subject.tissue_threshold)
    scores = []
    for method, prediction in predictions.items():
        found = {row.name: row.value for row in similarity(prediction / top, acquired / top, measured_on=method)}
        found |= lesion_checks(prediction, acquired, regions)
        found |= marrow_checks(prediction, acquired, regions, edema_contrast)
        found["streaks in air"] = streaks_in_air(prediction, body)
        scores += [
            Score(subject.name, method, metric, found[metric])
            for metric in (*METRICS, *CHECKS)
            if metric in found and (np.isfinite(found[metric]) or metric in METRICS)
        ]
    return scores


def metrics_of(scores: list[Score]) -> tuple[str, ...]:
    """Those of `METRICS`, and those of `CHECKS` that a subject has."""
    found = {score.metric for score in scores}
    return (*METRICS, *(metric for metric in CHECKS if metric in found))


def summarise(scores: list[Score]) -> Iterator[tuple[str, dict[str, tuple[float, float, int]]]]:
    """For each method, in order: metric to (mean, standard deviation, n) over the subjects that have it."""
    for method in dict.fromkeys(score.method for score in scores):
        row = {}
        for metric in metrics_of(scores):
            values = [s.value for s in scores if s.method == method and s.metric == metric]
            if values:
                row[metric] = (float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0, len(values))
        yield method, row


def write_scores(scores: list[Score], path: Path) -> None:
    """Write the raw scores as CSV, one row per subject and method; empty if a subject does not have the lesion."""
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for score in scores:
        rows.setdefault((score.subject, score.method), {})[score.metric] = score.value
    metrics = metrics_of(scores)
    lines = ([*key, *(values.get(metric) for metric in metrics)] for key, values in rows.items())
    write_rows(["subject", "method", *metrics], lines, path)


def write_results(scores: list[Score], method: str, measured_on: str, command: str, path: Path) -> None:
    """Write the figures of one method for a model's card, as JSON; figures without an input are named accordingly."""
    results = []
    for title, row in summarise(scores):
        suffix = title.removeprefix(method)  # ", without GRE"
        if not title.startswith(method) or suffix[:1] not in ("", ","):
            continue
        results += [
            MeasuredResult(f"{metric}{suffix}", round(mean, 6), round(deviation, 6), n, measured_on, command)
            for metric, (mean, deviation, n) in row.items()
            if np.isfinite(mean)  # small slices have no MS-SSIM
        ]
    write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n", path)


def quality_tables(scores: list[Score]) -> str:
    """Mean ± SD over subjects, one row per method, with the paper's in-vivo figures; the checks; the first method's lead."""
    rows = dict(summarise(scores))
    figures: list[tuple[object, ...]] = []
    for method, row in rows.items():
        figures.append((method, row["MSE"][2], *(metric.text(*row[metric.name][:2]) for metric in table_1.METRICS)))
    of_paper = (metric.text(*table_1.FIGURES["CC-DNN"][metric.name]) for metric in table_1.METRICS)
    figures.append(("*paper, CC-DNN in vivo (Table 1)*", table_1.VOLUNTEERS, *of_paper))
    checks = metrics_of(scores)[len(METRICS) :]
    parts = [markdown_table(("method", "n", *(metric.title for metric in table_1.METRICS)), figures)]
    if checks:
        parts += [_CHECKS_IN_WORDS, _checks_table(rows, checks)]
    methods = list(rows)
    parts += [f"{methods[0]} minus each other method, mean over subjects, P of Wilcoxon's signed-rank test:\n"]
    return "\n".join([*parts, _lead_table(scores, methods, checks)])


_CHECKS_IN_WORDS = (
    "Contrast of a lesion to marrow, relative to the acquired one: 1 is as acquired, 0 invisible, negative a dark lesion. "
    "Marrow SD: of healthy marrow, divided by the acquired one. False bright marrow: share of healthy marrow brighter than "
    "half an edema's contrast where the acquired is not. Streaks: deviation of air near the skin, relative to the body's "
    "99.5th percentile.\n"
)


def _checks_table(rows: Mapping[str, Mapping[str, tuple[float, float, int]]], metrics: Sequence[str]) -> str:
    counts = {metric: max(row[metric][2] for row in rows.values() if metric in row) for metric in metrics}
    headings = ("method", *(f"{metric} (n = {counts[metric]})" for metric in metrics))
    return markdown_table(
        headings,
        (
            (m, *(plus_minus(*row[metric][:2], CHECKS[metric]) if metric in row else "–" for metric in metrics))
            for m, row in rows.items()
        ),
    )


def _lead_table(scores: list[Score], methods: Sequence[str], checks: Sequence[str]) -> str:
    """How far the first method is ahead of each other one, subject by subject, with Wilcoxon's P."""
    metrics = [metric for metric in _COMPARED if metric in (*METRICS, *checks)]
    values = {(s.method, s.metric, s.subject): s.value for s in scores}

    def lead(method: str, metric: str) -> str:
        subjects = [s for m, k, s in values if (m, k) == (methods[0], metric) and (method, metric, s) in values]
        one, other = (np.array([values[m, metric, s] for s in subjects]) for m in (methods[0], method))
        p = signed_rank_p(one, other) if len(subjects) else None
        digits = {"PSNR": 2}.get(metric, 3)
        return f"{(one - other).mean():+.{digits}f} (P = {p:.2g})" if p is not None else "–"

    return markdown_table(("method", *metrics), ((m, *(lead(m, metric) for metric in metrics)) for m in methods[1:]))
