"""The colours of an uncertainty map: from black over purple and orange to light yellow, evenly rising in brightness.

A higher value is always brighter, for every kind of colour vision and in a grey print (the scientific colour map "inferno").
"""

from __future__ import annotations

import numpy as np

from ccdnn.errors import InputError
from ccdnn.measure.scaling import TISSUE_FOREGROUND, TISSUE_PERCENTILE
from ccdnn.normalisation import robust_maximum

_STOPS = ("000004", "210c4a", "57106e", "8a226a", "bc3754", "e45a31", "f98e09", "f9cb35", "fcffa4")
COLOURS_IN_WORDS = "black over purple and orange to light yellow"


def uncertainty_colours(count: int = 256) -> np.ndarray:
    """(count, 3), red, green and blue from 0 to 1, from the lowest value to the highest."""
    stops = np.array([list(bytes.fromhex(stop)) for stop in _STOPS]) / 255
    places, wanted = np.linspace(0, 1, len(stops)), np.linspace(0, 1, count)
    return np.stack([np.interp(wanted, places, stops[:, channel]) for channel in range(3)], axis=1)


def uncertainty_limit(synthetic: np.ndarray, half_widths: np.ndarray) -> float:
    """The half width to show in the lightest colour, rounded: the brightness of tissue (muscle or fat) in the synthetic image.

    It does not depend on the map, so that a colour means the same for every study. If the image shows no tissue, it is the
    largest half width.
    """
    try:
        limit = robust_maximum(synthetic, TISSUE_PERCENTILE, TISSUE_FOREGROUND)
    except InputError:
        limit = float(np.max(half_widths, initial=0.0))
    return float(f"{limit:.2g}") if 0 < limit < np.inf else 1.0


def coloured(half_widths: np.ndarray, limit: float) -> np.ndarray:
    """(…, 3) uint8: 0 in the first colour, `limit` and above in the last; NaN is black."""
    with np.errstate(invalid="ignore"):
        shares = np.clip(np.nan_to_num(np.asarray(half_widths, np.float64) / limit), 0, 1)
    return np.rint(uncertainty_colours()[np.rint(shares * 255).astype(int)] * 255).astype(np.uint8)
