"""A model is one `.safetensors` file: the weights, with the card as JSON text in the header. Never a pickle."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ccdnn.errors import ModelError
from ccdnn.model.card import ModelCard
from ccdnn.model.header import CARD_KEY, card_of, naming
from ccdnn.model.network import CCDNN
from ccdnn.opening import open_regular
from ccdnn.writing import write_bytes

# The widest network that a card may describe has a gigabyte of weights.
MAX_BYTES = 2 << 30


@dataclass(frozen=True)
class Model:
    """A loaded model: its card, the network in evaluation mode (float32, CPU), and the file with its SHA-256."""

    card: ModelCard
    network: CCDNN
    path: Path
    sha256: str


def save_model(path: str | Path, network: CCDNN, card: ModelCard, dtype: torch.dtype = torch.float32) -> str:
    """Write `network` and its `card` to `path`, and return the SHA-256 of the file.

    Args:
        dtype: of the stored convolution weights: float32, float16 or bfloat16. The batch normalisation, a thousandth of
            the size, stays float32, since its variances span more decades than 16-bit numbers do.

    Raises:
        ModelError: the card describes another network, or a weight is not finite in `dtype`.
        OutputError: the file cannot be written; an existing file at `path` is unchanged.
    """
    path = Path(path)
    stated = (card.branch_width, len(card.contrasts), card.fusion_dilations)
    if (built := (network.branch_width, network.contrasts, network.fusion_dilations)) != stated:
        words = "{} maps per branch, {} contrasts and the fusion dilations {}"
        raise ModelError(f"The card of {card.name} states {words.format(*stated)}; the network has {words.format(*built)}.")
    tensors = {}
    for name, tensor in _stored_tensors(network).items():
        tensor = tensor.detach().to("cpu", dtype if tensor.ndim == 4 else torch.float32).contiguous()
        if not tensor.isfinite().all():
            raise ModelError(f"The weights {name} of {card.name} are not finite as {dtype}; nothing was written.")
        tensors[name] = tensor
    content = save(tensors, metadata={CARD_KEY: card.to_json()})
    write_bytes(content, path)
    return hashlib.sha256(content).hexdigest()


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
            stored = load(content)
        except SafetensorError as error:
            raise ModelError(f"it is truncated, or is not a safetensors file ({error}).") from error
        return Model(card, _network_with(stored, card), path, found)


def _network_with(stored: Mapping[str, Tensor], card: ModelCard) -> CCDNN:
    # Compare names and shapes with a network that uses no memory, so that a forged file cannot exhaust it.
    with torch.device("meta"):
        expected = _stored_tensors(_network_of(card))
    if missing := sorted(set(expected) - set(stored)):
        raise ModelError(f"the weights {missing[0]} are missing ({len(missing)} in all).")
    if extra := sorted(set(stored) - set(expected)):
        raise ModelError(f"it contains the weights {extra[0]}, which a CC-DNN does not have ({len(extra)} in all).")
    weights = {}
    for name, tensor in expected.items():
        found = stored[name]
        if found.shape != tensor.shape:
            raise ModelError(
                f"the weights {name} have the shape {tuple(found.shape)}, but the card requires {tuple(tensor.shape)}."
            )
        if found.dtype not in (torch.float32, torch.float16, torch.bfloat16):
            raise ModelError(f"the weights {name} are stored as {found.dtype}, not as float32, float16 or bfloat16.")
        weights[name] = found.float()
        if not weights[name].isfinite().all():
            raise ModelError(f"the weights {name} are not finite.")
        if name.endswith("running_var") and not (weights[name] >= 0).all():
            raise ModelError(f"the variances {name} are negative.")
    network = _network_of(card)
    network.load_state_dict(weights, strict=False)  # only the batch counters are missing, as checked above
    return network.eval().requires_grad_(False)


def _network_of(card: ModelCard) -> CCDNN:
    return CCDNN(card.branch_width, len(card.contrasts), card.fusion_dilations)


def _stored_tensors(network: CCDNN) -> dict[str, Tensor]:
    """Everything that inference needs: the state without the counters of batch normalisation."""
    return {name: tensor for name, tensor in network.state_dict().items() if not name.endswith("num_batches_tracked")}
