"""`ccdnn models`: the bundled models, or the card of one."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ccdnn.cli import console
from ccdnn.series import Role

if TYPE_CHECKING:
    from ccdnn.model.card import ModelCard


def add_parser(commands: Any) -> None:
    """Add this command to the subparsers of `ccdnn`."""
    parser = commands.add_parser(
        "models",
        help="list the bundled models, or show the card of one",
        description="List the bundled models, with their hashes checked, or show the card of one: purpose, training data, results.",
    )
    parser.add_argument("model", nargs="?", metavar="NAME|FILE", help="model whose card to show")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Run the command with the parsed `options`.

    Raises:
        ModelError: a model is damaged, altered or missing.
    """
    if options.model is None:
        _list_bundled(options.json)
    else:
        _show_card(options.model, options.json)


def _list_bundled(as_json: bool) -> None:
    from ccdnn.model.catalog import list_models, resolve_model

    bundled = [(entry, resolve_model(entry.id)) for entry in list_models()]
    if as_json:
        rows = [
            {
                "id": entry.id,
                "title": entry.title,
                "default": entry.default,
                "version": model.card.version,
                "branch_width": model.card.branch_width,
                "needs": model.card.required,
                "optional": model.card.optional,
                "bytes": model.path.stat().st_size,
                "sha256": model.sha256,
            }
            for entry, model in bundled
        ]
        console.result(json.dumps(rows, indent=2))
        return
    console.print_table(
        "Bundled models, hashes checked",
        ("name", "title", "version", "width", "needs", "size"),
        (
            (
                entry.id + (" (default)" if entry.default else ""),
                entry.title,
                model.card.version,
                str(model.card.branch_width),
                ", ".join(Role(role).label for role in model.card.required),
                f"{model.path.stat().st_size / 1e6:.1f} MB",
            )
            for entry, model in bundled
        ),
    )


def _show_card(name: str, as_json: bool) -> None:
    from ccdnn.model.catalog import resolve_model

    model = resolve_model(name)
    if as_json:
        console.result(json.dumps({**model.card.entries(), "sha256": model.sha256}, indent=2))
        return
    console.print_table(
        f"{model.card.name} {model.card.version}", ("entry", "value"), _card_rows(model.card, model.sha256), words=True
    )


def _card_rows(card: ModelCard, sha256: str) -> Iterator[tuple[str, str]]:
    from ccdnn.model.file import architecture_of

    yield "SHA-256", sha256
    side = 2 * architecture_of(card).receptive_radius + 1
    maps = f"{card.branch_width} maps per branch, {card.branch_width * len(card.contrasts)} in the fusion"
    yield "network", f"{card.architecture}, {maps}, window {side} × {side} pixels"
    for contrast in card.contrasts:
        need = " (optional)" if contrast.role in card.optional else ""
        yield f"reads {Role(contrast.role).label}{need}", contrast.summary
    yield f"makes {Role(card.target.role).label}", card.target.summary
    yield "normalisation", card.normalisation["strategy"]
    yield "trained on", card.training_data
    yield "code, seed", f"{card.code_version}, {card.seed}"
    yield "created, licence", f"{card.created}, {card.licence}"
    for result in card.results:
        yield result.metric, f"{result.value} (n = {result.n}, {result.measured_on})"
