"""Lightning's command line for this project's module and data, and where a fit keeps its logs and checkpoints."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lightning import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, Timer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from ccdnn.errors import InputError
from ccdnn_training.configurations import with_configurations
from ccdnn_training.fitting.guard import FiniteGuard
from ccdnn_training.fitting.module import ContrastConversion


class FitCommand(LightningCLI):
    """`fit` with `run`, the folder of a fit:

    run/
      checkpoints/last.ckpt   after every epoch, to resume from; best.ckpt where validation was best
      csv/ tensorboard/       logs; each start and resume has its csv/version_N with metrics.csv and config.yaml, all settings
    """

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--run", type=str, default="runs/fit", help="folder for checkpoints and logs")
        # A configuration without `class_path` is for CC-DNN.
        if isinstance(self._model_class, type) and issubclass(ContrastConversion, self._model_class):
            parser.set_defaults({"model": {"class_path": f"{ContrastConversion.__module__}.{ContrastConversion.__qualname__}"}})

    def instantiate_trainer(self, **settings: Any) -> Trainer:
        run = Path(self._get(self.config, "run"))
        given = self._get(self.config_init, "trainer", default={})
        folder = str(run / "checkpoints")
        keep = partial(ModelCheckpoint, dirpath=folder, enable_version_counter=False)
        # The timer counts across stops and resumptions, so `trainer.max_time` limits the whole fit, which ends with an epoch.
        timer, settings["max_time"] = Timer(given.get("max_time"), interval="epoch"), None
        settings["callbacks"] = [
            *(given.get("callbacks") or []),
            FiniteGuard(),
            timer,
            keep(filename="last", save_on_train_epoch_end=True),
            keep(filename="best", monitor="validation/mse"),
        ]
        if given.get("logger") is None:
            settings["logger"] = [
                CSVLogger(str(run), name="csv", flush_logs_every_n_steps=1),
                TensorBoardLogger(str(run), name="", version="tensorboard"),
            ]
        return super().instantiate_trainer(default_root_dir=str(run), **settings)


def fit(arguments: list[str], callbacks: Sequence[Callback] = (), *, kind: type[LightningModule] = LightningModule) -> Trainer:
    """Run `fit` with Lightning's arguments: `--config FILE`, also one of the bundled configurations, and overrides.

    Wrong arguments raise SystemExit.

    The configuration names the classes of model and data under `class_path`; without one the model is CC-DNN.

    Args:
        callbacks: to run after those of the configuration.
        kind: what the model must be.

    Raises:
        InputError: the checkpoint, a device or the data cannot be used.
        FitError: see `FiniteGuard`.
    """
    # Lightning warns when it is called from a program with its own arguments.
    warnings.filterwarnings("ignore", message="LightningCLI's args parameter")
    try:
        command = FitCommand(
            kind,
            LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            args=["fit", *with_configurations(arguments)],
            save_config_kwargs={"overwrite": True},
            auto_configure_optimizers=False,
            trainer_defaults={"callbacks": list(callbacks)},
        )
    except (FileNotFoundError, MisconfigurationException) as error:
        raise InputError(f"The fit cannot start: {str(error).rstrip('.!')}.") from error
    return command.trainer
