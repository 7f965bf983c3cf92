"""Muscles, vessels, nerve, fat and skin: paths and radii in mm in the frame that bends with the knee."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from ccdnn_training.phantom import shapes
from ccdnn_training.phantom.canvas import Canvas, Frame

Path = tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class Muscle:
    path: Path
    radii: tuple[float, ...]
    flatten: tuple[float, float, float] = (1, 1, 1)


MUSCLES: Mapping[str, Muscle] = {
    "gastrocnemius_medial": Muscle(
        ((-21, -43, 29), (-21, -49, -8), (-19, -52, -55), (-17, -50, -150)), (6, 15, 20, 20), (1.1, 0.9, 1)
    ),
    "gastrocnemius_lateral": Muscle(
        ((21, -41, 29), (21, -46, -8), (20, -50, -55), (18, -50, -150)), (5, 13, 19, 20), (1.1, 0.9, 1)
    ),
    "popliteus": Muscle(((24, -33, -2), (2, -32, -24), (-10, -26, -56)), (4, 9, 9), (1.6, 0.8, 1)),
    "soleus": Muscle(((4, -33, -36), (4, -35, -80), (4, -36, -150)), (6, 13, 18), (1.9, 0.8, 1)),
    "tibialis_posterior": Muscle(((14, -20, -58), (12, -20, -150)), (7, 12)),
    "tibialis_anterior": Muscle(((24, 2, -36), (25, 6, -70), (22, 6, -150)), (6, 14, 15)),
    "peroneus": Muscle(((41, -14, -40), (42, -14, -150)), (6, 10)),
    "semimembranosus": Muscle(((-15, -42, 150), (-17, -46, 75), (-24, -45, 25), (-27, -36, -8)), (19, 17, 10, 3)),
    "semitendinosus": Muscle(((-16, -56, 150), (-24, -58, 70), (-32, -50, 15), (-32, -30, -35)), (12, 9, 3, 2)),
    "biceps_femoris": Muscle(((20, -44, 150), (23, -47, 75), (34, -42, 20), (37, -28, -14)), (19, 16, 9, 3)),
    "vastus_medialis": Muscle(((-28, 12, 150), (-30, 16, 78), (-27, 24, 42)), (22, 18, 7)),
    "vastus_lateralis": Muscle(((30, 14, 150), (30, 18, 80), (24, 26, 55)), (22, 17, 5)),
    "vastus_intermedius": Muscle(((0, 26, 150), (0, 26, 92), (0, 27, 70)), (14, 9, 2), (1.7, 0.85, 1)),
    "rectus_femoris": Muscle(((0, 46, 150), (0, 46, 110), (0, 44, 92)), (10, 6, 2), (1.8, 0.8, 1)),
    "adductor": Muscle(((-8, -24, 150), (-12, -22, 85)), (14, 4)),
    "sartorius": Muscle(((-42, -12, 150), (-42, -26, 60), (-40, -26, 10), (-32, 0, -40)), (9, 8, 6, 2)),
}
TENDONS_OF_MUSCLES = ("semitendinosus", "biceps_femoris", "semimembranosus")

# The level of a field of unit variance at which sheets lie: its level sets are longer and fewer than its zero crossings.
SEPTA_AT = 0.6

ARTERY: Path = ((0, -40, 150), (1, -36, 75), (0, -36, 25), (1, -39, -10), (1, -38, -45), (2, -34, -150))

# Outline of the leg: z, then the y of its front and back, and half its width.
OUTLINE = np.array(
    [
        (-150, 20, -74, 46),
        (-90, 26, -76, 49),
        (-40, 32, -70, 49),
        (-5, 44, -63, 50),
        (25, 58.5, -63, 54),
        (50, 58, -66, 56),
        (90, 60, -72, 61),
        (150, 68, -80, 68),
    ],
    dtype=float,
)


@dataclass(frozen=True)
class SoftShape:
    """What differs between legs."""

    muscle_bulk: float  # scale of the muscles' radii
    fat_thickness: float  # mm by which the outline lies further out, unequally at front and back
    muscle_fat: float  # share of fat between muscle fibres, 0…1
    small_vessels: tuple[tuple[np.ndarray, float], ...]  # path (n, 3) and radius

    @classmethod
    def draw(cls, rng: np.random.Generator) -> SoftShape:
        vessels = []
        for _ in range(rng.integers(14, 24)):
            angle, z = rng.uniform(0, 2 * np.pi), rng.uniform(-90, 90)
            start = np.array([rng.uniform(42, 50) * np.cos(angle), -8 + rng.uniform(50, 58) * np.sin(angle), z])
            if rng.random() < 0.45:  # a genicular branch close to the bone
                start[:2] *= rng.uniform(0.55, 0.8)
            steps = rng.normal((0, 0, rng.choice((-1, 1)) * 7), (3.5, 3.5, 3), (rng.integers(3, 7), 3))
            vessels.append((np.vstack([start, start + np.cumsum(steps, axis=0)]), rng.uniform(0.45, 1.2)))
        return cls(rng.uniform(0.93, 1.06), rng.uniform(0, 9), rng.uniform(0.2, 0.7), tuple(vessels))


def leg_surface(soft: Frame, shape: SoftShape) -> np.ndarray:
    """Signed distance (mm, first order) to the skin."""
    rows = soft.z.mean(axis=(0, 2))  # the outline changes slowly along z: one spline value per row is enough
    front, back, width = (PchipInterpolator(OUTLINE[:, 0], OUTLINE[:, c], extrapolate=True) for c in (1, 2, 3))
    lookup = np.linspace(rows.min() - 60, rows.max() + 60, 512)

    def at(spline: PchipInterpolator) -> np.ndarray:
        return np.interp(soft.z.ravel(), lookup, spline(lookup)).reshape(soft.z.shape).astype(np.float32)

    anterior = at(front) + 0.25 * shape.fat_thickness
    posterior = at(back) - shape.fat_thickness
    half_width = at(width) + 0.6 * shape.fat_thickness
    depth, middle = (anterior - posterior) / 2, (anterior + posterior) / 2
    u, v = soft.x / half_width, (soft.y - middle) / depth
    return (np.power(np.abs(u) ** 2.3 + np.abs(v) ** 2.3, 1 / 2.3) - 1) * np.minimum(half_width, depth)


def paint_vessels(canvas: Canvas, soft: Frame, shape: SoftShape) -> None:
    """Popliteal artery, vein and tibial nerve side by side, and small veins through the fat."""
    artery = np.array(ARTERY, dtype=float)
    canvas.paint_tube("artery", soft, artery, (4.0, 3.8, 3.5, 3.3, 3.0, 2.6))
    canvas.paint_tube("vein", soft, np.add(artery, (1.5, -7.0, 0)), (5.0, 4.8, 4.4, 4.0, 3.6, 3.2), flatten=(1.15, 0.85, 1))
    canvas.paint_tube("nerve", soft, np.add(artery, (3.0, -13.0, 0)), (3.6, 3.4, 3.0, 2.8, 2.6, 2.4), flatten=(1.2, 0.8, 1))
    for path, radius in shape.small_vessels:
        canvas.paint_tube("vein", soft, path, [radius] * len(path))


def paint_muscles(canvas: Canvas, soft: Frame, shape: SoftShape, fibres: np.ndarray) -> None:
    """Each muscle in its fascia, streaked with fat along its fibres; the hamstrings end in tendons."""
    for name, muscle in MUSCLES.items():
        path = np.array(muscle.path, dtype=float)
        radii = [r * shape.muscle_bulk for r in muscle.radii]
        if name in TENDONS_OF_MUSCLES:
            canvas.paint_tube("tendon", soft, path[-2:], [radii[-2] * 0.35, radii[-1] * 0.9])
        reach = max(radii) * np.asarray(muscle.flatten) + 2
        window = soft.window(path.min(axis=0) - reach, path.max(axis=0) + reach)
        if window is None:
            continue
        distance = shapes.tube(soft.crop(window).points, path, radii, muscle.flatten)
        streaks = shape.muscle_fat * np.clip(0.9 * (fibres[window] - 1.15), 0, 1)
        canvas.paint("connective", np.abs(distance + 0.2) - 0.3, opacity=0.7, window=window)
        canvas.paint("subcutaneous_fat", distance, opacity=streaks, window=window)
        canvas.paint("muscle", distance, density=1 + 0.025 * fibres[window], window=window)


def paint_fat_and_skin(canvas: Canvas, leg: np.ndarray, septa: np.ndarray, mottle: np.ndarray) -> None:
    """Skin around fat, with fibrous sheets where the field `septa` passes a level."""
    canvas.paint("skin", np.maximum(leg, -leg - 1.5))
    canvas.paint("connective", leg, opacity=0.35 * np.clip(1 - np.abs(septa - SEPTA_AT) / 0.05, 0, 1))
    canvas.paint("subcutaneous_fat", leg, density=1 + 0.03 * mottle)
