"""`ccdnn demo`: the bundled simulated study through the bundled model, measured against its acquired STIR and drawn."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ccdnn.cli import console
from ccdnn.cli.synthesize import add_model_options, make_synthesizer
from ccdnn.files import read_volume, write_volume
from ccdnn.measure.cnr import PAPER_PAIRS, cnr_measurements, tissue_name
from ccdnn.measure.comparison import measure_images, on_one_grid
from ccdnn.measure.labels import read_labels
from ccdnn.measure.profile import Image
from ccdnn.measure.scaling import Scaling, scale, scale_pair
from ccdnn.measure.table import Measurement, measurements_of, table_of
from ccdnn.resample import resample_onto
from ccdnn.series import INPUT_ROLES, Role
from ccdnn.volume import Volume
from ccdnn.writing import make_folder, write_files

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_OUTPUTS = ("stir_synthetic.nrrd", "comparison.png", "measurements.csv", "measurements.json")


def add_parser(commands: Any) -> None:
    """Add this command to the subparsers of `ccdnn`."""
    parser = commands.add_parser(
        "demo",
        help="run the bundled sample study",
        description="Make the STIR volume of the bundled simulated study, compare it with the acquired one, and draw both.",
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("demo"), metavar="FOLDER", help="where to write (default: demo)")
    parser.add_argument(
        "--study", type=Path, metavar="FOLDER", help="another study with the same files as the sample (default: the bundled one)"
    )
    add_model_options(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar or notes")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Write the outputs named above and print the tables.

    Raises:
        CcdnnError: an error the user can fix.
    """
    make_folder(options.output)
    synthesizer = make_synthesizer(options)
    study = options.study or _sample_study()
    volumes = {role: read_volume(study / f"{role.value}.nrrd") for role in (*INPUT_ROLES, Role.STIR)}
    acquired = volumes[Role.STIR]
    labels = read_labels(study / "labels.nrrd", study / "labels.json", acquired.grid)
    tissues = dict.fromkeys(tissue_name(name) for pair in PAPER_PAIRS for name in (pair.foreground, pair.background))
    index = _telling_slice([labels.mask(tissue) for tissue in tissues])

    from ccdnn.synthesis import synthesize

    with console.progress("Synthesizing", "slices", options.quiet) as on_progress:
        result = synthesize(
            volumes,
            synthesizer,
            reference=acquired,
            on_message=lambda kind, sentence: (console.warning if kind == "warning" else console.note)(sentence),
            on_progress=on_progress,
        )
    memory = _peak_memory()
    images = on_one_grid({Image.ACQUIRED: acquired, Image.SYNTHETIC: result.volume}, labels)
    tables = measure_images(images).tables
    # Without a mask, the Dice overlap is mostly that of the air.
    similarity = [row for row in measurements_of(tables["Similarity"]) if row.name != "Dice"]
    cnr = cnr_measurements(tables["CNR between tissues"])
    _write(options.output, volumes, result.volume, [*similarity, *cnr], index)
    _print_similarity(similarity)
    _print_cnr(cnr)
    console.result(
        f"{len(acquired.array)} slices in {sum(result.seconds.values()):.1f} s on {result.device} in {result.precision}, "
        f"peak memory {memory}"
    )
    console.result(f"Written to {options.output}: {', '.join(_OUTPUTS)}")


def _sample_study() -> Path:
    from ccdnn.model.catalog import models_folder

    return models_folder().parent / "SampleData"


def _print_similarity(rows: Sequence[Measurement]) -> None:
    scaling = rows[0].method.partition("; ")[2]
    console.print_table(
        f"Synthetic against acquired STIR, {scaling}",
        ("measure", "value", "taken"),
        ((row.name, console.value_of(row), row.method.partition("; ")[0]) for row in rows),
    )
    for row in rows:
        if row.note:
            console.note(f"{row.name}: {row.note}")


def _print_cnr(rows: Sequence[Measurement]) -> None:
    by_pair = {row.name: [other for other in rows if other.name == row.name] for row in rows}
    console.print_table(
        rows[0].method,
        ("tissues", "acquired", "synthetic", "synthetic / acquired"),
        ((name.removeprefix("CNR "), *map(console.value_of, pair)) for name, pair in by_pair.items()),
    )
    for row in rows:
        if row.note:
            console.note(f"{row.name}, {row.measured_on}: {row.note}")


def _write(folder: Path, volumes: Mapping[Role, Volume], synthetic: Volume, rows: Sequence[Measurement], index: int) -> None:
    from ccdnn.pictures import save_picture

    (stir, picture), (csv, json_) = (folder / name for name in _OUTPUTS[:2]), _OUTPUTS[2:]
    figure = _draw(volumes, synthetic, index)
    write_volume(synthetic, stir)
    save_picture(figure, picture)
    write_files(folder, {csv: table_of(rows).to_csv().encode(), json_: table_of(rows).to_json().encode()})


def _telling_slice(tissues: Sequence[np.ndarray]) -> int:
    """The slice whose least represented tissue has the most voxels: one through a condyle, with menisci and muscle.

    Args:
        tissues: (slice, row, column) bool, the voxels of each.
    """
    counts = np.array([np.count_nonzero(tissue, axis=(1, 2)) for tissue in tissues], dtype=float)
    return int((counts / np.maximum(counts.max(axis=1, keepdims=True), 1)).min(axis=0).argmax())


def _draw(volumes: Mapping[Role, Volume], synthetic: Volume, index: int) -> Figure:
    """Inputs above, results below, all on the grid of the acquired STIR."""
    from ccdnn.pictures import Panel, draw_comparison, stir_top

    acquired = volumes[Role.STIR]

    def shown(volume: Volume) -> Volume:
        return volume.with_array(scale(volume.array, name=volume.name).array)

    pair = scale_pair(synthetic.array, acquired.array, Scaling.TISSUE, names=(synthetic.name, acquired.name))
    synthetic_shown, acquired_shown = (volume.with_array(s.array) for volume, s in zip((synthetic, acquired), pair, strict=True))
    difference = synthetic_shown.with_array(synthetic_shown.array - acquired_shown.array)
    top = stir_top(acquired_shown.array)
    inputs = [
        Panel(shown(resample_onto(volumes[role], acquired.grid).volume), role.label, "simulated input") for role in INPUT_ROLES
    ]
    results = [
        Panel(acquired_shown, "STIR, acquired", "simulated", top=top),
        Panel(synthetic_shown, "STIR, synthetic", f"model {synthetic.metadata['CCDNN_Model']}", accent=True, top=top),
        Panel(difference, "Difference", "synthetic − acquired", difference=True),
    ]
    return draw_comparison(
        [inputs, results],
        index,
        "CC-DNN: STIR from T1-w, T2-w and GRE",
        f"Simulated knee, slice {index + 1} of {acquired.grid.shape[0]}. Both STIRs on one scale, "
        f"1 = maximum of the acquired, shown from 0 to {top:.2f}. Research use only.",
    )


def _peak_memory() -> str:
    """This process's peak memory so far."""
    try:
        import resource as limits
    except ImportError:  # Windows
        return "unknown on this system"
    peak = limits.getrusage(limits.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return f"{peak / 2**30:.2f} GiB"
