"""What lies between the bones: cartilage plates, menisci, cruciate and collateral ligaments, tendons at the patella, fluid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ccdnn_training.phantom import bones, shapes
from ccdnn_training.phantom.bones import BoneShape
from ccdnn_training.phantom.canvas import Canvas, Frame


@dataclass(frozen=True)
class JointShape:
    """What differs between joints: thicknesses in mm, `effusion` from none (0) to marked (1)."""

    femoral_cartilage: float
    tibial_cartilage: float
    patellar_cartilage: float
    meniscus_inner: float  # radius of the free edge around the compartment's centre
    meniscus_outer: float
    ligament_radius: float
    effusion: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> JointShape:
        return cls(
            femoral_cartilage=rng.uniform(1.9, 2.7),
            tibial_cartilage=rng.uniform(1.8, 2.6),
            patellar_cartilage=rng.uniform(2.6, 4.2),
            meniscus_inner=rng.uniform(9.0, 11.5),
            meniscus_outer=rng.uniform(17.5, 19.2),
            ligament_radius=rng.uniform(3.6, 4.8),
            effusion=float(rng.beta(1.2, 2.5)),
        )


@dataclass(frozen=True)
class Surfaces:
    """Signed distances (mm) to the bones and, outside them, to the cartilage that covers them."""

    femur: np.ndarray
    tibia: np.ndarray
    patella: np.ndarray
    femoral_cartilage: np.ndarray
    tibial_cartilage: np.ndarray
    patellar_cartilage: np.ndarray


def cover_with_cartilage(
    femur: np.ndarray,
    tibia: np.ndarray,
    patella: np.ndarray,
    femoral: Frame,
    tibial: Frame,
    soft: Frame,
    joint: JointShape,
    bone: BoneShape,
) -> Surfaces:
    """Cartilage is a shell on the articular part of each bone that thins out over its last 4 mm."""
    articular_femur = shapes.intersection(
        shapes.half_space(femoral.points, (0, 0, 38), (0, -0.3, 1)),
        np.abs(femoral.x) - 34,
        np.minimum(8 - np.abs(femoral.x), 14 - femoral.y),
        shapes.half_space(femoral.points, (0, -34, 36), (0, -0.5, 1)),
    )
    articular_tibia = np.maximum.reduce([-8 - tibial.z, np.abs(tibial.x) - 34, 6 - np.abs(tibial.x), np.abs(tibial.y + 6) - 23])
    articular_patella = shapes.ellipsoid(
        soft.points, (1, bone.patella_offset - bone.patella_depth, bone.patella_height + 1), (19, bone.patella_depth, 17)
    )

    def thin_out(distance: np.ndarray, thickness: float, region: np.ndarray) -> np.ndarray:
        return distance - np.float32(thickness) * np.clip(-region / 4, 0, 1)

    return Surfaces(
        femur,
        tibia,
        patella,
        thin_out(femur, joint.femoral_cartilage, articular_femur),
        thin_out(tibia, joint.tibial_cartilage, articular_tibia),
        thin_out(patella, joint.patellar_cartilage, articular_patella),
    )


def paint_cartilage(canvas: Canvas, surfaces: Surfaces, texture: np.ndarray) -> None:
    for cartilage, bone in (
        (surfaces.femoral_cartilage, surfaces.femur),
        (surfaces.tibial_cartilage, surfaces.tibia),
        (surfaces.patellar_cartilage, surfaces.patella),
    ):
        canvas.paint("cartilage", np.maximum(cartilage, -bone), density=texture)


def paint_menisci(canvas: Canvas, tibial: Frame, surfaces: Surfaces, joint: JointShape, bone: BoneShape) -> None:
    """Two C-shaped wedges: the space between the cartilages in a ring around each compartment's centre.

    Inside the ring the cartilages touch, except for a film of fluid.
    """
    femoral, tibial_plate = surfaces.femoral_cartilage, surfaces.tibial_cartilage
    between = np.maximum(0.15 - femoral, 0.15 - tibial_plate)
    below = -0.9 - bones.plateau(tibial.points, bone)
    for side, stretch in ((-1, 1.32), (1, 1.12)):
        x, y = tibial.x - side * 20.5, (tibial.y + 6) / stretch
        radius = np.hypot(x, y)
        # The outer edge leans outwards, so that a section shows a triangle with a rounded back.
        outer = radius - joint.meniscus_outer - 0.25 * np.clip(tibial_plate - 2, -2, 3)
        open_to_notch = 8.5 - side * tibial.x
        canvas.paint(
            "meniscus",
            np.maximum.reduce([between, joint.meniscus_inner - radius, outer, open_to_notch, tibial_plate - 5.8, below]),
        )
        inside = np.maximum.reduce(
            [between, radius - joint.meniscus_inner - 1, tibial_plate + femoral - 5, below, open_to_notch - 3]
        )
        canvas.paint("synovial_fluid", np.maximum(inside, np.abs(femoral - tibial_plate) - 0.2 - 0.4 * joint.effusion), opacity=0.8)
        canvas.paint("cartilage", inside)


def paint_ligaments(canvas: Canvas, tibial: Frame, soft: Frame, joint: JointShape, mottle: np.ndarray) -> None:
    """ACL, with fat between its bundles, PCL and the collaterals."""
    r = joint.ligament_radius
    acl = np.array([(5.5, -17, 20), (4, -8, 11), (1, 8, -2)])
    _paint_bundled(canvas, tibial, acl, (r, r, r * 1.15), (0.75, 1, 1), mottle)
    pcl = shapes.bezier((-7, 4, 15), (-5, -20, 19), (0, -31, -12))
    canvas.paint_tube("ligament", tibial, pcl, [r + 0.6] * len(pcl))
    canvas.paint_tube("ligament", soft, np.array([(-39, -6, 26), (-40, 0, 0), (-33, 5, -48)]), (1.5, 1.4, 1.5), flatten=(1, 5, 1))
    canvas.paint_tube("ligament", soft, np.array([(40, -6, 24), (38, -23, -14)]), (2.0, 2.0))


def _paint_bundled(canvas: Canvas, frame: Frame, path: np.ndarray, radii: tuple, flatten: tuple, mottle: np.ndarray) -> None:
    reach = max(radii) + 2
    window = frame.window(path.min(axis=0) - reach, path.max(axis=0) + reach)
    if window is None:
        return
    distance = shapes.tube(frame.crop(window).points, path, radii, flatten)
    canvas.paint("subcutaneous_fat", distance, opacity=0.2 * np.clip(mottle[window], 0, 1), window=window)
    canvas.paint("ligament", distance, window=window)


def paint_extensor_tendons(canvas: Canvas, soft: Frame, surfaces: Surfaces, bone: BoneShape) -> None:
    """Quadriceps tendon, the sheet over the patella, and the patellar tendon down to the tuberosity."""
    height, front = bone.patella_height, bone.patella_offset + 4
    quadriceps = np.array([(0, front - 2, height + 15), (0, front - 5, height + 40), (0, front - 13, height + 100)])
    canvas.paint_tube("tendon", soft, quadriceps, (3.0, 2.8, 2.6), flatten=(4.5, 1, 1))
    patellar = shapes.bezier((1, front + 1, height - 15), (2, front - 2, -8), (3, 23.5, -40), segments=4)
    canvas.paint_tube("tendon", soft, patellar, [2.3, 2.1, 2.1, 2.3, 2.6], flatten=(5.5, 1, 1))
    canvas.paint("tendon", np.maximum(surfaces.patella - 1.1, bone.patella_offset + 2 - soft.y))


def paint_fluid(
    canvas: Canvas, soft: Frame, tibial: Frame, surfaces: Surfaces, joint: JointShape, bone: BoneShape, patches: np.ndarray
) -> None:
    """A film between the cartilages, the recesses around the condyles, and the suprapatellar bursa, wider with an effusion.

    `patches` is a field of about unit variance: fluid gathers where it is high.
    """
    film = 0.3 + 0.6 * joint.effusion
    gathered = np.clip(0.6 * patches + 0.25 + 0.5 * joint.effusion, 0, 1)
    s = surfaces
    tibiofemoral = np.maximum(s.femoral_cartilage, s.tibial_cartilage) - film
    patellofemoral = np.maximum(s.femoral_cartilage, s.patellar_cartilage) - film - 0.4
    recess = np.maximum.reduce([s.femoral_cartilage - 1.3 * film, np.abs(tibial.x) - 31, tibial.z - 30, -2 - tibial.z])
    notch = shapes.ellipsoid(tibial.points, (0, -10, 8), (9, 18, 12))
    for distance, opacity in ((tibiofemoral, 0.8), (patellofemoral, 0.8), (recess, 0.6 * gathered), (notch, 0.4 * gathered**2)):
        canvas.paint("synovial_fluid", distance, opacity=opacity)
    top = bone.patella_height + 42
    bursa = np.array([(2, 33, bone.patella_height + 14), (2, 27.5, bone.patella_height + 28), (1, 22.5, top)])
    width = 0.6 + 3.2 * joint.effusion
    canvas.paint_tube("synovial_fluid", soft, bursa, (0.7 * width, width, 0.4 * width), flatten=(5, 1, 1))
