"""`ccdnn demo`: the bundled simulated study through the bundled model, measured against its acquired STIR and drawn."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ccdnn.cli import console
from ccdnn.cli.synthesize import INPUT_ROLES, add_model_options, make_synthesizer
from ccdnn.errors import InputError
from ccdnn.files import read_volume, write_volume
from ccdnn.measure.cnr import cnr_of_pairs
from ccdnn.measure.labels import read_names
from ccdnn.measure.scaling import Scaling, scale, scale_pair
from ccdnn.measure.table import Measurement, table_of
from ccdnn.resample import resample_onto
from ccdnn.series import Role
from ccdnn.volume import Volume, require_same_grid
from ccdnn.writing import make_folder, write_files

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_OUTPUTS = ("stir_synthetic.nrrd", "comparison.png", "measurements.csv", "measurements.json")

# Tissues of the paper's CNR pairs → their names in the sample's label map.
_LABEL_NAMES = {"cartilage": "cartilage", "bone": "bone marrow", "meniscus": "meniscus", "muscle": "muscle", "fat": "fat"}


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
    labels, values = _read_labels(study)
    acquired = volumes[Role.STIR]
    require_same_grid(acquired, labels)

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
    similarity = _similarity(result.volume, acquired)
    cnr = _cnr(result.volume, acquired, labels, values)
    _write(options.output, volumes, result.volume, [*similarity, *chain(*cnr)], _telling_slice(labels.array, values))
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


def _read_labels(study: Path) -> tuple[Volume, dict[str, int]]:
    """The label map and the label value of each tissue of the CNR pairs."""
    labels, names_file = read_volume(study / "labels.nrrd"), study / "labels.json"
    values = read_names(names_file)
    try:
        return labels, {tissue: values[name][0] for tissue, name in _LABEL_NAMES.items()}
    except KeyError as error:
        raise InputError(f"{names_file} has no label named {error}; the sample is damaged.") from error


def _similarity(synthetic: Volume, acquired: Volume) -> list[Measurement]:
    # scikit-image, like torch, is slow to import.
    from ccdnn.measure.similarity import similarity

    return similarity(synthetic.array, acquired.array, Scaling.TISSUE, "synthetic STIR against acquired STIR")


def _cnr(synthetic: Volume, acquired: Volume, labels: Volume, values: Mapping[str, int]) -> list[tuple[Measurement, ...]]:
    """For each pair of the paper: CNR on the acquired STIR, CNR on the synthetic one, and the ratio synthetic/acquired."""
    on_acquired = cnr_of_pairs(acquired.array, labels.array, values, measured_on="acquired STIR")
    on_synthetic = cnr_of_pairs(synthetic.array, labels.array, values, measured_on="synthetic STIR")
    return [(a, s, _ratio(a, s)) for a, s in zip(on_acquired, on_synthetic, strict=True)]


def _ratio(acquired: Measurement, synthetic: Measurement) -> Measurement:
    return Measurement(
        name=acquired.name,
        value=synthetic.value / acquired.value if acquired.value else float("nan"),
        unit="1",
        measured_on="synthetic STIR over acquired STIR",
        method=f"ratio of {acquired.method}",
        n=acquired.n,
    )


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


def _print_cnr(pairs: Sequence[Sequence[Measurement]]) -> None:
    console.print_table(
        pairs[0][0].method,
        ("tissues", "acquired", "synthetic", "synthetic / acquired"),
        ((pair[0].name.removeprefix("CNR "), *map(console.value_of, pair)) for pair in pairs),
    )
    for row in chain(*pairs):
        if row.note:
            console.note(f"{row.name}, {row.measured_on}: {row.note}")


def _write(folder: Path, volumes: Mapping[Role, Volume], synthetic: Volume, rows: Sequence[Measurement], index: int) -> None:
    from ccdnn.pictures import save_picture

    (stir, picture), (csv, json_) = (folder / name for name in _OUTPUTS[:2]), _OUTPUTS[2:]
    figure = _draw(volumes, synthetic, index)
    write_volume(synthetic, stir)
    save_picture(figure, picture)
    write_files(folder, {csv: table_of(rows).to_csv().encode(), json_: table_of(rows).to_json().encode()})


def _telling_slice(labels: np.ndarray, values: Mapping[str, int]) -> int:
    """The slice whose least represented tissue has the most voxels: one through a condyle, with menisci and muscle."""
    counts = np.array([[(image == value).sum() for value in values.values()] for image in labels], dtype=float)
    return int((counts / np.maximum(counts.max(axis=0), 1)).min(axis=1).argmax())


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
