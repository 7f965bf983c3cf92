"""Bodies that are not knees: random regions of random tissues, large and small, smooth and rough, sharp and blurred.

The relation of STIR to the inputs is local. Regions without a knee's layout keep a network from relying on positions in the knee.
"""

from __future__ import annotations

import numpy as np
from scipy import fft

from ccdnn_training.phantom.anatomy import Anatomy

LAYERS = 4
_REGIONS = (6, 18)
_SMALL_PARTS = (10, 80)


def random_regions(rng: np.random.Generator, *, slices: int = 8, matrix: int = 256) -> Anatomy:
    """A body of random regions in air; tissue 0 is air, the others are numbered from 1.

    Voxels have the size of a knee's, 0.3 to 0.6 mm in slices 3.6 mm apart; regions are a few to a hundred voxels long.
    """
    shape = (slices, matrix, matrix)
    pixel = float(rng.uniform(0.3, 0.6))
    spacing = (3.6, pixel, pixel)
    background = _Layer(_winner(rng, int(rng.integers(*_REGIONS)), spacing, shape, (12.0, 60.0)), np.ones(shape, np.float32))
    count = 1 + int(background.tissues.max())

    # A second tissue shares each region's voxels, in its own pattern: real tissue is not uniform.
    pattern = _field(rng, _length(rng, 0.6, 12.0), spacing, shape)
    amplitude = rng.uniform(0, 0.35, count).astype(np.float32)[background.tissues]
    share = np.clip(amplitude * (pattern + 0.5), 0, 1)
    second = _Layer(background.tissues + np.uint8(count), share)

    details = _winner(rng, int(rng.integers(3, 9)), spacing, shape, (2.0, 9.0))
    islands = _field(rng, _length(rng, 2.0, 10.0), spacing, shape)
    covered = np.clip((islands - rng.uniform(0.4, 1.6)) / rng.uniform(0.05, 0.8), 0, 1)
    third = _Layer(details + np.uint8(2 * count), covered)

    sheets = _field(rng, _length(rng, 3.0, 14.0), spacing, shape)
    thin = np.clip(1.2 - np.abs(sheets - rng.uniform(-0.5, 0.5)) / rng.uniform(0.02, 0.12), 0, 1)
    fourth = _Layer(np.full(shape, 2 * count + details.max() + 1, np.uint8), thin * (rng.random() < 0.7))
    _place_small_parts(fourth, rng)

    outline = _outline(rng, spacing, shape)
    texture = 1 + np.float32(rng.uniform(0, 0.08)) * _field(rng, _length(rng, 0.4, 3.0), spacing, shape)
    clear = outline * texture
    amounts = []
    for layer in (fourth, third, second):
        amounts.append(clear * layer.share)
        clear = clear * (1 - layer.share)
    amounts.append(clear)
    tissues = [layer.tissues + np.uint8(1) for layer in (fourth, third, second, background)]
    return Anatomy(np.stack(tissues), np.stack(amounts).astype(np.float16), spacing, np.zeros(shape, np.uint8), (), ())


class _Layer:
    """Tissue numbers, and the share of each voxel that they take from the layers behind, (slice, row, column) each."""

    def __init__(self, tissues: np.ndarray, share: np.ndarray) -> None:
        self.tissues, self.share = tissues.astype(np.uint8), share.astype(np.float32)


def tissue_count(anatomy: Anatomy) -> int:
    return 1 + int(anatomy.tissues.max())


def _winner(
    rng: np.random.Generator, count: int, spacing: tuple[float, ...], shape: tuple[int, ...], lengths: tuple[float, float]
) -> np.ndarray:
    """Numbers 0 … count − 1, (slice, row, column) uint8: in each voxel the index of the highest of `count` smooth fields."""
    best, highest = np.zeros(shape, np.uint8), np.full(shape, -np.inf, np.float32)
    for number in range(count):
        field = _field(rng, _length(rng, *lengths), spacing, shape) + np.float32(rng.normal(0, 0.5))
        best[field > highest] = number
        np.maximum(highest, field, out=highest)
    return best


def _place_small_parts(layer: _Layer, rng: np.random.Generator) -> None:
    """Round parts of one to a dozen pixels, each of its own tissue or of its neighbours' tissue."""
    slices, rows, columns = layer.share.shape
    own = int(layer.tissues.max()) + 1
    for _ in range(int(rng.integers(*_SMALL_PARTS))):
        radius = float(np.exp(rng.uniform(np.log(0.5), np.log(12.0))))
        index, row, column = int(rng.integers(slices)), float(rng.uniform(0, rows)), float(rng.uniform(0, columns))
        reach = int(radius + 3)
        top, left = max(int(row) - reach, 0), max(int(column) - reach, 0)
        window = (index, slice(top, int(row) + reach + 1), slice(left, int(column) + reach + 1))
        part = layer.share[window]
        y, x = np.ogrid[top : top + part.shape[0], left : left + part.shape[1]]
        stretch = rng.uniform(0.4, 2.5)
        distance = np.hypot((y - row) * stretch, x - column) - radius
        covered = np.clip(0.5 - distance / rng.uniform(0.7, 2.0), 0, 1).astype(np.float32)
        stronger = covered > part
        layer.tissues[window][stronger] = own + int(rng.integers(6))
        np.maximum(part, covered, out=part)


def _outline(rng: np.random.Generator, spacing: tuple[float, ...], shape: tuple[int, ...]) -> np.ndarray:
    """1 in the body and 0 in the air around it, with an edge of about a pixel."""
    _, rows, columns = shape
    y, x = np.linspace(-1, 1, rows, dtype=np.float32)[:, None], np.linspace(-1, 1, columns, dtype=np.float32)
    height, width = rng.uniform(0.6, 1.5, 2).astype(np.float32)
    distance = (1 - np.hypot(y / height, x / width)) * rows / 2  # in pixels, roughly
    bumps = _field(rng, _length(rng, 8.0, 40.0), spacing, shape) * np.float32(rng.uniform(0, 12))
    return np.clip((distance + bumps) / np.float32(rng.uniform(0.8, 2.0)) + 0.5, 0, 1)


def _length(rng: np.random.Generator, low: float, high: float) -> float:
    """A length in mm, drawn on a logarithmic scale."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _field(rng: np.random.Generator, length: float, spacing: tuple[float, ...], shape: tuple[int, ...]) -> np.ndarray:
    """A Gaussian random field (slice, row, column) float32 of unit variance, whose bumps are about `length` mm wide.

    In a third of the fields the bumps are elongated along one in-plane direction, like fibres and sheets.
    """
    spectrum = fft.rfftn(rng.standard_normal(shape, dtype=np.float32))
    frequencies = np.meshgrid(
        *(np.fft.fftfreq(n, d).astype(np.float32) for n, d in zip(shape[:2], spacing[:2], strict=True)),
        np.fft.rfftfreq(shape[2], spacing[2]).astype(np.float32),
        indexing="ij",
        sparse=True,
    )
    k, j, i = frequencies
    angle, stretch = rng.uniform(0, np.pi), float(np.exp(rng.uniform(0, 1.5))) if rng.random() < 1 / 3 else 1.0
    along, across = np.cos(angle) * j + np.sin(angle) * i, np.cos(angle) * i - np.sin(angle) * j
    squared = k**2 + (along * np.float32(stretch)) ** 2 + (across / np.float32(stretch)) ** 2
    field = fft.irfftn(spectrum * np.exp(-np.float32(2 * (length / 2) ** 2) * squared * np.float32(np.pi) ** 2 / 2), shape)
    return ((field - field.mean()) / max(float(field.std()), 1e-12)).astype(np.float32)
