"""Slices held on a device, where patches are cut from them while new studies replace old ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ccdnn_training.data.cache import TISSUE_THRESHOLD
from ccdnn_training.data.missing import MissingInputs
from ccdnn_training.data.studies import NORMALISATION, SimulatedStudies
from ccdnn_training.phantom.render import LABELS

# Step in rows and columns at which positions in tissue are recorded.
_STRIDE = 8
# Share of patches whose centre may lie in air, since the body's edges and empty air must be learned too.
_ANYWHERE = 0.1


@dataclass(frozen=True)
class PatchSettings:
    """How patches are cut.

    Args:
        size: rows and columns of a patch.
        batch: patches per step.
        pool_slices: slices held at a time.
        patches_per_slice: average number of patches cut from each slice before its study leaves.
        scale_jitter: standard deviation of the logarithm of a random gain on each input: a robust maximum is an estimate.
        focus: region → share of the patches cut around one of its voxels, if the pool has any.
        missing: which inputs are left out.
    """

    size: int
    batch: int
    pool_slices: int
    patches_per_slice: int
    missing: MissingInputs
    scale_jitter: float = 0.0
    focus: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Held:
    """One study in the pool: its slices on the device, and the positions of tissue and of the focus regions in them."""

    contrasts: Tensor  # (contrast, slice, row, column)
    tissue: np.ndarray  # (place, 3): slice, row, column
    regions: Mapping[str, np.ndarray]


class _Studies(Dataset[tuple[Tensor, Tensor]]):
    """Studies by number, made in the worker processes of a `DataLoader`."""

    def __init__(self, studies: SimulatedStudies) -> None:
        self._studies = studies

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        study = self._studies.study(number)
        return torch.from_numpy(study.contrasts), torch.from_numpy(study.labels)


class PatchStream:
    """Batches (inputs (patch, contrast, row, column), label (patch, 1, row, column)) float32 on a device, epoch after epoch.

    Which studies are in the pool at a step, and what is cut from them, depends on the seed and the step alone: a resumed fit sees
    the same patches as an uninterrupted one.

    Args:
        studies: simulated studies by number.
        settings: how patches are cut.
        steps: steps per epoch.
        first_step: number of steps taken before.
        seed: for the cuts.
        device: where the slices are held.
        workers: additional processes that make studies; 0 makes them in the training process.
        processes, rank: for a fit on several devices; each gets every n-th study.
    """

    def __init__(
        self,
        studies: SimulatedStudies,
        settings: PatchSettings,
        *,
        steps: int,
        seed: int,
        first_step: int = 0,
        device: torch.device | str = "cpu",
        workers: int = 0,
        processes: int = 1,
        rank: int = 0,
    ) -> None:
        self._studies, self._settings, self._steps, self._seed = studies, settings, steps, (seed, rank)
        self._step, self._device, self._workers = first_step, torch.device(device), workers
        self._processes, self._rank = processes, rank
        self._schedule = _Schedule(lambda arrival: studies.slices(self._number(arrival)), settings)
        self._held: deque[_Held] = deque()

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(self._steps):
            self._renew()
            yield self._cut(np.random.default_rng((*self._seed, self._step)))
            self._step += 1

    def _renew(self) -> None:
        """Update the pool to this step."""
        if not self._held:
            self._schedule.advance(self._step * self._settings.batch)
            loader = DataLoader(
                _Studies(self._studies),
                batch_size=None,
                sampler=_Numbers(self._number(self._schedule.numbers[0]), self._processes),
                num_workers=self._workers,
                prefetch_factor=1 if self._workers else None,
            )
            self._source = iter(loader)
            self._held = deque(self._next() for _ in self._schedule.numbers)
            return
        came, left = self._schedule.advance(self._step * self._settings.batch)
        self._held.extend(self._next() for _ in range(came))
        for _ in range(left):
            self._held.popleft()

    def _number(self, arrival: int) -> int:
        return arrival * self._processes + self._rank

    def _next(self) -> _Held:
        contrasts, labels = next(self._source)
        stored = contrasts[0, :, ::_STRIDE, ::_STRIDE].numpy()
        tissue = np.argwhere(stored > TISSUE_THRESHOLD) * (1, _STRIDE, _STRIDE)
        codes = {name: code for code, name in LABELS.items()}
        regions = {name: np.argwhere(labels.numpy() == codes[name]) for name in self._settings.focus}
        return _Held(contrasts.to(self._device), tissue, {name: found for name, found in regions.items() if len(found)})

    def _cut(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        settings = self._settings
        weights = np.array([held.contrasts.shape[1] for held in self._held], float)
        patches, gains, missing = [], [], []
        for _ in range(settings.batch):
            held, (index, row, column) = self._place(rng, weights / weights.sum())
            rows, columns = held.contrasts.shape[2:]
            top, left = (
                int(np.clip(middle - settings.size // 2, 0, length - settings.size))
                for middle, length in ((row, rows), (column, columns))
            )
            patch = held.contrasts[:, index, top : top + settings.size, left : left + settings.size]
            turns, mirrored = divmod(int(rng.integers(8)), 2)
            patch = torch.rot90(patch, turns, (-2, -1))
            patches.append(patch.flip(-1) if mirrored else patch)
            gains.append(np.exp(rng.normal(0, settings.scale_jitter, len(patch) - 1)))
            missing.append(settings.missing.draw(rng))
        batch = torch.stack(patches).float()
        inputs, label = batch[:, :-1], batch[:, -1:]
        gain = torch.from_numpy(np.stack(gains).astype(np.float32)).to(self._device)[..., None, None]
        left_out = torch.from_numpy(np.stack(missing)).to(self._device)[..., None, None]
        return torch.where(left_out, torch.full_like(inputs, NORMALISATION.background), inputs * gain), label

    def _place(self, rng: np.random.Generator, weights: np.ndarray) -> tuple[_Held, tuple[int, int, int]]:
        """A study, and the slice, row and column of a patch's centre: in a region of the focus, in tissue, or anywhere."""
        drawn, half = rng.random(), self._settings.size // 2
        for name, share in self._settings.focus.items():
            having = [held for held in self._held if name in held.regions]
            if drawn < share and having:
                held = having[int(rng.integers(len(having)))]
                index, row, column = held.regions[name][int(rng.integers(len(held.regions[name])))]
                # The voxel may lie anywhere in the patch, not only at its centre.
                return held, (int(index), int(row + rng.integers(-half, half)), int(column + rng.integers(-half, half)))
            drawn -= share
        held = self._held[int(rng.choice(len(self._held), p=weights))]
        _, slices, rows, columns = held.contrasts.shape
        if rng.random() < _ANYWHERE or not len(held.tissue):
            return held, (int(rng.integers(slices)), int(rng.integers(rows)), int(rng.integers(columns)))
        index, row, column = held.tissue[int(rng.integers(len(held.tissue)))]
        return held, (int(index), int(row + rng.integers(_STRIDE)), int(column + rng.integers(_STRIDE)))


