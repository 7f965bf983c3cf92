"""The bundled model on simulated subjects that no training saw, beside the predictors without a network."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ccdnn.inference.synthesizer import Synthesizer
from ccdnn.measure.similarity import similarity
from ccdnn.model.card import MeasuredResult
from ccdnn.model.file import Model, load_model
from ccdnn_training.data.cache import CachedSubject
from ccdnn_training.data.simulated_cohort import LESIONS
from ccdnn_training.evaluation.baselines import PixelRegressor, best_affine_fit
from ccdnn_training.evaluation.lesions import MARROW, contrast_kept
from ccdnn_training.parallel import fresh_processes
from ccdnn_training.physics.protocol import INPUT_CONTRASTS

METRICS = ("MSE", "PSNR", "SSIM", "MS-SSIM")
CONTRAST_KEPT = {lesion: f"contrast of {lesion}" for lesion in LESIONS.values()}
LABELS = {"t1": "T1-w", "t2": "T2-w", "gre": "GRE"}


@dataclass(frozen=True)
class Score:
    """One metric of one method on one subject: of `METRICS`, or of `CONTRAST_KEPT` where the subject has such a lesion."""

    subject: str
    method: str
    metric: str
    value: float


def score_subjects(
    model: Model,
    train: tuple[CachedSubject, ...],
    test: tuple[CachedSubject, ...],
    *,
    jobs: int = 1,
    on_subject: Callable[[int, int], None] | None = None,
) -> list[Score]:
    """Score the network, a pixel regressor fitted on `train`, and each input scaled to fit best, on the `test` subjects.

    All methods predict the acquired STIR in the card's normalisation; then both are divided by the acquired STIR's maximum
    (its minimum is 0), one factor for a subject, so that images are on 0–1 as in the paper's section 2.8.

    Args:
        train, test: subjects of slice caches normalised as the model's card says.
        jobs: processes, of one thread each.
        on_subject: called with (subjects done, subjects).
    """
    regressor = PixelRegressor(train)
    scores: list[Score] = []
    with fresh_processes(jobs, _start_worker, model.path, regressor) as pool:
        for done, of_subject in enumerate(pool.map(_score_subject, test), start=1):
            scores += of_subject
            if on_subject:
                on_subject(done, len(test))
    return scores


def _start_worker(model_path: Path, regressor: PixelRegressor) -> None:
    global _worker
    _worker = (Synthesizer(load_model(model_path), threads=1), regressor)


def _score_subject(subject: CachedSubject) -> list[Score]:
    synthesizer, regressor = _worker
    array = subject.array().astype(np.float32)
    inputs, acquired = array[:-1], array[-1]
    predictions = {
        synthesizer.model.card.name: synthesizer.run(inputs),
        "pixel regressor": regressor.predict(inputs),
        **{f"{LABELS[c]}, best fit": best_affine_fit(image, acquired) for c, image in zip(INPUT_CONTRASTS, inputs, strict=True)},
    }
    top, regions = acquired.max(), subject.regions()
    scores = [
        Score(subject.name, method, row.name, row.value)
        for method, prediction in predictions.items()
        for row in similarity(prediction / top, acquired / top, measured_on=method)
    ]
    return scores + [
        Score(subject.name, method, metric, contrast_kept(prediction, acquired, regions[lesion], regions[MARROW]))
        for method, prediction in predictions.items()
        for lesion, metric in CONTRAST_KEPT.items()
        if lesion in regions and MARROW in regions
    ]


def metrics_of(scores: list[Score]) -> tuple[str, ...]:
    """Those of `METRICS`, and of lesions that a subject has."""
    found = {score.metric for score in scores}
    return (*METRICS, *(metric for metric in CONTRAST_KEPT.values() if metric in found))


def summarise(scores: list[Score]) -> Iterator[tuple[str, dict[str, tuple[float, float, int]]]]:
    """For each method, in order: metric to (mean, standard deviation, n) over the subjects that have it."""
    for method in dict.fromkeys(score.method for score in scores):
        row = {}
        for metric in metrics_of(scores):
            values = [s.value for s in scores if s.method == method and s.metric == metric]
            row[metric] = (float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0, len(values))
        yield method, row


def write_scores(scores: list[Score], path: Path) -> None:
    """The raw scores, a row a subject and method, as CSV; empty where a subject has no such lesion."""
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for score in scores:
        rows.setdefault((score.subject, score.method), {})[score.metric] = score.value
    metrics = metrics_of(scores)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["subject", "method", *metrics])
        for (subject, method), values in rows.items():
            writer.writerow([subject, method, *(f"{values[m]:.6g}" if m in values else "" for m in metrics)])


def write_results(scores: list[Score], method: str, measured_on: str, command: str, path: Path) -> None:
    """The figures of one method for a model's card, as JSON."""
    row = dict(summarise(scores))[method]
    results = [
        MeasuredResult(metric, round(mean, 6), round(deviation, 6), n, measured_on, command)
        for metric, (mean, deviation, n) in row.items()
        if np.isfinite(mean)  # small slices have no MS-SSIM
    ]
    path.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n", encoding="utf-8")


def markdown_table(scores: list[Score]) -> str:
    """Mean ± SD over subjects, a row a method, with the paper's in-vivo figures beside; then what is kept of lesions."""
    lines = ["| method | n | MSE · 10³ | PSNR (dB) | SSIM | MS-SSIM |", "|---|---|---|---|---|---|"]
    rows = dict(summarise(scores))
    for method, row in rows.items():
        mse, psnr, ssim, ms_ssim = (row[metric] for metric in METRICS)
        lines.append(
            f"| {method} | {mse[2]} | {mse[0] * 1e3:.3f} ± {mse[1] * 1e3:.3f} | {psnr[0]:.2f} ± {psnr[1]:.2f} "
            f"| {ssim[0]:.3f} ± {ssim[1]:.3f} | {ms_ssim[0]:.3f} ± {ms_ssim[1]:.3f} |"
        )
    lines.append("| *paper, CC-DNN in vivo (Table 1)* | 12 | 1.558 ± 0.482 | 28.34 ± 1.11 | 0.822 ± 0.023 | 0.881 ± 0.020 |")
    return "\n".join([*lines, *_lesion_lines(rows, metrics_of(scores)[len(METRICS) :])]) + "\n"


def _lesion_lines(rows: Mapping[str, Mapping[str, tuple[float, float, int]]], metrics: Sequence[str]) -> Iterator[str]:
    if not metrics:
        return
    yield "\nContrast to marrow, of the acquired: 1 is as acquired, 0 not to be seen, negative a lesion that is dark.\n"
    counts = (next(iter(rows.values()))[metric][2] for metric in metrics)
    yield " | ".join(["| method", *(f"{metric} (n = {n})" for metric, n in zip(metrics, counts, strict=True))]) + " |"
    yield "|---" * (1 + len(metrics)) + "|"
    for method, row in rows.items():
        yield " | ".join([f"| {method}", *(f"{row[metric][0]:.2f} ± {row[metric][1]:.2f}" for metric in metrics)]) + " |"
