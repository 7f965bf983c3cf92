"""`ccdnn synthesize`: MR volumes of a knee in, a synthetic STIR volume out; of one study, or of each of many."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ccdnn.cli import console, many
from ccdnn.cli.arguments import positive
from ccdnn.errors import InputError, OutputError
from ccdnn.files import WRITERS
from ccdnn.inference.backend import PRECISIONS
from ccdnn.model.catalog import resolve_model
from ccdnn.series import INPUT_ROLES, Role, Series
from ccdnn.study_synthesis import DICOM, StudyChoice, check_output, check_uncertainty_output, synthesize_study, write_result
from ccdnn.trust import INTERVAL_ENTRY
from ccdnn.writing import suffix_of

if TYPE_CHECKING:
    from ccdnn.inference.synthesizer import Synthesizer
    from ccdnn.model.file import Model
    from ccdnn.synthesis import SynthesisResult

_EPILOG = """\
SERIES is a file, a folder that contains one series, FOLDER::ROW, or a ROW of the STUDY, with row numbers from `ccdnn inspect`.

examples:
  ccdnn synthesize study/ -o stir.nrrd
  ccdnn synthesize --t1 t1.nii.gz --t2 t2.nii.gz --gre gre.nii.gz -o stir.nii.gz
  ccdnn synthesize study/ --t2 2 --gre 5 -o stir.nrrd     T1 found in the study, rows 2 and 5 for the others
  ccdnn synthesize study/ --gre none -o stir.nrrd         without the GRE, even if the study has one
  ccdnn synthesize study/ --format dicom -o stir          a DICOM series of the same study
  ccdnn synthesize --each studies/ -o results --jobs 4    one study per subfolder, or per row of a CSV file: columns study, folder,
                                                          t1, t2, gre, reference; results, records and summary.csv in results/

With --each, a study that fails is listed in the summary and the others continue; run the same command again to do what is left.
An existing OUT is replaced only once the new one is complete. Inputs are never overwritten.
"""


def add_parser(commands: Any) -> None:
    """Add this command to the subparsers of `ccdnn`."""
    parser = commands.add_parser(
        "synthesize",
        help="make a synthetic STIR volume",
        description="Make a synthetic STIR volume from the T1-w, T2-w and GRE series of one knee. `ccdnn models` shows which "
        "models do not need the GRE. Research use only.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("study", nargs="?", type=Path, metavar="STUDY", help="folder or file to search for the series")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        type=Path,
        metavar="OUT",
        help="file to write (.nrrd, .nii, .nii.gz, .mha), or a folder",
    )
    parser.add_argument(
        "--format",
        choices=[*(suffix.removeprefix(".") for suffix in WRITERS), DICOM],
        help="what to write; dicom makes a series of the study of the reference, in the folder OUT (default: by the suffix of OUT, "
        "with --each nrrd)",
    )
    parser.add_argument(
        "--uncertainty",
        type=Path,
        metavar="FILE",
        help="also write, for every voxel, half the width of the interval that holds the acquired STIR with 95 %% probability; an "
        "image file like OUT, also with --format dicom, or a file .dcm for a DICOM Parametric Map of that series",
    )
    many.add_options(parser)
    for role in INPUT_ROLES:
        parser.add_argument(
            f"--{role.value}", metavar="SERIES|none", help=f"series to use as {role.label}, or none if the model does not need it"
        )
    parser.add_argument(
        "--reference",
        default="t1",
        metavar="t1|t2|gre|SERIES",
        help="series whose grid the result has; the others are resampled (default: t1)",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="run even if a series covers less than half of the reference, or the series belong to different patients",
    )
    parser.add_argument(
        "--with-names",
        action="store_true",
        help="write the series names, which may contain a patient's name, to the result's header",
    )
    add_model_options(parser)
    parser.add_argument("--json", action="store_true", help="print what was done as JSON on stdout, without a progress bar")
    parser.add_argument("-q", "--quiet", action="store_true", help="print warnings and errors only, without a progress bar")
    parser.set_defaults(run=run)


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for the model and the device."""
    parser.add_argument("--model", metavar="NAME|FILE", help="a bundled model (see `ccdnn models`) or a model file")
    parser.add_argument(
        "--device", default="auto", type=_device, metavar="auto|cpu|cuda|cuda:N|mps", help="device to compute on (default: auto)"
    )
    parser.add_argument(
        "--precision",
        default="auto",
        choices=("auto", *PRECISIONS),
        help="precision of the arithmetic (default: auto, 16 bits only if the result agrees)",
    )
    parser.add_argument("--threads", type=positive, metavar="N", help="CPU threads (default: all cores)")
    parser.add_argument("--batch", type=positive, metavar="N", help="slices computed at once (default: as memory allows)")


def make_synthesizer(options: argparse.Namespace) -> Synthesizer:
    """The model on its device, as chosen with the options of `add_model_options`.

    Raises:
        ModelError, DeviceError: the model or the device cannot be used.
    """
    # Not needed before, and a GPU's library takes seconds to import.
    from ccdnn.inference.synthesizer import Synthesizer

    return Synthesizer(
        resolve_model(options.model),
        device=options.device,
        precision=options.precision,
        batch_size=options.batch,
        threads=options.threads,
    )


