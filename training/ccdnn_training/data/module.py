"""The data of one fit, as Lightning wants it."""

from __future__ import annotations

from typing import Any

from lightning import LightningDataModule
from torch.utils.data import DataLoader

from ccdnn_training.data.cache import SliceCache
from ccdnn_training.data.patches import EpochSampler, PatchDataset, SliceDataset


class CachedSlices(LightningDataModule):
    """Patches of the training subjects, whole slices of the validation subjects.

    Args:
        cache: folder that `ccdnn-train prepare` or `ccdnn-train simulate` made.
        fold: of a cohort's cache, 1, 2, …; simulated knees have none.
        patch_size: rows and columns; the network sees 27 × 27 pixels.
        batch_size: patches a step, in each of the processes where there are several.
        steps_per_epoch: steps that make an epoch, since random patches have no natural end.
        scale_jitter: see `PatchDataset`.
        validation_every: use every n-th validation slice.
        seed: of the patches.
        workers: processes that cut patches beside the one that trains; 0 where that one has time for it.
    """

    def __init__(
        self,
        cache: str,
        fold: int | None = None,
        patch_size: int = 64,
        batch_size: int = 8,
        steps_per_epoch: int = 250,
        scale_jitter: float = 0.05,
        validation_every: int = 3,
        seed: int = 0,
        workers: int = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.cache, self.fold, self.patch_size, self.batch_size = cache, fold, patch_size, batch_size
        self.steps_per_epoch, self.scale_jitter, self.seed = steps_per_epoch, scale_jitter, seed
        self.validation_every, self.workers = validation_every, workers

    def setup(self, stage: str) -> None:
        self._cache = SliceCache(self.cache, self.fold)

    def train_dataloader(self) -> DataLoader:
        """Every epoch has patches of its own; with n processes an epoch has n times as many of them, in as many steps."""
        processes, rank = (self.trainer.world_size, self.trainer.global_rank) if self.trainer else (1, 0)
        dataset = PatchDataset(
            self._cache.part("train"),
            self.patch_size,
            self.batch_size * self.steps_per_epoch * processes,
            seed=self.seed,
            scale_jitter=self.scale_jitter,
        )
        return DataLoader(dataset, self.batch_size, sampler=EpochSampler(dataset, processes, rank), **self._reading(self.workers))

    def val_dataloader(self) -> DataLoader:
        dataset = SliceDataset(self._cache.part("validation"), self.validation_every)
        return DataLoader(dataset, batch_size=1, **self._reading(min(self.workers, 1)))

    def _reading(self, workers: int) -> dict[str, Any]:
        on_gpu = self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"
        return {"num_workers": workers, "persistent_workers": workers > 0, "pin_memory": on_gpu}
