"""A slice cache of simulated knees, made in parallel and resumable: existing subjects are not made again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ccdnn_training.data.cache import write_index, write_regions, write_subject
from ccdnn_training.data.knees import KneeRecipe
from ccdnn_training.data.studies import NORMALISATION
from ccdnn_training.parallel import processes
from ccdnn_training.phantom.render import LABELS
from ccdnn_training.physics.protocol import CONTRASTS
from ccdnn_training.simulate import simulate_study

# The parts' seeds lie far apart, so that no subject is in two parts.
FIRST_SEED = {"train": 10_000, "validation": 20_000, "test": 30_000}


def simulate_cache(
    folder: Path,
    counts: dict[str, int],
    recipe: KneeRecipe,
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


def _make(folder: Path, recipe: KneeRecipe, subject: dict[str, Any]) -> None:
    seed = subject["provenance"]["simulation_seed"]
    grid, edema, ganglion = recipe.draw(seed)
    study = simulate_study(seed, grid=grid, protocol=None, edema=edema, ganglion=ganglion)
    write_regions(folder, subject["name"], study.labels.array)
    write_subject(folder, subject["name"], np.stack([NORMALISATION.apply(study.volumes[c].array) for c in CONTRASTS]))
