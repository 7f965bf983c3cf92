"""The folded network in PyTorch, in few and fast steps.

- Additions and activations work in place, so a block writes no map twice.
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

# Rows the head converts to float32 at a time, to stay within the cache.
HEAD_ROWS = 32


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
        self.head = (
            torch.from_numpy(network.head_weight).to(device, torch.float32).reshape(1, -1, 1, 1),
            torch.tensor([network.head_bias], device=device, dtype=torch.float32),
        )

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """(image, contrast, row, column) float32 on the device → (image, 1, row, column) float32."""
        rounded = images.to(self.dtype)
        remainder = (images - rounded).to(self.dtype)
        features = []
        for contrast, (stem, blocks) in enumerate(zip(self.stems, self.branches, strict=True)):
            parts = torch.stack([rounded[:, contrast], remainder[:, contrast], rounded[:, contrast]], dim=1)
            weight, bias = stem
            maps = F.conv2d(parts.contiguous(memory_format=self.memory_format), weight, bias, padding=1)
            features.append(_sub_hypothesis(maps, blocks))
        joined = torch.cat(features, dim=1)
        del features, maps
        fused = _sub_hypothesis(joined, self.fusion)
        weight, bias = self.head
        return torch.cat([F.conv2d(rows.float(), weight, bias) for rows in fused.split(HEAD_ROWS, dim=2)], dim=2)

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


def _sub_hypothesis(x: Tensor, blocks: Sequence[_Block]) -> Tensor:
    """H of Eq. 4 with R of Eq. 5. The sums have the precision of `x`, which is not modified."""
    y = x
    for first, second in blocks:
        added = second(F.leaky_relu_(first(y.to(first.weight.dtype)), LEAKY_SLOPE))
        y = added.add_(y) if added.dtype == y.dtype else y + added
    return y.add_(x)
