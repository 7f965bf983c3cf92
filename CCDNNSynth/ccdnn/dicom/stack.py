"""Places the slices of one series on a grid by their positions, or reports why they are not one volume.

Slice Thickness and Spacing Between Slices never place a slice, since they are often wrong or measure something else.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ccdnn.dicom.headers import Frame
from ccdnn.errors import InputError
from ccdnn.volume import LPS_TO_RAS, ORTHOGONALITY, Grid

# How far a slice may lie from its regular position: in mm, or as a share of the slice spacing (along the normal) or of the pixel
# spacing (in the plane), whichever is larger. Some exporters round positions to a tenth of a millimetre.
PLACE_TOLERANCE_MM = 0.02
NORMAL_TOLERANCE = 0.02
IN_PLANE_TOLERANCE = 0.15

# Slices closer than this along the normal share a position.
SAME_PLACE_MM = 0.01

# A gap this many times the usual spacing separates two stacks (both knees, two slabs) if each side is a volume of its own.
# A smaller gap means missing slices.
STACK_GAP = 3.5
STACK_SLICES = 3


def axes(frame: Frame) -> np.ndarray:
    """Unit vectors in LPS along increasing column, increasing row and their normal, as the columns of a 3×3.

    Raises:
        InputError: orientation, position or pixel spacing is missing, or the two directions are not perpendicular.
    """
    if frame.orientation is None or frame.position is None or frame.pixel_spacing is None:
        missing = "orientation" if frame.orientation is None else "position" if frame.position is None else "pixel spacing"
        raise InputError(f"{frame.path.name} does not state its {missing}, so it cannot be placed in a volume.")
    basis = _basis(frame.orientation)
    if basis is None:
        raise InputError(f"{frame.path.name} states row and column directions that are not perpendicular unit vectors.")
    return basis


@lru_cache(maxsize=64)
def _basis(orientation: tuple[float, ...]) -> np.ndarray | None:
    """The axes of an orientation; None if it is invalid. Cached, since the slices of a series share one orientation."""
    along_row, along_column = np.array(orientation[:3]), np.array(orientation[3:])
    lengths = np.linalg.norm(along_row), np.linalg.norm(along_column)
    if min(lengths) < 0.9 or max(lengths) > 1.1 or abs(along_row @ along_column) > ORTHOGONALITY * lengths[0] * lengths[1]:
        return None
    along_row /= lengths[0]
    normal = np.cross(along_row, along_column)
    normal /= np.linalg.norm(normal)
    basis = np.column_stack([along_row, np.cross(normal, along_row), normal])
    basis.flags.writeable = False
    return basis


def along_normal(frames: Sequence[Frame]) -> np.ndarray:
    """Each frame's distance along the common normal, mm.

    Raises:
        InputError: see `axes`.
    """
    normal = axes(frames[0])[:, 2]
    for frame in frames:
        axes(frame)
    return np.array([frame.position for frame in frames]) @ normal


def multiplicity(frames: Sequence[Frame]) -> int:
    """The largest number of frames at one position."""
    return max(len(place) for place in places(frames))


def places(frames: Sequence[Frame]) -> list[list[Frame]]:
    """The frames at each position along the normal, in order."""
    distances = along_normal(frames)
    order = np.argsort(distances, kind="stable")
    breaks = np.flatnonzero(np.diff(distances[order]) > SAME_PLACE_MM) + 1
    return [[frames[i] for i in part] for part in np.split(order, breaks)]


def arrange(frames: Sequence[Frame]) -> tuple[Grid, list[Frame]]:
    """The grid of a stack and its frames in slice order, along the right-handed normal of rows and columns.

    A single slice gets its nominal spacing or thickness, since nothing else gives its depth.

    Raises:
        InputError: slices share a position, are unevenly spaced, or are shifted sideways against each other.
    """
    distances = along_normal(frames)
    order = np.argsort(distances, kind="stable")
    ordered, distances = [frames[i] for i in order], distances[order]
    basis = axes(ordered[0])
    row_spacing, column_spacing = ordered[0].pixel_spacing
    spacing = _even_spacing(distances) if len(ordered) > 1 else ordered[0].nominal_spacing or 1.0
    positions = np.array([frame.position for frame in ordered])
    _require_no_shear(positions, basis, min(row_spacing, column_spacing))

    lps = np.eye(4)
    lps[:3, :3] = basis * [column_spacing, row_spacing, spacing]
    lps[:3, 3] = positions[0]
    ras = lps.copy()
    ras[:3] = LPS_TO_RAS[:3, :3] @ lps[:3]
    return Grid((len(ordered), *ordered[0].shape), ras), ordered


def _even_spacing(distances: np.ndarray) -> float:
    gaps = np.diff(distances)
    if gaps.min() <= SAME_PLACE_MM:
        repeated = int((gaps <= SAME_PLACE_MM).sum())
        raise InputError(f"{repeated} of its {len(distances)} slices repeat a position, and nothing distinguishes them.")
    spacing = (distances[-1] - distances[0]) / len(gaps)
    deviation = np.abs(distances - distances[0] - spacing * np.arange(len(distances))).max()
    if deviation <= max(PLACE_TOLERANCE_MM, NORMAL_TOLERANCE * spacing):
        return float(spacing)
    usual = float(np.median(gaps))
    lost = np.round(gaps / usual) - 1
    if usual > 0 and np.abs(gaps / usual - lost - 1).max() <= 2 * NORMAL_TOLERANCE and lost.sum() > 0:
        count = int(lost.sum())
        slices = "1 slice is" if count == 1 else f"{count} slices are"
        raise InputError(f"{slices} missing: {len(distances)} were found, {usual:.4g} mm apart, with a gap of {gaps.max():.4g} mm.")
    raise InputError(f"its slices are unevenly spaced, {gaps.min():.4g} to {gaps.max():.4g} mm apart.")


def _require_no_shear(positions: np.ndarray, basis: np.ndarray, pixel: float) -> None:
    in_plane = positions @ basis[:, :2]
    shift = np.abs(in_plane - in_plane[0]).max()
    if shift > max(PLACE_TOLERANCE_MM, IN_PLANE_TOLERANCE * pixel):
        raise InputError(f"its slices are shifted sideways by up to {shift:.3g} mm, so they form an angled stack.")


def is_one_stack(frames: Sequence[Frame]) -> bool:
    """Whether the frames are slices of one regular stack, one at each position."""
    first = frames[0]
    alike = all(frame.shape == first.shape and frame.pixel_spacing == first.pixel_spacing for frame in frames)
    return alike and len(frames) >= STACK_SLICES and _is_parallel(frames) and _is_volume(frames)


def next_places(frames: Sequence[Frame]) -> np.ndarray | None:
    """Where another slice would lie at either end of a regular stack, (2, 3) in LPS mm; None if the frames are not one."""
    if not is_one_stack(frames):
        return None
    ordered = arrange(frames)[1]
    first, last = np.array(ordered[0].position), np.array(ordered[-1].position)
    step = (last - first) / (len(ordered) - 1)
    return np.array([first - step, last + step])


def _is_parallel(frames: Sequence[Frame]) -> bool:
    first = frames[0].orientation
    return all(
        frame.orientation is not None and first is not None and np.allclose(frame.orientation, first, atol=ORTHOGONALITY)
        for frame in frames
    )


def separate_sideways(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Split parallel stacks that lie side by side (stations of one examination). A single stack stays unchanged.

    Each must have several slices directly behind one another, which an angled stack does not.

    Raises:
        InputError: see `axes`.
    """
    basis = axes(frames[0])
    for frame in frames:
        axes(frame)
    tolerance = max(PLACE_TOLERANCE_MM, IN_PLANE_TOLERANCE * min(frames[0].pixel_spacing or (0.0,)))
    origins = np.array([frame.position for frame in frames]) @ basis[:, :2]
    left = np.arange(len(frames))
    stacks: list[list[Frame]] = []
    while len(left):
        # Too many stacks for each of them to have enough slices.
        if len(stacks) > len(frames) // STACK_SLICES:
            return [list(frames)]
        near = np.abs(origins[left] - origins[left[0]]).max(axis=1) <= tolerance
        stacks.append([frames[index] for index in left[near]])
        left = left[~near]
    return stacks if all(len(places(part)) >= STACK_SLICES for part in stacks) else [list(frames)]


def separate_at_gaps(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Split parallel stacks far apart along their normal, such as both knees in one series. A single stack stays unchanged."""
    distances = along_normal(frames)
    order = np.argsort(distances, kind="stable")
    gaps = np.diff(distances[order])
    if len(gaps) < 2 * STACK_SLICES - 1:
        return [list(frames)]
    breaks = np.flatnonzero(gaps > STACK_GAP * np.median(gaps)) + 1
    parts = [[frames[i] for i in part] for part in np.split(order, breaks)]
    if len(parts) == 1 or min(map(len, parts)) < STACK_SLICES or not all(_is_volume(part) for part in parts):
        return [list(frames)]
    return parts


def _is_volume(frames: Sequence[Frame]) -> bool:
    try:
        arrange(frames)
    except InputError:
        return False
    return True
