"""CC-DNN for inference: computes the same as `ccdnn.model.network.CCDNN` in evaluation mode, in fewer and faster steps.

- Batch normalisation is folded into the convolution before it, in float64.
- Additions and activations work in place, so a block writes no map twice.
- In "mixed" precision the branches and the residual sums stay float32, and the fusion's convolutions use 16 bits. Rounding the
  sums after every block causes most of a trained network's deviation from float32.
- The first and last layers stay exact in 16 bits. Rounding the input to 8 bits of mantissa would cost more accuracy than all later
  steps, so the image and the stem weights are each split into a rounded part and a remainder, and three of the four products are
  kept: x·w ≈ x₀·w₀ + x₁·w₀ + x₀·w₁. A convolution sees them as three input maps instead of one. The head is computed in float32.
"""

from __future__ import annotations

import copy
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ccdnn.model.architecture import LEAKY_SLOPE
from ccdnn.model.network import CCDNN, ResidualBlock, SubHypothesis

# Rows the head converts to float32 at a time, to stay within the cache.
HEAD_ROWS = 32


class _Convolution(NamedTuple):
    """A 3×3 convolution that keeps the image's size."""

    weight: Tensor
    bias: Tensor
    dilation: int

    def __call__(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, padding=self.dilation, dilation=self.dilation)


class FoldedCCDNN:
    """`network`, folded, on `device` in `dtype`.

    Args:
        network: in evaluation mode; it is not modified.
        dtype: of the branches and of the residual sums.
        memory_format: of the feature maps; channels-last is fastest for 16-bit convolutions on CPUs and CUDA.
        fusion_dtype: of the fusion's convolutions; `dtype` if None.
    """

    def __init__(
        self,
        network: CCDNN,
        device: str,
        dtype: torch.dtype,
        memory_format: torch.memory_format,
        fusion_dtype: torch.dtype | None = None,
    ) -> None:
        self.device, self.dtype, self.memory_format = device, dtype, memory_format
        network = copy.deepcopy(network).cpu().double().eval()
        branches = [cast(nn.Sequential, branch) for branch in network.branches]
        self.stems = [self._stem(cast(nn.Conv2d, branch[0]), cast(nn.BatchNorm2d, branch[1])) for branch in branches]
        self.branches = [self._blocks(cast(SubHypothesis, branch[2]), dtype) for branch in branches]
        self.fusion = self._blocks(network.fusion, fusion_dtype or dtype)
        self.head = [p.detach().to(device, torch.float32) for p in network.head.parameters()]

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

    def _stem(self, convolution: nn.Conv2d, batch_norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
        fused = fuse_conv_bn_eval(convolution, batch_norm)
        rounded = fused.weight.to(self.dtype)
        remainder = (fused.weight - rounded).to(self.dtype)
        weight = torch.cat([rounded, rounded, remainder], dim=1)
        return self._on_device(weight, self.dtype), self._on_device(fused.bias, self.dtype)

    def _blocks(self, part: SubHypothesis, dtype: torch.dtype) -> list[tuple[_Convolution, _Convolution]]:
        blocks = []
        for block in part.blocks:
            first, first_norm, _, second, second_norm = cast(ResidualBlock, block).body
            pairs = ((first, first_norm), (second, second_norm))
            one, other = (self._convolution(cast(nn.Conv2d, c), cast(nn.BatchNorm2d, n), dtype) for c, n in pairs)
            blocks.append((one, other))
        return blocks

    def _convolution(self, convolution: nn.Conv2d, batch_norm: nn.BatchNorm2d, dtype: torch.dtype) -> _Convolution:
        fused = fuse_conv_bn_eval(convolution, batch_norm)
        return _Convolution(self._on_device(fused.weight, dtype), self._on_device(fused.bias, dtype), convolution.dilation[0])

    def _on_device(self, parameter: Tensor | None, dtype: torch.dtype) -> Tensor:
        assert parameter is not None  # what is fused has a bias
        parameter = parameter.detach().to(self.device, dtype)
        return parameter.contiguous(memory_format=self.memory_format) if parameter.ndim == 4 else parameter


def _sub_hypothesis(x: Tensor, blocks: list[tuple[_Convolution, _Convolution]]) -> Tensor:
    """H of Eq. 4 with R of Eq. 5. The sums have the precision of `x`, which is not modified."""
    y = x
    for first, second in blocks:
        added = second(F.leaky_relu_(first(y.to(first.weight.dtype)), LEAKY_SLOPE))
        y = added.add_(y) if added.dtype == y.dtype else y + added
    return y.add_(x)
