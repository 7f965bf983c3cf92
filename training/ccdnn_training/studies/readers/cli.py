"""`ccdnn-train study readers`: the table of a reader study from the readers' files and the coordinator's key."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(studies: argparse._SubParsersAction) -> None:
    parser = studies.add_parser("readers", help="unblind a reader study: scores by region and method, agreement, tests")
    parser.add_argument("key", type=Path, help="the coordinator's key.json")
    parser.add_argument("scores", type=Path, nargs="+", help="the readers' CSV files")
    parser.add_argument("--against", default="CC-DNN", help="method that the others are tested against (default: CC-DNN)")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for scores.csv, agreement.csv and summary.md")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from ccdnn.writing import make_folder, write_text
    from ccdnn_training.studies.readers.reading import agreement_table, read_study, scores_table
    from ccdnn_training.studies.readers.report import readers_summary

    reading = read_study(options.key, options.scores)
    scores, agreement = scores_table(reading, options.against), agreement_table(reading)
    summary = readers_summary(reading, scores, agreement, options.against)
    make_folder(options.output)
    write_text(scores.to_csv(), options.output / "scores.csv")
    write_text(agreement.to_csv(), options.output / "agreement.csv")
    write_text(summary, options.output / "summary.md")
    print(summary)
    return 0
