"""Slices as PNG: 8-bit grey by window and level, or colours."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ccdnn.chart import LESS, MORE


def png(pixels: np.ndarray, description: str = "") -> bytes:
    """An image file.

    Args:
        pixels: uint8, (row, column) grey or (row, column, 3) RGB.
        description: embedded in the file; viewers show it as the image's description.

    >>> png(np.zeros((4, 6), np.uint8))[1:4]
    b'PNG'
    """
    entries = PngInfo()
    if description:
        # As bytes, because Pillow would write text beyond Latin-1 as iTXt, which some viewers do not show.
        entries.add_text("Description", description.encode("latin-1", "replace"))
    content = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels, np.uint8)).save(content, "PNG", optimize=True, pnginfo=entries)
    return content.getvalue()


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
