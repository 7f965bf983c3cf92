"""A reader study's results in Markdown, laid out as Table 2 of the paper."""

from __future__ import annotations

from ccdnn.measure.table import Table
from ccdnn_training.evaluation.readers import Reading
from ccdnn_training.evaluation.significance import STARS_IN_WORDS, stars


def readers_summary(reading: Reading, scores: Table, agreement: Table, against: str, command: str) -> str:
    """Both tables and the command that made them.

    Args:
        scores, agreement: see `evaluation.readers`.
        against: the method that the others were tested against.
    """
    lines = [
        f"Command: `{command}`",
        "",
        "| region | " + " | ".join(reading.methods) + " |",
        "|---" * (1 + len(reading.methods)) + "|",
    ]
    by_name = {column.name: index for index, column in enumerate(scores.columns)}
    for row in scores.rows:
        cells = [str(row[0])]
        for method in reading.methods:
            mean, deviation = row[by_name[f"{method} mean"]], row[by_name[f"{method} SD"]]
            p = None if method == against else row[by_name[f"P {method} against {against}"]]
            cells.append(f"{mean:.2f}" + (f" ± {deviation:.2f}" if deviation is not None else "") + stars(p))
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", *scores.notes, f"{STARS_IN_WORDS}.", ""]
    lines += ["| method | form | ICC | 95 % interval | agreement |", "|---|---|---|---|---|"]
    for method, form, icc, low, high, word, _targets, _readers in agreement.rows:
        lines.append(f"| {method} | {form} | {icc:.2f} | {low:.2f} to {high:.2f} | {word} |")
    return "\n".join([*lines, "", *agreement.notes, ""])
