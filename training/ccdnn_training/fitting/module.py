"""CC-DNN's training as Lightning modules: two phases of loss, Adam, and the learning rate's schedule."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn import functional

from ccdnn.errors import ModelError
from ccdnn.model.architecture import UNDILATED
from ccdnn.model.file import load_model
from ccdnn.model.network import CCDNN
from ccdnn_training.losses import PhasedLoss


class TwoPhaseTraining(LightningModule):
    """Trains a network with the two-phase loss.

    Args:
        network: (batch, contrast, row, column) → (batch, 1, row, column).
        phase_2_from: share of all steps after which c3 replaces c2 (0.5 in the paper: 200 of 400 epochs).
        learning_rate: Adam's, at the start (1e-4 in the paper).
        schedule: "keras", lr / (1 + decay · step), the paper's; "cosine", a warm-up of 2 % of the steps and a cosine to
            zero, for schedules far shorter than the paper's.
        decay: of the "keras" schedule.
        ratio_c2, ratio_c3, window, variation: see `PhasedLoss`.
        intensity_scale: brings the cache's intensities to about 0–1 for the losses, as in the paper: c3 compares
            variances, so its weight against c1 depends on the unit.
        freeze_statistics_from: share of all steps after which batch normalisation uses its running statistics, as it will in
            inference. In small batches of patches the batch's own statistics differ so much that they act as noise.
    """

    def __init__(
        self,
        network: nn.Module,
        phase_2_from: float = 0.5,
        learning_rate: float = 1e-4,
        schedule: str = "keras",
        decay: float = 1e-6,
        ratio_c2: float = 0.3,
        ratio_c3: float = 0.3,
        window: int = 5,
        variation: str = "variance",
        intensity_scale: float = 1.0,
        freeze_statistics_from: float = 1.0,
    ) -> None:
        super().__init__()
        if schedule not in ("keras", "cosine"):
            raise ValueError(f"The schedule is 'keras' or 'cosine', not {schedule!r}.")
        self.save_hyperparameters(ignore=["network"])  # those of the subclass too
        # A sixth faster on a CPU. PyTorch's annotations of `to` do not list this argument.
        self.network: nn.Module = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.loss = PhasedLoss(ratio_c2, ratio_c3, window, variation)

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images.contiguous(memory_format=torch.channels_last))

    @property
    def phase(self) -> int:
        """1 while c2 is in the loss, 2 once c3 is."""
        return 1 if self.global_step < self.hparams["phase_2_from"] * self.trainer.estimated_stepping_batches else 2

    def on_train_batch_start(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        if self.global_step >= self.hparams["freeze_statistics_from"] * self.trainer.estimated_stepping_batches:
            for layer in self.network.modules():
                if isinstance(layer, torch.nn.BatchNorm2d):
                    layer.eval()

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        images, label = batch
        scale = self.hparams["intensity_scale"]
        parts = self.loss(self(images).float() * scale, label * scale, self.phase)
        self.log_dict(
            {f"train/{name}": value.detach() for name, value in parts.items()}, on_step=False, on_epoch=True, sync_dist=True
        )
        return parts["loss"]

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int, dataloader_idx: int = 0) -> None:
        """The squared error; for further sets of validation slices, which are only monitored, the correlation."""
        images, label = batch
        output = self(images).float()
        log = partial(self.log, on_epoch=True, batch_size=len(images), sync_dist=True, add_dataloader_idx=False)
        if dataloader_idx == 0:
            log("validation/mse", functional.mse_loss(output, label), prog_bar=True)
        data = getattr(self.trainer, "datamodule", None)
        if names := getattr(data, "validation_names", ()):
            correlation = torch.corrcoef(torch.stack([output.flatten(), label.flatten()]))[0, 1]
            log(f"validation/{names[dataloader_idx]}/r", torch.nan_to_num(correlation))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        # Keras's Adam adds 1e-7 to the root; PyTorch's default of 1e-8 makes no visible difference.
        optimizer = torch.optim.Adam(self.network.parameters(), lr=self.hparams["learning_rate"], eps=1e-7)
        steps = self.trainer.estimated_stepping_batches
        factor = self._keras_factor if self.hparams["schedule"] == "keras" else lambda step: _cosine_factor(step, steps)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _keras_factor(self, step: int) -> float:
        return 1 / (1 + self.hparams["decay"] * step)


class ContrastConversion(TwoPhaseTraining):
    """Trains a `CCDNN`.

    Args:
        branch_width: 64 in the paper, 32 for the small model.
        fusion_dilations: of the two convolutions in each block of the fusion, see `CCDNN`; None is the paper's network.
        start_from: model file whose weights the fit begins with, to adapt a model to other data; None begins with random weights.
        settings: of `TwoPhaseTraining`.
    """

    def __init__(
        self,
        branch_width: int = 32,
        fusion_dilations: list[list[int]] | None = None,
        start_from: str | None = None,
        **settings: Any,
    ) -> None:
        network = CCDNN(branch_width, fusion_dilations=fusion_dilations or UNDILATED)
        super().__init__(network, **settings)

    def setup(self, stage: str) -> None:
        """
        Raises:
            ModelError: the file of `start_from` cannot be used, or its network has another width.
        """
        path, width = self.hparams["start_from"], self.hparams["branch_width"]
        if path is None or stage != "fit" or self.trainer.ckpt_path:
            return
        start = load_model(path)
        if start.card.branch_width != width:
            raise ModelError(f"{path} has {start.card.branch_width} maps a branch, not {width}; set branch_width to that.")
        # Weights do not depend on dilations, so a model with another window, or a card that does not state them, is also accepted.
        self.network.load_state_dict(start.network.state_dict())


def _cosine_factor(step: int, steps: float) -> float:
    warm_up = max(1.0, 0.02 * steps)
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm_up) / max(1.0, steps - warm_up))))
