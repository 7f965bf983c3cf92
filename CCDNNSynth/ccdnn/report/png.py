"""Slices as PNG: 8-bit grey by window and level, or colours.

No PNG library is both in Slicer and among the engine's dependencies, and the part of the format used here takes a few lines.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np

from ccdnn.chart import LESS, MORE


def png(pixels: np.ndarray, description: str = "") -> bytes:
    """An image file.

    Args:
        pixels: uint8, (row, column) grey or (row, column, 3) RGB.
        description: embedded in the file; viewers show it as the image's description.
    """
    colour_type = 0 if pixels.ndim == 2 else 2
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 8, colour_type, 0, 0, 0)
    rows = np.ascontiguousarray(pixels, np.uint8).reshape(len(pixels), -1)
    unfiltered = np.hstack([np.zeros((len(rows), 1), np.uint8), rows])
    chunks = [_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(unfiltered.tobytes(), 9)), _chunk(b"IEND", b"")]
    if description:
        chunks.insert(1, _chunk(b"tEXt", b"Description\0" + description.encode("latin-1", "replace")))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def grey(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """(row, column) uint8: `low` and below black, `high` and above white; NaN is black."""
    with np.errstate(invalid="ignore"):
        shares = (np.asarray(image, np.float64) - low) / max(high - low, 1e-300)
    return np.rint(np.clip(np.nan_to_num(shares), 0, 1) * 255).astype(np.uint8)


def diverging(image: np.ndarray, limit: float) -> np.ndarray:
    """(row, column, 3) uint8: 0 black, −`limit` and +`limit` in the colours of `ccdnn.chart`; NaN is black."""
    with np.errstate(invalid="ignore"):
        shares = np.clip(np.nan_to_num(np.asarray(image, np.float64) / limit), -1, 1)[..., None]
    below, above = (np.frombuffer(bytes.fromhex(colour[1:]), np.uint8).astype(float) for colour in (LESS, MORE))
    return np.rint(np.where(shares < 0, -shares * below, shares * above)).astype(np.uint8)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
