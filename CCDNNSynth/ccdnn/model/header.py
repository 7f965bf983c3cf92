"""The header of a model file: its card, read with neither torch nor safetensors, and before anything else is trusted."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ccdnn.errors import ModelError
from ccdnn.model.card import ModelCard

CARD_KEY = "ccdnn_card"

# The header of a model is a card of some kB and some hundred tensor entries.
MAX_HEADER_BYTES = 4 << 20


def read_card(path: str | Path) -> ModelCard:
    """The card of a model file; its weights are neither read nor checked.

    Raises:
        ModelError: naming the file and what is wrong with it.
    """
    path = Path(path)
    with naming(path), path.open("rb") as file:
        try:
            header = json.loads(file.read(header_size(file)))
        except (ValueError, RecursionError) as error:
            raise ModelError("its header is no JSON.") from error
        return card_of(header.get("__metadata__") if isinstance(header, dict) else None)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """What goes wrong while the model file `path` is read is told with its name.

    Raises:
        ModelError: the file is missing or cannot be read, or a ModelError was raised within.
    """
    try:
        yield
    except ModelError as error:
        raise ModelError(f"The model file {path} cannot be used: {error}") from error
    except FileNotFoundError as error:
        raise ModelError(f"There is no model file {path}.") from error
    except OSError as error:
        raise ModelError(f"The model file {path} cannot be read: {error.strerror or error}.") from error


def header_size(file: BinaryIO) -> int:
    """The length of the header, with which a safetensors file begins; `file` stands behind it afterwards.

    Raises:
        ModelError: the file is too short for it, or the length is absurd.
    """
    prefix = file.read(8)
    if len(prefix) < 8:
        raise ModelError("it is too short for a safetensors file.")
    (size,) = struct.unpack("<Q", prefix)
    if size > min(MAX_HEADER_BYTES, os.fstat(file.fileno()).st_size - 8):
        raise ModelError("it is truncated or no safetensors file.")
    return size


def card_of(metadata: Mapping[str, str] | None) -> ModelCard:
    """The card among the texts of a header.

    Raises:
        ModelError: there is none, or it is damaged.
    """
    if not isinstance(metadata, Mapping) or CARD_KEY not in metadata:
        raise ModelError("it has no CC-DNN card in its header; it is some other model.")
    return ModelCard.from_json(metadata[CARD_KEY])
