"""`ccdnn-train check-uncertainty`: how often the intervals hold, and what the probability of a lesion is worth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ccdnn.errors import InputError
from ccdnn.inference.synthesizer import Synthesizer
from ccdnn.model.file import Model
from ccdnn.model.uncertainty import INTERVALS, Uncertainty
from ccdnn.normalisation import Normalisation
from ccdnn.series import Role
from ccdnn.writing import make_folder, write_text
from ccdnn_training.data.cache import SliceCache
from ccdnn_training.data.for_card import require_normalisation
from ccdnn_training.data.knees import KneeRecipe
from ccdnn_training.evaluation.checks import body_of
from ccdnn_training.evaluation.stress import (
    CHANGES,
    FIRST_STRESS_SEED,
    UNCHANGED,
    NotApplicable,
    inputs_of,
    normalised,
    simulated_subject,
)
from ccdnn_training.physics.protocol import INPUT_CONTRASTS
from ccdnn_training.reporting import Progress, command_line, markdown_table, mean_and_sd, write_rows
from ccdnn_training.uncertainty.calibration import Coverage, coverages, rank_correlations
from ccdnn_training.uncertainty.cases import case_of, missing_sets
from ccdnn_training.uncertainty.lesion_check import Mark, marks_of, roc

STRESS_SLICES = 3


@dataclass(frozen=True)
class StressRow:
    """One change of the stress test on one study.

    Args:
        error: root mean square in the body.
        half_width: mean of the 95 % interval's in the body.
        covered: share of the body's voxels whose acquired value lies in the 95 % interval.
        unfamiliar: share of the tissue that is unlike the training.
    """

    change: str
    subject: str
    error: float
    half_width: float
    covered: float
    unfamiliar: float


def check_uncertainty(model: Model, cache: Path, part: str, output: Path, stress_studies: int, progress: Progress) -> str:
    """Write the tables to the folder `output`, and return them as Markdown.

    Raises:
        InputError: the model has no uncertainty, or the cache does not have that part, or is normalised in another way.
    """
    uncertainty = model.card.uncertainty
    if uncertainty is None:
        raise InputError(f"The model {model.card.name} has no uncertainty; make one with `ccdnn-train add-uncertainty`.")
    slices = SliceCache(cache)
    require_normalisation(slices, model.card)
    subjects, sets = slices.part(part), missing_sets(model.card.optional)
    synthesizer = Synthesizer(model)
    found: list[Coverage] = []
    ranks: dict[str, list[dict[str, float]]] = defaultdict(list)
    marks: list[Mark] = []
    with progress("subjects") as on_subject:
        for number, subject in enumerate(subjects):
            for place, missing in enumerate(sets):
                case = case_of(synthesizer, subject, missing)
                found += coverages(uncertainty, case)
                ranks["+".join(missing)].append(rank_correlations(case))
                marks += marks_of(case, uncertainty.region)
                on_subject(number * len(sets) + place + 1, len(subjects) * len(sets))
    with progress("stress rows") as on_row:
        rows = list(stress_rows(synthesizer, uncertainty, stress_studies, on_row))
    text = "\n".join(
        [
            f"# Uncertainty of {model.card.name} {model.card.version}\n\nCommand: `{command_line()}`\n",
            f"Subjects: `{slices.made_by}`, part {part}, n = {len(subjects)}.\n",
            *(coverage_table(found, "+".join(missing)) for missing in sets),
            rank_table(ranks),
            lesion_table(marks, ["+".join(missing) for missing in sets]),
            stress_table(rows),
        ]
    )
    make_folder(output)
    headings = ["subject", "missing", "tissue", *(f"within {i:.0%}" for i in INTERVALS), "half width", "error", "n"]
    write_rows(
        headings, ([c.subject, c.missing, c.tissue, *c.shares, c.half_width, c.error, c.n] for c in found), output / "coverage.csv"
    )
    write_text(text, output / "uncertainty.md")
    return text


def stress_rows(
    synthesizer: Synthesizer, uncertainty: Uncertainty, studies: int, on_row: Callable[[int, int], None]
) -> Iterable[StressRow]:
    """Every change of the stress test on simulated studies."""
    card = synthesizer.model.card
    normalisation = Normalisation.from_card(card.normalisation)
    for number in range(studies):
        subject = simulated_subject(FIRST_STRESS_SEED + number, KneeRecipe(matrix=(384,), lesions=1.0))
        chosen = np.round(np.linspace(0.2, 0.8, STRESS_SLICES) * (len(subject.labels) - 1)).astype(int)
        body = body_of(np.stack([normalised(subject.images[contrast], normalisation)[chosen] for contrast in INPUT_CONTRASTS]))
        for place, change in enumerate(CHANGES):
            on_row(number * len(CHANGES) + place + 1, studies * len(CHANGES))
            try:
                changed = change.apply(subject)
            except NotApplicable:
                continue
            images = {name: normalised(image, normalisation)[chosen] for name, image in changed.items()}
            if (inputs := inputs_of(card, images)) is None:
                continue
            missing = tuple(role for role in card.roles if role not in images)
            found = synthesizer.predict(inputs)
            assert found.log_scale is not None
            width = uncertainty.half_width(found.log_scale, missing)
            error = images["stir"] - found.image
            unfamiliar = float("nan")
            if card.familiarity is not None:
                strange, tissue = card.familiarity.unfamiliar(inputs, [role in images for role in card.roles])
                unfamiliar = float(strange.sum() / tissue.sum())
            yield StressRow(
                change.name,
                subject.name,
                float(np.sqrt(np.mean(error[body] ** 2))),
                float(width[body].mean()),
                float((np.abs(error) <= width)[body].mean()),
                unfamiliar,
            )


def coverage_table(found: Sequence[Coverage], missing: str) -> str:
    """Mean ± SD over subjects of the share of voxels in each interval."""
    title = f"Without {Role(missing).label}" if missing else "All inputs"
    chosen = [row for row in found if row.missing == missing]
    rows = []
    for tissue in dict.fromkeys(row.tissue for row in chosen):
        of_tissue = [row for row in chosen if row.tissue == tissue]
        shares = [mean_and_sd((100 * row.shares[i] for row in of_tissue), 1) for i in range(len(INTERVALS))]
        rows.append(
            [
                tissue,
                len(of_tissue),
                *shares,
                *(f"{np.mean([getattr(r, f) for r in of_tissue]):.3f}" for f in ("half_width", "error")),
            ]
        )
    table = markdown_table(("tissue", "n", *(f"in the {i:.0%} interval, %" for i in INTERVALS), "± (95 %)", "RMS error"), rows)
    return f"## {title}\n\n{table}"


def rank_table(ranks: dict[str, list[dict[str, float]]]) -> str:
    """Spearman's correlation of expected and actual error, mean ± SD over subjects."""
    kinds = list(next(iter(ranks.values()))[0])
    rows = [
        [
            f"without {Role(missing).label}" if missing else "all inputs",
            *(mean_and_sd((r[kind] for r in found), 2) for kind in kinds),
        ]
        for missing, found in ranks.items()
    ]
    return f"## Rank correlation of expected and actual error\n\n{markdown_table(('inputs', *kinds), rows)}"


