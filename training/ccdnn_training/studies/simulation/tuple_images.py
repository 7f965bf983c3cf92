"""The images of the simulation study: a label map whose regions each have a tuple, imaged with the four sequences.

Image i of a part is always the same: its tuples, shifts and noise come from streams of (seed, part, i), so that a change of one
leaves the others unchanged. 10,000 images in the paper, 70 % train, 20 % validation and 10 % test (section 2.2).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from ccdnn.errors import InputError
from ccdnn_training.data.cache import PARTS
from ccdnn_training.data.epochs import EpochSampler, reading, share_of
from ccdnn_training.physics.noise import add_rician_noise
from ccdnn_training.physics.protocol import INPUT_CONTRASTS
from ccdnn_training.studies.simulation.label_maps import LabelMaps
from ccdnn_training.studies.simulation.tuples import draw_tuples, signal_maxima, signals_of

_TUPLES, _SHIFTS, _NOISE = range(3)  # streams of an image


class TupleImages(Dataset[tuple[Tensor, Tensor]]):
    """Pairs (inputs (3, row, column), label (1, row, column)) float32 in units of the largest S0.

    Args:
        maps: numbers of regions (image, row, column); air, 0, has no signal.
        part: train, validation or test.
        seed: of all parts.
        noise: standard deviation of the Rician noise's channels, in per cent of what each contrast reaches on the whole grid of
            tuples: that maximum is also the data range of PSNR, so that noise alone gives the PSNRs of the paper's percentages.
        shift: every input is displaced, along rows and along columns, by up to this many whole pixels; the label is not.
    """

    def __init__(self, maps: np.ndarray, part: str, *, seed: int = 0, noise: float = 0.0, shift: int = 0) -> None:
        if noise < 0 or shift < 0:
            raise InputError(f"Noise and shift must be 0 or more, not {noise} % and {shift} pixels.")
        self._maps, self._key = maps, (seed, PARTS.index(part))
        self._sigmas, self._shift = noise / 100 * signal_maxima(), shift

    def __len__(self) -> int:
        return len(self._maps)

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor]:
        image = torch.from_numpy(self.image(item))
        return image[:-1], image[-1:]

    def image(self, item: int) -> np.ndarray:
        """All contrasts of an image, (contrast, row, column) float32, in the order of `CONTRASTS`."""
        signals, regions = self.signals(item), self.regions(item)
        shifts = self._stream(item, _SHIFTS).integers(-self._shift, self._shift + 1, (len(INPUT_CONTRASTS), 2))
        shown = [*(displaced(regions, rows, columns) for rows, columns in shifts), regions]
        rng = self._stream(item, _NOISE)
        images = [
            add_rician_noise(signals[where, contrast], sigma, rng)
            for contrast, (where, sigma) in enumerate(zip(shown, self._sigmas, strict=True))
        ]
        return np.stack(images).astype(np.float32, copy=False)

    def regions(self, item: int) -> np.ndarray:
        """The numbers of the regions of an image, (row, column) uint8."""
        return np.asarray(self._maps[item])

    def signals(self, item: int) -> np.ndarray:
        """Magnitudes without noise of every region of an image, (region, contrast) float32."""
        signals = signals_of(self.tuples(item))
        signals[0] = 0
        return signals

    def tuples(self, item: int) -> np.ndarray:
        """S0, T1, T2 and T2* (ms) of every region of an image, (region, 4); those of air are meaningless."""
        return draw_tuples(self._stream(item, _TUPLES), int(self.regions(item).max()) + 1)

    def _stream(self, item: int, purpose: int) -> np.random.Generator:
        return np.random.default_rng((*self._key, item, purpose))


def displaced(regions: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """An image moved down by `rows` and right by `columns` pixels; border pixels fill the gap."""
    height, width = regions.shape
    row = np.clip(np.arange(height) - rows, 0, height - 1)
    column = np.clip(np.arange(width) - columns, 0, width - 1)
    return regions[row[:, None], column]


class TrainingView(Dataset[tuple[Tensor, Tensor]]):
    """Training images in random order, optionally a random square of each, by (epoch, item), see `data.epochs.EpochSampler`.

    Epochs run through permutations of all images, so that no image repeats before all have been seen. The order depends on seed,
    epoch and item alone: a resumed run sees the same images as an uninterrupted one.

    Args:
        images: the training part.
        seed: for the order and the squares.
        length: images per epoch; None for all.
        crop: rows and columns of the square; None for the whole image.
    """

    def __init__(self, images: TupleImages, *, seed: int, length: int | None = None, crop: int | None = None) -> None:
        self._images, self._seed, self._length, self._crop = images, seed, length or len(images), crop

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        epoch, item = key
        number, place = divmod(epoch * self._length + item, len(self._images))
        inputs, label = self._images[int(_order(self._seed, number, len(self._images))[place])]
        if self._crop is None:
            return inputs, label
        rng = np.random.default_rng((self._seed, number, place))
        row, column = (int(rng.integers(size - self._crop + 1)) for size in label.shape[-2:])
        square = (..., slice(row, row + self._crop), slice(column, column + self._crop))
        return inputs[square], label[square]


@lru_cache(maxsize=2)  # a batch may span the end of one pass and the beginning of the next
def _order(seed: int, number: int, count: int) -> np.ndarray:
    """The order of all images in pass `number` through them."""
    return np.random.default_rng((seed, number)).permutation(count)


class SimulationImages(LightningDataModule):
    """The data of the simulation study.

    Args:
        maps: folder made by `ccdnn-train study simulation labels`.
        noise, shift: see `TupleImages`; for training, validation and test alike.
        batch_size: images per step and process.
        crop: side length of random squares to train on, instead of whole images.
        images_per_epoch: None for all training images.
        validation_images: number of validation images, from the first; None for all.
        workers: processes that make images while the network computes.
        seed: for the images and their order.
    """

    def __init__(
        self,
        maps: str,
        noise: float = 0.0,
        shift: int = 0,
        batch_size: int = 16,
        crop: int | None = None,
        images_per_epoch: int | None = None,
        validation_images: int | None = None,
        workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()

    def setup(self, stage: str) -> None:
        self._maps = LabelMaps(self.hparams["maps"])

    def images(self, part: str) -> TupleImages:
        settings = self.hparams
        return TupleImages(self._maps.part(part), part, seed=settings["seed"], noise=settings["noise"], shift=settings["shift"])

    def train_dataloader(self) -> DataLoader:
        """Every epoch has its own order; processes share its images among them."""
        settings = self.hparams
        view = TrainingView(self.images("train"), seed=settings["seed"], length=settings["images_per_epoch"], crop=settings["crop"])
        sampler = EpochSampler(view, *share_of(self.trainer))
        return DataLoader(
            view, settings["batch_size"], sampler=sampler, drop_last=True, **reading(self.trainer, settings["workers"])
        )

    def val_dataloader(self) -> DataLoader:
        images = self.images("validation")
        count = min(self.hparams["validation_images"] or len(images), len(images))
        return DataLoader(
            Subset(images, range(count)), self.hparams["batch_size"], **reading(self.trainer, self.hparams["workers"])
        )
