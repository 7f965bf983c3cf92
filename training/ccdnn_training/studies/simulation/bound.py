"""The bound of the simulation study: no estimator that sees one pixel has a smaller squared error than the conditional mean
E[STIR | T1-w, T2-w, GRE].

The mean is estimated over the nearest neighbours among many simulated pixels. With noise there are two bounds:

- **one pixel**: the conditional mean given the three noisy intensities of a pixel;
- **regions known**: an oracle that averages out the inputs' noise within each region. It has the conditional mean given the
  noise-free inputs, so only that error and the noise of the reference image remain.

A network lies between the two: it sees neighbours, but does not know where regions end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ccdnn.measure.similarity import psnr_of
from ccdnn_training.physics.noise import add_rician_noise, rician_mean
from ccdnn_training.reporting import markdown_table
from ccdnn_training.studies.simulation.tuples import draw_tuples, signal_maxima, signals_of

TUPLES = 2_000_000
STIR = -1  # the last contrast, estimated from the others


class NearestNeighbourMean:
    """E[target | inputs] as the mean of the targets of the nearest samples.

    Args:
        inputs: (sample, feature).
        targets: (sample,).
        neighbours: too few leave the mean noisy, too many blur it.
        workers: threads per query; −1 for all cores.
    """

    def __init__(self, inputs: np.ndarray, targets: np.ndarray, neighbours: int, workers: int = 1) -> None:
        self._tree, self._targets = cKDTree(inputs), targets
        self._neighbours, self._workers = neighbours, workers

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """The means (…,) at inputs (…, feature)."""
        _, nearest = self._tree.query(inputs, self._neighbours, workers=self._workers)
        return self._targets[nearest].reshape(*inputs.shape[:-1], self._neighbours).mean(axis=-1)


def conditional_mean(
    *,
    input_noise: float = 0.0,
    target_noise: float = 0.0,
    air: float = 0.0,
    tuples: int = TUPLES,
    neighbours: int | None = None,
    seed: int = 0,
    workers: int = 1,
) -> NearestNeighbourMean:
    """E[STIR | T1-w, T2-w, GRE] over tuples of the study.

    Args:
        input_noise, target_noise: Rician noise of the inputs and of the estimated STIR, in per cent as in
            `TupleImages`. The STIR's noise enters through its known mean, not as a random draw.
        air: share of pixels without signal.
        tuples: number of tuples to draw.
        neighbours: by default 24 without input noise and 96 with it, as the conditional mean is smooth on the scale of the noise.
        seed: for the draw.
        workers: see `NearestNeighbourMean`.
    """
    rng = np.random.default_rng((seed, 1))
    signals = signals_of(draw_tuples(rng, tuples))
    signals[: round(air * tuples)] = 0
    sigmas = signal_maxima() / 100
    inputs = [add_rician_noise(signals[:, c], input_noise * sigmas[c], rng) for c in range(signals.shape[1] - 1)]
    targets = rician_mean(signals[:, STIR], target_noise * sigmas[STIR])
    return NearestNeighbourMean(np.stack(inputs, axis=1), targets, neighbours or (96 if input_noise else 24), workers)


@dataclass(frozen=True)
class Bound:
    """The least mean squared error at one level of noise, in units of the largest S0.

    Args:
        noise: per cent.
        one_pixel: for an estimator that sees one pixel.
        regions_known: for the oracle.
    """

    noise: float
    one_pixel: float
    regions_known: float


def bound_over_tuples(noise: float, *, tuples: int = TUPLES, queries: int = 100_000, seed: int = 0, workers: int = 1) -> Bound:
    """Both bounds for tuples drawn as in the study, all equally likely and without air.

    Args:
        noise: Rician noise of inputs and STIR in per cent.
        tuples: number of tuples for the estimate; `queries` others measure its error.
    """
    rng = np.random.default_rng((seed, 2))
    clean = signals_of(draw_tuples(rng, queries))
    sigmas = noise / 100 * signal_maxima()
    noisy = np.stack([add_rician_noise(clean[:, c], sigma, rng) for c, sigma in enumerate(sigmas)], axis=1)

    def error(inputs: np.ndarray, input_noise: float) -> float:
        mean = conditional_mean(input_noise=input_noise, target_noise=noise, tuples=tuples, seed=seed, workers=workers)
        return float(np.mean((mean(inputs[:, :STIR]) - noisy[:, STIR]) ** 2))

    oracle = error(clean, 0.0)
    return Bound(noise, error(noisy, noise) if noise else oracle, oracle)


def bounds_table(bounds: list[Bound]) -> str:
    """PSNR (dB) of each bound, with the STIR's maximum and with 1 as the data range."""
    top = float(signal_maxima()[STIR])
    headings = ("noise", f"one pixel, range {top:.3f} (STIR's maximum)", "one pixel, range 1", f"regions known, range {top:.3f}")
    errors = ((b, ((b.one_pixel, top), (b.one_pixel, 1), (b.regions_known, top))) for b in bounds)
    return markdown_table(headings, ([f"{b.noise:g} %", *(f"{psnr_of(*error):.2f}" for error in of)] for b, of in errors))
