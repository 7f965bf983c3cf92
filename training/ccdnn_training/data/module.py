"""The data of one fit, as Lightning wants it."""

from __future__ import annotations

from typing import Any

from lightning import LightningDataModule
from torch.utils.data import DataLoader

from ccdnn_training.data.cache import SliceCache
from ccdnn_training.data.epochs import EpochSampler, reading, share_of
from ccdnn_training.data.patches import PatchDataset, SliceDataset


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
        focus: region → share of the patches cut around it, see `PatchDataset`.
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
        focus: dict[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self._first_epoch = 0

    def setup(self, stage: str) -> None:
        self._cache = SliceCache(self.hparams.cache, self.hparams.fold)

    def state_dict(self) -> dict[str, Any]:
        """The epoch a resumed fit begins with: Lightning tells the sampler only after worker processes have read ahead."""
        loop = self.trainer.fit_loop
        return {"epoch": loop.epoch_progress.current.ready - (not loop.epoch_loop.batch_progress.is_last_batch)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._first_epoch = state["epoch"]

    def train_dataloader(self) -> DataLoader:
        """Every epoch has patches of its own; with n processes an epoch has n times as many of them, in as many steps."""
        settings, (processes, rank) = self.hparams, share_of(self.trainer)
        dataset = PatchDataset(
            self._cache.part("train"),
            settings.patch_size,
            settings.batch_size * settings.steps_per_epoch * processes,
            seed=settings.seed,
            scale_jitter=settings.scale_jitter,
            focus=settings.focus,
        )
        sampler = EpochSampler(dataset, processes, rank)
        sampler.set_epoch(self._first_epoch)
        return DataLoader(dataset, settings.batch_size, sampler=sampler, **reading(self.trainer, settings.workers))

    def val_dataloader(self) -> DataLoader:
        dataset = SliceDataset(self._cache.part("validation"), self.hparams.validation_every)
        return DataLoader(dataset, batch_size=1, **reading(self.trainer, min(self.hparams.workers, 1)))
