"""Semi-real studies, computed from a real multi-echo series with the signal equations, so that the STIR is known.

The echoes of one series give the T2 of every voxel and its shares of water and fat; T1 and T2* follow from the kind of tissue.
Equations 1 to 3 then give the four contrasts of a protocol. Anatomy, texture, noise and the coil's shading are real, and the
STIR is exactly consistent with the inputs, unlike in any acquired study.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from ccdnn.errors import InputError
from ccdnn.normalisation import robust_maximum
from ccdnn.series import Series
from ccdnn.volume import Volume
from ccdnn_training.acquisition.chemical_shift import fat_phase
from ccdnn_training.phantom.render import LABELS
from ccdnn_training.physics.noise import add_rician_noise
from ccdnn_training.physics.protocol import CONTRASTS, PAPER_FAT_T1, PAPER_PROTOCOL, Protocol
from ccdnn_training.simulate import Study

LEAST_ECHOES = 4
# T2 of water in tissue, in ms; the T2 of fluid is too long to measure with a series of echoes.
_WATER_T2 = np.geomspace(12.0, 80.0, 20)
_FLUID_T2 = 500.0
_FLUID_FROM = 1.6  # times fat's T2
# T1 of water at 3 T by its T2 (ms): tendon and meniscus, ligament, cartilage and muscle (`physics.tissues`), wet tissue, fluid.
_T1_OF_T2 = ((12, 22, 32, 60, 80, _FLUID_T2), (800, 950, 1400, 1500, 2000, 3600))
# T2' from static field disturbance, in ms: of water, and of fat, most of which lies among trabeculae or is as inhomogeneous.
_T2_PRIME = {"water": 50.0, "fat": 25.0}
_FOREGROUND = 0.08
_REGRESSOR_PIXELS = 300_000
NOISE_PERCENT = 1.0  # added to each contrast, since the echoes' own noise is the same in all of them


@dataclass(frozen=True, eq=False)
class Tissue:
    """The fitted values, each (slice, row, column) float32: densities in the units of the series, T2 in ms; and fat's T2."""

    water: np.ndarray
    water_t2: np.ndarray
    fat: np.ndarray
    fat_t2: float


def echoes_of(series: Sequence[Series]) -> tuple[np.ndarray, np.ndarray, Volume]:
    """Echo times in ms, the echoes (echo, slice, row, column), and the first of them as a volume.

    Args:
        series: all series found at a path; those on the grid shared by most echoes are used.

    Raises:
        InputError: there are fewer than `LEAST_ECHOES` echoes.
    """
    candidates = [
        (one.acquisition.te_ms, one.grid, one) for one in series if one.problem is None and one.grid and one.acquisition.te_ms
    ]
    groups = [[(time, one) for time, other, one in candidates if other.same_as(grid)] for _, grid, _ in candidates]
    largest = max(groups, key=len, default=[])
    chosen = dict(largest)
    if len(chosen) < LEAST_ECHOES:
        raise InputError(
            f"Found {len(chosen)} echoes on one grid, but {LEAST_ECHOES} are needed; give the folder of a multi-echo series "
            "whose files state their echo times."
        )
    times = np.array(sorted(chosen))
    volumes = [chosen[time].load() for time in times]
    return times, np.stack([volume.array for volume in volumes]).astype(np.float32), volumes[0]


