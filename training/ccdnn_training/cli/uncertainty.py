"""`ccdnn-train add-uncertainty` and `check-uncertainty`: a model that says how far to trust it, and whether it is right."""

from __future__ import annotations

import argparse
from pathlib import Path

from ccdnn_training.data.simulated import FIRST_SEED


def add_parser(commands: argparse._SubParsersAction) -> None:
    add = commands.add_parser(
        "add-uncertainty",
        help="give a model a second head that estimates its error, and a record of what training saw",
        description="Fit the second head on simulated studies, calibrate it on validation subjects, and write the model with both. "
        "The image that the model makes changes only with --refit-image.",
    )
    add.add_argument("model", help="bundled model or model file")
    add.add_argument("-o", "--output", type=Path, required=True, help="the model file to write (.safetensors)")
    add.add_argument("--validation", type=Path, required=True, help="slice cache whose validation subjects calibrate the intervals")
    add.add_argument("--knees", type=Path, help="folder of `simulate-knees`; knees are rendered anew if left out")
    add.add_argument("--studies", type=int, default=250, help="simulated studies to fit on (default: %(default)s)")
    add.add_argument("--maps", type=int, default=16, help="maps of the head's hidden layer (default: %(default)s)")
    add.add_argument("--seed", type=int, default=11, help="of studies, voxels and weights (default: %(default)s)")
    add.add_argument(
        "--refit-image", action="store_true", help="fit the image's last layer anew too, which removes a bias such as grey air"
    )
    add.add_argument("--model-version", help="version of the new model (default: that of the model)")
    add.set_defaults(run=run_add)

    check = commands.add_parser("check-uncertainty", help="measure a model's intervals on the test subjects of a slice cache")
    check.add_argument("model", help="bundled model or model file with an uncertainty")
    check.add_argument("cache", type=Path, help="slice cache of simulated knees")
    check.add_argument("--part", choices=tuple(FIRST_SEED), default="test", help="which subjects (default: %(default)s)")
    check.add_argument("--stress-studies", type=int, default=2, help="simulated studies for the stress rows (default: %(default)s)")
    check.add_argument("-o", "--output", type=Path, required=True, help="folder for the tables")
    check.set_defaults(run=run_check)


def run_add(options: argparse.Namespace) -> int:
    from ccdnn.model.catalog import resolve_model
    from ccdnn_training.reporting import progress
    from ccdnn_training.uncertainty.command import add_uncertainty

    sha256 = add_uncertainty(
        resolve_model(options.model),
        options.output,
        validation=options.validation,
        knees=options.knees,
        studies=options.studies,
        maps=options.maps,
        seed=options.seed,
        version=options.model_version,
        refit_image=options.refit_image,
        progress=progress,
    )
    print(f"Wrote {options.output} ({options.output.stat().st_size / 1e6:.1f} MB), SHA-256 {sha256}.")
    return 0


def run_check(options: argparse.Namespace) -> int:
    from ccdnn.model.catalog import resolve_model
    from ccdnn_training.reporting import progress
    from ccdnn_training.uncertainty.report import check_uncertainty

    text = check_uncertainty(
        resolve_model(options.model), options.cache, options.part, options.output, options.stress_studies, progress
    )
    print(text)
    return 0
