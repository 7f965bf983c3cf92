"""`ccdnn synthesize`: three MR volumes in, a synthetic STIR volume out."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ccdnn.cli import console
from ccdnn.files import check_writable, write_volume
from ccdnn.selection import Selector
from ccdnn.series import Role, Series
from ccdnn.writing import require_no_input

if TYPE_CHECKING:
    from ccdnn.inference.synthesizer import Synthesizer
    from ccdnn.model.file import Model
    from ccdnn.synthesis import SynthesisResult

# Maximum of --threads and --batch; a larger number is a typing error.
MOST_THREADS = 1024
INPUT_ROLES = (Role.T1, Role.T2, Role.GRE)

_EPILOG = """\
SERIES is a file, a folder that contains one series, FOLDER::ROW, or a ROW of the STUDY, with row numbers from `ccdnn inspect`.

examples:
  ccdnn synthesize study/ -o stir.nrrd
  ccdnn synthesize --t1 t1.nii.gz --t2 t2.nii.gz --gre gre.nii.gz -o stir.nii.gz
  ccdnn synthesize study/ --t2 2 --gre 5 -o stir.nrrd     T1 found in the study, rows 2 and 5 for the others
  ccdnn synthesize study/ --gre none -o stir.nrrd         without the GRE, even if the study has one

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
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="OUT", help="file to write: .nrrd, .nii, .nii.gz, .mha")
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
    parser.add_argument("--device", default="auto", metavar="auto|cpu|cuda|cuda:N|mps", help="device to compute on (default: auto)")
    parser.add_argument(
        "--precision",
        default="auto",
        metavar="auto|fp32|bf16|fp16|mixed",
        help="precision of the arithmetic (default: auto, 16 bits only if the result agrees)",
    )
    parser.add_argument("--threads", type=_positive, metavar="N", help="CPU threads (default: all cores)")
    parser.add_argument("--batch", type=_positive, metavar="N", help="slices computed at once (default: as memory allows)")


def make_synthesizer(options: argparse.Namespace) -> Synthesizer:
    """The model on its device, as chosen with the options of `add_model_options`.

    Raises:
        ModelError, DeviceError: the model or the device cannot be used.
    """
    # torch takes seconds to import, and nothing before this needs it.
    from ccdnn.inference.synthesizer import Synthesizer
    from ccdnn.model.catalog import resolve_model

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
        CcdnnError: an error the user can fix; OUT is unchanged.
    """
    check_writable(options.output)
    selector = Selector(options.study)
    chosen = {role: text for role in INPUT_ROLES if (text := getattr(options, role.value)) is not None}
    synthesizer = make_synthesizer(options)
    card = synthesizer.model.card
    series = selector.for_roles([Role(role) for role in card.roles], chosen, [Role(role) for role in card.optional])
    reference = selector.reference(options.reference, series)
    require_no_input([options.output], [*selector.used_files, synthesizer.model.path])
    for problem in selector.problems:
        console.warning(problem)
    quiet = options.quiet or options.json

    def say(kind: str, sentence: str) -> None:
        if kind == "warning":
            console.warning(sentence)
        elif not quiet:
            console.note(sentence)

    say("note", f"Model: {card.name} {card.version}")
    for role, found in series.items():
        unlike = "" if found.role is role else f", which looks like {found.role.label}"
        say("note", f"{role.label}: {found.name} ({found.grid}){unlike}")
    volumes = {role: found.load() for role, found in series.items()}
    target = reference if isinstance(reference, Role) else reference.load()

    from ccdnn.synthesis import synthesize

    with console.progress("Synthesizing", "slices", quiet) as on_progress:
        result = synthesize(
            volumes,
            synthesizer,
            reference=target,
            protocols={role: found.protocol for role, found in series.items()},
            force=options.force,
            with_names=options.with_names,
            on_message=say,
            on_progress=on_progress,
        )
    write_volume(result.volume, options.output)
    for reason in result.reasons:
        say("note", reason)
    if options.json:
        console.result(json.dumps(_as_json(options.output, synthesizer.model, series, result, selector.problems), indent=2))
    else:
        console.result(f"{options.output}: synthetic STIR, {result.volume.grid}, in {sum(result.seconds.values()):.1f} s")


def _as_json(
    output: Path, model: Model, series: dict[Role, Series], result: SynthesisResult, problems: Sequence[str]
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
        "device": result.device,
        "precision": result.precision,
        "reasons": list(result.reasons),
        "seconds": dict(result.seconds),
        "notes": list(result.notes),
        "warnings": list(result.warnings),
        "problems": list(problems),
    }


def _positive(text: str) -> int:
    number = int(text) if text.isdecimal() and len(text) < 10 else 0
    if not 1 <= number <= MOST_THREADS:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a whole number from 1 to {MOST_THREADS}")
    return number