def fit_tissue(times: np.ndarray, echoes: np.ndarray) -> Tissue:
    """Fit every voxel: water with its own T2 and fat with one T2 for the whole series, or only fluid where T2 is very long.

    With more than five echoes the first is left out, because imperfect refocusing makes it too small.

    Args:
        times: ms, ascending.
        echoes: (echo, slice, row, column).
    """
    if len(times) > LEAST_ECHOES + 1:
        times, echoes = times[1:], echoes[1:]
    shape = echoes.shape[1:]
    signal = echoes.reshape(len(times), -1)
    smooth = np.stack([ndimage.gaussian_filter(echo, (0, 1, 1)) for echo in echoes]).reshape(len(times), -1)
    body = smooth[0] > _FOREGROUND * robust_maximum(smooth[0])
    single = np.full(signal.shape[1], 1.0, np.float32)
    single[body] = _single_t2(times, smooth[:, body])
    bright = body & (smooth[0] > 0.5 * robust_maximum(smooth[0])) & (single > 70)
    fat_t2 = float(np.median(single[bright])) if bright.any() else 130.0
    fluid = single > _FLUID_FROM * fat_t2

    water, water_t2, fat = (np.zeros(signal.shape[1], np.float32) for _ in range(3))
    for chosen, second_t2 in ((body & ~fluid, fat_t2), (body & fluid, _FLUID_T2)):
        short, t2, second = _two_components(times, signal[:, chosen], smooth[:, chosen], second_t2)
        if second_t2 == _FLUID_T2:  # one water component, with a T2 between the two
            total = short + second
            t2 = np.where(total > 0, (short * t2 + second * _FLUID_T2) / np.maximum(total, 1e-6), t2)
            short, second = total, np.zeros_like(second)
        water[chosen], water_t2[chosen], fat[chosen] = short, t2, second
    return Tissue(water.reshape(shape), np.maximum(water_t2, 1).reshape(shape), fat.reshape(shape), fat_t2)


def semi_real_study(
    times: np.ndarray,
    echoes: np.ndarray,
    grid: Volume,
    *,
    protocol: Protocol = PAPER_PROTOCOL,
    noise_percent: float = NOISE_PERCENT,
    seed: int = 0,
) -> Study:
    """The study that a scanner with this protocol would have acquired from the body in the `echoes`.

    Args:
        times, echoes, grid: as returned by `echoes_of`.
        protocol: of the four contrasts.
        noise_percent: of each contrast's robust maximum, see `physics.noise.add_rician_noise`.
        seed: for the noise.
    """
    tissue = fit_tissue(times, echoes)
    rng = np.random.default_rng(seed)
    t1 = np.interp(tissue.water_t2, *_T1_OF_T2)
    volumes = {}
    for contrast in CONTRASTS:
        sequence = protocol[contrast]
        water = sequence.signal(tissue.water, t1, tissue.water_t2, _t2_star(tissue.water_t2, "water"))
        fat = sequence.signal(tissue.fat, PAPER_FAT_T1, tissue.fat_t2, _t2_star(tissue.fat_t2, "fat"))
        image = np.abs(water + fat * (fat_phase(sequence.te) if sequence.kind == "gradient_echo" else 1))
        image = add_rician_noise(image.astype(np.float32), noise_percent / 100 * robust_maximum(image), rng)
        header = {"SimulatedImage": "computed from a multi-echo series, not acquired", "Contrast": contrast}
        volumes[contrast] = Volume(
            image.astype(np.float32), grid.ijk_to_ras, name=contrast, metadata={**header, **sequence.acquisition.header_entries()}
        )
    record: dict[str, Any] = {
        "seed": seed,
        "effects": [],
        "echo_times_ms": [float(time) for time in times],
        "fat_t2_ms": tissue.fat_t2,
        "protocol": {contrast: protocol[contrast].acquisition.header_entries() for contrast in CONTRASTS},
    }
    return Study(volumes, Volume(_labels(tissue), grid.ijk_to_ras, name="labels"), record)


def _labels(tissue: Tissue) -> np.ndarray:
    """Fat, muscle and fluid where the fit is unambiguous; T2 does not identify other tissues."""
    codes: Mapping[str, int] = {name: code for code, name in LABELS.items()}
    total = tissue.water + tissue.fat
    share = np.divide(tissue.fat, total, out=np.zeros_like(total), where=total > 0)
    there = total > 0.25 * robust_maximum(total)
    labels = np.zeros(total.shape, np.uint8)
    labels[there & (share > 0.85)] = codes["fat"]
    labels[there & (share < 0.2) & (tissue.water_t2 > 25) & (tissue.water_t2 < 50)] = codes["muscle"]
    labels[there & (share < 0.2) & (tissue.water_t2 > 150)] = codes["synovial fluid"]
    return labels


