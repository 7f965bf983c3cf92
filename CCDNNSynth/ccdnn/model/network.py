"""CC-DNN in PyTorch, for training; `ccdnn.model.architecture` describes its layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ccdnn.model.architecture import BATCH_NORM_EPS, LEAKY_SLOPE, UNDILATED, Architecture, Dilations

BATCH_NORM_MOMENTUM = 0.01  # PyTorch weighs the new value, Keras the old one: 1 − 0.99


def _conv_bn(maps_in: int, maps_out: int, dilation: int = 1) -> list[nn.Module]:
    # No bias: the batch normalisation that follows has one.
    return [
        nn.Conv2d(maps_in, maps_out, kernel_size=3, padding=dilation, dilation=dilation, bias=False),
        nn.BatchNorm2d(maps_out, eps=BATCH_NORM_EPS, momentum=BATCH_NORM_MOMENTUM),
    ]


class ResidualBlock(nn.Module):
    """R of Eq. 5: two convolutions around one activation, added to the input."""

    def __init__(self, width: int, dilations: Sequence[int] = UNDILATED[0]) -> None:
        super().__init__()
        first, second = dilations
        self.body = nn.Sequential(
            *_conv_bn(width, width, first), nn.LeakyReLU(LEAKY_SLOPE, inplace=True), *_conv_bn(width, width, second)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class SubHypothesis(nn.Module):
    """H of Eq. 4: three residual blocks and a skip from the input."""

    def __init__(self, width: int, dilations: Dilations = UNDILATED) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(ResidualBlock(width, pair) for pair in dilations))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.blocks(x)


class CCDNN(nn.Module):
    """Contrast-conversion network: (batch, contrast, row, column) → (batch, 1, row, column), any height and width.

    Args:
        branch_width: feature maps of each contrast's branch; the fusion has `contrasts` times as many (64 and 192 in the paper).
        contrasts: number of input images, in the card's order.
        fusion_dilations: of the two convolutions in each of the fusion's three blocks.
        uncertainty_maps: of the second head; 0 without one.
    """

    def __init__(
        self,
        branch_width: int = 64,
        contrasts: int = 3,
        fusion_dilations: Dilations = UNDILATED,
        uncertainty_maps: int = 0,
    ) -> None:
        super().__init__()
        self.branch_width = branch_width
        self.contrasts = contrasts
        self.uncertainty_maps = uncertainty_maps
        self.fusion_dilations = tuple((int(first), int(second)) for first, second in fusion_dilations)
        self.branches = nn.ModuleList(
            nn.Sequential(*_conv_bn(1, branch_width), SubHypothesis(branch_width)) for _ in range(contrasts)
        )
        self.fusion = SubHypothesis(contrasts * branch_width, self.fusion_dilations)
        self.head = nn.Conv2d(contrasts * branch_width, 1, kernel_size=1)
        self.uncertainty = uncertainty_head(contrasts * branch_width, uncertainty_maps) if uncertainty_maps else None
        self.apply(_initialise_as_keras)

    @property
    def architecture(self) -> Architecture:
        return Architecture(self.branch_width, self.contrasts, self.fusion_dilations, self.uncertainty_maps)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))

    def features(self, images: Tensor) -> Tensor:
        """The maps that the heads read: (batch, map, row, column)."""
        branches = [branch(images[:, c : c + 1]) for c, branch in enumerate(self.branches)]
        return self.fusion(torch.cat(branches, dim=1))


def uncertainty_head(features: int, maps: int) -> nn.Sequential:
    """From the fusion's maps to the logarithm of the error's scale: (batch, map, row, column) → (batch, 1, row, column)."""
    return nn.Sequential(nn.Conv2d(features, maps, 1), nn.LeakyReLU(LEAKY_SLOPE), nn.Conv2d(maps, 1, 1))


def network_with(architecture: Architecture, weights: Mapping[str, np.ndarray]) -> CCDNN:
    """The network with the `weights` of a model file, in evaluation mode on the CPU."""
    network = CCDNN(architecture.branch_width, architecture.contrasts, architecture.fusion_dilations, architecture.uncertainty_maps)
    # Only the counters of batch normalisation are missing from a model file.
    network.load_state_dict({name: torch.from_numpy(values) for name, values in weights.items()}, strict=False)
    return network.eval().requires_grad_(False)


def _initialise_as_keras(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
