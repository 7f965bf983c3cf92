"""The models a user can choose, and their cards, without torch in Slicer's process."""

from dataclasses import dataclass
from pathlib import Path

from slicer.i18n import tr as _

from ccdnn.errors import ModelError
from ccdnn.model.card import PROTOCOL_PARAMETERS, ModelCard
from ccdnn.model.catalog import list_models
from ccdnn.model.header import read_card
from ccdnn.series import Role
from ccdnn.worker.protocol import ModelChoice
from CCDNNSynthLib import Messages


@dataclass(frozen=True)
class Choice:
    """A model: what the parameter node keeps of it, what it is called, and its file."""

    value: str
    title: str
    path: Path
    request: ModelChoice

    def card(self) -> ModelCard:
        """Raises ModelError when the file is gone or no model of ours."""
        return read_card(self.path)


def bundledModels() -> list:
    """The bundled models, the default one first and under the empty value; none where none are installed."""
    try:
        entries = sorted(list_models(), key=lambda entry: not entry.default)
    except ModelError:
        return []
    return [
        Choice("" if entry.default else entry.id, entry.title, entry.path, ModelChoice(path=entry.path, sha256=entry.sha256))
        for entry in entries
    ]


def modelFile(path) -> Choice:
    """A model file of the user's own."""
    path = Path(path)
    return Choice(str(path), path.name, path, ModelChoice(path=path))


def chosenModel(value: str) -> Choice:
    """The model that the parameter node's `value` stands for.

    Raises ModelError when it is neither a bundled one nor a file.
    """
    for choice in bundledModels():
        if choice.value == value:
            return choice
    if not value:
        raise ModelError(_("No model is bundled with this installation; choose a model file."))
    if not Path(value).is_file():
        raise ModelError(_("The model {model} is not there any more; choose another one.").format(model=value))
    return modelFile(value)


def summary(card: ModelCard) -> str:
    """One line for the panel."""
    return _("{name} {version}: {data}").format(name=card.name, version=card.version, data=card.training_data)


def cardAsHtml(card: ModelCard) -> str:
    """The whole card, for people."""
    rows = [(_("Model"), f"{card.name} {card.version}"), (_("Trained on"), card.training_data)]
    for contrast in (*card.contrasts, card.target):
        optional = _("; can do without") if contrast.role in card.optional else ""
        rows.append((Role(contrast.role).label, _protocol(contrast.protocol) + optional))
    rows.append((_("Intensities"), card.normalisation["strategy"].replace("_", " ")))
    rows += [(result.metric, _result(result)) for result in card.results]
    rows += [(_("Licence"), card.licence), (_("Made"), card.created)]
    cells = "".join(
        f"<tr><td><b>{Messages.escaped(name)}</b>&nbsp;&nbsp;</td><td>{Messages.escaped(text)}</td></tr>" for name, text in rows
    )
    return f"<table cellspacing='2'>{cells}</table>"


def _result(result) -> str:
    return _("{mean:.3g} ± {sd:.2g} ({count} of {data})").format(
        mean=result.mean, sd=result.sd, count=result.n, data=result.measured_on
    )


def _protocol(protocol) -> str:
    labels = {"tr_ms": "TR", "te_ms": "TE", "ti_ms": "TI", "flip_angle_deg": "FA"}
    parts = []
    for name in PROTOCOL_PARAMETERS:
        value = getattr(protocol, name)
        if value is None:
            continue
        low, high = protocol.ranges.get(name, (value, value))
        unit = "°" if name == "flip_angle_deg" else " ms"
        parts.append(f"{labels[name]} {low:g}{unit}" if low == high else f"{labels[name]} {low:g}–{high:g}{unit}")
    return ", ".join(parts)
