"""The bundled model on simulated subjects that no training saw, beside the predictors without a network."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ccdnn.inference.synthesizer import Synthesizer
from ccdnn.measure.similarity import similarity
from ccdnn.model.file import Model
from ccdnn.normalisation import Normalisation
from ccdnn_training.data.cache import SliceCache
from ccdnn_training.data.simulated import FIRST_SEED
from ccdnn_training.evaluation.baselines import PixelRegressor, best_affine_fit
from ccdnn_training.physics.protocol import CONTRASTS, INPUT_CONTRASTS
from ccdnn_training.simulate import simulate_study

METRICS = ("MSE", "PSNR", "SSIM", "MS-SSIM")
LABELS = {"t1": "T1-w", "t2": "T2-w", "gre": "GRE"}


@dataclass(frozen=True)
class Score:
    """One metric of one method on one subject."""

    subject: str
    method: str
    metric: str
    value: float


def score_subjects(
    model: Model, cache: SliceCache, count: int, *, on_step: Callable[[str], None] = lambda text: None
) -> list[Score]:
    """Score the network, each input scaled to fit best, and the pixel regressor on `count` unseen subjects of 24 slices.

    All methods predict the acquired STIR in the card's normalisation; then both are divided by the acquired STIR's maximum
    (its minimum is 0), one factor for a subject, so that images are on 0–1 as in the paper's section 2.8.
    """
    on_step("fitting the pixel regressor")
    regressor = PixelRegressor(cache.part("train"))
    synthesizer = Synthesizer(model)
    normalisation = Normalisation.from_card(model.card.normalisation)
    scores: list[Score] = []
    for seed in range(FIRST_SEED["test"], FIRST_SEED["test"] + count):
        on_step(f"test subject {seed}")
        study = simulate_study(seed, protocol=None)
        images = {contrast: normalisation.apply(study.volumes[contrast].array) for contrast in CONTRASTS}
        inputs = np.stack([images[contrast] for contrast in INPUT_CONTRASTS])
        predictions = {
            model.card.name: synthesizer.run(inputs),
            "pixel regressor": regressor.predict(inputs),
            **{f"{LABELS[contrast]}, best fit": best_affine_fit(images[contrast], images["stir"]) for contrast in INPUT_CONTRASTS},
        }
        top = images["stir"].max()
        for method, prediction in predictions.items():
            for row in similarity(prediction / top, images["stir"] / top, measured_on=method):
                scores.append(Score(str(seed), method, row.name, row.value))
    return scores


def summarise(scores: list[Score]) -> Iterator[tuple[str, dict[str, tuple[float, float, int]]]]:
    """For each method, in order: metric to (mean, standard deviation, n) over subjects."""
    for method in dict.fromkeys(score.method for score in scores):
        row = {}
        for metric in METRICS:
            values = [s.value for s in scores if s.method == method and s.metric == metric]
            row[metric] = (float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0, len(values))
        yield method, row


def write_scores(scores: list[Score], path: Path) -> None:
    """The raw scores, a row a subject and method, as CSV."""
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for score in scores:
        rows.setdefault((score.subject, score.method), {})[score.metric] = score.value
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["subject", "method", *METRICS])
        for (subject, method), values in rows.items():
            writer.writerow([subject, method, *(f"{values[metric]:.6g}" for metric in METRICS)])


def markdown_table(scores: list[Score]) -> str:
    """Mean ± SD over subjects, a row a method, with the paper's in-vivo figures beside."""
    lines = ["| method | n | MSE · 10³ | PSNR (dB) | SSIM | MS-SSIM |", "|---|---|---|---|---|---|"]
    for method, row in summarise(scores):
        mse, psnr, ssim, ms_ssim = (row[metric] for metric in METRICS)
        lines.append(
            f"| {method} | {mse[2]} | {mse[0] * 1e3:.3f} ± {mse[1] * 1e3:.3f} | {psnr[0]:.2f} ± {psnr[1]:.2f} "
            f"| {ssim[0]:.3f} ± {ssim[1]:.3f} | {ms_ssim[0]:.3f} ± {ms_ssim[1]:.3f} |"
        )
    lines.append("| *paper, CC-DNN in vivo (Table 1)* | 12 | 1.558 ± 0.482 | 28.34 ± 1.11 | 0.822 ± 0.023 | 0.881 ± 0.020 |")
    return "\n".join(lines) + "\n"
