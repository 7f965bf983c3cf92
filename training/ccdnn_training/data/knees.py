"""Rendered knees, stored so that they can be acquired repeatedly with other tissues, protocols and effects.

knees/
  <seed>/tissues.npy, amounts.npy, labels.npy    an `Anatomy`
  knees.json                                     the recipe, and the seeds
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ccdnn.errors import InputError
from ccdnn.volume import Grid
from ccdnn.writing import make_folder, replacing_folder, write_text
from ccdnn_training.parallel import processes
from ccdnn_training.phantom.anatomy import Anatomy
from ccdnn_training.phantom.knee import Knee
from ccdnn_training.phantom.render import label_map, render, sagittal_grid

INDEX = "knees.json"
WIDTH_MM = 86.4  # from side to side of a knee

# Only one voxel in a thousand contains more than four tissues.
LAYERS = 4


@dataclass(frozen=True)
class KneeRecipe:
    """How knees to train on are made.

    Args:
        slices: slices from side to side of the knee; fewer slices allow more different knees.
        matrix: rows and columns a knee may have.
        fov: lowest and highest field of view in mm.
        lesions: share of knees with bone-marrow edema, and, drawn independently, with a ganglion (none in the paper, section 3.2).
    """

    slices: int = 24
    matrix: tuple[int, ...] = (320, 384, 448)
    fov: tuple[float, float] = (140.0, 185.0)
    lesions: float = 0.25

    def draw(self, seed: int) -> tuple[Grid, bool, bool]:
        """Grid, and whether the knee has edema and a ganglion."""
        rng = np.random.default_rng((seed, 1))
        matrix, fov = int(rng.choice(self.matrix)), rng.uniform(*self.fov)
        grid = sagittal_grid(matrix=matrix, slices=self.slices, fov=fov, slice_spacing=WIDTH_MM / self.slices)
        edema, ganglion = (bool(drawn < self.lesions) for drawn in rng.random(2))
        return grid, edema, ganglion

    def anatomy(self, seed: int) -> Anatomy:
        """The knee of `seed`, the same as in `simulate_study`."""
        grid, edema, ganglion = self.draw(seed)
        anatomy_seed = np.random.SeedSequence(seed).generate_state(4)[0]
        amounts = render(Knee(int(anatomy_seed), edema=edema, ganglion=ganglion), grid)
        return Anatomy.from_amounts(amounts, label_map(amounts), grid.spacing[::-1], layers=LAYERS)


def make_knees(
    folder: Path,
    seeds: range,
    recipe: KneeRecipe,
    *,
    jobs: int = 1,
    on_knee: Callable[[int, int], None] | None = None,
) -> None:
    """Render the missing knees of `seeds`; a stopped command resumes when it is run again.

    Args:
        on_knee: called with (knees done, knees).
    """
    make_folder(folder)
    missing = [seed for seed in seeds if not (folder / str(seed)).exists()]
    done = len(seeds) - len(missing)
    with processes(jobs) as pool:
        for _ in pool.map(partial(_make, folder, recipe), missing):
            done += 1
            if on_knee:
                on_knee(done, len(seeds))
    write_text(json.dumps({"recipe": asdict(recipe), "seeds": list(seeds)}), folder / INDEX)


def _make(folder: Path, recipe: KneeRecipe, seed: int) -> None:
    anatomy = recipe.anatomy(seed)
    with replacing_folder(folder / str(seed)) as temporary:
        for name in ("tissues", "amounts", "labels"):
            np.save(temporary / f"{name}.npy", getattr(anatomy, name), allow_pickle=False)
        write_text(json.dumps({"spacing": anatomy.spacing}), temporary / "anatomy.json")


class Knees:
    """Knees to acquire: read as needed from a folder that `make_knees` filled, or, without one, each rendered anew.

    Raises:
        InputError: the folder does not contain knees.
    """

    def __init__(self, folder: str | Path | None, recipe: KneeRecipe, first_seed: int) -> None:
        self._folder, self._recipe, self._first_seed = Path(folder) if folder else None, recipe, first_seed
        if self._folder:
            try:
                index = json.loads((self._folder / INDEX).read_text(encoding="utf-8"))
                self._seeds = [int(seed) for seed in index["seeds"]]
                self._recipe = KneeRecipe(**index["recipe"])
            except (OSError, KeyError, TypeError, ValueError) as error:
                raise InputError(
                    f"{self._folder} does not contain knees ({error}); make them with `ccdnn-train simulate-knees`."
                ) from error

    @property
    def recipe(self) -> KneeRecipe:
        return self._recipe

    def anatomy(self, number: int) -> Anatomy:
        """Knee `number`, 0, 1, …: those of a folder in turn, repeatedly; without one, a new knee for each number."""
        if self._folder is None:
            return self._recipe.anatomy(self._first_seed + number)
        folder = self._folder / str(self._seeds[number % len(self._seeds)])
        arrays = {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("tissues", "amounts", "labels")}
        spacing = json.loads((folder / "anatomy.json").read_text(encoding="utf-8"))["spacing"]
        return Anatomy(spacing=tuple(spacing), **arrays)
