"""The three losses of the paper's section 2.6, on images (batch, 1, row, column); each returns a scalar.

c1 is the mean squared error. c2 tolerates misregistration: every output pixel is compared with the closest value in the label's
k × k window around it. c3 compares local means and local variations, so that noise and fine texture need not match pixel by
pixel. Training runs c1 + 0.3 · c2 first, then c1 + 0.3 · c3 (section 3.2).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def mean_squared_error(output: Tensor, label: Tensor) -> Tensor:
    """c1 (Eq. 6)."""
    return functional.mse_loss(output, label)


def misregistration_loss(output: Tensor, label: Tensor, window: int = 5) -> Tensor:
    """c2 (Eq. 7): mean over pixels of the smallest squared difference to the label's `window` × `window` neighbourhood.

    At the border, only the part of the window inside the image counts.
    """
    # A replicated border adds only values that the part of the window inside the image already has.
    padded = functional.pad(label, [window // 2] * 4, mode="replicate")
    rows, columns = label.shape[-2:]
    # The gradient is that of the difference to the pixel found, so the search for the smallest difference needs no gradient.
    with torch.no_grad():
        nearest, smallest = label, (output - label).abs()
        for row in range(window):
            for column in range(window):
                candidate = padded[..., row : row + rows, column : column + columns]
                distance = (output - candidate).abs()
                nearest = torch.where(distance < smallest, candidate, nearest)
                smallest = torch.minimum(distance, smallest)
    return functional.mse_loss(output, nearest)


def local_statistics_loss(output: Tensor, label: Tensor, window: int = 5, variation: str = "variance") -> Tensor:
    """c3 (Eq. 8): mean of squared differences of the local mean and of the local variation, over `window` × `window`.

    Args:
        variation: "variance" (the authors' ISMRM 2020 abstract 3545) or "deviation", its square root.
    """
    mean_output, variance_output = _local_statistics(output, window)
    mean_label, variance_label = _local_statistics(label, window)
    if variation == "deviation":
        variance_output, variance_label = _root(variance_output), _root(variance_label)
    elif variation != "variance":
        raise ValueError(f"The variation must be 'variance' or 'deviation', not {variation!r}.")
    return functional.mse_loss(mean_output, mean_label) + functional.mse_loss(variance_output, variance_label)


def _local_statistics(image: Tensor, window: int) -> tuple[Tensor, Tensor]:
    mean = functional.avg_pool2d(image, window, stride=1)
    # The variance is taken around the image's own mean: E[x²] − E[x]² loses its digits where x is large and flat.
    centre = image.mean(dim=(-2, -1), keepdim=True).detach()
    shifted = image - centre
    local = functional.avg_pool2d(shifted, window, stride=1)
    variance = functional.avg_pool2d(shifted * shifted, window, stride=1) - local * local
    return mean, variance.clamp_min(0)


def _root(variance: Tensor) -> Tensor:
    return torch.sqrt(variance + 1e-8)  # the slope of a root is infinite at zero


class PhasedLoss(nn.Module):
    """c1 + ratio · c2 in phase 1, c1 + ratio · c3 in phase 2 (section 3.2).

    Args:
        ratio_c2, ratio_c3: α and β, 0.3 in the paper.
        window: k of c2 and of c3, 5 in the paper.
        variation: see `local_statistics_loss`.
    """

    def __init__(self, ratio_c2: float = 0.3, ratio_c3: float = 0.3, window: int = 5, variation: str = "variance") -> None:
        super().__init__()
        self.ratio_c2, self.ratio_c3, self.window, self.variation = ratio_c2, ratio_c3, window, variation

    def forward(self, output: Tensor, label: Tensor, phase: int) -> dict[str, Tensor]:
        """The parts of the loss and their weighted sum under "loss"."""
        parts = {"c1": mean_squared_error(output, label)}
        if phase == 1:
            parts["c2"] = misregistration_loss(output, label, self.window)
            parts["loss"] = parts["c1"] + self.ratio_c2 * parts["c2"]
        else:
            parts["c3"] = local_statistics_loss(output, label, self.window, self.variation)
            parts["loss"] = parts["c1"] + self.ratio_c3 * parts["c3"]
        return parts
