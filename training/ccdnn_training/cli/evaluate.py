"""`ccdnn-train evaluate`: a model on simulated subjects that no training saw, beside predictors without a network."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("evaluate", help="measure a model on simulated test subjects")
    parser.add_argument("cache", type=Path, help="slice cache the model was fitted on; the pixel regressor is fitted on it too")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for scores.csv and summary.md")
    parser.add_argument("--model", help="bundled model or model file; the default model if left out")
    parser.add_argument("--subjects", type=int, default=12, help="number of test subjects")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from ccdnn.model.catalog import resolve_model
    from ccdnn_training.data.cache import SliceCache
    from ccdnn_training.evaluation.study import markdown_table, score_subjects, write_scores

    model = resolve_model(options.model)
    scores = score_subjects(model, SliceCache(options.cache), options.subjects, on_step=lambda text: print(text, flush=True))
    options.output.mkdir(parents=True, exist_ok=True)
    write_scores(scores, options.output / "scores.csv")
    table = markdown_table(scores)
    command = shlex.join(["ccdnn-train", *sys.argv[1:]])
    summary = f"Simulated test subjects, images on 0–1 by the acquired STIR's maximum.\nCommand: `{command}`\n\n{table}"
    (options.output / "summary.md").write_text(summary, encoding="utf-8")
    print(table)
    return 0
