"""From a training checkpoint to the model file that the engine and Slicer run."""

from __future__ import annotations

import datetime
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ccdnn.errors import InputError, ModelError
from ccdnn.model.card import MeasuredResult, ModelCard
from ccdnn.model.catalog import CATALOG_NAME
from ccdnn.model.file import Model, load_model
from ccdnn.model.saving import save_model
from ccdnn.writing import write_text
from ccdnn_training.code_version import code_version
from ccdnn_training.data.cache import SliceCache
from ccdnn_training.data.for_card import DataFacts, facts_of_cache, facts_of_simulated_patches
from ccdnn_training.fitting.checkpoint import Checkpoint, read_checkpoint


def export_checkpoint(
    checkpoint: Path,
    cache_folder: Path | None,
    output: Path,
    *,
    name: str,
    version: str,
    licence: str | None = None,
    results: tuple[MeasuredResult, ...] = (),
    start_share: float = 0.0,
) -> str:
    """Write the network of a Lightning `checkpoint` with a card, weights as float16, and return the file's SHA-256.

    Args:
        cache_folder: slice cache it was fitted on (the checkpoint has the fold); None for images simulated during the fit.
        licence: SPDX identifier; if None, Apache-2.0 for simulated knees and not stated for a cohort's own.
        results: figures of this network, which `ccdnn-train evaluate` measured on an export without them.
        start_share: share, 0 to 1, of the model that the fit began with in the mean of the two networks' weights. Such a mean often
            keeps what the first network knew and most of what the fit taught it (WiSE-FT: Wortsman et al., CVPR 2022).

    Raises:
        ModelError: the checkpoint, or the model that the fit began with, cannot be read or is not from a fit of this project.
        InputError: the cache does not exist, or none was named for a fit that used one; a share of a start that there was not.
    """
    if not 0 <= start_share <= 1:
        raise InputError(f"The share {start_share:g} of the first model is not between 0 and 1.")
    fitted = read_checkpoint(checkpoint)
    if start_share:
        _average_with_start(fitted, start_share)
    facts = _facts(fitted.data, cache_folder)
    card = ModelCard(
        name=name,
        version=version,
        branch_width=fitted.network.branch_width,
        fusion_dilations=fitted.network.fusion_dilations,
        contrasts=facts.contrasts[:-1],
        target=facts.contrasts[-1],
        normalisation=facts.normalisation.to_card(),
        training_data=facts.description,
        optional=tuple(name for name, rate in (fitted.data.get("missing") or {}).items() if rate),
        seed=int(fitted.data["seed"]),
        code_version=code_version(),
        training={
            "data": facts.made_by,
            **_started_from(fitted.model),
            **_plain(fitted.model),
            **_plain(fitted.data),
            "epochs": fitted.epochs,
            "steps": fitted.steps,
            **({"start_share": start_share} if start_share else {}),
        },
        licence=licence or facts.licence,
        created=datetime.date.today().isoformat(),
        results=results,
    )
    return save_model(output, fitted.network, card, dtype=torch.float16)


def export_model(
    source: Path, output: Path, *, name: str, version: str, licence: str | None = None, results: tuple[MeasuredResult, ...] = ()
) -> str:
    """Write a model file again under another name, with the figures that were measured on it, and return the file's SHA-256.

    The weights stay as they are, and without `results` the figures of its card too.

    Raises:
        ModelError: `source` cannot be used.
    """
    model = load_model(source)
    card = replace(
        model.card, name=name, version=version, licence=licence or model.card.licence, results=results or model.card.results
    )
    return save_model(output, model.network, card, dtype=stored_type(model))


def stored_type(model: Model) -> torch.dtype:
    """The type that keeps the convolutions of a loaded model as they are in its file."""
    layers = [values for values in model.weights.values() if values.ndim == 4]
    in_16_bits = all((values == values.astype(np.float16)).all() for values in layers)
    return torch.float16 if in_16_bits else torch.float32


def bundle(model: Path, name: str, title: str) -> None:
    """List `model` in the `models.json` next to it, or update its hash there; the first model listed is the default."""
    catalog = model.parent / CATALOG_NAME
    rows = json.loads(catalog.read_text(encoding="utf-8"))["models"] if catalog.exists() else []
    row: dict[str, str | bool] = {
        "id": name,
        "title": title,
        "file": model.name,
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
    }
    others = [other for other in rows if other["id"] != name]
    row["default"] = not any(other["default"] for other in others)
    write_text(json.dumps({"models": [*others, row]}, indent=2) + "\n", catalog)


def read_results(path: Path) -> tuple[MeasuredResult, ...]:
    """Read the figures that `ccdnn-train evaluate` wrote to `path`.

    Raises:
        InputError: the file cannot be read or has other content.
    """
    try:
        return tuple(MeasuredResult(**entry) for entry in json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, ModelError) as error:
        raise InputError(f"{path} is not a results file of `ccdnn-train evaluate` ({error}).") from error


def _facts(data: dict[str, Any], cache_folder: Path | None) -> DataFacts:
    """The card's facts about the data with these settings."""
    if "shares" in data:
        return facts_of_simulated_patches(data)
    if cache_folder is None:
        raise InputError("Name the slice cache that the network was fitted on, after the checkpoint.")
    return facts_of_cache(SliceCache(cache_folder, data.get("fold")))


def _started_from(settings: dict[str, Any]) -> dict[str, str]:
    """The model that the fit began with, if any."""
    if not settings.get("start_from"):
        return {}
    start = load_model(settings["start_from"])
    return {"started_from": f"{start.card.name} {start.card.version}, SHA-256 {start.sha256}"}


def _average_with_start(fitted: Checkpoint, share: float) -> None:
    if not fitted.model.get("start_from"):
        raise InputError("This fit began with random weights, so that there is no earlier model to average with.")
    start = load_model(fitted.model["start_from"]).network.state_dict()
    fitted.network.load_state_dict(
        {
            key: torch.lerp(value, start[key], share) if value.is_floating_point() else value
            for key, value in fitted.network.state_dict().items()
        }
    )


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that are numbers or words; paths of the training machine mean nothing to a reader."""
    shares = {key: settings.get(key) for key in ("focus", "missing", "shares")}
    words = {key: ", ".join(f"{name} {share:g}" for name, share in found.items()) for key, found in shares.items() if found}
    return {
        k: v
        for k, v in {**settings, **words}.items()
        if isinstance(v, (bool, int, float, str)) and k not in ("cache", "knees", "start_from") and not k.startswith("_")
    }
