"""`ccdnn-train beyond-window`: what a model loses by seeing only a window, and how much a metric rewards smoothness."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("beyond-window", help="measure what seeing the whole slice, or smoothness, would add to a model")
    parser.add_argument("cache", type=Path, help="slice cache of `ccdnn-train simulate`; its test subjects are used")
    parser.add_argument("--model", help="bundled model or model file; the default model if left out")
    parser.add_argument("-o", "--output", type=Path, help="Markdown file to write, in addition to standard output")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from ccdnn.model.catalog import resolve_model
    from ccdnn.writing import require_writable, write_text
    from ccdnn_training.cli.progress import progress
    from ccdnn_training.data.cache import SliceCache
    from ccdnn_training.data.for_card import require_normalisation
    from ccdnn_training.evaluation.beyond_window import markdown_table, predictions, score_corrections

    if options.output:
        require_writable(options.output)
    model, cache = resolve_model(options.model), SliceCache(options.cache)
    require_normalisation(cache, model.card)
    subjects = cache.part("test")
    with progress("test subjects") as on_subject:
        images = predictions(model, subjects, jobs=options.jobs, on_subject=on_subject)
    name = f"{model.card.name} {model.card.version}"
    window = 2 * model.network.receptive_radius + 1
    table = markdown_table(score_corrections(name, images, subjects, window))
    if options.output:
        command = shlex.join(["ccdnn-train", *sys.argv[1:]])
        about = (
            f"Mean ± SD over {len(subjects)} subjects, unseen by the network and by the regressor that corrects it; P of "
            f"Wilcoxon signed-rank tests. The network sees {window} × {window} pixels."
        )
        write_text(f"{about}\n\nSubjects: `{cache.made_by}`.\n\nCommand: `{command}`\n\n{table}", options.output)
    print(table)
    return 0
