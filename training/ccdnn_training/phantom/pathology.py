"""Optional lesions: bone-marrow edema and a ganglion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ccdnn_training.phantom import shapes
from ccdnn_training.phantom.canvas import Canvas, Frame
from ccdnn_training.phantom.joint import Surfaces
from ccdnn_training.triple import triple

# Subchondral sites (x, y, z, in mm, in the frame of the bone): the condyles and the plateaus.
EDEMA_SITES = {"femur": ((-23, -6, 10), (23, -4, 11), (22, 12, 18)), "tibia": ((-22, -4, -10), (22, -8, -11), (20, -22, -12))}
# Where ganglia and cysts lie: behind the PCL, along the ACL, in Hoffa's fat pad, behind the medial condyle (Baker).
GANGLION_SITES = ((-3, -38, 0), (4, 16, 4), (8, 34, 2), (-18, -50, 14))


@dataclass(frozen=True)
class Edema:
    """An ill-defined region of water-rich marrow, `radius` in mm; `strength` is the share of the marrow it takes at its centre."""

    bone: str
    centre: tuple[float, float, float]
    radius: float
    strength: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Edema:
        bone = str(rng.choice(list(EDEMA_SITES)))
        site = EDEMA_SITES[bone][rng.integers(len(EDEMA_SITES[bone]))]
        centre = triple(np.asarray(site) + rng.normal(0, 2, 3))
        return cls(bone, centre, rng.uniform(7, 15), rng.uniform(0.85, 1.0))


@dataclass(frozen=True)
class Ganglion:
    """A lobulated cyst, `radius` in mm."""

    centre: tuple[float, float, float]
    radius: float
    lobes: tuple[tuple[float, float, float], ...]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Ganglion:
        site = np.asarray(GANGLION_SITES[rng.integers(len(GANGLION_SITES))]) + rng.normal(0, 1.5, 3)
        radius = rng.uniform(4, 8)
        lobes = tuple(triple(site + rng.normal(0, 0.7 * radius, 3)) for _ in range(3))
        return cls(triple(site), radius, lobes)


def paint_edema(canvas: Canvas, edema: Edema, frames: dict[str, Frame], surfaces: Surfaces, mottle: np.ndarray) -> None:
    frame = frames[edema.bone]
    bone = {"femur": surfaces.femur, "tibia": surfaces.tibia}[edema.bone]
    distance = np.sqrt(sum((p - np.float32(c)) ** 2 for p, c in zip(frame.points, edema.centre, strict=True)))
    depth = (edema.radius * (1 + 0.18 * mottle) - distance) / (0.4 * edema.radius)
    canvas.paint("edema", np.where(depth > 0, bone + 1.0, 1.0), opacity=edema.strength * np.clip(depth, 0, 1))


def paint_ganglion(canvas: Canvas, ganglion: Ganglion, frame: Frame, surfaces: Surfaces) -> None:
    lobes = [shapes.ellipsoid(frame.points, centre, (ganglion.radius * 0.75,) * 3) for centre in ganglion.lobes]
    cyst = shapes.union(shapes.ellipsoid(frame.points, ganglion.centre, (ganglion.radius,) * 3), *lobes, blend=2)
    outside_bone = np.maximum(-surfaces.femoral_cartilage, -surfaces.tibial_cartilage)
    canvas.paint("connective", np.maximum(np.abs(cyst) - 0.4, outside_bone))
    canvas.paint("ganglion", np.maximum(cyst, outside_bone))
