"""The data of one fit as Lightning data modules: patches of cached slices, or of studies simulated during the fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from lightning import LightningDataModule
from torch.utils.data import DataLoader

from ccdnn.files import read_volume
from ccdnn_training.data.cache import NormalisedArray, SliceCache
from ccdnn_training.data.epochs import EpochSampler, reading, share_of
from ccdnn_training.data.knees import KneeRecipe, Knees
from ccdnn_training.data.missing import MissingInputs
from ccdnn_training.data.patches import PatchDataset, SliceDataset
from ccdnn_training.data.pool import PatchSettings, PatchStream
from ccdnn_training.data.simulated import FIRST_SEED
from ccdnn_training.data.studies import NORMALISATION, SimulatedStudies
from ccdnn_training.physics.protocol import CONTRASTS, INPUT_CONTRASTS


class _Resumable(LightningDataModule):
    """Stores the first epoch of a resumed fit, since Lightning sets a sampler's epoch only after workers have read ahead."""

    first_epoch = 0

    def state_dict(self) -> dict[str, Any]:
        assert self.trainer is not None
        loop = self.trainer.fit_loop
        return {"epoch": loop.epoch_progress.current.ready - (not loop.epoch_loop.batch_progress.is_last_batch)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.first_epoch = state["epoch"]


class CachedSlices(_Resumable):
    """Patches of the training subjects, whole slices of the validation subjects.

    Args:
        cache: folder made by `ccdnn-train prepare` or `ccdnn-train simulate`.
        fold: fold of a cohort's cache, 1, 2, …; simulated knees have none.
        patch_size: rows and columns; the network sees 27 × 27 pixels.
        batch_size: patches per step and process.
        steps_per_epoch: steps per epoch, since random patches have no natural end.
        scale_jitter: see `PatchDataset`.
        validation_every: use every n-th validation slice.
        seed: for the patches.
        focus: region → share of the patches cut around it, see `PatchDataset`.
        workers: additional processes that cut patches; 0 lets the training process cut them.
        missing: contrast → share of the patches without it, see `MissingInputs`.
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
        missing: dict[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()

    def setup(self, stage: str) -> None:
        self._cache = SliceCache(self.hparams["cache"], self.hparams["fold"])

    def train_dataloader(self) -> DataLoader:
        """Every epoch has its own patches; with n processes an epoch has n times as many of them in the same number of steps."""
        settings, (processes, rank) = self.hparams, share_of(self.trainer)
        dataset = PatchDataset(
            self._cache.part("train"),
            settings["patch_size"],
            settings["batch_size"] * settings["steps_per_epoch"] * processes,
            seed=settings["seed"],
            scale_jitter=settings["scale_jitter"],
            focus=settings["focus"],
            missing=MissingInputs(settings["missing"], self._cache.contrasts[:-1]),
            background=self._cache.normalisation.background,
        )
        sampler = EpochSampler(dataset, processes, rank)
        sampler.set_epoch(self.first_epoch)
        return DataLoader(dataset, settings["batch_size"], sampler=sampler, **reading(self.trainer, settings["workers"]))

    def val_dataloader(self) -> DataLoader:
        arrays = [subject.array() for subject in self._cache.part("validation")]
        dataset = SliceDataset(arrays, self.hparams["validation_every"])
        return DataLoader(dataset, batch_size=1, **reading(self.trainer, min(self.hparams["workers"], 1)))


class SimulatedPatches(_Resumable):
    """Patches of studies that are simulated while the network trains, so that no image repeats; whole slices for validation.

    Args:
        validation: name → slice cache whose validation subjects are used, or a study folder of `ccdnn-train semi-real`. The first
            decides which epoch was best; a network that learns its own images well may still do poorly on real ones.
        shares: kind of study → share of the slices, see `data.studies`.
        knees: folder made by `ccdnn-train simulate-knees`; None renders every knee anew, which needs many cores.
        lesions: share of the newly rendered knees that have edema, and a ganglion.
        patch_size: rows and columns; at least the network's window.
        batch_size: patches per step and process.
        steps_per_epoch: steps per epoch.
        pool_slices, patches_per_slice, scale_jitter, focus: see `data.pool.PatchSettings`.
        missing: contrast → share of the patches without it, see `MissingInputs`.
        validation_every: use every n-th validation slice.
        seed: for studies and patches.
        workers: additional processes that simulate studies.
    """

    def __init__(
        self,
        validation: dict[str, str],
        shares: dict[str, float],
        knees: str | None = None,
        lesions: float = 0.6,
        patch_size: int = 96,
        batch_size: int = 16,
        steps_per_epoch: int = 500,
        pool_slices: int = 480,
        patches_per_slice: int = 16,
        scale_jitter: float = 0.05,
        focus: dict[str, float] | None = None,
        missing: dict[str, float] | None = None,
        validation_every: int = 8,
        seed: int = 0,
        workers: int = 1,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()

    def setup(self, stage: str) -> None:
        self._validation = [_slices_to_validate(Path(folder)) for folder in self.hparams["validation"].values()]

    def train_dataloader(self) -> PatchStream:
        settings, (processes, rank) = self.hparams, share_of(self.trainer)
        return PatchStream(
            SimulatedStudies(
                Knees(settings["knees"], KneeRecipe(lesions=settings["lesions"]), FIRST_SEED["train"]),
                settings["shares"],
                settings["seed"],
            ),
            PatchSettings(
                size=settings["patch_size"],
                batch=settings["batch_size"],
                pool_slices=settings["pool_slices"],
                patches_per_slice=settings["patches_per_slice"],
                missing=MissingInputs(settings["missing"], INPUT_CONTRASTS),
                scale_jitter=settings["scale_jitter"],
                focus=settings["focus"] or {},
            ),
            steps=settings["steps_per_epoch"],
            first_step=self.first_epoch * settings["steps_per_epoch"],
            seed=settings["seed"],
            device=self.trainer.strategy.root_device if self.trainer else "cpu",
            workers=settings["workers"],
            processes=processes,
            rank=rank,
        )

    @property
    def validation_names(self) -> tuple[str, ...]:
        """The names of the loaders of `val_dataloader`, in order."""
        return tuple(self.hparams["validation"])

    def val_dataloader(self) -> list[DataLoader]:
        datasets = [SliceDataset(arrays, self.hparams["validation_every"]) for arrays in self._validation]
        return [DataLoader(dataset, batch_size=1) for dataset in datasets]


def _slices_to_validate(folder: Path) -> list[np.ndarray | NormalisedArray]:
    """Arrays (contrast, slice, row, column), normalised, of a cache's validation subjects or of a study folder."""
    if not (folder / "t1.nrrd").exists():
        return [subject.array() for subject in SliceCache(folder).part("validation")]
    return [np.stack([NORMALISATION.apply(read_volume(folder / f"{contrast}.nrrd").array) for contrast in CONTRASTS])]
