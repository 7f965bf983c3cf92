"""The folded network in PyTorch, in few and fast steps.

- Additions and activations work in place, so a block writes no map twice.
- The heads begin linearly, so the fusion's skip is added after that, H(x) + x → head(H(x)) + head(x), as few maps instead of all.
- In "mixed" precision the branches and the residual sums stay float32, and the fusion's convolutions use 16 bits. Rounding the
  sums after every block causes most of a trained network's deviation from float32.
- The first and last layers stay exact in 16 bits. Rounding the input to 8 bits of mantissa would cost more accuracy than all later
  steps, so the image and the stem weights are each split into a rounded part and a remainder, and three of the four products are
  kept: x·w ≈ x₀·w₀ + x₁·w₀ + x₀·w₁. A convolution sees them as three input maps instead of one. The head is computed in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ccdnn.model.architecture import LEAKY_SLOPE
from ccdnn.model.folding import FoldedBlock, FoldedConvolution, FoldedNetwork

# Rows converted to float32 at a time, to stay within the cache. A conversion of all rows costs more than the addition it is for.
CONVERTED_ROWS = 32


class _Convolution(NamedTuple):
    """A 3×3 convolution that keeps the image's size."""

    weight: Tensor
    bias: Tensor
    dilation: int

    def __call__(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, padding=self.dilation, dilation=self.dilation)


_Block = tuple[_Convolution, _Convolution]


class FoldedCCDNN:
    """`network` on `device` in `dtype`.

    Args:
        dtype: of the branches and of the residual sums.
        memory_format: of the feature maps; channels-last is fastest for 16-bit convolutions on CPUs and CUDA.
        fusion_dtype: of the fusion's convolutions; `dtype` if None.
    """

    def __init__(
        self,
        network: FoldedNetwork,
        device: str,
        dtype: torch.dtype,
        memory_format: torch.memory_format,
        fusion_dtype: torch.dtype | None = None,
    ) -> None:
        self.device, self.dtype, self.memory_format = device, dtype, memory_format
        self.stems = [self._stem(stem) for stem in network.stems]
        self.branches = [self._blocks(blocks, dtype) for blocks in network.branches]
        self.fusion = self._blocks(network.fusion, fusion_dtype or dtype)
        self.heads = self._as_1x1(network.head_weight)
        self.head_bias = torch.from_numpy(network.head_bias).to(device, torch.float32).reshape(1, -1, 1, 1)
        self.scale_weight = self._as_1x1(network.scale_weight[None]) if network.scale_weight.size else None
        self.scale_bias = network.scale_bias

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """(image, contrast, row, column) float32 on the device → (image, 1 or 2, row, column) float32; see `Backend`."""
        rounded = images.to(self.dtype)
        remainder = (images - rounded).to(self.dtype)
        features = []
        for contrast, (stem, blocks) in enumerate(zip(self.stems, self.branches, strict=True)):
            parts = torch.stack([rounded[:, contrast], remainder[:, contrast], rounded[:, contrast]], dim=1)
            weight, bias = stem
            maps = F.conv2d(parts.contiguous(memory_format=self.memory_format), weight, bias, padding=1)
            features.append(_residuals(maps, blocks).add_(maps))
        joined = torch.cat(features, dim=1)
        del features, maps
        skipped = self._heads(joined)
        output = self._heads(_residuals(joined, self.fusion)).add_(skipped).add_(self.head_bias)
        if self.scale_weight is None:
            return output
        log_scale = F.conv2d(F.leaky_relu_(output[:, 1:], LEAKY_SLOPE), self.scale_weight).add_(self.scale_bias)
        return torch.cat([output[:, :1], log_scale], dim=1)

    def _heads(self, maps: Tensor) -> Tensor:
        """The first layer of the heads without its bias: (image, map, row, column) → (image, 1 + hidden, row, column) float32."""
        return torch.cat([F.conv2d(rows.float(), self.heads) for rows in maps.split(CONVERTED_ROWS, dim=2)], dim=2)

    def _as_1x1(self, weight: np.ndarray) -> Tensor:
        return torch.from_numpy(weight).to(self.device, torch.float32)[..., None, None]

    def _stem(self, stem: FoldedConvolution) -> tuple[Tensor, Tensor]:
        exact = torch.from_numpy(stem.weight)
        rounded = exact.to(self.dtype)
        remainder = (exact - rounded).to(self.dtype)
        return self._on_device(torch.cat([rounded, rounded, remainder], dim=1), self.dtype), self._on_device(stem.bias, self.dtype)

    def _blocks(self, blocks: Sequence[FoldedBlock], dtype: torch.dtype) -> list[_Block]:
        return [(self._convolution(first, dtype), self._convolution(second, dtype)) for first, second in blocks]

    def _convolution(self, convolution: FoldedConvolution, dtype: torch.dtype) -> _Convolution:
        weight, bias = (self._on_device(values, dtype) for values in (convolution.weight, convolution.bias))
        return _Convolution(weight, bias, convolution.dilation)

    def _on_device(self, values: np.ndarray | Tensor, dtype: torch.dtype) -> Tensor:
        tensor = torch.as_tensor(values).to(self.device, dtype)
        return tensor.contiguous(memory_format=self.memory_format) if tensor.ndim == 4 else tensor


def _residuals(y: Tensor, blocks: Sequence[_Block]) -> Tensor:
    """H of Eq. 4 with R of Eq. 5, without the input skip. The sums have the precision of `y`.

    `y` is overwritten if the blocks have another precision, and is not modified otherwise.
    """
    for first, second in blocks:
        added = second(F.leaky_relu_(first(y.to(first.weight.dtype)), LEAKY_SLOPE))
        if added.dtype == y.dtype:
            y = added.add_(y)
        else:
            for rows, more in zip(y.split(CONVERTED_ROWS, dim=2), added.split(CONVERTED_ROWS, dim=2), strict=True):
                rows.add_(more)
    return y
