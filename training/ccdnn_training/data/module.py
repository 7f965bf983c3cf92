"""The data of one fit, as Lightning wants it."""

from __future__ import annotations

from lightning import LightningDataModule
from torch.utils.data import DataLoader

from ccdnn_training.data.cache import SliceCache
from ccdnn_training.data.patches import PatchDataset, SliceDataset


class CachedSlices(LightningDataModule):
    """Patches of the training subjects, whole slices of the validation subjects.

    Args:
        cache: folder that `ccdnn-train simulate` made.
        patch_size: rows and columns; the network sees 27 × 27 pixels.
        batch_size: patches a step.
        steps_per_epoch: steps that make an epoch, since random patches have no natural end.
        scale_jitter: see `PatchDataset`.
        validation_every: use every n-th validation slice.
        seed: of the patches.
    """

    def __init__(
        self,
        cache: str,
        patch_size: int = 64,
        batch_size: int = 8,
        steps_per_epoch: int = 250,
        scale_jitter: float = 0.05,
        validation_every: int = 3,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.cache, self.patch_size, self.batch_size = cache, patch_size, batch_size
        self.steps_per_epoch, self.scale_jitter, self.seed = steps_per_epoch, scale_jitter, seed
        self.validation_every = validation_every

    def setup(self, stage: str) -> None:
        self._cache = SliceCache(self.cache)

    @property
    def description(self) -> dict:
        """What the model's card says of the data."""
        return {
            "made_by": self._cache.made_by,
            "normalisation": self._cache.normalisation.to_card(),
            "subjects": {part: len(self._cache.part(part)) for part in ("train", "validation")},
        }

    def train_dataloader(self) -> DataLoader:
        """Called at every epoch (`reload_dataloaders_every_n_epochs: 1`): each has patches of its own."""
        dataset = PatchDataset(
            self._cache.part("train"),
            self.patch_size,
            self.batch_size * self.steps_per_epoch,
            seed=self.seed,
            epoch=self.trainer.current_epoch if self.trainer else 0,
            scale_jitter=self.scale_jitter,
        )
        return DataLoader(dataset, batch_size=self.batch_size)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(SliceDataset(self._cache.part("validation"), self.validation_every), batch_size=1)
