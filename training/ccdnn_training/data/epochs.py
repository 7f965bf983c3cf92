"""How epochs are read: the items of each process, and the settings of the loaders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lightning import Trainer
from torch.utils.data import Dataset, DistributedSampler


class EpochSampler(DistributedSampler):
    """The (epoch, item) of one process's share of an epoch: of `processes`, process `rank` gets every n-th item, without repeats.

    Lightning sets the epoch (`set_epoch`) and does not replace this sampler, because it is distributed already.
    """

    def __init__(self, dataset: Dataset, processes: int = 1, rank: int = 0) -> None:
        super().__init__(dataset, num_replicas=processes, rank=rank, shuffle=False, drop_last=True)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return ((self.epoch, item) for item in super().__iter__())


def share_of(trainer: Trainer | None) -> tuple[int, int]:
    """(processes, rank) of this process; without a trainer it is the only one."""
    return (trainer.world_size, trainer.global_rank) if trainer else (1, 0)


def reading(trainer: Trainer | None, workers: int) -> dict[str, Any]:
    """Settings of a `DataLoader` with this many worker processes."""
    on_gpu = trainer is not None and trainer.strategy.root_device.type == "cuda"
    return {"num_workers": workers, "persistent_workers": workers > 0, "pin_memory": on_gpu}
