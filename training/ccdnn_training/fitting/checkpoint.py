"""Reading CC-DNN's checkpoints of `ccdnn-train fit`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from ccdnn.errors import ModelError
from ccdnn.model.architecture import UNDILATED
from ccdnn.model.network import CCDNN
from ccdnn_training.fitting.module import ContrastConversion

_PREFIX = "network."
_CC_DNN = f"{ContrastConversion.__module__}.{ContrastConversion.__qualname__}"


@dataclass(frozen=True)
class Checkpoint:
    """The result of a fit.

    Args:
        network: in evaluation mode, on the CPU.
        model, data: the settings of the Lightning module and of the data module.
        epochs, steps: how long it was fitted.
    """

    network: CCDNN
    model: dict[str, Any]
    data: dict[str, Any]
    epochs: int
    steps: int


def read_checkpoint(path: Path) -> Checkpoint:
    """
    Raises:
        ModelError: the file cannot be read or is not from a fit of CC-DNN.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        model, data = dict(content["hyper_parameters"]), dict(content["datamodule_hyper_parameters"])
        weights = {key.removeprefix(_PREFIX): value for key, value in content["state_dict"].items() if key.startswith(_PREFIX)}
        if (kind := model.pop("_class_path", _CC_DNN)) != _CC_DNN:
            raise ModelError(f"{path} is a fit of {kind.rpartition('.')[2]}; the engine runs only CC-DNN.")
        network = CCDNN(model["branch_width"], fusion_dilations=model.get("fusion_dilations") or UNDILATED)
        network.load_state_dict(weights)
        return Checkpoint(network.eval(), model, data, int(content["epoch"]) + 1, int(content["global_step"]))
    except (OSError, EOFError, UnpicklingError, KeyError, TypeError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{path} is not a checkpoint of `ccdnn-train fit` ({reason}).") from error
