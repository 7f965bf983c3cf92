"""A model is one `.safetensors` file: the weights, with the card as JSON text in the header. Never a pickle."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError, deserialize

from ccdnn.errors import ModelError
from ccdnn.model.architecture import Architecture
from ccdnn.model.card import ModelCard
from ccdnn.model.header import card_of, naming
from ccdnn.opening import open_regular

if TYPE_CHECKING:
    from ccdnn.model.network import CCDNN

# The widest network that a card may describe has a gigabyte of weights.
MAX_BYTES = 2 << 30


@dataclass(frozen=True, eq=False)
class Model:
    """A loaded model: its card, the weights by name (float32), and the file with its SHA-256."""

    card: ModelCard
    weights: Mapping[str, np.ndarray] = field(repr=False)
    path: Path
    sha256: str

    @property
    def architecture(self) -> Architecture:
        return architecture_of(self.card)

    @cached_property
    def network(self) -> CCDNN:
        """The network in PyTorch, in evaluation mode on the CPU. Only training and its tests need it."""
        from ccdnn.model.network import network_with

        return network_with(self.architecture, self.weights)


def architecture_of(card: ModelCard) -> Architecture:
    maps = card.uncertainty.maps if card.uncertainty is not None else 0
    return Architecture(card.branch_width, len(card.contrasts), card.fusion_dilations, maps)


def load_model(path: str | Path, sha256: str | None = None) -> Model:
    """Read a model file, and check everything in it.

    Args:
        sha256: the expected hash of the file; None to skip the check.

    Raises:
        ModelError: the file cannot be used; the message names it and the reason.
    """
    path = Path(path)
    with naming(path):
        # Read once, so that the hashed bytes are the ones used even if the file changes meanwhile.
        with open_regular(path) as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ModelError("it is larger than any CC-DNN.")
        found = hashlib.sha256(content).hexdigest()
        if sha256 is not None and found != sha256.lower():
            raise ModelError(
                f"its SHA-256 is {found}, not {sha256.lower()} as listed: it was altered or damaged; download it again."
            )
        card = card_of(content, len(content))
        try:
            stored = dict(deserialize(content))
        except SafetensorError as error:
            raise ModelError(f"it is truncated, or is not a safetensors file ({error}).") from error
        return Model(card, _checked(stored, architecture_of(card)), path, found)


def _checked(stored: Mapping[str, dict], architecture: Architecture) -> dict[str, np.ndarray]:
    """The weights as float32, after comparing names and shapes with those that the card requires."""
    expected = architecture.tensor_shapes()
    if missing := sorted(set(expected) - set(stored)):
        raise ModelError(f"the weights {missing[0]} are missing ({len(missing)} in all).")
    if extra := sorted(set(stored) - set(expected)):
        raise ModelError(f"it contains the weights {extra[0]}, which a CC-DNN does not have ({len(extra)} in all).")
    weights = {}
    for name, shape in expected.items():
        found = stored[name]
        if tuple(found["shape"]) != shape:
            raise ModelError(f"the weights {name} have the shape {tuple(found['shape'])}, but the card requires {shape}.")
        weights[name] = _as_float32(name, found).reshape(shape)
        if not np.isfinite(weights[name]).all():
            raise ModelError(f"the weights {name} are not finite.")
        if name.endswith("running_var") and not (weights[name] >= 0).all():
            raise ModelError(f"the variances {name} are negative.")
    return weights


def _as_float32(name: str, tensor: Mapping) -> np.ndarray:
    """The values of a tensor as safetensors gives it; NumPy has no bfloat16, which is the upper half of a float32."""
    match tensor["dtype"]:
        case "F32":
            return np.frombuffer(tensor["data"], "<f4").astype(np.float32)
        case "F16":
            return np.frombuffer(tensor["data"], "<f2").astype(np.float32)
        case "BF16":
            return (np.frombuffer(tensor["data"], "<u2").astype(np.uint32) << 16).view(np.float32)
        case other:
            raise ModelError(f"the weights {name} are stored as {other}, not as F32, F16 or BF16.")
