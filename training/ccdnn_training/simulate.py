"""A simulated study: one knee, four series on one grid, a label map, and the record needed to make it again."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ccdnn.files import write_volume
from ccdnn.volume import Grid, Volume
from ccdnn.writing import write_text
from ccdnn_training.acquisition.series import EFFECTS, Scan, draw_study
from ccdnn_training.phantom.anatomy import Anatomy
from ccdnn_training.phantom.knee import Knee
from ccdnn_training.phantom.render import LABELS, label_map, render, sagittal_grid
from ccdnn_training.physics.protocol import PAPER_PROTOCOL, Protocol, draw_protocol
from ccdnn_training.physics.tissues import draw_tissue_values


@dataclass(frozen=True)
class Study:
    """Four contrasts and the label map (regions in `phantom.render.LABELS`), all on one grid."""

    volumes: Mapping[str, Volume]
    labels: Volume
    record: Mapping[str, Any]


def simulate_study(
    seed: int,
    *,
    grid: Grid | None = None,
    protocol: Protocol | None = PAPER_PROTOCOL,
    effects: Collection[str] = EFFECTS,
    edema: bool = False,
    ganglion: bool = False,
    on_slice: Callable[[int, int], None] | None = None,
) -> Study:
    """Simulate one subject.

    Args:
        seed: determines anatomy, pose, tissue values, protocol and effects, each by its own random stream.
        grid: where the voxels lie; by default 24 sagittal slices of 384 × 384 (section 2.3).
        protocol: the four sequences, or None to draw the inputs' parameters around the paper's.
        effects: names from `acquisition.series.EFFECTS`.
        edema, ganglion: add the lesion.
        on_slice: called with (slices done, slices) while the anatomy is rendered.
    """
    grid = grid or sagittal_grid()
    anatomy_seed, tissue_seed, protocol_seed, effect_seed = np.random.SeedSequence(seed).generate_state(4)
    amounts = render(Knee(int(anatomy_seed), edema=edema, ganglion=ganglion), grid, on_slice=on_slice)
    anatomy = Anatomy.from_amounts(amounts, label_map(amounts), grid.spacing[::-1])
    values = draw_tissue_values(np.random.default_rng(tissue_seed))
    sequences = protocol or draw_protocol(np.random.default_rng(protocol_seed))
    scans = draw_study(sequences, np.random.default_rng(effect_seed), effects)
    volumes = {
        contrast: Volume(scan.acquire(anatomy, values), grid.ijk_to_ras, name=contrast, metadata=_header(contrast, scan, seed))
        for contrast, scan in scans.items()
    }
    record = {
        "seed": seed,
        "edema": edema,
        "ganglion": ganglion,
        "effects": sorted(effects),
        "tissues": {name: list(map(float, value)) for name, value in asdict(values).items()},
        "acquisitions": {contrast: scan.record() for contrast, scan in scans.items()},
    }
    return Study(volumes, Volume(anatomy.labels, grid.ijk_to_ras, name="labels"), record)


def write_study(study: Study, folder: Path) -> None:
    """`t1`, `t2`, `gre`, `stir`, `labels` .nrrd, `labels.json` and `simulation.json` in a folder that exists.

    Raises:
        OutputError: a file cannot be written.
    """
    # Whole numbers, as scanners have them, unless the series are in units of S0.
    stored = np.int16 if "scanner_scale" in study.record["effects"] else np.float32
    for name, volume in study.volumes.items():
        write_volume(volume, folder / f"{name}.nrrd", stored)
    write_volume(study.labels, folder / "labels.nrrd", np.uint8)
    write_text(json.dumps({str(value): name for value, name in LABELS.items()}, indent=1), folder / "labels.json")
    write_text(json.dumps(study.record, indent=1), folder / "simulation.json")


def _header(contrast: str, scan: Scan, seed: int) -> dict[str, str]:
    """Header entries that mark the file as simulated and state its sequence."""
    header = {"SimulatedImage": "simulated knee, not a patient", "SimulationSeed": str(seed), "Contrast": contrast}
    return {**header, **scan.sequence.acquisition.header_entries()}
