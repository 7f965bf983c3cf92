"""CC-DNN for inference, with each batch normalisation folded into the convolution before it. NumPy alone, in float64."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ccdnn.model.architecture import BATCH_NORM, BATCH_NORM_EPS, Architecture, Block, Convolution


@dataclass(frozen=True, eq=False)
class FoldedConvolution:
    """A 3×3 convolution that keeps the image's size: `weight` (map out, map in, 3, 3) and `bias` (map out,), float64."""

    weight: np.ndarray
    bias: np.ndarray
    dilation: int


FoldedBlock = tuple[FoldedConvolution, FoldedConvolution]


@dataclass(frozen=True, eq=False)
class FoldedNetwork:
    """The parts of Eq. 4, each branch's and the fusion's as blocks of two convolutions; the head is 1×1.

    Args:
        stems, branches: one for each contrast.
        head_weight: (map,).
    """

    stems: tuple[FoldedConvolution, ...]
    branches: tuple[tuple[FoldedBlock, ...], ...]
    fusion: tuple[FoldedBlock, ...]
    head_weight: np.ndarray
    head_bias: float


def folded(architecture: Architecture, weights: Mapping[str, np.ndarray]) -> FoldedNetwork:
    """Fold the `weights` of a model file."""

    def convolution(layer: Convolution) -> FoldedConvolution:
        gamma, beta, mean, variance = (weights[f"{layer.norm}.{name}"].astype(np.float64) for name in BATCH_NORM)
        scale = gamma / np.sqrt(variance + BATCH_NORM_EPS)
        weight = weights[f"{layer.name}.weight"].astype(np.float64) * scale[:, None, None, None]
        return FoldedConvolution(weight, beta - mean * scale, layer.dilation)

    def blocks(layers: list[Block]) -> tuple[FoldedBlock, ...]:
        return tuple((convolution(first), convolution(second)) for first, second in layers)

    return FoldedNetwork(
        stems=tuple(map(convolution, architecture.stems)),
        branches=tuple(map(blocks, architecture.branches)),
        fusion=blocks(architecture.fusion),
        head_weight=weights["head.weight"].astype(np.float64).ravel(),
        head_bias=float(weights["head.bias"][0]),
    )
