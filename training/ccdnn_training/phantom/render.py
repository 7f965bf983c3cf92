"""From a knee to voxels: fractions of every tissue, averaged over the slice's thickness, and a label map."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ccdnn.volume import Grid
from ccdnn_training.phantom.knee import Knee
from ccdnn_training.physics.tissues import TISSUE_NAMES

# Regions of the label map: those a reader would draw, not every tissue of the simulation.
LABELS: Mapping[int, str] = {
    1: "skin",
    2: "fat",
    3: "muscle",
    4: "bone marrow",
    5: "cortical bone",
    6: "cartilage",
    7: "meniscus",
    8: "ligament",
    9: "tendon",
    10: "synovial fluid",
    11: "vessel",
    12: "nerve",
    13: "bone-marrow edema",
    14: "ganglion",
}
_LABEL_OF_TISSUE: Mapping[str, int] = {
    "air": 0,
    "skin": 1,
    "subcutaneous_fat": 2,
    "connective": 0,  # sheets too thin to fill a voxel
    "muscle": 3,
    "tendon": 9,
    "ligament": 8,
    "meniscus": 7,
    "cartilage": 6,
    "cortical_bone": 5,
    "yellow_marrow": 4,
    "red_marrow": 4,
    "synovial_fluid": 10,
    "artery": 11,
    "vein": 11,
    "nerve": 12,
    "edema": 13,
    "ganglion": 14,
}
PURE = 0.9  # a voxel gets a label when one region fills at least this much of it: ROIs contain no partial volume
EDEMA_FROM = 0.6  # but edema is water in marrow that fades out; its faint margin is not labelled as lesion


def sagittal_grid(*, matrix: int = 384, slices: int = 24, fov: float = 160.0, slice_spacing: float = 3.6) -> Grid:
    """A sagittal grid centred on the joint: columns run posterior, rows inferior, slices to the patient's right (mm)."""
    pixel = fov / matrix
    ijk_to_ras = np.array(
        [
            [0, 0, slice_spacing, -slice_spacing * (slices - 1) / 2],
            [-pixel, 0, 0, pixel * (matrix - 1) / 2],
            [0, -pixel, 0, pixel * (matrix - 1) / 2],
            [0, 0, 0, 1],
        ]
    )
    return Grid((slices, matrix, matrix), ijk_to_ras)


def render(
    knee: Knee, grid: Grid, *, slice_thickness: float = 3.0, sub_slices: int = 3, on_slice: Callable[[int, int], None] | None = None
) -> np.ndarray:
    """Amounts of tissue in every voxel, (tissue, slice, row, column) float16, in the order of `TISSUE_NAMES`.

    Args:
        grid: any orientation; surfaces fade over one pixel within the plane.
        slice_thickness: in mm; the amounts are averaged over it at `sub_slices` depths.
        on_slice: called with (slices done, slices).
    """
    slices, rows, columns = grid.shape
    matrix = grid.ijk_to_ras
    normal_spacing = grid.spacing[2]
    depths = (np.arange(sub_slices) + 0.5) / sub_slices - 0.5
    offsets = depths * slice_thickness / normal_spacing
    i, j = np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32)[:, None]
    amounts = np.empty((len(TISSUE_NAMES), *grid.shape), dtype=np.float16)
    for index in range(slices):
        k = (index + offsets).astype(np.float32)[:, None, None]
        points = tuple(np.float32(m[0]) * i + np.float32(m[1]) * j + np.float32(m[2]) * k + np.float32(m[3]) for m in matrix[:3])
        amounts[:, index] = knee.paint(points, edge=min(grid.spacing[:2])).mean(axis=1)
        if on_slice:
            on_slice(index + 1, slices)
    return amounts


def label_map(amounts: np.ndarray) -> np.ndarray:
    """Labels (slice, row, column) uint8 from `render`'s amounts: the region that fills at least `PURE` of the voxel, else 0.

    Edema is labelled where it fills at least `EDEMA_FROM` of the voxel.
    """
    regions = np.zeros((len(LABELS) + 1, *amounts.shape[1:]), dtype=np.float32)
    for tissue, amount in zip(TISSUE_NAMES, amounts, strict=True):
        regions[_LABEL_OF_TISSUE[tissue]] += amount
    total = regions.sum(axis=0)
    winner = regions[1:].argmax(axis=0) + 1
    filled = np.take_along_axis(regions, winner[None], axis=0)[0]
    labels = np.where((filled >= PURE * np.maximum(total, 1e-6)) & (filled >= 0.5), winner, 0)
    edema = _LABEL_OF_TISSUE["edema"]
    return np.where(regions[edema] >= EDEMA_FROM, edema, labels).astype(np.uint8)
