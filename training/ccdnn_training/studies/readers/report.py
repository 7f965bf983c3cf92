"""A reader study's results in Markdown, laid out as Table 2 of the paper."""

from __future__ import annotations

from ccdnn.measure.table import Table
from ccdnn_training.evaluation.significance import STARS_IN_WORDS, stars
from ccdnn_training.reporting import command_line, markdown_table, plus_minus
from ccdnn_training.studies.readers.reading import Reading


def readers_summary(reading: Reading, scores: Table, agreement: Table, against: str) -> str:
    """Both tables and the command that made them.

    Args:
        scores, agreement: see `reading`.
        against: the method that the others were tested against.
    """
    by_name = {column.name: index for index, column in enumerate(scores.columns)}

    def cell(row: tuple, method: str) -> str:
        mean, deviation = row[by_name[f"{method} mean"]], row[by_name[f"{method} SD"]]
        p = None if method == against else row[by_name[f"P {method} against {against}"]]
        return plus_minus(mean, deviation, 2) + stars(p)

    regions = ((row[0], *(cell(row, method) for method in reading.methods)) for row in scores.rows)
    agreed = (
        (method, form, f"{icc:.2f}", f"{low:.2f} to {high:.2f}", word)
        for method, form, icc, low, high, word, _targets, _readers in agreement.rows
    )
    parts = [
        f"Command: `{command_line()}`\n",
        markdown_table(("region", *reading.methods), regions),
        "\n".join([*scores.notes, f"{STARS_IN_WORDS}.\n"]),
        markdown_table(("method", "form", "ICC", "95 % interval", "agreement"), agreed),
        "\n".join([*agreement.notes, ""]),
    ]
    return "\n".join(parts)
