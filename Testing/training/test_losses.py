"""The losses compared with plain loops over pixels, and their gradients with finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ccdnn_training.losses import PhasedLoss, local_statistics_loss, mean_squared_error, misregistration_loss


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.rand(2, 1, 11, 13, generator=generator, dtype=torch.float64) for _ in range(2))


def misregistration_by_loop(output: np.ndarray, label: np.ndarray, window: int) -> float:
    total, half = 0.0, window // 2
    batch, _, rows, columns = output.shape
    for b in range(batch):
        for r in range(rows):
            for c in range(columns):
                near = label[b, 0, max(r - half, 0) : r + half + 1, max(c - half, 0) : c + half + 1]
                total += ((output[b, 0, r, c] - near) ** 2).min()
    return total / output.size


def local_statistics_by_loop(output: np.ndarray, label: np.ndarray, window: int, deviation: bool) -> float:
    terms = []
    batch, _, rows, columns = output.shape
    for b in range(batch):
        for r in range(rows - window + 1):
            for c in range(columns - window + 1):
                x, y = (image[b, 0, r : r + window, c : c + window] for image in (output, label))
                spread = np.std if deviation else np.var
                terms.append((x.mean() - y.mean()) ** 2 + (spread(x) - spread(y)) ** 2)
    return float(np.mean(terms))


@pytest.mark.parametrize("window", [1, 3, 5])
def test_misregistration_loss_equals_a_loop(pair: tuple, window: int) -> None:
    output, label = pair
    expected = misregistration_by_loop(output.numpy(), label.numpy(), window)
    assert misregistration_loss(output, label, window).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("variation", ["variance", "deviation"])
def test_local_statistics_loss_equals_a_loop(pair: tuple, variation: str) -> None:
    output, label = pair
    expected = local_statistics_by_loop(output.numpy(), label.numpy(), 5, variation == "deviation")
    assert local_statistics_loss(output, label, 5, variation).item() == pytest.approx(expected, rel=1e-6)


def test_a_window_of_one_pixel_is_the_mean_squared_error(pair: tuple) -> None:
    assert misregistration_loss(*pair, window=1).item() == pytest.approx(mean_squared_error(*pair).item(), rel=1e-12)


def test_a_shift_within_the_window_costs_nothing() -> None:
    image = torch.rand(1, 1, 24, 24)
    label, shifted = image[..., 4:-4, 4:-4], image[..., 2:-6, 5:-3]  # the label moved by two rows and one column
    assert mean_squared_error(shifted, label) > 0.05
    inside = (..., slice(2, -2), slice(2, -2))  # where the whole window is inside the label
    smallest = torch.stack([(shifted[inside] - label[0, 0, r : r + 12, c : c + 12]) ** 2 for r in range(5) for c in range(5)])
    assert smallest.min(dim=0).values.max() == 0
    assert misregistration_loss(shifted, label, 5) < 0.1 * mean_squared_error(shifted, label)
    assert misregistration_loss(shifted, label, 1) == mean_squared_error(shifted, label)


@pytest.mark.parametrize("phase", [1, 2])
def test_gradients_are_right(pair: tuple, phase: int) -> None:
    output, label = pair
    output.requires_grad_(True)
    loss = PhasedLoss()
    assert torch.autograd.gradcheck(lambda x: loss(x, label, phase)["loss"], (output,), eps=1e-7, atol=1e-6)


def test_phases_weight_their_parts_as_in_the_paper(pair: tuple) -> None:
    loss = PhasedLoss(ratio_c2=0.3, ratio_c3=0.3)
    first, second = loss(*pair, phase=1), loss(*pair, phase=2)
    assert first["loss"].item() == pytest.approx((first["c1"] + 0.3 * misregistration_loss(*pair)).item())
    assert second["loss"].item() == pytest.approx((second["c1"] + 0.3 * local_statistics_loss(*pair)).item())


def test_a_flat_image_has_finite_gradients_with_the_deviation() -> None:
    output = torch.full((1, 1, 8, 8), 0.5, requires_grad=True)
    local_statistics_loss(output, torch.zeros(1, 1, 8, 8), 5, "deviation").backward()
    assert output.grad.isfinite().all()


def test_channels_last_gives_the_same(pair: tuple) -> None:
    for function in (misregistration_loss, local_statistics_loss):
        strided = [t.to(memory_format=torch.channels_last) for t in pair]
        assert function(*strided).item() == pytest.approx(function(*pair).item(), rel=1e-12)
