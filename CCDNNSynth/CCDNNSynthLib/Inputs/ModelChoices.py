"""The models a user can choose and their cards, read without importing torch into Slicer's process."""

from dataclasses import dataclass
from pathlib import Path

from slicer.i18n import tr as _

from ccdnn.errors import ModelError
from ccdnn.model.card import ModelCard
from ccdnn.model.catalog import list_models
from ccdnn.model.header import read_card
from ccdnn.series import Role
from ccdnn.worker.messages import ModelChoice
from CCDNNSynthLib import Messages


@dataclass(frozen=True)
class Choice:
    """A model: its value in the parameter node, its title and its file."""

    value: str
    title: str
    path: Path
    request: ModelChoice

    def card(self) -> ModelCard:
        """Raises ModelError if the file is missing or is not a CC-DNN model."""
        return read_card(self.path)


def bundledModels() -> list:
    """The bundled models, the default one first and with an empty value; an empty list if none are installed."""
    try:
        entries = sorted(list_models(), key=lambda entry: not entry.default)
    except ModelError:
        return []
    return [
        Choice("" if entry.default else entry.id, entry.title, entry.path, ModelChoice(path=entry.path, sha256=entry.sha256))
        for entry in entries
    ]


def modelFile(path) -> Choice:
    """A model file chosen by the user."""
    path = Path(path)
    return Choice(str(path), path.name, path, ModelChoice(path=path))


def chosenModel(value: str) -> Choice:
    """The model that the parameter node's `value` refers to.

    Raises ModelError if it is neither a bundled model nor a file.
    """
    for choice in bundledModels():
        if choice.value == value:
            return choice
    if not value:
        raise ModelError(_("No model is bundled with this installation; choose a model file."))
    if not Path(value).is_file():
        raise ModelError(_("The model file {model} no longer exists; choose another one.").format(model=value))
    return modelFile(value)


def summary(card: ModelCard) -> str:
    """One-line summary for the panel."""
    return _("{name} {version}: {data}").format(name=card.name, version=card.version, data=card.training_data)


def cardAsHtml(card: ModelCard) -> str:
    """The whole card as an HTML table."""
    rows = [(_("Model"), f"{card.name} {card.version}"), (_("Trained on"), card.training_data)]
    for contrast in (*card.contrasts, card.target):
        optional = _("; optional") if contrast.role in card.optional else ""
        rows.append((Role(contrast.role).label, contrast.summary + optional))
    rows.append((_("Intensities"), card.normalisation["strategy"].replace("_", " ")))
    if card.uncertainty is not None:
        rows.append((_("Uncertainty"), _("measured on {subjects}").format(subjects=card.uncertainty.measured_on)))
    rows += [(result.metric, _result(result)) for result in card.results]
    rows += [(_("Licence"), card.licence), (_("Created"), card.created)]
    cells = "".join(
        f"<tr><td><b>{Messages.escaped(name)}</b>&nbsp;&nbsp;</td><td>{Messages.escaped(text)}</td></tr>" for name, text in rows
    )
    return f"<table cellspacing='2'>{cells}</table>"


def _result(result) -> str:
    return _("{value} ({count} of {data})").format(value=result.value, count=result.n, data=result.measured_on)
