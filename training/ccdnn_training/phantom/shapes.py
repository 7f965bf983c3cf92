"""Implicit surfaces: signed distances in mm (negative inside), on points (x, y, z) given as three broadcastable arrays.

Ellipsoids and blends are first-order approximations: exact on the surface, good within a few millimetres of it, which is
where cortical bone, cartilage and edges are decided.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Points = tuple[np.ndarray, np.ndarray, np.ndarray]
Triple = Sequence[float]


def ellipsoid(points: Points, centre: Triple, radii: Triple) -> np.ndarray:
    scaled = [(p - c) / r for p, c, r in zip(points, centre, radii, strict=True)]
    tiny = 1e-12  # keeps the ratio below finite, and negative, at the very centre
    value = np.sqrt(sum(s * s for s in scaled) + tiny)
    slope = np.sqrt(sum((s / r) ** 2 for s, r in zip(scaled, radii, strict=True)) + tiny / max(radii) ** 2)
    return value * (value - 1) / slope


def rounded_cone(points: Points, start: Triple, end: Triple, radius_start: float, radius_end: float, flatten: Triple = (1, 1, 1)):
    """A capsule whose radius changes evenly from `start` to `end`; `flatten` divides the offsets from its axis per direction."""
    axis = np.subtract(end, start, dtype=np.float32)
    offsets = [p - np.float32(s) for p, s in zip(points, start, strict=True)]
    along = sum(o * a for o, a in zip(offsets, axis, strict=True)) / np.float32(axis @ axis)
    along = np.clip(along, 0, 1)
    squared = sum(((o - along * a) / np.float32(f)) ** 2 for o, a, f in zip(offsets, axis, flatten, strict=True))
    return (np.sqrt(squared) - (radius_start + along * np.float32(radius_end - radius_start))) * np.float32(min(flatten))


def tube(points: Points, path: np.ndarray, radii: Sequence[float], flatten: Triple = (1, 1, 1)) -> np.ndarray:
    """A chain of rounded cones along `path` (n, 3) with a radius at each of its points."""
    distance = rounded_cone(points, path[0], path[1], radii[0], radii[1], flatten)
    for k in range(1, len(path) - 1):
        np.minimum(distance, rounded_cone(points, path[k], path[k + 1], radii[k], radii[k + 1], flatten), out=distance)
    return distance


def bezier(start: Triple, control: Triple, end: Triple, segments: int = 6) -> np.ndarray:
    """Points (segments + 1, 3) on a quadratic curve, a path for `tube`."""
    t = np.linspace(0, 1, segments + 1)[:, None]
    return (1 - t) ** 2 * np.asarray(start) + 2 * t * (1 - t) * np.asarray(control) + t**2 * np.asarray(end)


def half_space(points: Points, origin: Triple, normal: Triple) -> np.ndarray:
    """Everything behind the plane through `origin` that `normal` points away from."""
    unit = np.asarray(normal, dtype=np.float32) / np.float32(np.linalg.norm(normal))
    return sum((p - np.float32(o)) * n for p, o, n in zip(points, origin, unit, strict=True))


def union(*distances: np.ndarray, blend: float = 0.0) -> np.ndarray:
    """The union; where two surfaces meet, a fillet of about `blend` mm (polynomial smooth minimum)."""
    result = distances[0]
    for other in distances[1:]:
        result = np.minimum(result, other) if blend == 0 else _smooth_minimum(result, other, blend)
    return result


def intersection(*distances: np.ndarray, blend: float = 0.0) -> np.ndarray:
    return -union(*(-d for d in distances), blend=blend)


def subtract(distance: np.ndarray, *cuts: np.ndarray, blend: float = 0.0) -> np.ndarray:
    return intersection(distance, *(-cut for cut in cuts), blend=blend)


def _smooth_minimum(a: np.ndarray, b: np.ndarray, blend: float) -> np.ndarray:
    overlap = np.maximum(blend - np.abs(a - b), 0) / blend
    return np.minimum(a, b) - overlap * overlap * np.float32(blend / 4)


def rotate(points: Points, degrees: Triple, centre: Triple = (0, 0, 0)) -> Points:
    """The points seen from a frame turned by `degrees` about x, then y, then z, through `centre`."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(degrees)):
        c, s = np.cos(angle), np.sin(angle)
        turn = np.eye(3)
        first, second = [(1, 2), (2, 0), (0, 1)][axis]
        turn[[first, first, second, second], [first, second, first, second]] = c, -s, s, c
        matrix = turn @ matrix
    matrix = matrix.astype(np.float32)
    offsets = [p - np.float32(c) for p, c in zip(points, centre, strict=True)]
    x, y, z = (sum(m * o for m, o in zip(row, offsets, strict=True)) + np.float32(c) for row, c in zip(matrix, centre, strict=True))
    return x, y, z
