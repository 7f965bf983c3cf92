"""`ccdnn-train simulate…`: simulated knees, as study folders for the engine, as a cohort, or as a slice cache for training."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from ccdnn_training.acquisition.series import EFFECTS
from ccdnn_training.data.knees import KneeRecipe, make_knees
from ccdnn_training.data.simulated import FIRST_SEED, simulate_cache
from ccdnn_training.phantom.render import sagittal_grid
from ccdnn_training.reporting import command_line, progress
from ccdnn_training.simulate import simulate_study, write_study


def add_parser(commands: argparse._SubParsersAction) -> None:
    study = commands.add_parser("simulate-study", help="one simulated subject as a folder of NRRD files")
    study.add_argument("folder", type=Path, help="folder for t1, t2, gre, stir and labels .nrrd")
    study.add_argument("--seed", type=int, required=True)
    study.add_argument("--paper-protocol", action="store_true", help="the paper's TR, TE and FA instead of random ones")
    study.add_argument("--slices", type=int, default=24, help="sagittal slices of 3 mm, spread over 86 mm")
    study.add_argument("--matrix", type=int, default=384, help="rows and columns over 160 mm")
    study.add_argument("--edema", action="store_true", help="add bone-marrow edema")
    study.add_argument("--ganglion", action="store_true", help="add a ganglion")
    study.add_argument(
        "--without", nargs="+", choices=EFFECTS, default=[], metavar="EFFECT", help=f"effects to leave out: {', '.join(EFFECTS)}"
    )
    study.set_defaults(run=run_study)

    cohort = commands.add_parser(
        "simulate-cohort",
        help="a cohort like the paper's, and subjects with lesions, for `prepare` (resumable)",
    )
    cohort.add_argument("folder", type=Path, help="folder for manifest.csv and the subjects' folders")
    cohort.add_argument("--subjects", type=int, default=12, help="healthy knees (default: the paper's %(default)s)")
    cohort.add_argument(
        "--lesions", type=int, default=4, help="subjects with edema, and as many with a ganglion (default: %(default)s)"
    )
    cohort.add_argument(
        "--trained-lesions", type=int, default=0, help="further subjects of each kind to train on (default: %(default)s)"
    )
    cohort.add_argument("--slices", type=int, default=24, help="sagittal slices of 3 mm, spread over 86 mm (default: %(default)s)")
    cohort.add_argument("--matrix", type=int, default=384, help="rows and columns (default: %(default)s)")
    cohort.add_argument("--fov", type=float, default=160.0, help="field of view in mm, centred on the joint (default: %(default)g)")
    cohort.add_argument("--jobs", type=int, default=1, help="processes")
    cohort.set_defaults(run=run_cohort)

    cache = commands.add_parser("simulate", help="a cache of simulated slices for training (resumable)")
    cache.add_argument("folder", type=Path)
    cache.add_argument("--train", type=int, default=160, help="number of training subjects")
    cache.add_argument("--validation", type=int, default=12, help="number of validation subjects")
    cache.add_argument("--test", type=int, default=0, help="number of test subjects")
    cache.add_argument("--slices", type=int, default=8, help="slices per subject, spread over the knee's width")
    cache.add_argument("--matrix", type=int, nargs="+", default=[320, 384, 448], help="rows and columns a subject may have")
    cache.add_argument("--lesions", type=float, default=0.25, help="share of subjects with edema, and with a ganglion")
    cache.add_argument("--jobs", type=int, default=1, help="processes")
    cache.set_defaults(run=run_cache)

    knees = commands.add_parser(
        "simulate-knees",
        help="rendered knees for training, which `fit` acquires repeatedly (resumable)",
        description="A fit can render its knees as it runs. With few cores, rendering them beforehand saves most of that time.",
    )
    knees.add_argument("folder", type=Path)
    knees.add_argument("--knees", type=int, default=96, help="number of knees (default: %(default)s; 46 MB each)")
    knees.add_argument("--slices", type=int, default=24, help="slices per knee (default: %(default)s)")
    knees.add_argument("--matrix", type=int, nargs="+", default=[320, 384, 448], help="rows and columns a knee may have")
    knees.add_argument(
        "--lesions", type=float, default=0.6, help="share of knees with edema, and with a ganglion (default: %(default)s)"
    )
    knees.add_argument("--jobs", type=int, default=1, help="processes")
    knees.set_defaults(run=run_knees)


def run_study(options: argparse.Namespace) -> int:
    options.folder.mkdir(parents=True, exist_ok=True)
    protocol = {} if options.paper_protocol else {"protocol": None}
    started = time.perf_counter()
    with progress("rendering slices") as on_slice:
        study = simulate_study(
            options.seed,
            **protocol,
            grid=sagittal_grid(matrix=options.matrix, slices=options.slices, slice_spacing=86.4 / options.slices),
            effects=[effect for effect in EFFECTS if effect not in options.without],
            edema=options.edema,
            ganglion=options.ganglion,
            on_slice=on_slice,
        )
    write_study(study, options.folder)
    seconds = time.perf_counter() - started
    print(f"Wrote t1, t2, gre, stir and labels of simulated subject {options.seed} to {options.folder} in {seconds:.0f} s.")
    return 0


def run_cohort(options: argparse.Namespace) -> int:
    from ccdnn_training.data.simulated_cohort import cohort_subjects, simulate_cohort

    subjects = cohort_subjects(options.subjects, options.lesions, options.trained_lesions)
    with progress("simulated subjects") as on_subject:
        manifest = simulate_cohort(
            options.folder,
            subjects,
            slices=options.slices,
            matrix=options.matrix,
            fov=options.fov,
            jobs=options.jobs,
            on_subject=on_subject,
        )
    lesions = sum(subject.lesion != "" for subject in subjects)
    trained = f", {sum(subject.trained for subject in subjects)} of them for training" if options.trained_lesions else ""
    print(f"{manifest} lists {len(subjects) - lesions} healthy subjects and {lesions} with a lesion{trained}.")
    return 0


def run_cache(options: argparse.Namespace) -> int:
    counts = {"train": options.train, "validation": options.validation, "test": options.test}
    with progress("simulated subjects") as on_subject:
        simulate_cache(
            options.folder,
            counts,
            KneeRecipe(options.slices, tuple(options.matrix), lesions=options.lesions),
            made_by=command_line(),
            jobs=options.jobs,
            on_subject=on_subject,
        )
    content = ", ".join(f"{count} {part}" for part, count in counts.items() if count)
    print(f"The slice cache {options.folder} contains {content} subjects.")
    return 0


def run_knees(options: argparse.Namespace) -> int:
    seeds = range(FIRST_SEED["train"], FIRST_SEED["train"] + options.knees)
    recipe = KneeRecipe(options.slices, tuple(options.matrix), lesions=options.lesions)
    with progress("knees") as on_knee:
        make_knees(options.folder, seeds, recipe, jobs=options.jobs, on_knee=on_knee)
    print(f"{options.folder} contains {options.knees} rendered knees.")
    return 0
