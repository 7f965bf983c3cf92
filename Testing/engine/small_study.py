"""A model and a study small enough for every test: a leg of fat, muscle, marrow and fluid, seen by four sequences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch

from ccdnn.acquisition import Acquisition
from ccdnn.model.card import Contrast, ModelCard
from ccdnn.model.network import CCDNN
from ccdnn.model.saving import save_model
from ccdnn.series import Role
from ccdnn.volume import Volume

SHAPE = (6, 40, 36)
SPACING_IJK = (0.8, 0.8, 3.0)

# T1, T2, T2* in ms and proton density, at 3 T.
_TISSUES = {
    "fat": (370, 133, 40, 0.95),
    "muscle": (1420, 32, 25, 0.85),
    "yellow_marrow": (365, 133, 12, 0.9),
    "fluid": (3620, 767, 300, 1.0),
    "cartilage": (1240, 37, 22, 0.7),
    "meniscus": (950, 12, 6, 0.65),
}
LABELS = {1: "fat", 2: "muscle", 3: "bone marrow", 4: "synovial fluid", 5: "cartilage", 6: "meniscus"}


def label_map() -> np.ndarray:
    """(slice, row, column): rings of fat and muscle around marrow, with a little fluid, cartilage and meniscus."""
    _, rows, columns = SHAPE
    k, j, i = np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij")
    radius = np.hypot((j - rows / 2) / (rows / 2), (i - columns / 2) / (columns / 2))
    labels = np.select([radius < 0.35, radius < 0.7, radius < 0.9], [3, 2, 1], 0)
    labels[(radius >= 0.35) & (radius < 0.45) & (j < rows / 2)] = 5
    labels[(radius >= 0.35) & (radius < 0.45) & (j >= rows / 2) & (i < columns / 2)] = 6
    labels[(np.hypot(j - 12, i - 8) < 3) & (k > 1)] = 4
    return labels


def volumes(noise: float = 0.01, scale: float = 800.0) -> dict[Role, Volume]:
    """T1-w, T2-w, GRE and STIR of the leg on one grid, in made-up scanner units."""
    t1, t2, t2_star, density = (np.array([1, *(_TISSUES[name][n] for name in _TISSUES)], float)[label_map()] for n in range(4))
    density[label_map() == 0] = 0
    sine, cosine = np.sin(np.radians(25)), np.cos(np.radians(25))
    e1 = np.exp(-500 / t1)
    signals = {
        Role.T1: density * (1 - np.exp(-522 / t1)) * np.exp(-11 / t2),
        Role.T2: density * (1 - np.exp(-3000 / t1)) * np.exp(-80 / t2),
        Role.GRE: density * sine * (1 - e1) / (1 - cosine * e1) * np.exp(-10 / t2_star),
        Role.STIR: density * np.abs(1 - 2 * np.exp(-220 / t1) + np.exp(-4478 / t1)) * np.exp(-60 / t2),
    }
    rng = np.random.default_rng(0)
    return {
        role: Volume(np.abs(signal + rng.normal(0, noise, SHAPE)) * scale, sagittal_matrix(), name=f"leg {role.value}")
        for role, signal in signals.items()
    }


def sagittal_matrix(origin=(10.0, 20.0, 30.0)) -> np.ndarray:
    """IJK→RAS with columns to posterior, rows to inferior, slices to the right."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]]) * SPACING_IJK
    matrix[:3, 3] = origin
    return matrix


def write(volume: Volume, path: Path) -> Path:
    """The volume as a file, by SimpleITK alone, so that what reads it in a test is not what wrote it."""
    image = sitk.GetImageFromArray(volume.array)
    lps = np.diag([-1.0, -1.0, 1.0])
    image.SetSpacing(volume.grid.spacing)
    image.SetDirection((lps @ volume.ijk_to_ras[:3, :3] / volume.grid.spacing).ravel().tolist())
    image.SetOrigin((lps @ volume.ijk_to_ras[:3, 3]).tolist())
    sitk.WriteImage(image, path)
    return path


def read_array(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(path))


def write_study(folder: Path) -> Path:
    """`t1.nrrd`, `t2.nrrd` and `gre.nrrd` in a new folder."""
    folder.mkdir(parents=True)
    for role, volume in volumes().items():
        if role is not Role.STIR:
            write(volume, folder / f"{role.value}.nrrd")
    return folder


def card(**changes) -> ModelCard:
    entries = {
        "name": "tiny",
        "version": "0.0.1",
        "branch_width": 2,
        "contrasts": (
            Contrast("t1", Acquisition(522, 11), {"tr_ms": (400, 700), "te_ms": (8, 20)}),
            Contrast("t2", Acquisition(3000, 80), {"tr_ms": (2500, 4500), "te_ms": (60, 100)}),
            Contrast("gre", Acquisition(500, 10, flip_angle_deg=25)),
        ),
        "target": Contrast("stir", Acquisition(4478, 60, ti_ms=220)),
        "normalisation": {"strategy": "volume_percentile", "constants": {"percentile": 99.5, "foreground_fraction": 0.1}},
        "training_data": "Random weights; makes no image of use.",
        "seed": 0,
        "code_version": "test",
        "training": {},
        "licence": "Apache-2.0",
        "created": "2026-01-01",
    }
    return ModelCard(**{**entries, **changes})


def write_model(path: Path, **changes) -> Path:
    """A model file with random weights."""
    torch.manual_seed(0)
    tiny = card(**changes)
    maps = tiny.uncertainty.maps if tiny.uncertainty else 0
    save_model(path, CCDNN(tiny.branch_width, len(tiny.contrasts), tiny.fusion_dilations, maps), tiny)
    return path
