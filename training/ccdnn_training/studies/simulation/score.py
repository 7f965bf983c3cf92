"""Networks of the simulation study on its test images, with the bounds and the paper's figures (section 3.1, Figures 3 and 4).

Images are divided by the largest STIR of the whole grid of tuples before comparison. This maximum is the data range, so all images
share one scale, as in one normalisation of the data set. MS-SSIM is not defined at 128 pixels: five scales need 176.

An image's PSNR is unbounded where its few tuples happen to be easy, so the mean of the images' PSNRs lies far above the PSNR of
the mean squared error; both are reported, and the latter is what training minimises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ccdnn.errors import ModelError
from ccdnn.measure.similarity import mean_squared_error, psnr_of, ssim
from ccdnn.model.network import CCDNN
from ccdnn_training.fitting.checkpoint import read_checkpoint
from ccdnn_training.physics.noise import rician_mean
from ccdnn_training.studies.simulation.bound import STIR, NearestNeighbourMean, conditional_mean
from ccdnn_training.studies.simulation.label_maps import LabelMaps
from ccdnn_training.studies.simulation.tuple_images import TupleImages
from ccdnn_training.studies.simulation.tuples import signal_maxima

NETWORK, ALIGNED = "network", "network, inputs not shifted"
ONE_PIXEL, REGIONS_KNOWN = "bound: one pixel", "bound: regions known"
BATCH = 10


@dataclass(frozen=True)
class Setting:
    """What a fit of the study was made for; two fits with the same setting differ only in seed and size.

    Args:
        noise: Rician noise in per cent.
        shift: largest displacement of the inputs in pixels.
        losses: as text.
    """

    noise: float
    shift: int
    losses: str

    @property
    def title(self) -> str:
        data = "no noise" if not self.noise else f"{self.noise:g} % noise"
        return f"{data}, inputs shifted up to {self.shift} px, {self.losses}" if self.shift else f"{data}, {self.losses}"


TWO_PHASES = "c1 + c2, then c1 + c3"
PAPER = {  # section 3.1: PSNR in dB, SSIM
    Setting(0, 0, TWO_PHASES): (37.39, 0.957),
    Setting(2, 0, TWO_PHASES): (31.28, 0.864),
    Setting(4, 0, TWO_PHASES): (26.39, 0.687),
    Setting(0, 2, "c1"): (21.54, 0.66),
    Setting(0, 2, "c1 + c2"): (26.81, 0.74),
    Setting(2, 0, "c1"): (32.87, 0.90),
    Setting(2, 0, "c1 + c3"): (34.07, 0.92),
}
ABLATIONS = (  # Figure 4: without and with a second loss
    (Setting(0, 2, "c1"), Setting(0, 2, "c1 + c2")),
    (Setting(2, 0, "c1"), Setting(2, 0, "c1 + c3")),
)


@dataclass(frozen=True)
class TrainedNetwork:
    """A checkpoint of a fit on `SimulationImages`.

    Args:
        network: in evaluation mode.
        setting: what it was made for.
        seed: seed of the fit's images.
        size: the fit's size as text.
    """

    network: CCDNN
    setting: Setting
    seed: int
    size: str

    @classmethod
    def load(cls, checkpoint: Path) -> TrainedNetwork:
        """
        Raises:
            ModelError: the checkpoint cannot be read or is not from a fit on `SimulationImages`.
        """
        fitted = read_checkpoint(checkpoint)
        try:
            setting = Setting(fitted.data["noise"], fitted.data["shift"], _losses(fitted.model))
            size = f"{fitted.network.branch_width} maps, {fitted.steps} steps of {_batch(fitted.data)}"
            return cls(fitted.network, setting, fitted.data["seed"], size)
        except KeyError as error:
            raise ModelError(f"{checkpoint} is from a fit on data other than SimulationImages (it has no {error}).") from error

    def images(self, maps: LabelMaps, shift: int | None = None) -> TupleImages:
        """The test images of the setting, optionally with another `shift`."""
        shift = self.setting.shift if shift is None else shift
        return TupleImages(maps.part("test"), "test", seed=self.seed, noise=self.setting.noise, shift=shift)

    @torch.inference_mode()
    def run(self, inputs: np.ndarray) -> np.ndarray:
        """STIR (image, row, column) of inputs (image, 3, row, column)."""
        return self.network(torch.from_numpy(inputs).contiguous(memory_format=torch.channels_last))[:, 0].numpy()


def _losses(model: dict[str, Any]) -> str:
    phases = [
        "c1 + c2" if model["ratio_c2"] else "c1",
        "c1 + c3" if model["ratio_c3"] else "c1",
    ]
    if model["phase_2_from"] >= 1:
        return phases[0]
    return phases[1] if model["phase_2_from"] <= 0 else ", then ".join(phases)


def _batch(data: dict[str, Any]) -> str:
    pixels = f"squares of {data['crop']} pixels" if data["crop"] else "images"
    return f"{data['batch_size']} {pixels}"


@dataclass(frozen=True)
class ImageScore:
    """One method on one test image, scaled by the STIR's maximum, which is the data range of `psnr`."""

    image: int
    method: str
    mse: float
    psnr: float
    ssim: float


