"""`ccdnn-train study beyond-window` and `lesion-limit`: what a model's window, or any predictor from the inputs, cannot show."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(studies: argparse._SubParsersAction) -> None:
    window = studies.add_parser("beyond-window", help="measure what seeing the whole slice, or smoothness, would add to a model")
    window.add_argument("cache", type=Path, help="slice cache of `ccdnn-train simulate`; its test subjects are used")
    window.add_argument("--model", help="bundled model or model file; the default model if left out")
    window.add_argument("-o", "--output", type=Path, help="Markdown file to write, in addition to standard output")
    window.add_argument("--jobs", type=int, default=1, help="processes")
    window.set_defaults(run=measure_beyond_window)

    lesion = studies.add_parser("lesion-limit", help="measure how well the inputs reveal a marrow lesion to any network")
    lesion.add_argument("cache", type=Path, help="slice cache of `ccdnn-train simulate`; its training subjects are used")
    lesion.add_argument("--lesion", default="bone-marrow edema", help="region (default: %(default)s)")
    lesion.add_argument("-o", "--output", type=Path, help="Markdown file to write, in addition to standard output")
    lesion.set_defaults(run=measure_lesion_limit)


def measure_beyond_window(options: argparse.Namespace) -> int:
    from ccdnn.model.catalog import resolve_model
    from ccdnn.writing import require_writable
    from ccdnn_training.data.cache import SliceCache
    from ccdnn_training.data.for_card import require_normalisation
    from ccdnn_training.reporting import progress, write_page
    from ccdnn_training.studies.limits.beyond_window import correction_tables, predictions, score_corrections

    if options.output:
        require_writable(options.output)
    model, cache = resolve_model(options.model), SliceCache(options.cache)
    require_normalisation(cache, model.card)
    subjects = cache.part("test")
    with progress("test subjects") as on_subject:
        images = predictions(model, subjects, jobs=options.jobs, on_subject=on_subject)
    window = 2 * model.architecture.receptive_radius + 1
    table = correction_tables(score_corrections(f"{model.card.name} {model.card.version}", images, subjects, window))
    if options.output:
        about = (
            f"Mean ± SD over {len(subjects)} subjects, unseen by the network and by the regressor that corrects it; P of "
            f"Wilcoxon signed-rank tests. The network sees {window} × {window} pixels."
        )
        write_page(about, cache.made_by, table, options.output)
    print(table)
    return 0


def measure_lesion_limit(options: argparse.Namespace) -> int:
    from ccdnn.writing import require_writable
    from ccdnn_training.data.cache import SliceCache
    from ccdnn_training.reporting import write_page
    from ccdnn_training.studies.limits.lesion_limit import contrast_by_view, limit_table

    if options.output:
        require_writable(options.output)
    cache = SliceCache(options.cache)
    table = limit_table(contrast_by_view(cache.part("train"), options.lesion), options.lesion)
    if options.output:
        about = "Mean ± SD over subjects unseen by the regressor; 1 is as acquired, 0 indistinguishable from marrow."
        write_page(about, cache.made_by, table, options.output)
    print(table)
    return 0
