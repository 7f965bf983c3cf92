"""What the second head is fitted on: the fusion's maps and the error of the image, at voxels of simulated studies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from ccdnn.model.network import CCDNN
from ccdnn_training.data.cache import TISSUE_THRESHOLD
from ccdnn_training.data.missing import MissingInputs
from ccdnn_training.data.studies import NORMALISATION, SimulatedStudy

CROP = 160  # rows and columns computed at a time, more than the network's window
BORDER = 24  # of a crop, where its edge affects the image: no samples
# Voxels of a crop: of each tissue, wherever they lie in the body, and of the air, where the network also errs.
OF_TISSUE, OF_BODY, OF_AIR = 40, 200, 40


@dataclass(frozen=True, eq=False)
class Samples:
    """Voxels of simulated studies.

    Args:
        features: (voxel, map) float16, what the heads read.
        error: (voxel,) float32, acquired minus synthetic.
        at_random: (voxel,) bool, voxels of body and air drawn at random; the others are there for rare tissues.
    """

    features: np.ndarray
    error: np.ndarray
    at_random: np.ndarray


def samples_of(network: CCDNN, study: SimulatedStudy, missing: MissingInputs, crops: int, rng: np.random.Generator) -> Samples:
    """Voxels of one study.

    Args:
        network: in evaluation mode.
        missing: which inputs are left out, drawn anew for every crop.
        crops: how many parts of slices are taken; each has a voxel of a random tissue at its centre.
        rng: for the crops, the missing inputs and the voxels.
    """
    tissues = study.labels if study.labels.any() else (study.contrasts[0] > TISSUE_THRESHOLD).astype(np.uint8)
    taken = [_crop(study.contrasts, tissues, rng) for _ in range(crops)]
    inputs = np.stack([images[:-1] for images, _ in taken])
    for images in inputs:
        images[missing.draw(rng)] = NORMALISATION.background
    features, outputs = features_and_images(network, torch.from_numpy(inputs))
    parts = []
    for (images, labels), maps, output in zip(taken, features, outputs, strict=True):
        rows, columns, at_random = places(images, labels, rng)
        parts.append(Samples(maps[:, rows, columns].T, images[-1, rows, columns] - output[rows, columns], at_random))
    return joined(parts)


def joined(parts: Sequence[Samples]) -> Samples:
    return Samples(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Samples)))


def _crop(contrasts: np.ndarray, tissues: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(contrast, row, column) float32 and (row, column): part of a slice around a voxel of a tissue drawn at random."""
    code = rng.choice(np.unique(tissues[tissues > 0]))
    index, *place = np.unravel_index(int(rng.choice(np.flatnonzero(tissues == code))), tissues.shape)
    top, left = (
        int(np.clip(at - CROP // 2, 0, max(length - CROP, 0))) for at, length in zip(place, tissues.shape[1:], strict=True)
    )
    rows, columns = slice(top, top + CROP), slice(left, left + CROP)
    return contrasts[:, index, rows, columns].astype(np.float32), tissues[index, rows, columns]


@torch.inference_mode()
def features_and_images(network: CCDNN, inputs: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The fusion's maps (crop, map, row, column) float16 and the images (crop, row, column) of `inputs` (crop, contrast, …)."""
    with torch.autocast("cpu", torch.bfloat16):
        features = network.features(inputs.contiguous(memory_format=torch.channels_last))
    features = features.float()
    return features.half().numpy(), network.head(features)[:, 0].numpy()


def places(images: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows and columns of voxels of a crop, and which of them are there at random, not for a rare tissue.

    Args:
        images: (contrast, row, column), normalised.
        labels: (row, column); 0 where the tissue is unknown.
    """
    body = images.max(axis=0) > TISSUE_THRESHOLD
    wanted = [(body, OF_BODY), (~body, OF_AIR), *((labels == code, OF_TISSUE) for code in np.unique(labels[labels > 0]))]
    inner = np.zeros(labels.shape, bool)
    inner[BORDER:-BORDER, BORDER:-BORDER] = True
    found = []
    for mask, count in wanted:
        inside = np.flatnonzero(mask & inner)
        found.append(rng.choice(inside, min(count, inside.size), replace=False) if inside.size else inside)
    rows, columns = np.unravel_index(np.concatenate(found), labels.shape)
    at_random = np.arange(len(rows)) < sum(map(len, found[:2]))
    return rows, columns, at_random