class _Schedule:
    """Which studies, numbered by arrival, are in the pool after a number of patches. It needs only their sizes.

    Attributes:
        numbers: the studies in the pool, oldest first.
    """

    def __init__(self, slices: Callable[[int], int], settings: PatchSettings) -> None:
        self._slices, self._capacity, self._patches_per_slice = slices, settings.pool_slices, settings.patches_per_slice
        self.numbers: deque[int] = deque()
        self._arrived = self._held = self._due = 0
        while self._held < self._capacity:
            self._arrive()
        self._due = self._patches_per_slice * slices(self._arrived)

    def advance(self, patches: int) -> tuple[int, int]:
        """Advance to `patches` patches in total; returns how many studies arrived and how many left."""
        came = left = 0
        while patches >= self._due:
            self._arrive()
            self._due += self._patches_per_slice * self._slices(self._arrived)
            came += 1
            while self._held - self._slices(self.numbers[0]) >= self._capacity:
                self._held -= self._slices(self.numbers.popleft())
                left += 1
        return came, left

    def _arrive(self) -> None:
        self.numbers.append(self._arrived)
        self._held += self._slices(self._arrived)
        self._arrived += 1


class _Numbers:
    """Every `step`-th number from `first` on, without end."""

    def __init__(self, first: int, step: int) -> None:
        self._first, self._step = first, step

    def __iter__(self) -> Iterator[int]:
        number = self._first
        while True:
            yield number
            number += self._step
