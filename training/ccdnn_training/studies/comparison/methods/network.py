"""Methods that are networks: fitted by `ccdnn-train fit`, saved as safetensors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from lightning import LightningModule
from lightning.pytorch.callbacks import Timer
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ccdnn.errors import InputError, ModelError
from ccdnn.inference.device import choose_device
from ccdnn.writing import replacing
from ccdnn_training.fitting.command import fit
from ccdnn_training.studies.comparison.methods.method import Fit, Method


class NetworkMethod(Method):
    """A method whose Lightning module, `training`, maps inputs to STIR with its `network`.

    Subclasses set `title` and `training`, and `stop_early` if their papers do so: the epoch with the smallest validation error is
    then kept, otherwise the last one of the schedule. Prediction is plain float32, on the GPU if there is one.
    """

    training: ClassVar[type[LightningModule]]
    suffix: ClassVar[str] = ".safetensors"

    def __init__(self, module: LightningModule) -> None:
        self._device = torch.device(choose_device().name)
        self._module = module.eval().to(self._device)

    @classmethod
    def fit(cls, configs: Sequence[Path], cache: Path, fold: int, run: Path) -> Fit:
        """See `Method.fit`; `configs` are configurations of `ccdnn-train fit`."""
        checkpoints = run / "checkpoints"
        resume = ["--ckpt_path", str(checkpoints / "last.ckpt")] if (checkpoints / "last.ckpt").exists() else []
        data = ["--data.init_args.cache", str(cache), "--data.init_args.fold", str(fold)]
        settings = [argument for config in configs for argument in ("--config", str(config))]
        trainer = fit([*settings, *data, "--run", str(run), *resume], kind=cls.training)
        kept = checkpoints / ("best.ckpt" if cls.stop_early else "last.ckpt")
        if not kept.exists():
            raise InputError(f"The fit of {configs[-1]} ran no validation; lower its check_val_every_n_epoch.")
        chosen = torch.load(kept, map_location="cpu", weights_only=True)
        module = trainer.lightning_module.cpu()
        module.load_state_dict(chosen["state_dict"])
        callbacks = trainer.callbacks  # type: ignore[attr-defined]  # Lightning does not declare it
        (timer,) = (callback for callback in callbacks if isinstance(callback, Timer))
        steps = trainer.global_step // len(trainer.optimizers)  # Lightning counts the steps of every optimiser
        progress = f"{trainer.current_epoch} epochs, {steps} steps; that after epoch {chosen['epoch'] + 1} kept"
        return Fit(cls(module), timer.time_elapsed("train"), device_in_words(trainer.strategy.root_device), progress)

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """See `Method.predict`; slice by slice."""
        slices = torch.from_numpy(np.ascontiguousarray(np.swapaxes(inputs, 0, 1), np.float32))
        with torch.inference_mode():
            outputs = [self._module(image[None].to(self._device))[0, 0].float().cpu().numpy() for image in slices]
        return np.stack(outputs)

    def save(self, path: Path) -> None:
        settings = {name: value for name, value in self._module.hparams.items() if not name.startswith("_")}
        weights = {name: weight.contiguous() for name, weight in self._module.get_submodule("network").state_dict().items()}
        with replacing(path) as partial:
            save_file(weights, partial, {"method": self.title, "settings": json.dumps(settings)})

    @classmethod
    def load(cls, path: Path) -> NetworkMethod:
        try:
            with safe_open(path, "pt") as file:
                header = file.metadata() or {}
                weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            if header.get("method") != cls.title:
                raise ModelError(f"{path} contains {header.get('method', 'no method of the comparison')}, not {cls.title}.")
            module = cls.training(**json.loads(header["settings"]))
            module.get_submodule("network").load_state_dict(weights)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ModelError(f"{path} cannot be read as a fitted {cls.title} ({str(error).splitlines()[0]}).") from error
        return cls(module)


def device_in_words(device: torch.device) -> str:
    """The device's name in tables."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type.upper()}, {torch.get_num_threads()} threads"
