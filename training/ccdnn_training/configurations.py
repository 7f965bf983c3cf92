"""The configurations that come with the package: in `training/configs` of a checkout, in the package's data after pip."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path


def bundled_configurations() -> Path:
    """The folder with `bundled/`, `cohort/` and `studies/`."""
    checkout = Path(__file__).resolve().parents[1] / "configs"
    if checkout.is_dir():
        return checkout
    installed = find_spec("ccdnn_training_configs")
    if installed is None or not installed.submodule_search_locations:
        raise RuntimeError("The configurations are not installed; install ccdnnsynth again.")
    return Path(next(iter(installed.submodule_search_locations)))


def configuration(path: Path | str) -> Path:
    """The file or folder `path`, or the bundled one of that name if there is none at `path`.

    Example:
        >>> configuration("bundled/small.yaml").name
        'small.yaml'
    """
    bundled = bundled_configurations() / path
    return bundled if not Path(path).exists() and bundled.exists() else Path(path)


def with_configurations(arguments: Sequence[str]) -> list[str]:
    """Arguments of a fit, in which `--config bundled/small.yaml` means the bundled file where no other exists."""
    found = list(arguments)
    for place, argument in enumerate(found):
        if argument.startswith("--config="):
            found[place] = f"--config={configuration(argument.removeprefix('--config='))}"
        elif place and found[place - 1] == "--config":
            found[place] = str(configuration(argument))
    return found
