"""U-Net (Ronneberger et al., MICCAI 2015) under CC-DNN's own losses and schedule, the paper's fifth method (Figure S4).

Departures from the original, as the task needs them: same padding instead of valid convolutions, batch normalisation after every
3×3 convolution, and a linear 1×1 output.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ccdnn_training.fitting.module import TwoPhaseTraining

WIDTHS = (64, 128, 256, 512, 1024)


class UNet(nn.Module):
    """(batch, contrast, row, column) → (batch, 1, row, column), any height and width.

    Args:
        widths: feature maps at each resolution, finest first.
        contrasts: number of input images.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS, contrasts: int = 3) -> None:
        super().__init__()
        self.down = nn.ModuleList(_two_convolutions(a, b) for a, b in zip((contrasts, *widths[:-1]), widths, strict=True))
        rising = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(a, b, kernel_size=2, stride=2) for a, b in rising)
        self.up = nn.ModuleList(_two_convolutions(2 * b, b) for _a, b in rising)
        self.head = nn.Conv2d(widths[0], 1, kernel_size=1)
        self._multiple = 2 ** (len(widths) - 1)

    def forward(self, images: Tensor) -> Tensor:
        rows, columns = images.shape[-2:]
        x = functional.pad(images, (0, -columns % self._multiple, 0, -rows % self._multiple), mode="replicate")
        finer: list[Tensor] = []
        for step in self.down:
            x = step(functional.max_pool2d(x, 2) if finer else x)
            finer.append(x)
        finer.pop()
        for enlarge, step in zip(self.enlarge, self.up, strict=True):
            x = step(torch.cat([finer.pop(), enlarge(x)], dim=1))
        return self.head(x)[..., :rows, :columns]


def _two_convolutions(maps_in: int, maps_out: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for maps in (maps_in, maps_out):
        layers += [nn.Conv2d(maps, maps_out, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(maps_out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class UNetConversion(TwoPhaseTraining):
    """CC-DNN's training with a U-Net in the network's place.

    Args:
        widths: see `UNet`.
        settings: of `TwoPhaseTraining`.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS, **settings: Any) -> None:
        super().__init__(UNet(widths), **settings)
