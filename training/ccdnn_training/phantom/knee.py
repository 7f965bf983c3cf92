"""One knee, drawn from a seed and painted slab by slab from front to back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ccdnn_training.phantom import bones, joint, pathology, shapes, soft_tissue
from ccdnn_training.phantom.canvas import Canvas, Frame
from ccdnn_training.phantom.fields import NoiseField, Warp
from ccdnn_training.triple import triple

FLEXION_CENTRE = (0.0, -10.0, 20.0)


@dataclass(frozen=True)
class Pose:
    """How the knee lies in the scanner: degrees, mm, and a scale per direction."""

    flexion: float
    rotation: tuple[float, float, float]
    shift: tuple[float, float, float]
    scale: tuple[float, float, float]
    right: bool

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Pose:
        size = rng.uniform(0.92, 1.08)
        return cls(
            flexion=rng.uniform(2, 16),
            rotation=triple(rng.uniform((-4, -4, -7), (4, 4, 7))),
            shift=triple(rng.uniform((-3, -6, -8), (3, 4, 8))),
            scale=triple(size * rng.uniform(0.97, 1.03, 3)),
            right=bool(rng.random() < 0.5),
        )


class Knee:
    """A random knee.

    Args:
        seed: determines everything; the same seed gives the same knee on any grid.
        edema: add bone-marrow edema; ganglion: add a ganglion. Neither changes the rest of the knee.
    """

    def __init__(self, seed: int, *, edema: bool = False, ganglion: bool = False) -> None:
        shape_rng, texture_rng, lesion_rng = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(3))
        self.pose = Pose.draw(shape_rng)
        self.bone = bones.BoneShape.draw(shape_rng)
        self.joint = joint.JointShape.draw(shape_rng)
        self.soft = soft_tissue.SoftShape.draw(shape_rng)
        self.cortex = shape_rng.uniform(0.9, 1.4)  # mm, of the epiphysis; the shaft's is thicker
        self.red_marrow = shape_rng.uniform(-1.2, 0.6)  # threshold: higher means less
        self.edema = pathology.Edema.draw(lesion_rng) if edema else None
        self.ganglion = pathology.Ganglion.draw(lesion_rng) if ganglion else None

        self._warps = (Warp(texture_rng, 1.1, 24.0), Warp(texture_rng, 0.25, 7.0))
        self._marrow = NoiseField(texture_rng, 13.0)
        self._trabeculae = NoiseField(texture_rng, (0.9, 0.7, 1.1))
        self._patches = NoiseField(texture_rng, 8.0)
        self._fibres = NoiseField(texture_rng, (1.6, 1.3, 20.0))
        self._septa = NoiseField(texture_rng, (8.0, 4.0, 13.0), smooth=True)
        self._mottle = NoiseField(texture_rng, 3.0)

    def paint(self, points: shapes.Points, edge: float) -> np.ndarray:
        """Amounts (tissue, sub-slice, row, column) of each tissue at `points` (x right, y anterior, z superior; mm; one shape)."""
        frame = self._body_frame(points)
        femoral, tibial, soft = self._limb_frames(frame)
        canvas = Canvas(frame.x.shape, edge)
        surfaces = joint.cover_with_cartilage(
            bones.femur(femoral.points, self.bone),
            bones.tibia(tibial.points, self.bone),
            bones.patella(soft.points, self.bone),
            femoral,
            tibial,
            soft,
            self.joint,
            self.bone,
        )
        fibula = bones.fibula(tibial.points)
        leg = soft_tissue.leg_surface(soft, self.soft)
        fibres, mottle, patches = self._fibres(soft.points), self._mottle(frame.points), self._patches(frame.points)

        if self.ganglion:
            pathology.paint_ganglion(canvas, self.ganglion, tibial, surfaces)
        if self.edema:
            pathology.paint_edema(canvas, self.edema, {"femur": femoral, "tibia": tibial}, surfaces, mottle)
        self._paint_bones(canvas, femoral, tibial, surfaces, fibula, frame)
        joint.paint_cartilage(canvas, surfaces, 1 + 0.03 * mottle)
        joint.paint_menisci(canvas, tibial, surfaces, self.joint, self.bone)
        joint.paint_extensor_tendons(canvas, soft, surfaces, self.bone)
        joint.paint_ligaments(canvas, tibial, soft, self.joint, mottle)
        joint.paint_fluid(canvas, soft, tibial, surfaces, self.joint, self.bone, patches)
        soft_tissue.paint_vessels(canvas, soft, self.soft)
        soft_tissue.paint_muscles(canvas, soft, self.soft, fibres)
        soft_tissue.paint_fat_and_skin(canvas, leg, self._septa(frame.points), mottle)
        return canvas.amounts

    def _body_frame(self, points: shapes.Points) -> Frame:
        x, y, z = (np.asarray(p, dtype=np.float32) for p in np.broadcast_arrays(*points))
        if not self.pose.right:
            x = -x
        x, y, z = ((p - np.float32(s)) / np.float32(k) for p, s, k in zip((x, y, z), self.pose.shift, self.pose.scale, strict=True))
        warped = shapes.rotate((x, y, z), self.pose.rotation)
        for warp in self._warps:
            warped = warp(warped)
        return Frame(*warped)

    def _limb_frames(self, frame: Frame) -> tuple[Frame, Frame, Frame]:
        """Frames that move with the femur, with the tibia, and one that bends smoothly between them."""
        half = self.pose.flexion / 2
        femoral = Frame(*shapes.rotate(frame.points, (-half, 0, 0), FLEXION_CENTRE))
        tibial = Frame(*shapes.rotate(frame.points, (half, 0, 0), FLEXION_CENTRE))
        angle = np.deg2rad(-half) * np.tanh((frame.z - 10) / 25)
        c, s = np.cos(angle), np.sin(angle)
        y, z = frame.y - np.float32(FLEXION_CENTRE[1]), frame.z - np.float32(FLEXION_CENTRE[2])
        soft = Frame(frame.x, c * y - s * z + np.float32(FLEXION_CENTRE[1]), s * y + c * z + np.float32(FLEXION_CENTRE[2]))
        return femoral, tibial, soft

    def _paint_bones(
        self, canvas: Canvas, femoral: Frame, tibial: Frame, surfaces: joint.Surfaces, fibula: np.ndarray, frame: Frame
    ) -> None:
        """Cortical shell, growth-plate scars, islands of red marrow towards the shafts, yellow marrow with trabeculae."""
        islands, trabeculae = self._marrow(frame.points), self._trabeculae(frame.points)
        trabecular = 1 - 0.05 * np.clip(trabeculae + 0.6, 0, 3)
        shaft_up, shaft_down = np.clip((femoral.z - 55) / 30, 0, 1), np.clip((-tibial.z - 50) / 30, 0, 1)
        scar_up = np.abs(femoral.z - 33 - 0.006 * femoral.x**2 - 1.5 * islands) - 0.35
        scar_down = np.abs(tibial.z + 19 + 1.5 * islands) - 0.35
        for distance, shaft, scar, toward_shaft in (
            (surfaces.femur, shaft_up, scar_up, (femoral.z - 36) / 16),
            (surfaces.tibia, shaft_down, scar_down, (-tibial.z - 22) / 16),
            (surfaces.patella, 0.0, None, None),
            (fibula, 0.6, None, None),
        ):
            cortex = self.cortex + 2.6 * shaft
            canvas.paint("cortical_bone", np.maximum(distance, -distance - cortex), opacity=0.96)
            marrow = distance + cortex
            if scar is not None and toward_shaft is not None:
                canvas.paint("cortical_bone", np.maximum(marrow, scar), opacity=0.35)
                red = np.clip((islands - self.red_marrow - 1.4) * 0.8 + np.clip(toward_shaft, -1, 0.8), 0, 0.85)
                canvas.paint("red_marrow", marrow, opacity=red, density=trabecular)
            canvas.paint("yellow_marrow", distance, density=trabecular)