def _t2_star(t2: np.ndarray | float, kind: str) -> np.ndarray:
    return 1 / (1 / np.asarray(t2) + 1 / _T2_PRIME[kind])


def _single_t2(times: np.ndarray, signal: np.ndarray) -> np.ndarray:
    """T2 in ms of one exponential fitted to (echo, voxel), by linear regression of the logarithm weighted by the signal."""
    weight = np.square(signal)
    log = np.log(np.maximum(signal, 1e-6))
    total = weight.sum(axis=0)
    mean_time, mean_log = (times[:, None] * weight).sum(axis=0) / total, (log * weight).sum(axis=0) / total
    slope = (weight * (times[:, None] - mean_time) * (log - mean_log)).sum(axis=0)
    slope /= (weight * (times[:, None] - mean_time) ** 2).sum(axis=0)
    return np.where(slope < -1e-3, -1 / np.minimum(slope, -1e-3), 1e3).astype(np.float32)


def _two_components(
    times: np.ndarray, signal: np.ndarray, smooth: np.ndarray, second_t2: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The best fit of a first component and its T2 (ms, from `_WATER_T2`) and a second of known T2, with non-negative amounts.

    The T2 is fitted to the `smooth` signal, since noise of single voxels would scatter it over all of `_WATER_T2`.
    """
    decays = [np.exp(-times[:, None] / np.array([candidate, second_t2])) for candidate in _WATER_T2]
    errors = np.stack([np.square(smooth - basis @ _amounts(basis, smooth)).sum(axis=0) for basis in decays])
    chosen = errors.argmin(axis=0)
    amounts = np.zeros((2, signal.shape[1]), np.float32)
    for number, basis in enumerate(decays):
        amounts[:, chosen == number] = _amounts(basis, signal[:, chosen == number])
    return amounts[0], _WATER_T2[chosen].astype(np.float32), amounts[1]


def _amounts(basis: np.ndarray, signal: np.ndarray) -> np.ndarray:
    """Non-negative least squares of (echo, voxel) with two components, (2, voxel)."""
    both = np.linalg.pinv(basis) @ signal
    alone = np.maximum((basis.T @ signal) / np.square(basis).sum(axis=0)[:, None], 0)
    return np.where(both[0] < 0, alone * [[0], [1]], np.where(both[1] < 0, alone * [[1], [0]], both))


def regressors_r(images: Mapping[str, np.ndarray], seed: int = 0) -> str:
    """How well single pixels of this study predict its STIR: r of a gradient boosting fitted on every other slice, as text.

    Unlike a model, it is fitted to the study's own protocol and tissues, so it shows how much information the inputs contain.
    The text has r with all inputs and without the GRE.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    scaled = {name: image / robust_maximum(image) for name, image in images.items()}
    body = (scaled["t1"] > _FOREGROUND) | (scaled["t2"] > _FOREGROUND)
    odd = np.zeros_like(body)
    odd[1::2] = True
    rng = np.random.default_rng(seed)
    found = []
    for inputs in (("t1", "t2", "gre"), ("t1", "t2")):
        features = np.stack([scaled[name] for name in inputs], axis=-1)
        fitted, tested = np.flatnonzero(body & odd), body & ~odd
        fitted = rng.choice(fitted, min(len(fitted), _REGRESSOR_PIXELS), replace=False)
        model = HistGradientBoostingRegressor(max_iter=200, random_state=seed)
        model.fit(features.reshape(-1, len(inputs))[fitted], scaled["stir"].ravel()[fitted])
        found.append(float(np.corrcoef(model.predict(features[tested]), scaled["stir"][tested])[0, 1]))
    return f"r = {found[0]:.2f} from T1-w, T2-w and GRE, {found[1]:.2f} without GRE"
