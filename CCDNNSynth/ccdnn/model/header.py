"""Reads the card in a model file's header, without torch or safetensors, before anything else in the file is trusted."""

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

# A model's header is a card of a few kB and a few hundred tensor entries.
MAX_HEADER_BYTES = 4 << 20
PREFIX_BYTES = 8


def read_card(path: str | Path) -> ModelCard:
    """The card of a model file; its weights are neither read nor checked.

    Raises:
        ModelError: the card cannot be read; the message names the file and the reason.
    """
    path = Path(path)
    with naming(path), open_regular(path) as file:
        return card_of(file.read(MAX_HEADER_BYTES + PREFIX_BYTES), os.fstat(file.fileno()).st_size)


def card_of(start: bytes, size: int) -> ModelCard:
    """The card in the header of a safetensors file.

    Args:
        start: of the file, including at least the whole header.
        size: of the file in bytes.

    Raises:
        ModelError: the file is truncated or not a model, or its card is missing or damaged.
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
        raise ModelError("it has no CC-DNN card in its header, so it is another kind of model.")
    return ModelCard.from_json(metadata[CARD_KEY])


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add the name of the model file `path` to any error raised within.

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
