"""CC-DNN, the pooling-free residual network of Kim et al., MRM 2020, section 2.5 and Figure 2.

    Î_STIR = C₁¹( H_cat( concat( H_T1(I_T1), H_T2(I_T2), H_GRE(I_GRE) ) ) )                         (Eq. 4)
    H(x)   = x + R(R(R(x)))
    R(x)   = x + [conv3×3(c) · BN · σ · conv3×3(c) · BN](x),   c = number of maps of x              (Eq. 5)

Each branch begins with a 3×3 stem that maps one contrast to `branch_width` feature maps; σ is LeakyReLU(0.1). Batch normalisation
follows every convolution but the last, with the authors' Keras constants (eps 1e-3, momentum 0.99).

The receptive field of the paper's network is 27 × 27 pixels. Dilated convolutions in the fusion H_cat can widen it with the same
number of weights and operations. Dilations of 1 throughout give the paper's network.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ccdnn.model.architecture import BATCH_NORM_EPS, LEAKY_SLOPE, UNDILATED, Dilations, receptive_radius

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
    """

    def __init__(self, branch_width: int = 64, contrasts: int = 3, fusion_dilations: Dilations = UNDILATED) -> None:
        super().__init__()
        self.branch_width = branch_width
        self.contrasts = contrasts
        self.fusion_dilations = tuple((int(first), int(second)) for first, second in fusion_dilations)
        self.branches = nn.ModuleList(
            nn.Sequential(*_conv_bn(1, branch_width), SubHypothesis(branch_width)) for _ in range(contrasts)
        )
        self.fusion = SubHypothesis(contrasts * branch_width, self.fusion_dilations)
        self.head = nn.Conv2d(contrasts * branch_width, 1, kernel_size=1)
        self.apply(_initialise_as_keras)

    @property
    def receptive_radius(self) -> int:
        """How many pixels away an input can affect an output pixel."""
        return receptive_radius(self.fusion_dilations)

    def forward(self, images: Tensor) -> Tensor:
        features = [branch(images[:, c : c + 1]) for c, branch in enumerate(self.branches)]
        return self.head(self.fusion(torch.cat(features, dim=1)))


def _initialise_as_keras(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
