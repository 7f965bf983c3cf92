"""`ccdnn-train semi-real`: a study with a known STIR from a real multi-echo series."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "semi-real",
        help="compute T1-w, T2-w, GRE and STIR from a real multi-echo series with the signal equations",
        description="Fits T2 and the shares of water and fat in every voxel, and writes a study that `ccdnn` and `stress` read.",
    )
    parser.add_argument("series", type=Path, help="folder of a multi-echo spin-echo series without fat suppression")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for t1, t2, gre, stir and labels .nrrd")
    parser.add_argument("--noise", type=float, help="per cent of noise added to each contrast (default: 1)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from ccdnn.errors import OutputError
    from ccdnn.study import find_series
    from ccdnn.writing import replacing_folder
    from ccdnn_training.evaluation.semi_real import NOISE_PERCENT, echoes_of, semi_real_study
    from ccdnn_training.simulate import write_study

    if options.output.exists():
        raise OutputError(f"{options.output} exists and is not overwritten; name a new folder.")
    times, echoes, grid = echoes_of(find_series(options.series))
    study = semi_real_study(times, echoes, grid, noise_percent=NOISE_PERCENT if options.noise is None else options.noise)
    with replacing_folder(options.output) as temporary:
        write_study(study, temporary)
    print(f"Wrote a study of {grid.grid} from {len(times)} echoes of {times[0]:g} to {times[-1]:g} ms to {options.output}.")
    return 0
