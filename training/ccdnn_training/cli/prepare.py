"""`ccdnn-train prepare`: make a slice cache with folds from a cohort's own studies."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "prepare",
        help="check a cohort's own studies and make a slice cache with folds",
        description="SOURCE is a manifest (CSV with the columns subject, t1, t2, gre, stir; optionally person, if one person has "
        "several subjects, regions, a label map, and lesion, its label; paths relative to it) or a folder with a sub-folder for "
        "each subject, in NIfTI, NRRD, MetaImage or DICOM. If there are problems, all are reported at once and nothing is "
        "written.",
    )
    parser.add_argument("source", type=Path, help="manifest or folder of studies")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="CACHE", help="new folder for the slice cache")
    parser.add_argument(
        "--normalisation",
        choices=("volume_percentile", "dataset_minmax"),
        default="volume_percentile",
        help="volume_percentile: each series by its own robust maximum, for scanners that scale every series separately; "
        "dataset_minmax: one minimum and maximum over the training part, as in the paper (default: %(default)s)",
    )
    parser.add_argument("--folds", type=int, default=4, help="number of cross-validation folds (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed for drawing the folds (default: %(default)s)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from ccdnn_training.data.prepare import prepare_cohort
    from ccdnn_training.reporting import progress

    settings = f"--normalisation {options.normalisation} --folds {options.folds} --seed {options.seed}"
    with progress("subjects checked") as on_subject:
        prepared = prepare_cohort(
            options.source,
            options.output,
            strategy=options.normalisation,
            folds=options.folds,
            seed=options.seed,
            made_by=f"ccdnn-train prepare SOURCE -o CACHE {settings}",  # paths may contain names
            on_subject=on_subject,
        )
    for warning in prepared.warnings:
        print(f"Warning: {warning}", file=sys.stderr)
    grids = Counter(f"{slices} slices of {columns}×{rows}" for slices, rows, columns in prepared.shapes.values())
    print(f"{options.output} holds {len(prepared.shapes)} subjects: " + ", ".join(f"{n} with {grid}" for grid, n in grids.items()))
    for number, fold in enumerate(prepared.folds.folds, start=1):
        counts = f"{len(fold.train)} for training, {len(fold.validation)} for validation"
        print(f"fold {number}: {counts}, for testing {', '.join(fold.test)}")
    if prepared.apart:
        print(f"with a lesion, in no fold: {', '.join(prepared.apart)}")
    return 0
