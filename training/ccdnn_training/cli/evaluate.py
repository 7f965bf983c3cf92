"""`ccdnn-train evaluate`: a model on subjects unseen in training, compared with predictors without a network."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("evaluate", help="measure models on the test subjects of a slice cache")
    parser.add_argument("cache", type=Path, help="slice cache with test subjects")
    parser.add_argument("--train", type=Path, required=True, help="slice cache that the pixel regressor is fitted on")
    parser.add_argument("--fold", type=int, help="fold of a cohort's cache whose test subjects are scored")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for scores.csv, summary.md, results.json")
    parser.add_argument("--model", action="append", help="bundled model or model file, repeatable; the default model if left out")
    parser.add_argument("--part", choices=("validation", "test"), default="test", help="which subjects (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from ccdnn.errors import InputError
    from ccdnn.model.catalog import resolve_model
    from ccdnn.writing import make_folder, write_text
    from ccdnn_training.data.cache import SliceCache
    from ccdnn_training.data.for_card import require_normalisation
    from ccdnn_training.evaluation.study import quality_tables, score_subjects, title_of, write_results, write_scores
    from ccdnn_training.reporting import command_line, progress

    models = [resolve_model(name) for name in options.model or [None]]
    train, test = SliceCache(options.train, options.fold), SliceCache(options.cache, options.fold)
    for cache in (train, test):
        for card in (model.card for model in models):
            if cache.is_cohort and (fitted := card.training.get("fold")) != options.fold:
                raise InputError(
                    f"The model {card.name} was fitted on fold {fitted} and may have seen the test subjects of fold "
                    f"{options.fold}; score it with --fold {fitted}."
                )
            require_normalisation(cache, card)
    with progress("test subjects") as on_subject:
        scores = score_subjects(models, train.part("train"), test.part(options.part), jobs=options.jobs, on_subject=on_subject)
    make_folder(options.output)
    write_scores(scores, options.output / "scores.csv")
    table = quality_tables(scores)
    if test.is_cohort:
        measured_on = f"{options.part} subjects of fold {options.fold} of a cohort"
        command = f"ccdnn-train evaluate CACHE --train CACHE --fold {options.fold} --model MODEL"  # paths may contain names
    else:
        measured_on, command = f"simulated {options.part} subjects", command_line()
    write_results(scores, title_of(models[0]), measured_on, command, options.output / "results.json")
    summary = (
        f"Subjects ({options.part}): `{test.made_by}`. Images are scaled to 0–1 by the acquired STIR's maximum; mean ± SD over "
        f"subjects.\n\nCommand: `{command}`\n\n{table}"
    )
    write_text(summary, options.output / "summary.md")
    print(table)
    return 0
