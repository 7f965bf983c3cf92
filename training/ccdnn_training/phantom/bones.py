"""Femur, tibia, fibula and patella as implicit surfaces, each in its own frame (mm; x lateral, y anterior, z superior).

The joint line is z = 0: the condyles end just above it, the plateau just below, and cartilage fills the gap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ccdnn_training.phantom import shapes
from ccdnn_training.phantom.shapes import Points


@dataclass(frozen=True)
class BoneShape:
    """What differs between knees, in mm."""

    condyle_depth: float  # half the anterior–posterior length of a condyle
    condyle_width: float  # half the width of one condyle
    notch_width: float
    joint_gap: float  # half the distance between the bones, cartilage included
    plateau_slope: float  # posterior slope of the tibial plateau in degrees
    patella_height: float
    patella_depth: float  # half its anterior–posterior thickness
    patella_offset: float  # y of its centre

    @classmethod
    def draw(cls, rng: np.random.Generator) -> BoneShape:
        return cls(
            condyle_depth=rng.uniform(28.5, 31.5),
            condyle_width=rng.uniform(13.5, 15.5),
            notch_width=rng.uniform(8.0, 10.5),
            joint_gap=rng.uniform(2.2, 2.7),
            plateau_slope=rng.uniform(3, 9),
            patella_height=rng.uniform(24, 32),
            patella_depth=rng.uniform(9.5, 11.5),
            patella_offset=rng.uniform(42.5, 45),
        )


def femur(points: Points, shape: BoneShape) -> np.ndarray:
    """Shaft, metaphysis, two condyles and a trochlea, with the intercondylar notch cut out."""
    bottom = shape.joint_gap
    condyles = []
    for side in (-1, 1):
        x = side * (shape.condyle_width + 8.5)
        distal = shapes.ellipsoid(points, (x, -7, bottom + 23), (shape.condyle_width, shape.condyle_depth, 23))
        posterior = shapes.ellipsoid(points, (x, -19, bottom + 21), (shape.condyle_width - 1, 20.5, 20.5))
        condyles.append(shapes.union(distal, posterior, blend=3))
    trochlea = shapes.ellipsoid(points, (0, 8, bottom + 28), (31, 19.5, 21))
    groove = shapes.rounded_cone(points, (0, 37, 2), (0, 37, 58), 10, 9)
    metaphysis = shapes.rounded_cone(points, (0, -4, 36), (0, 1, 72), 26, 15.5, (1.25, 0.86, 1))
    shaft = shapes.rounded_cone(points, (0, 1, 60), (0, 6, 160), 15.5, 13.5)
    notch = shapes.rounded_cone(points, (0, -48, 15), (0, 5, 3), shape.notch_width, shape.notch_width - 2.5, (1, 1, 1.7))
    body = shapes.union(shapes.union(*condyles), trochlea, metaphysis, blend=10)
    body = shapes.subtract(body, groove, blend=5)
    body = shapes.subtract(body, notch, blend=3)
    return shapes.union(body, shaft, blend=9)


def plateau(points: Points, shape: BoneShape) -> np.ndarray:
    """Distance (mm) above the sloped plane at which the head of the tibia ends."""
    slope = np.deg2rad(shape.plateau_slope)
    return shapes.half_space(points, (0, 0, -shape.joint_gap), (0, -np.sin(slope), np.cos(slope)))


def tibia(points: Points, shape: BoneShape) -> np.ndarray:
    """A flaring head cut by the sloped plateau, the two spines, the tuberosity and the shaft."""
    head = shapes.rounded_cone(points, (0, -6, -14), (0, 1, -62), 26.5, 14, (1.42, 0.96, 1))
    condyles = [shapes.ellipsoid(points, (x, -6, -17), (19, 25, 23)) for x in (-20, 20)]
    head = shapes.intersection(shapes.union(head, *condyles, blend=8), plateau(points, shape), blend=3)
    hollow = shapes.ellipsoid(points, (-22, -6, 22 - shape.joint_gap), (22, 40, 23.2))
    head = shapes.subtract(head, hollow, blend=2)
    spines = [shapes.ellipsoid(points, (x, -7, -shape.joint_gap - 1), (3.6, 8, 6.5)) for x in (-4.5, 5)]
    tuberosity = shapes.ellipsoid(points, (3, 15, -42), (10, 9, 15))
    shaft = shapes.rounded_cone(points, (0, 1, -56), (0, -4, -160), 15, 12.5, (1, 1.05, 1))
    return shapes.union(shapes.union(head, *spines, blend=3), tuberosity, shaft, blend=9)


def fibula(points: Points) -> np.ndarray:
    head = shapes.ellipsoid(points, (36, -23, -21), (9, 10, 11))
    shaft = shapes.rounded_cone(points, (36, -23, -24), (35, -22, -160), 6, 6)
    return shapes.union(head, shaft, blend=6)


def patella(points: Points, shape: BoneShape) -> np.ndarray:
    """A flat lens with the two facets of its back meeting in a ridge."""
    centre = (1, shape.patella_offset, shape.patella_height)
    lens = shapes.ellipsoid(points, centre, (21, shape.patella_depth, 20.5))
    ridge = (1, shape.patella_offset - shape.patella_depth + 1, shape.patella_height)
    facets = [shapes.half_space(points, ridge, (side * 0.42, -1, -0.05)) for side in (-1, 1)]
    return shapes.intersection(lens, *facets, blend=3)
