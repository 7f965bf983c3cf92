"""Lightning's command line for this project's module and data."""

from __future__ import annotations

from lightning.pytorch.cli import LightningCLI

from ccdnn_training.data.module import CachedSlices
from ccdnn_training.fitting.module import ContrastConversion


def fit(arguments: list[str]) -> None:
    """Run `fit` with Lightning's arguments (`--config FILE` and overrides); raises SystemExit where they are wrong."""
    LightningCLI(
        ContrastConversion,
        CachedSlices,
        args=["fit", *arguments],
        save_config_kwargs={"overwrite": True},
        auto_configure_optimizers=False,
    )
