"""Lightning's command line for this project's module and data, and where a fit keeps its logs and checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning import Callback, LightningDataModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from ccdnn.errors import InputError
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

    def instantiate_trainer(self, **settings: Any) -> Trainer:
        run = Path(self._get(self.config, "run"))
        given = self._get(self.config_init, "trainer", default={})
        folder = str(run / "checkpoints")
        keep = {"dirpath": folder, "enable_version_counter": False}
        settings["callbacks"] = [
            *(given.get("callbacks") or []),
            FiniteGuard(),
            ModelCheckpoint(**keep, filename="last", save_on_train_epoch_end=True),
            ModelCheckpoint(**keep, filename="best", monitor="validation/mse"),
        ]
        if given.get("logger") is None:
            settings["logger"] = [
                CSVLogger(str(run), name="csv", flush_logs_every_n_steps=1),
                TensorBoardLogger(str(run), name="", version="tensorboard"),
            ]
        return super().instantiate_trainer(default_root_dir=str(run), **settings)


def fit(arguments: list[str], callbacks: Sequence[Callback] = ()) -> Trainer:
    """Run `fit` with Lightning's arguments (`--config FILE` and overrides); raises SystemExit where they are wrong.

    The data are of the class that the configuration names under `data: class_path`.

    Args:
        callbacks: to run after those of the configuration.

    Raises:
        InputError: no such checkpoint, a device that is not there, data that cannot be used.
        FitError: see `FiniteGuard`.
    """
    try:
        command = FitCommand(
            ContrastConversion,
            LightningDataModule,
            subclass_mode_data=True,
            args=["fit", *arguments],
            save_config_kwargs={"overwrite": True},
            auto_configure_optimizers=False,
            trainer_defaults={"callbacks": list(callbacks)},
        )
    except (FileNotFoundError, MisconfigurationException) as error:
        raise InputError(f"The fit cannot start: {str(error).rstrip('.!')}.") from error
    return command.trainer
