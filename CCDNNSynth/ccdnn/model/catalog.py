"""The bundled models, listed in `Resources/Models/models.json` with the hash of each file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ccdnn
from ccdnn.errors import InputError, ModelError
from ccdnn.opening import exists, is_file, read_json
from ccdnn.text import shown

if TYPE_CHECKING:
    from ccdnn.model.file import Model

CATALOG_NAME = "models.json"
MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class CatalogEntry:
    """A bundled model: its names, its file and the file's expected SHA-256."""

    id: str
    title: str
    path: Path
    sha256: str
    default: bool = False


def models_folder() -> Path:
    """`Resources/Models`: next to the package in a checkout and in Slicer, in the package `ccdnn_resources` after pip."""
    beside = Path(ccdnn.__file__).resolve().parents[1] / "Resources" / "Models"
    if not beside.is_dir():
        installed = find_spec("ccdnn_resources")
        for location in (installed.submodule_search_locations or []) if installed else []:
            return Path(location) / "Models"
    return beside


def list_models(folder: Path | None = None) -> list[CatalogEntry]:
    """The bundled models, including the default; `folder` replaces `models_folder()`.

    Raises:
        ModelError: the catalogue is missing, damaged or empty.
    """
    path = (folder or models_folder()) / CATALOG_NAME
    if not exists(path):
        raise ModelError(f"No bundled models are installed ({path} does not exist); give a model file instead.")
    try:
        content = read_json(path, MAX_BYTES)
    except InputError as error:
        raise ModelError(f"The list of bundled models cannot be read: {error}") from None
    rows = content.get("models") if isinstance(content, dict) else None
    if not isinstance(rows, list) or not rows:
        raise ModelError(f"The list of bundled models {path} is empty; give a model file instead.")
    entries = [_entry(row, path) for row in rows]
    if len({entry.id for entry in entries}) != len(entries) or sum(entry.default for entry in entries) != 1:
        raise ModelError(f"The list of bundled models {path} needs unique ids and exactly one default.")
    return entries


def resolve_model(name_or_path: str | Path | None = None, folder: Path | None = None) -> Model:
    """Load a model: the default, a bundled one by its id, or a file by its path.

    Raises:
        ModelError: there is no such model, or its file cannot be used (see `load_model`).
    """
    # Imported here because Slicer lists models without loading them in its own process.
    from ccdnn.model.file import load_model

    if name_or_path is not None and (Path(name_or_path).suffix == ".safetensors" or is_file(Path(name_or_path))):
        return load_model(name_or_path)
    entries = list_models(folder)
    for entry in entries:
        if entry.id == name_or_path or (name_or_path is None and entry.default):
            return load_model(entry.path, sha256=entry.sha256)
    raise ModelError(
        f"There is no model {str(name_or_path)!r}; give a model file or a bundled model: {', '.join(e.id for e in entries)}."
    )


def _entry(row: Any, catalog: Path) -> CatalogEntry:
    """Check one row of the catalogue, {"id", "title", "file", "sha256", "default"}."""
    stated = [row.get(key) for key in ("id", "title", "file", "sha256")] if isinstance(row, dict) else [None]
    texts = [text for text in stated if isinstance(text, str) and text]
    if len(texts) != len(stated) or not isinstance(row.get("default", False), bool):
        raise ModelError(
            f"A row of {catalog} needs id, title, file and sha256 as strings, and default as true or false: {shown(row)}."
        )
    model_id, title, file, sha256 = texts
    if file != Path(file).name or "\\" in file or not re.fullmatch("[0-9a-f]{64}", sha256):
        raise ModelError(f"The row {model_id} of {catalog} needs a file in the same folder and a sha256 of 64 hexadecimal digits.")
    return CatalogEntry(model_id, title, catalog.parent / file, sha256, row.get("default", False))
