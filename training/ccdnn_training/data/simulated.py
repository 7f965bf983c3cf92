"""A slice cache of simulated knees, made in parallel and resumable: a subject that is there is not made again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ccdnn.normalisation import VolumePercentile
from ccdnn_training.data.cache import write_index, write_regions, write_subject
from ccdnn_training.parallel import processes
from ccdnn_training.phantom.render import LABELS, sagittal_grid
from ccdnn_training.physics.protocol import CONTRASTS
from ccdnn_training.simulate import simulate_study

# Seeds of the parts lie far apart, so that no subject of one can be a subject of another.
FIRST_SEED = {"train": 10_000, "validation": 20_000, "test": 30_000}

# The 90th percentile of the foreground is muscle or fat in every contrast; a higher one depends on how much fluid a knee holds.
NORMALISATION = VolumePercentile(percentile=90.0, foreground_fraction=0.2)


@dataclass(frozen=True)
class Recipe:
    """How the subjects of a cache are simulated.

    Args:
        slices: number of slices, spread evenly over 86 mm from side to side; fewer slices, more different knees.
        matrix: rows and columns a subject may have.
        fov: lowest and highest field of view in mm.
        lesions: share of subjects with bone-marrow edema, and, drawn apart, with a ganglion (none in the paper, section 3.2).
    """

    slices: int = 8
    matrix: tuple[int, ...] = (320, 384, 448)
    fov: tuple[float, float] = (140.0, 185.0)
    lesions: float = 0.25

    def make(self, folder: Path, name: str, seed: int) -> str:
        rng = np.random.default_rng((seed, 1))
        grid = sagittal_grid(
            matrix=int(rng.choice(self.matrix)), slices=self.slices, fov=rng.uniform(*self.fov), slice_spacing=86.4 / self.slices
        )
        edema, ganglion = (bool(drawn < self.lesions) for drawn in rng.random(2))
        study = simulate_study(seed, grid=grid, protocol=None, edema=edema, ganglion=ganglion)
        arrays = [NORMALISATION.apply(study.volumes[contrast].array) for contrast in CONTRASTS]
        write_regions(folder, name, study.labels.array)
        write_subject(folder, name, np.stack(arrays))
        return name


def simulate_cache(
    folder: Path,
    counts: dict[str, int],
    recipe: Recipe,
    *,
    made_by: str,
    jobs: int = 1,
    on_subject: Callable[[int, int], None] | None = None,
) -> None:
    """Fill `folder` with `counts` simulated subjects of each part.

    Args:
        counts: part to number of subjects; their seeds follow `FIRST_SEED`.
        made_by: the command, kept in the index.
        on_subject: called with (subjects done, subjects).
    """
    folder.mkdir(parents=True, exist_ok=True)
    regions = {name: [value] for value, name in LABELS.items()}
    subjects: list[dict[str, Any]] = [
        {
            "name": f"{part}-{seed}",
            "part": part,
            "provenance": {"simulation_seed": seed, "recipe": asdict(recipe), "regions": regions},
        }
        for part, count in counts.items()
        for seed in range(FIRST_SEED[part], FIRST_SEED[part] + count)
    ]
    missing = [s for s in subjects if not (folder / f"{s['name']}.npy").exists()]
    done = len(subjects) - len(missing)
    make = partial(_make, folder, recipe)
    with processes(jobs) as pool:
        for _ in pool.map(make, missing):
            done += 1
            if on_subject:
                on_subject(done, len(subjects))
    write_index(folder, subjects, contrasts=CONTRASTS, normalisation=NORMALISATION, made_by=made_by)


def _make(folder: Path, recipe: Recipe, subject: dict[str, Any]) -> str:
    return recipe.make(folder, subject["name"], subject["provenance"]["simulation_seed"])
