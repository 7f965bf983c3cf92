"""`ccdnn-train export`: make a model file from a checkpoint and, on request, bundle it."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("export", help="make a model file for the engine and Slicer from a checkpoint")
    parser.add_argument(
        "checkpoint", type=Path, help="checkpoint of a fit, or a model file (.safetensors) to write again with --results"
    )
    parser.add_argument("cache", type=Path, nargs="?", help="slice cache the network was fitted on, if any")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the model file (.safetensors)")
    parser.add_argument("--name", required=True, help="the model's name, for instance small")
    parser.add_argument("--model-version", default="1.0.0")
    parser.add_argument("--licence", help="SPDX identifier of the weights' licence; if left out, a cohort's own model states none")
    parser.add_argument(
        "--start-share",
        type=float,
        default=0.0,
        help="share, 0 to 1, of the model that the fit began with in the mean of the two networks' weights (default: 0)",
    )
    parser.add_argument("--results", type=Path, help="results.json of `ccdnn-train evaluate` for the card")
    parser.add_argument("--bundle", metavar="TITLE", help="list it under this title in the models.json next to it")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from ccdnn.errors import InputError
    from ccdnn_training.fitting.export import bundle, export_checkpoint, export_model, read_results

    about = {"name": options.name, "version": options.model_version, "licence": options.licence}
    results = read_results(options.results) if options.results else ()
    if options.checkpoint.suffix == ".safetensors":
        if options.cache or options.start_share:
            raise InputError("A model file states its data already; leave out the slice cache and --start-share.")
        sha256 = export_model(options.checkpoint, options.output, **about, results=results)
    else:
        sha256 = export_checkpoint(
            options.checkpoint, options.cache, options.output, **about, results=results, start_share=options.start_share
        )
    if options.bundle:
        bundle(options.output, options.name, options.bundle)
    print(f"Wrote {options.output} ({options.output.stat().st_size / 1e6:.1f} MB), SHA-256 {sha256}.")
    return 0
