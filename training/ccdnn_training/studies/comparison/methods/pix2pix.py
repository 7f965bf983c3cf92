"""Pix2pix (Isola, Zhu, Zhou and Efros, CVPR 2017): a U-Net generator against a discriminator of 70×70 patches.

Departures from the paper: seven levels instead of eight, since 384 = 3·2⁷; instance normalisation, which batch normalisation
amounts to at the method's batch of 1; and no dropout in prediction, so that results are reproducible.
"""

from __future__ import annotations

from typing import cast

import torch
from lightning import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

WIDTHS = (64, 128, 256, 512, 512, 512, 512)
DROPOUT_LEVELS = 3  # the innermost of the decoder


class Generator(nn.Module):
    """(batch, contrast, row, column) → (batch, 1, row, column) in −1…1, any height and width.

    Args:
        widths: feature maps of the encoder's levels; each level halves the resolution.
        contrasts: number of input images.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS, contrasts: int = 3) -> None:
        super().__init__()
        last = len(widths) - 1
        self.down = nn.ModuleList(
            nn.Sequential(
                *([nn.LeakyReLU(0.2)] if level else []),
                nn.Conv2d(maps_in, maps_out, kernel_size=4, stride=2, padding=1),
                *([nn.InstanceNorm2d(maps_out, affine=True)] if 0 < level < last else []),
            )
            for level, (maps_in, maps_out) in enumerate(zip((contrasts, *widths[:-1]), widths, strict=True))
        )
        self.up = nn.ModuleList()
        for level in reversed(range(1, len(widths))):
            maps_in = widths[level] * (1 if level == last else 2)
            self.up.append(
                nn.Sequential(
                    nn.ReLU(),
                    nn.ConvTranspose2d(maps_in, widths[level - 1], kernel_size=4, stride=2, padding=1),
                    nn.InstanceNorm2d(widths[level - 1], affine=True),
                    *([nn.Dropout(0.5)] if level >= last - DROPOUT_LEVELS + 1 else []),
                )
            )
        self.head = nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(2 * widths[0], 1, kernel_size=4, stride=2, padding=1), nn.Tanh())
        self._multiple = 2 ** len(widths)
        self.apply(_initialise)

    def forward(self, images: Tensor) -> Tensor:
        rows, columns = images.shape[-2:]
        x = functional.pad(images, (0, -columns % self._multiple, 0, -rows % self._multiple), mode="replicate")
        finer = []
        for step in self.down:
            x = step(x)
            finer.append(x)
        finer.pop()
        for step in self.up:
            x = torch.cat([step(x), finer.pop()], dim=1)
        return self.head(x)[..., :rows, :columns]


class PatchDiscriminator(nn.Module):
    """Whether a target is real, given the inputs, for every 70×70 patch: logits (batch, 1, rows, columns).

    Args:
        width: feature maps of the first layer; each further layer doubles them.
        channels: number of input images and target together.
    """

    def __init__(self, width: int = 64, channels: int = 4) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, width, kernel_size=4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for maps_in, maps_out, stride in ((width, 2 * width, 2), (2 * width, 4 * width, 2), (4 * width, 8 * width, 1)):
            layers += [
                nn.Conv2d(maps_in, maps_out, kernel_size=4, stride=stride, padding=1),
                nn.InstanceNorm2d(maps_out, affine=True),
                nn.LeakyReLU(0.2),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(8 * width, 1, kernel_size=4, stride=1, padding=1))
        self.apply(_initialise)

    def forward(self, images: Tensor, target: Tensor) -> Tensor:
        return self.layers(torch.cat([images, target], dim=1))


def _initialise(module: nn.Module) -> None:
    """Weights from N(0, 0.02), as in the method's paper."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        assert module.bias is not None
        nn.init.normal_(module.weight, 0.0, 0.02)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.InstanceNorm2d) and module.affine:
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


class Pix2pix(LightningModule):
    """Trains a `Generator`: adversarial loss + 100 · L1; Adam 2e-4 with β₁ 0.5, constant in the first half, then linearly to zero.

    Args:
        top: intensity of the target that becomes 1 in the generator's −1…1; 0 becomes −1.
        input_top: the same for the inputs; None takes that of the target.
        l1_weight: λ of the method's paper.
        learning_rate: Adam's, of generator and discriminator.
        widths: see `Generator`.
        discriminator_width: see `PatchDiscriminator`.
    """

    def __init__(
        self,
        top: float = 1.0,
        input_top: float | None = None,
        l1_weight: float = 100.0,
        learning_rate: float = 2e-4,
        widths: tuple[int, ...] = WIDTHS,
        discriminator_width: int = 64,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.automatic_optimization = False  # two networks, two optimisers
        self.network = Generator(widths)
        self.discriminator = PatchDiscriminator(discriminator_width)

    def forward(self, images: Tensor) -> Tensor:
        return (self.network(self._signed(images)) + 1) / 2 * self.hparams["top"]

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        images, label = self._signed(batch[0]), batch[1] * (2 / self.hparams["top"]) - 1
        of_generator, of_discriminator = cast(list[LightningOptimizer], self.optimizers())
        output = self.network(images)

        self.toggle_optimizer(of_discriminator)
        seen = _adversarial(self.discriminator(images, label), real=True)
        unseen = _adversarial(self.discriminator(images, output.detach()), real=False)
        of_discriminator.zero_grad()
        self.manual_backward((seen + unseen) / 2)
        of_discriminator.step()
        self.untoggle_optimizer(of_discriminator)

        self.toggle_optimizer(of_generator)
        deceived = _adversarial(self.discriminator(images, output), real=True)
        error = functional.l1_loss(output, label)
        of_generator.zero_grad()
        self.manual_backward(deceived + self.hparams["l1_weight"] * error)
        of_generator.step()
        self.untoggle_optimizer(of_generator)
        for schedule in cast(list[LRScheduler], self.lr_schedulers()):
            schedule.step()
        parts = {"adversarial": deceived, "discriminator": (seen + unseen) / 2, "l1": error}
        logged = {f"train/{name}": value.detach() for name, value in parts.items()}
        self.log_dict(logged, on_step=False, on_epoch=True, sync_dist=True)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        images, label = batch
        mse = functional.mse_loss(self(images).float(), label)
        self.log("validation/mse", mse, on_epoch=True, prog_bar=True, batch_size=len(images), sync_dist=True)

    def configure_optimizers(self) -> tuple[list[Optimizer], list[LRScheduler]]:
        optimizers: list[Optimizer] = [
            Adam(network.parameters(), lr=self.hparams["learning_rate"], betas=(0.5, 0.999))
            for network in (self.network, self.discriminator)
        ]
        # Lightning counts one step per optimiser, a schedule one per batch.
        batches = max(1.0, self.trainer.estimated_stepping_batches)
        factor = lambda batch: min(1.0, 2 * max(0.0, 1 - batch / batches))  # noqa: E731
        return optimizers, [LambdaLR(optimizer, factor) for optimizer in optimizers]

    def _signed(self, images: Tensor) -> Tensor:
        return images * (2 / (self.hparams["input_top"] or self.hparams["top"])) - 1


def _adversarial(logits: Tensor, *, real: bool) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))
