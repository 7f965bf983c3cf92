"""Stops a fit whose loss or gradients are no longer finite, before they reach a checkpoint."""

from __future__ import annotations

import math
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from ccdnn.errors import CcdnnError

# Reading the flag makes the CPU wait for the GPU. On a GPU it is read only now and then, and always before a checkpoint.
STEPS_BETWEEN_LOOKS = 50

# A resumed fit keeps its learning rate, which is part of the optimizer's state.
_ADVICE = (
    "This state was not saved. Resume from the last checkpoint (--ckpt_path) with --trainer.gradient_clip_val 1 or "
    "--trainer.precision 32-true, or start again with a lower --model.learning_rate."
)


class FitError(CcdnnError):
    """A fit that cannot continue."""

    exit_code = 7


class FiniteGuard(Callback):
    """Watches the loss and the gradients of every layer, in every process.

    A bad step ends the fit: on a CPU before the step is taken, on a GPU some steps later but before the next checkpoint.
    Gradients are not watched where a loss scaler (`precision: 16-mixed`) lets them overflow to find its scale.

    Raises:
        FitError: naming the step, and the first layer whose gradient is not finite.
    """

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self._names = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
        device = module.device
        self._step = torch.full((), math.inf, device=device)  # the first bad step
        self._current = self._loss = torch.zeros((), device=device)
        self._wrong = torch.zeros(len(self._names), dtype=torch.bool, device=device)
        self._every = STEPS_BETWEEN_LOOKS if device.type == "cuda" else 1
        self._scaled = getattr(trainer.precision_plugin, "scaler", None) is not None

    def on_before_backward(self, trainer: Trainer, module: LightningModule, loss: Tensor) -> None:
        self._current = loss.detach().float()

    def on_before_optimizer_step(self, trainer: Trainer, module: LightningModule, optimizer: torch.optim.Optimizer) -> None:
        wrong = torch.zeros_like(self._wrong) if self._scaled else ~torch.isfinite(_gradient_sums(module, self._names))
        first = (~torch.isfinite(self._current) | wrong.any()) & torch.isinf(self._step)
        self._loss = torch.where(first, self._current, self._loss)
        self._wrong = torch.where(first, wrong, self._wrong)
        self._step = torch.where(first, torch.full_like(self._step, trainer.global_step + 1), self._step)
        if trainer.global_step % self._every == 0:
            self._look(trainer)

    def on_save_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self._look(trainer)
        for name, value in checkpoint["state_dict"].items():
            if value.is_floating_point() and not torch.isfinite(value).all():
                raise FitError(f"{name} is no longer finite after step {trainer.global_step}. {_ADVICE}")

    def _look(self, trainer: Trainer) -> None:
        step = trainer.strategy.reduce(self._step.clone(), reduce_op="min") if trainer.world_size > 1 else self._step
        if math.isinf(step):
            return
        loss, layer = float(self._loss), self._names[int(self._wrong.float().argmax())]
        what = f"the gradient of {layer} is not finite; the loss is {loss:g}" if math.isfinite(loss) else f"the loss is {loss:g}"
        raise FitError(f"At step {int(step)} {what}. {_ADVICE}")


def _gradient_sums(module: LightningModule, names: list[str]) -> Tensor:
    """One number per layer, not finite if any value of its gradient is not: a sum does not hide an infinity or a NaN."""
    parameters = dict(module.named_parameters())
    gradients = [parameters[name].grad for name in names]
    absent = torch.zeros((), device=module.device)
    return torch.stack([absent if gradient is None else gradient.sum(dtype=torch.float32) for gradient in gradients])
