"""`ccdnn-train study comparison`: the paper's methods on a cohort, by cross-validation, and the report of it."""

from __future__ import annotations

import argparse
from pathlib import Path

from ccdnn_training.configurations import configuration


def add_parser(studies: argparse._SubParsersAction) -> None:
    parser = studies.add_parser(
        "comparison",
        help="fit and measure every method of the comparison on a cohort, and write the report (resumable)",
        description="SOURCE is a manifest or a folder of studies, as for `ccdnn-train prepare`; `ccdnn-train simulate-cohort` "
        "makes one. CONFIGS is a folder with a configuration for each method, cc-dnn.yaml and so on. Steps already finished in "
        "OUTPUT are skipped, so a stopped command resumes, and folds or methods can be run one at a time.",
    )
    parser.add_argument("source", type=Path, help="manifest or folder of studies")
    parser.add_argument("--configs", type=configuration, required=True, help="folder such as studies/comparison/small")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for all results")
    parser.add_argument("--only-methods", nargs="+", metavar="METHOD", help="cc-dnn, multimodal, replica, pix2pix, u-net")
    parser.add_argument("--only-folds", type=int, nargs="+", metavar="FOLD", help="1, 2, …")
    parser.add_argument("--report-only", action="store_true", help="report existing results; fit nothing")
    parser.add_argument("--no-report", action="store_true", help="only fit and measure, when several commands run in parallel")
    parser.add_argument(
        "--volumes",
        type=Path,
        metavar="FOLDER",
        help="also write the images as volumes into a new folder, with the cases.csv for `ccdnn reader-study`",
    )
    parser.add_argument(
        "--normalisation",
        choices=("volume_percentile", "dataset_minmax"),
        default="volume_percentile",
        help="as in `prepare`; dataset_minmax, the paper's, is for scanners with one scale (default: %(default)s)",
    )
    parser.add_argument("--folds", type=int, default=4, help="number of cross-validation folds (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed for drawing the folds (default: %(default)s)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from ccdnn_training.reporting import progress
    from ccdnn_training.studies.comparison.layout import Layout
    from ccdnn_training.studies.comparison.study import prepare, run_cells

    layout = Layout(options.output, options.configs)
    methods = layout.methods(options.only_methods)
    settings = f"--normalisation {options.normalisation} --folds {options.folds} --seed {options.seed}"
    prepare(
        layout,
        options.source,
        strategy=options.normalisation,
        folds=options.folds,
        seed=options.seed,
        made_by=f"ccdnn-train study comparison SOURCE {settings}",  # paths may contain names
        progress=progress,
    )
    if not options.report_only:
        run_cells(layout, methods, layout.folds(options.only_folds), progress)
    if options.no_report:
        return 0
    from ccdnn_training.studies.comparison.report import write_comparison

    page = write_comparison(layout, progress)
    print(page.read_text(encoding="utf-8"))
    if options.volumes:
        from ccdnn_training.studies.comparison.volumes import write_volumes

        print(f"Wrote {write_volumes(layout, options.source, options.volumes, progress)} and the volumes it lists.")
    return 0
