"""The label maps of the simulation study: single slices of random knees, cut into regions (paper, section 2.2 and Figure 1).

    pool/
      index.json   how the maps were made, and the number of knees in each part
      train.npy    uint8 (image, row, column), numbers of regions; validation.npy and test.npy likewise

A region is a connected piece of one tissue, the unit that has a tuple; air is 0.

Parts share no knee. A part is written knee by knee to `<part>.partial`, from which a stopped run resumes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from skimage.measure import label

from ccdnn.errors import InputError
from ccdnn.volume import Grid
from ccdnn.writing import make_folder, replacing, write_text
from ccdnn_training.data.cache import INDEX, PARTS
from ccdnn_training.parallel import processes
from ccdnn_training.phantom.knee import Knee
from ccdnn_training.phantom.render import render, sagittal_grid

SHARES = {"train": 0.7, "validation": 0.2, "test": 0.1}  # section 2.2

# Distinct from each other and from the seeds of `data.simulated`, so that no knee is in two parts.
FIRST_KNEE = {"train": 1_000_000, "validation": 2_000_000, "test": 3_000_000}

KNEE_WIDTH = 86.4  # mm from side to side that the slices cover
SMALLEST_REGION = 20  # pixels
MOST_REGIONS = 200  # so that their numbers fit into a byte


@dataclass(frozen=True)
class MapRecipe:
    """How label maps are made.

    Args:
        size: rows and columns (128 in the paper).
        slices: images per knee, spread over its width from a random start.
        fov: lowest and highest field of view in mm.
    """

    size: int = 128
    slices: int = 10
    fov: tuple[float, float] = (140.0, 185.0)

    def make(self, knee: int) -> np.ndarray:
        """The regions (image, row, column) uint8 of the knee with this seed."""
        rng = np.random.default_rng((knee, 1))
        spacing = KNEE_WIDTH / self.slices
        grid = sagittal_grid(matrix=self.size, slices=self.slices, fov=rng.uniform(*self.fov), slice_spacing=spacing)
        moved = grid.ijk_to_ras.copy()
        moved[0, 3] += rng.uniform(-0.5, 0.5) * spacing
        tissues = dominant_tissue(render(Knee(knee), Grid(grid.shape, moved), sub_slices=1))
        return np.stack([regions_of(image) for image in tissues])


def dominant_tissue(amounts: np.ndarray) -> np.ndarray:
    """The tissue that fills most of each pixel, (slice, row, column) uint8, from amounts (tissue, slice, row, column).

    Air, index 0, fills the rest.
    """
    shares = amounts.astype(np.float32)
    shares[0] = 1 - shares[1:].sum(axis=0)
    return shares.argmax(axis=0).astype(np.uint8)


def regions_of(tissues: np.ndarray) -> np.ndarray:
    """Numbers of the connected regions of an image of tissues (row, column), uint8; air is 0.

    Specks of less than `SMALLEST_REGION` pixels, and regions beyond the `MOST_REGIONS` largest, share a number by tissue.
    """
    regions = label(tissues, background=0, connectivity=1)
    sizes = np.bincount(regions.ravel())
    rank = np.argsort(np.argsort(-sizes, kind="stable"), kind="stable")
    speck = (sizes < SMALLEST_REGION) | (rank >= MOST_REGIONS)
    speck[0] = False
    regions = np.where(speck[regions], len(sizes) + tissues.astype(int), regions)
    # With a leading zero, air is number 0 even if an image has none.
    numbers = np.unique(np.append(0, regions.ravel()), return_inverse=True)[1]
    return numbers[1:].reshape(tissues.shape).astype(np.uint8)


def knees_of(images: int, slices: int) -> dict[str, int]:
    """Knees in each part for a total of `images`, split as in the paper.

    Raises:
        InputError: too few images for one knee in every part.
    """
    knees = {part: round(images * share / slices) for part, share in SHARES.items()}
    if min(knees.values()) < 1:
        raise InputError(f"{images} images at {slices} per knee leave a part without a knee; make at least {10 * slices}.")
    return knees


def make_label_maps(
    folder: Path,
    knees: dict[str, int],
    recipe: MapRecipe,
    *,
    made_by: str,
    jobs: int = 1,
    on_knee: Callable[[int, int], None] | None = None,
) -> None:
    """Fill `folder` with the label maps of `knees` (part to number), resuming an earlier run.

    Args:
        made_by: the command, kept in the index.
        jobs: processes.
        on_knee: called with (knees done, knees).

    Raises:
        InputError: the folder contains maps made with other settings.
        OutputError: the folder or a file cannot be written.
    """
    make_folder(folder)
    _claim(folder, {"recipe": json.loads(json.dumps(asdict(recipe))), "knees": knees}, made_by)
    done, total = 0, sum(knees.values())
    with processes(jobs) as pool:
        for part, count in knees.items():
            for _ in _make_part(folder, part, count, recipe, pool):
                done += 1
                if on_knee:
                    on_knee(done, total)


def _claim(folder: Path, content: dict, made_by: str) -> None:
    """Write the index, or check that the existing one is the same."""
    path = folder / INDEX
    if path.exists():
        there = _read_index(path)
        if {key: there.get(key) for key in content} != content:
            raise InputError(f"{folder} contains label maps made by `{there.get('made_by')}`; choose another folder.")
    else:
        write_text(json.dumps({"made_by": made_by, **content}, indent=1) + "\n", path)


def _make_part(folder: Path, part: str, knees: int, recipe: MapRecipe, pool: ProcessPoolExecutor) -> Iterator[None]:
    """Yields once for every knee of the part, first for those already done."""
    finished, partial_path = folder / f"{part}.npy", folder / f"{part}.partial"
    if finished.exists():
        yield from [None] * knees
        return
    shape = (recipe.slices, recipe.size, recipe.size)
    with partial_path.open("ab") as file:
        there = file.tell() // int(np.prod(shape))
        file.truncate(there * int(np.prod(shape)))  # an incomplete knee is made again
        yield from [None] * there
        seeds = range(FIRST_KNEE[part] + there, FIRST_KNEE[part] + knees)
        for maps in pool.map(recipe.make, seeds):
            file.write(maps.tobytes())
            file.flush()
            yield
    with replacing(finished) as temporary:
        np.save(temporary, np.memmap(partial_path, np.uint8, "r", shape=(knees * recipe.slices, *shape[1:])))
    partial_path.unlink()


def _read_index(path: Path) -> dict:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path} is not the index of a pool of label maps ({error}); make the maps again.") from error


class LabelMaps:
    """An existing pool of label maps.

    Raises:
        InputError: `folder` does not contain a finished pool.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not (self.folder / INDEX).exists():
            raise InputError(f"{self.folder} has no label maps; run `ccdnn-train study simulation labels {self.folder}`.")
        index = _read_index(self.folder / INDEX)
        self.made_by = str(index.get("made_by", ""))

    def part(self, part: str) -> np.ndarray:
        """The maps of `train`, `validation` or `test`, (image, row, column) uint8, read from disk as needed.

        Raises:
            InputError: the part is missing or incomplete.
        """
        if part not in PARTS:
            raise InputError(f"Unknown part {part!r}; the parts are {', '.join(PARTS)}.")
        path = self.folder / f"{part}.npy"
        try:
            maps = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise InputError(f"{path} cannot be read ({error}); run `{self.made_by}` to completion.") from error
        if maps.ndim != 3 or maps.dtype != np.uint8:
            raise InputError(f"{path} contains {maps.dtype} {maps.shape}, not uint8 (image, row, column); make the maps again.")
        return maps
