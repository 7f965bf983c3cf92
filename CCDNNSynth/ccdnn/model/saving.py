"""Writes a network of PyTorch as a model file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from ccdnn.errors import ModelError
from ccdnn.model.card import ModelCard
from ccdnn.model.file import architecture_of
from ccdnn.model.header import CARD_KEY
from ccdnn.model.network import CCDNN
from ccdnn.writing import write_bytes


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
    if (built := network.architecture) != (stated := architecture_of(card)):
        raise ModelError(f"The card of {card.name} states {stated}; the network has {built}.")
    tensors = {}
    for name, tensor in _stored_tensors(network).items():
        tensor = tensor.detach().to("cpu", dtype if tensor.ndim == 4 else torch.float32).contiguous()
        if not tensor.isfinite().all():
            raise ModelError(f"The weights {name} of {card.name} are not finite as {dtype}; nothing was written.")
        tensors[name] = tensor
    content = save(tensors, metadata={CARD_KEY: card.to_json()})
    write_bytes(content, path)
    return hashlib.sha256(content).hexdigest()


def weights_of(network: CCDNN) -> dict[str, np.ndarray]:
    """The weights as `load_model` gives them."""
    return {name: tensor.detach().cpu().float().numpy() for name, tensor in _stored_tensors(network).items()}


def _stored_tensors(network: CCDNN) -> dict[str, Tensor]:
    """Everything that inference needs: the state without the counters of batch normalisation."""
    return {name: tensor for name, tensor in network.state_dict().items() if not name.endswith("num_batches_tracked")}
