"""The header of a model file: its card, read with neither torch nor safetensors, and before anything else is trusted."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ccdnn.errors import InputError, ModelError
from ccdnn.model.card import ModelCard
from ccdnn.opening import open_regular

CARD_KEY = "ccdnn_card"

# The header of a model is a card of some kB and some hundred tensor entries.
MAX_HEADER_BYTES = 4 << 20
PREFIX_BYTES = 8


def read_card(path: str | Path) -> ModelCard:
    """The card of a model file; its weights are neither read nor checked.

    Raises:
        ModelError: naming the file and what is wrong with it.
    """
    path = Path(path)
    with naming(path), open_regular(path) as file:
        return card_of(file.read(MAX_HEADER_BYTES + PREFIX_BYTES), os.fstat(file.fileno()).st_size)


def card_of(start: bytes, size: int) -> ModelCard:
    """The card in the header of a safetensors file.

    Args:
        start: of the file, its whole header at least.
        size: of the file in bytes.

    Raises:
        ModelError: the file is truncated or something else, or has no card, or a damaged one.
    """
    if len(start) < PREFIX_BYTES:
        raise ModelError("it is too short for a safetensors file.")
    (length,) = struct.unpack("<Q", start[:PREFIX_BYTES])
    if length > min(MAX_HEADER_BYTES, size - PREFIX_BYTES):
        raise ModelError("it is truncated, or is not a safetensors file.")
    try:
        header = json.loads(start[PREFIX_BYTES : PREFIX_BYTES + length])
    except (ValueError, RecursionError):
        raise ModelError("its header is not JSON.") from None
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    if not isinstance(metadata, dict) or not isinstance(metadata.get(CARD_KEY), str):
        raise ModelError("it has no CC-DNN card in its header; it is some other model.")
    return ModelCard.from_json(metadata[CARD_KEY])


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Adds the name of the model file `path` to any error while it is read.

    Raises:
        ModelError: the file is missing or cannot be read, or a ModelError was raised within.
    """
    if not os.path.lexists(path):
        raise ModelError(f"There is no model file {path}.")
    try:
        yield
    except ModelError as error:
        raise ModelError(f"The model file {path} cannot be used: {error}") from error
    except InputError as error:
        raise ModelError(f"The model file cannot be used: {error}") from error
