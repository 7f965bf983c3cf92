"""Fits the second head on the maps of a network whose other layers stay as they are; on request, the image's head anew as well.

The loss is the negative logarithm of the likelihood of a Laplace distribution, |error| / scale + log scale. Its scale is the mean
absolute error, which outliers move less than they move a variance. Compared on validation knees, a normal distribution and three
quantiles in place of the one scale were no better calibrated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from ccdnn.model.network import uncertainty_head
from ccdnn_training.uncertainty.samples import Samples

HIGHEST_RATE = 5e-3
RIDGE = 1.0  # of the image head's regression, in variances of a map


def fit_head(
    samples: Samples,
    maps: int,
    *,
    steps: int = 4000,
    batch: int = 4096,
    seed: int = 1,
    on_step: Callable[[int, int], None] | None = None,
) -> nn.Sequential:
    """The head, in evaluation mode: (image, map, row, column) → (image, 1, row, column).

    Args:
        maps: of its hidden layer.
        steps, batch: of Adam, and voxels in each.
        seed: of the first weights and the batches.
        on_step: called with (steps done, steps).
    """
    torch.manual_seed(seed)
    features, error = torch.from_numpy(samples.features), torch.from_numpy(samples.error).abs()
    mean, deviation = features.float().mean(0), features.float().std(0).clamp_min(1e-6)
    head = uncertainty_head(features.shape[1], maps)
    optimizer = torch.optim.Adam(head.parameters(), lr=HIGHEST_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, HIGHEST_RATE, total_steps=steps)
    for step in range(steps):
        chosen = torch.randint(len(error), (batch,))
        log_scale = head(((features[chosen].float() - mean) / deviation)[..., None, None]).flatten()
        loss = (error[chosen] * torch.exp(-log_scale) + log_scale).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if on_step:
            on_step(step + 1, steps)
    _absorb(head[0], mean, deviation)
    return head.eval().requires_grad_(False)


def refitted_head(head: nn.Conv2d, samples: Samples) -> nn.Conv2d:
    """The image's head, changed by ridge regression so that the error no longer depends linearly on the maps, nor has a mean.

    A mean of two networks' weights leaves such a bias, for instance grey air. All other layers stay.
    """
    chosen = samples.at_random
    features, error = samples.features[chosen].astype(np.float64), samples.error[chosen].astype(np.float64)
    mean, deviation = features.mean(0), np.maximum(features.std(0), 1e-6)
    standard = (features - mean) / deviation
    slopes = np.linalg.solve(
        standard.T @ standard / len(error) + RIDGE * np.eye(len(mean)), standard.T @ (error - error.mean()) / len(error)
    )
    weight = slopes / deviation
    changed = nn.Conv2d(head.in_channels, 1, 1)
    with torch.no_grad():
        changed.weight.copy_(head.weight + torch.from_numpy(weight)[None, :, None, None])
        assert head.bias is not None and changed.bias is not None
        changed.bias.copy_(head.bias + float(error.mean() - weight @ mean))
    return changed


def error_after(samples: Samples, before: nn.Conv2d, after: nn.Conv2d) -> Samples:
    """The samples with the error that another image head leaves."""
    with torch.no_grad():
        weight = (after.weight - before.weight).flatten().numpy()
        assert before.bias is not None and after.bias is not None
        added = samples.features.astype(np.float32) @ weight + float(after.bias - before.bias)
    return replace(samples, error=samples.error - added)


@torch.no_grad()
def _absorb(layer: nn.Module, mean: torch.Tensor, deviation: torch.Tensor) -> None:
    """Change the weights so that the layer reads the maps themselves, not standardised ones."""
    assert isinstance(layer, nn.Conv2d) and layer.bias is not None
    layer.weight /= deviation[None, :, None, None]
    layer.bias -= layer.weight[:, :, 0, 0] @ mean