def run(options: argparse.Namespace) -> None:
    """Run the command with the parsed `options`.

    Raises:
        CcdnnError: an error the user can fix; OUT is unchanged, or has what is finished of many studies.
    """
    if options.each is None:
        _one(options)
    else:
        _each(options)


def _one(options: argparse.Namespace) -> None:
    many.refuse_for_one(options)
    form = options.format and _form(options.format)
    if form not in (None, DICOM, suffix_of(options.output)):
        raise OutputError(f"{options.output} does not end in {form}, which --format asks for.")
    check_output(options.output, form)
    quiet = options.quiet or options.json

    def say(kind: str, sentence: str) -> None:
        if kind == "warning":
            console.warning(sentence)
        elif not quiet:
            console.note(sentence)

    def on_series(series: Mapping[Role, Series], problems: Sequence[str]) -> None:
        for problem in problems:
            console.warning(problem)
        say("note", f"Model: {card.name} {card.version}")
        for role, found in series.items():
            unlike = "" if found.role is role else f", which looks like {found.role.label}"
            say("note", f"{role.label}: {found.name} ({found.grid}){unlike}")

    chosen = {role: text for role in INPUT_ROLES if (text := getattr(options, role.value)) is not None}
    if options.uncertainty is not None:
        if options.uncertainty.absolute() == options.output.absolute():
            raise OutputError(f"{options.output} is the file of the volume; write the uncertainty to another one.")
        check_uncertainty_output(options.uncertainty, options.output, form)
    synthesizer = make_synthesizer(options)
    card = synthesizer.model.card
    if options.uncertainty is not None and card.uncertainty is None:
        raise InputError(f"The model {card.name} {card.version} does not estimate its error; leave out --uncertainty.")
    with console.progress("Synthesizing", "slices", quiet) as on_progress:
        made = synthesize_study(
            StudyChoice(options.study, chosen, options.reference),
            synthesizer,
            force=options.force,
            with_names=options.with_names,
            output=options.output,
            on_series=on_series,
            on_message=say,
            on_progress=on_progress,
        )
    for change in write_result(made, options.output, form, force=options.force, uncertainty=options.uncertainty):
        say("warning", change)
    result = made.result
    if result.uncertainty is not None:
        typical = f"The uncertainty is ± {result.typical_half_width:.2g} at half of the voxels of tissue."
        say("note", f"{typical} {result.uncertainty.metadata[INTERVAL_ENTRY]}")
    if result.familiarity is not None and not result.familiarity.doubtful:  # else it is among the warnings
        say("note", result.familiarity.sentence)
    for reason in result.reasons:
        say("note", reason)
    if options.json:
        console.result(json.dumps(_as_json(options.output, synthesizer.model, made.series, result, made.problems), indent=2))
    else:
        console.result(f"{options.output}: synthetic STIR, {result.volume.grid}, in {sum(result.seconds.values()):.1f} s")


def _each(options: argparse.Namespace) -> None:
    from ccdnn.cohort.run import threads_for
    from ccdnn.cohort.synthesis import SynthesisTask

    if options.study or any(getattr(options, role.value) for role in INPUT_ROLES) or options.reference != Role.T1.value:
        raise InputError("With --each, the series of a study are named in its row of the CSV file, not by options.")
    if options.uncertainty is not None:
        raise InputError("--uncertainty is for one study; leave it out with --each.")
    model = resolve_model(options.model)
    task = SynthesisTask(
        str(model.path.resolve()),
        model.sha256,
        options.device,
        options.precision,
        options.batch,
        options.threads or (threads_for(options.jobs) if options.jobs > 1 else None),
        _form(options.format or "nrrd"),
        options.force,
        options.with_names,
    )
    records = many.run_each(options, task, "Synthesizing", options.quiet or options.json)
    if options.json:
        console.result(json.dumps([record.row(task.columns) for record in records], indent=2))
    else:
        console.result(many.summary_line(options, records))
    many.end(options, records)


def _form(name: str) -> str:
    """The suffix to write, or "dicom"."""
    return name if name == DICOM else f".{name}"


def _as_json(
    output: Path, model: Model, series: Mapping[Role, Series], result: SynthesisResult, problems: Sequence[str]
) -> dict[str, Any]:
    slices, rows, columns = result.volume.grid.shape
    return {
        "output": str(output),
        "notice": result.volume.metadata["CCDNN_Notice"],
        "model": {"name": model.card.name, "version": model.card.version, "sha256": model.sha256},
        "grid": {
            "columns": columns,
            "rows": rows,
            "slices": slices,
            "spacing_mm": result.volume.grid.spacing,
            "ijk_to_ras": result.volume.ijk_to_ras.tolist(),
        },
        "inputs": {
            role.value: {"series": found.name, "role_found": found.role.value, "coverage": result.coverage[role]}
            for role, found in series.items()
        },
        "missing_inputs": [role for role in model.card.roles if Role(role) not in series],
        "covered_by_all": float(result.covered.mean()),
        "familiarity": result.familiarity and result.familiarity.entries(),
        "half_width_95": result.typical_half_width,
        "device": result.device,
        "precision": result.precision,
        "reasons": list(result.reasons),
        "seconds": dict(result.seconds),
        "notes": list(result.notes),
        "warnings": list(result.warnings),
        "problems": list(problems),
    }


def _device(text: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,3})?", text):
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a device; use auto, cpu, cuda, cuda:N or mps")
    return text
