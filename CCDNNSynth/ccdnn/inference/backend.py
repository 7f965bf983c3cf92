"""The interface between a model and the library that computes it.

Everything above it (windows, batches, fallbacks) uses only NumPy. `ccdnn.inference.libraries` chooses the backend.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

# "mixed" uses bf16 in the fusion, which is most of the work, and float32 elsewhere.
PRECISIONS = ("fp32", "fp16", "bf16", "mixed")


class Backend(Protocol):
    """A network prepared to run on one device in one precision.

    Attributes:
        library: that computes it, with its version, for log and provenance.
    """

    library: str

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Synthesise a batch.

        Args:
            batch: (image, contrast, row, column) float32, normalised.

        Returns:
            (image, 1 or 2, row, column) float32: the STIR, and, if the model has an uncertainty, the logarithm of the error's
            scale. Convolutions see zeros beyond the borders of `batch`.

        Raises:
            RuntimeError, MemoryError: the library's own errors; see `is_out_of_memory`.
        """

    def batch_size(self, rows: int, columns: int) -> int:
        """How many images of this size to compute at a time, at least 1."""

    def release_memory(self) -> None:
        """Return cached memory to the device."""


# (device, precision) → the model on that device in that precision. Device names are torch's.
BackendFactory = Callable[[str, str], Backend]

_OUT_OF_MEMORY = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "alloc_failed",
    "bad_alloc",
)


def is_out_of_memory(error: Exception) -> bool:
    """Whether a backend's `error` means that memory ran out, on any device and in any library."""
    return isinstance(error, MemoryError) or any(phrase in str(error).lower() for phrase in _OUT_OF_MEMORY)
