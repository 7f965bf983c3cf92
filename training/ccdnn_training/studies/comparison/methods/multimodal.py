"""Multimodal synthesis (Chartsias, Joyce, Giuffrida and Tsaftaris, IEEE TMI 2018): any subset of contrasts to one latent image.

Each contrast has an encoder to 16 latent maps at full resolution (half as many as in its first layer); the maps of all contrasts
are fused by their maximum; one decoder predicts the target from any of them. Trained so that every contrast alone, and the fusion,
decode to the target, and that the latent maps of the contrasts agree.
"""

from __future__ import annotations

import torch
from lightning import LightningModule
from torch import Tensor, nn
from torch.nn import functional

WIDTH = 32
SLOPE = 0.3


def _conv(maps_in: int, maps_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(maps_in, maps_out, kernel_size=3, padding=1), nn.LeakyReLU(SLOPE, inplace=True))


def _two(maps_in: int, maps_out: int) -> nn.Sequential:
    return nn.Sequential(_conv(maps_in, maps_out), _conv(maps_out, maps_out))


class Encoder(nn.Module):
    """One contrast (batch, 1, row, column) to its latent maps (batch, width / 2, row, column): a U-Net of 32-64-128 maps.

    Args:
        width: maps at the finest resolution.
    """

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.fine, self.middle, self.coarse = _two(1, width), _two(width, 2 * width), _two(2 * width, 4 * width)
        self.to_middle, self.from_middle = _conv(4 * width, 2 * width), _two(4 * width, 2 * width)
        self.to_fine, self.from_fine = _conv(2 * width, width), _two(2 * width, width)
        self.latent = _conv(width, width // 2)

    def forward(self, image: Tensor) -> Tensor:
        fine = self.fine(image)
        middle = self.middle(functional.max_pool2d(fine, 2))
        coarse = self.coarse(functional.max_pool2d(middle, 2))
        x = self.from_middle(torch.cat([self.to_middle(_doubled(coarse)), middle], dim=1))
        x = self.from_fine(torch.cat([self.to_fine(_doubled(x)), fine], dim=1))
        return self.latent(x)


class MultimodalNetwork(nn.Module):
    """(batch, contrast, row, column) → (batch, 1, row, column), any height and width.

    Args:
        width: see `Encoder`; the decoder has as many maps.
        contrasts: number of input images.
    """

    def __init__(self, width: int = WIDTH, contrasts: int = 3) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(Encoder(width) for _ in range(contrasts))
        middle = (_conv(width, width) for _ in range(3))
        self.decoder = nn.Sequential(_conv(width // 2, width), *middle, nn.Conv2d(width, 1, kernel_size=1))

    def encode(self, images: Tensor) -> Tensor:
        """The latent maps of every contrast: (contrast, batch, width / 2, row, column)."""
        rows, columns = images.shape[-2:]
        padded = functional.pad(images, (0, -columns % 4, 0, -rows % 4), mode="replicate")
        maps = [encoder(padded[:, c : c + 1]) for c, encoder in enumerate(self.encoders)]
        return torch.stack(maps)[..., :rows, :columns]

    def forward(self, images: Tensor) -> Tensor:
        return self.decoder(self.encode(images).amax(dim=0))


def _initialise(module: nn.Module) -> None:
    """Glorot's uniform weights, the default of Keras, which the method's authors used."""
    if isinstance(module, nn.Conv2d):
        assert module.bias is not None
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="nearest")


class MultimodalSynthesis(LightningModule):
    """Trains a `MultimodalNetwork`: mean absolute error of every single and of the fused decoding, and the latent maps' variance.

    Args:
        learning_rate: Adam's (1e-4 in the paper of the method).
        latent_weight: of the variance across the contrasts' latent maps.
        width: see `Encoder`.
    """

    def __init__(self, learning_rate: float = 1e-4, latent_weight: float = 1.0, width: int = WIDTH) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.network = MultimodalNetwork(width)

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        images, label = batch
        latent = self.network.encode(images)
        decoded = [self.network.decoder(maps) for maps in (*latent, latent.amax(dim=0))]
        errors = torch.stack([functional.l1_loss(output, label) for output in decoded])
        disagreement = latent.var(dim=0, unbiased=False).mean()
        parts = {"train/error": errors[-1].detach(), "train/disagreement": disagreement.detach()}
        self.log_dict(parts, on_step=False, on_epoch=True, sync_dist=True)
        return errors.sum() + self.hparams["latent_weight"] * disagreement

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        images, label = batch
        mse = functional.mse_loss(self(images).float(), label)
        self.log("validation/mse", mse, on_epoch=True, prog_bar=True, batch_size=len(images), sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.hparams["learning_rate"])
