"""Multimodal synthesis (Chartsias, Joyce, Giuffrida and Tsaftaris, IEEE TMI 2018): any subset of contrasts to one latent image.

Each contrast has an encoder to 16 latent maps at full resolution; the maps of all contrasts are fused by their maximum; one
decoder makes the target of any of them. Trained so that every contrast alone, and the fusion, decode to the target, and that the
latent maps of the contrasts agree.
"""

from __future__ import annotations

import torch
from lightning import LightningModule
from torch import Tensor, nn
from torch.nn import functional

LATENT = 16
SLOPE = 0.3


def _conv(maps_in: int, maps_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(maps_in, maps_out, kernel_size=3, padding=1), nn.LeakyReLU(SLOPE, inplace=True))


def _two(maps_in: int, maps_out: int) -> nn.Sequential:
    return nn.Sequential(_conv(maps_in, maps_out), _conv(maps_out, maps_out))


class Encoder(nn.Module):
    """One contrast (batch, 1, row, column) to its latent maps (batch, 16, row, column): a U-Net of 32-64-128 maps."""

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.middle, self.coarse = _two(1, 32), _two(32, 64), _two(64, 128)
        self.to_middle, self.from_middle = _conv(128, 64), _two(128, 64)
        self.to_fine, self.from_fine = _conv(64, 32), _two(64, 32)
        self.latent = _conv(32, LATENT)

    def forward(self, image: Tensor) -> Tensor:
        fine = self.fine(image)
        middle = self.middle(functional.max_pool2d(fine, 2))
        coarse = self.coarse(functional.max_pool2d(middle, 2))
        x = self.from_middle(torch.cat([self.to_middle(_doubled(coarse)), middle], dim=1))
        x = self.from_fine(torch.cat([self.to_fine(_doubled(x)), fine], dim=1))
        return self.latent(x)


class MultimodalNetwork(nn.Module):
    """(batch, contrast, row, column) → (batch, 1, row, column), any height and width."""

    def __init__(self, contrasts: int = 3) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(Encoder() for _ in range(contrasts))
        self.decoder = nn.Sequential(
            _conv(LATENT, 32), _conv(32, 32), _conv(32, 32), _conv(32, 32), nn.Conv2d(32, 1, kernel_size=1)
        )

    def encode(self, images: Tensor) -> Tensor:
        """The latent maps of every contrast: (contrast, batch, 16, row, column)."""
        rows, columns = images.shape[-2:]
        padded = functional.pad(images, (0, -columns % 4, 0, -rows % 4), mode="replicate")
        maps = [encoder(padded[:, c : c + 1]) for c, encoder in enumerate(self.encoders)]
        return torch.stack(maps)[..., :rows, :columns]

    def forward(self, images: Tensor) -> Tensor:
        return self.decoder(self.encode(images).amax(dim=0))


def _initialise(module: nn.Module) -> None:
    """Glorot's uniform weights, the default of Keras, in which the method's authors wrote it."""
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="nearest")


class MultimodalSynthesis(LightningModule):
    """Trains a `MultimodalNetwork`: mean absolute error of every single and of the fused decoding, and the latent maps' variance.

    Args:
        learning_rate: Adam's (1e-4 in the paper of the method).
        latent_weight: of the variance across the contrasts' latent maps.
    """

    def __init__(self, learning_rate: float = 1e-4, latent_weight: float = 1.0) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.network = MultimodalNetwork()

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        images, label = batch
        latent = self.network.encode(images)
        decoded = [self.network.decoder(maps) for maps in (*latent, latent.amax(dim=0))]
        errors = torch.stack([functional.l1_loss(output, label) for output in decoded])
        disagreement = latent.var(dim=0, unbiased=False).mean()
        self.log_dict(
            {"train/error": errors[-1].detach(), "train/disagreement": disagreement.detach()}, on_step=False, on_epoch=True
        )
        return errors.sum() + self.hparams.latent_weight * disagreement

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        images, label = batch
        self.log("validation/mse", functional.mse_loss(self(images), label), on_epoch=True, prog_bar=True, batch_size=len(images))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.hparams.learning_rate)