class Bounds:
    """Both bounds as methods on images of one noise level. Slow with noise, because every pixel is a separate query.

    Args:
        noise: per cent.
        air: share of the images' pixels that is air, which the estimators know.
        tuples: see `conditional_mean`.
        workers: threads.
    """

    def __init__(self, noise: float, air: float, *, tuples: int, workers: int = 1) -> None:
        self._air = rician_mean(np.zeros(()), noise / 100 * signal_maxima()[STIR])
        self._clean = conditional_mean(target_noise=noise, tuples=tuples, workers=workers)
        self._noisy: NearestNeighbourMean | None = None
        if noise:
            self._noisy = conditional_mean(input_noise=noise, target_noise=noise, air=air, tuples=tuples, workers=workers)

    def run(self, images: TupleImages, item: int, inputs: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """(method, STIR (row, column)) for one image of unshifted inputs (3, row, column)."""
        of_regions = self._clean(images.signals(item)[:, :STIR])
        of_regions[0] = self._air
        known = of_regions[images.regions(item)]
        if self._noisy:
            yield ONE_PIXEL, self._noisy(np.moveaxis(inputs, 0, -1))
            yield REGIONS_KNOWN, known
        else:
            yield ONE_PIXEL, known


def score_network(
    trained: TrainedNetwork, maps: LabelMaps, *, count: int | None = None, on_image: Callable[[int, int], None] | None = None
) -> list[ImageScore]:
    """Scores of a network on the test images of its own setting; a network fitted on shifted inputs is also scored without shifts.

    Args:
        count: number of test images to use, from the first; None for all.
        on_image: called with (images done, images).
    """
    images = trained.images(maps)
    count = min(count or len(images), len(images))
    aligned = trained.images(maps, shift=0) if trained.setting.shift else None
    scores: list[ImageScore] = []
    for first in range(0, count, BATCH):
        items = range(first, min(first + BATCH, count))
        batch = np.stack([images.image(item) for item in items])
        outputs = {NETWORK: trained.run(batch[:, :STIR])}
        if aligned:
            outputs[ALIGNED] = trained.run(np.stack([aligned.image(item)[:STIR] for item in items]))
        for place, item in enumerate(items):
            scores += [score(item, method, output[place], batch[place, STIR]) for method, output in outputs.items()]
            if on_image:
                on_image(item + 1, count)
    return scores


def score_bounds(
    bounds: Bounds, images: TupleImages, *, count: int | None = None, on_image: Callable[[int, int], None] | None = None
) -> list[ImageScore]:
    """Scores of both bounds on unshifted images; the arguments are those of `score_network`."""
    count = min(count or len(images), len(images))
    scores: list[ImageScore] = []
    for item in range(count):
        image = images.image(item)
        scores += [score(item, method, estimate, image[STIR]) for method, estimate in bounds.run(images, item, image[:STIR])]
        if on_image:
            on_image(item + 1, count)
    return scores


def score(image: int, method: str, prediction: np.ndarray, label: np.ndarray) -> ImageScore:
    """How far a prediction (row, column) is from the label."""
    top = signal_maxima()[STIR]
    scaled, reference = prediction / top, label / top
    error = mean_squared_error(scaled, reference)
    return ImageScore(image, method, error, psnr_of(error), ssim(scaled, reference))
