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
    """The parts of Eq. 4, each branch's and the fusion's as blocks of two convolutions; the heads are 1×1.

    Args:
        stems, branches: one for each contrast.
        head_weight, head_bias: (map out, map in) and (map out,). The first map out is the image; the others, if any, are those of
            the uncertainty's hidden layer, before its activation. Both heads read the same maps, so one convolution computes both.
        scale_weight, scale_bias: (map,) and a number: from the hidden layer to the logarithm of the error's scale; empty without
            an uncertainty.
    """

    stems: tuple[FoldedConvolution, ...]
    branches: tuple[tuple[FoldedBlock, ...], ...]
    fusion: tuple[FoldedBlock, ...]
    head_weight: np.ndarray
    head_bias: np.ndarray
    scale_weight: np.ndarray
    scale_bias: float


def folded(architecture: Architecture, weights: Mapping[str, np.ndarray]) -> FoldedNetwork:
    """Fold the `weights` of a model file."""

    def convolution(layer: Convolution) -> FoldedConvolution:
        gamma, beta, mean, variance = (weights[f"{layer.norm}.{name}"].astype(np.float64) for name in BATCH_NORM)
        scale = gamma / np.sqrt(variance + BATCH_NORM_EPS)
        weight = weights[f"{layer.name}.weight"].astype(np.float64) * scale[:, None, None, None]
        return FoldedConvolution(weight, beta - mean * scale, layer.dilation)

    def blocks(layers: list[Block]) -> tuple[FoldedBlock, ...]:
        return tuple((convolution(first), convolution(second)) for first, second in layers)

    heads = ["head", *(["uncertainty.0"] if architecture.uncertainty_maps else [])]
    last = weights.get("uncertainty.2.weight", np.empty(0)), weights.get("uncertainty.2.bias", np.zeros(1))
    return FoldedNetwork(
        stems=tuple(map(convolution, architecture.stems)),
        branches=tuple(map(blocks, architecture.branches)),
        fusion=blocks(architecture.fusion),
        head_weight=np.concatenate([weights[f"{head}.weight"][:, :, 0, 0].astype(np.float64) for head in heads]),
        head_bias=np.concatenate([weights[f"{head}.bias"].astype(np.float64) for head in heads]),
        scale_weight=last[0].astype(np.float64).ravel(),
        scale_bias=float(last[1][0]),
    )
