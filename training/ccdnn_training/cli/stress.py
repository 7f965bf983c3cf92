"""`ccdnn-train stress`: models on studies unlike their training data."""

from __future__ import annotations

import argparse
from functools import partial
from itertools import count
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "stress",
        help="test models on changed inputs: noise, shading, movement, other planes, fields and protocols, missing series",
        description="Makes one change at a time to simulated studies and measures every model on each. --study takes study "
        "folders of `ccdnn-train semi-real` or `simulate-study` instead.",
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="bundled models or model files to compare")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for stress.md, scores.csv and stress.png")
    parser.add_argument("--studies", type=int, default=4, help="simulated studies (default: %(default)s)")
    parser.add_argument(
        "--study", type=Path, nargs="+", default=[], metavar="FOLDER", help="study folders instead of simulated ones"
    )
    parser.add_argument("--slices", type=int, default=6, help="slices computed per study (default: %(default)s)")
    parser.add_argument("--matrix", type=int, default=384, help="rows and columns of simulated studies (default: %(default)s)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from ccdnn.inference.synthesizer import Synthesizer
    from ccdnn.model.catalog import resolve_model
    from ccdnn.writing import make_folder, write_text
    from ccdnn_training.data.knees import KneeRecipe
    from ccdnn_training.evaluation.semi_real import regressors_r
    from ccdnn_training.evaluation.stress import (
        CHANGES,
        FIRST_STRESS_SEED,
        Shown,
        StressScore,
        StressTest,
        read_subject,
        simulated_subject,
        title_of,
    )
    from ccdnn_training.evaluation.stress_report import EXPLANATION, draw, stress_table
    from ccdnn_training.reporting import command_line, progress, write_records

    models = [Synthesizer(resolve_model(name)) for name in options.models]
    test = StressTest(models, options.slices)
    recipe = KneeRecipe(matrix=(options.matrix,), lesions=1.0)
    made = [partial(read_subject, folder) for folder in options.study] or [
        partial(simulated_subject, FIRST_STRESS_SEED + n, recipe) for n in range(options.studies)
    ]
    scores: list[StressScore] = []
    shown: list[Shown] = []
    lines: list[str] = []
    with progress("changed studies") as on_change:
        done = count(1)
        for make in made:
            subject = make()
            of_subject, pictures = test.run(subject, lambda _: on_change(next(done), len(made) * len(CHANGES)))
            scores += of_subject
            shown = shown or pictures
            if options.study:
                lines.append(f"- {subject.name}: {regressors_r(subject.images)}")
    titles = [title_of(model.model.card) for model in models]
    names = [change.name for change in CHANGES if any(score.change == change.name for score in scores)]
    studies = ", ".join(path.name for path in options.study) or f"{options.studies} simulated knees, seeds from {FIRST_STRESS_SEED}"
    bounds = "\nA pixel regressor fitted on every other slice of the same study, on the slices between:\n\n" if lines else ""
    text = (
        f"# Stress test\n\nCommand: `{command_line()}`\n\nStudies: {studies}; means over them.\n\n"
        f"{EXPLANATION.format(models=', '.join(titles))}\n{stress_table(scores, titles, names)}{bounds}" + "\n".join(lines) + "\n"
    )
    make_folder(options.output)
    write_records(scores, StressScore, options.output / "scores.csv")
    draw(shown, titles, options.output / "stress.png")
    write_text(text, options.output / "stress.md")
    print(stress_table(scores, titles, names))
    return 0