def lesion_table(marks: Sequence[Mark], sets: Sequence[str]) -> str:
    """What the probability of a mark is worth, beside the synthetic image's own brightness."""
    rows = []
    for missing in sets:
        of_case = [mark for mark in marks if mark.missing == missing]
        truth = [mark.really_brighter for mark in of_case]
        called = [mark.probability >= 0.95 for mark in of_case]
        positives, negatives = sum(truth), len(truth) - sum(truth)
        sensitivity = sum(c and t for c, t in zip(called, truth, strict=True)) / max(positives, 1)
        specificity = sum(not c and not t for c, t in zip(called, truth, strict=True)) / max(negatives, 1)
        rows.append(
            [
                f"without {Role(missing).label}" if missing else "all inputs",
                f"{positives} / {negatives}",
                f"{roc([m.probability for m in of_case], truth):.3f}",
                f"{roc([m.difference for m in of_case], truth):.3f}",
                f"{sensitivity:.2f}",
                f"{specificity:.2f}",
                f"{np.mean([m.inside for m in of_case]):.2f}",
            ]
        )
    areas = ("ROC area, probability", "ROC area, brightness")
    decisions = ("sensitivity at P ≥ .95", "specificity", "differences in the 95 % interval")
    headings = ("inputs", "true / false marks", *areas, *decisions)
    about = (
        "A mark is true if the acquired STIR is brighter there than in marrow by more than a tenth. False marks are the brightest "
        "balls of healthy marrow in the synthetic image."
    )
    return f"## Lesion check\n\n{about}\n\n{markdown_table(headings, rows)}"


def stress_table(rows: Sequence[StressRow]) -> str:
    """Means over studies; what doubles the error should also widen the intervals or be unfamiliar."""
    by_change: dict[str, list[StressRow]] = defaultdict(list)
    for row in rows:
        by_change[row.change].append(row)

    def mean(change: str, name: str) -> float:
        return float(np.mean([getattr(row, name) for row in by_change[change]]))

    first = {name: mean(UNCHANGED, name) if rows else float("nan") for name in ("error", "half_width")}
    lines = [
        [
            change,
            f"{mean(change, 'error') / first['error']:.2f}",
            f"{mean(change, 'half_width') / first['half_width']:.2f}",
            f"{100 * mean(change, 'covered'):.0f}",
            f"{100 * mean(change, 'unfamiliar'):.1f}",
        ]
        for change in by_change
    ]
    headings = ("change", "error ×", "± ×", "in the 95 % interval, %", "unfamiliar, %")
    about = "Error and half width relative to the unchanged studies; means over the body of them."
    return f"## Stress rows\n\n{about}\n\n{markdown_table(headings, lines)}"
