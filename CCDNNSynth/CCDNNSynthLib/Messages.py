"""Messages in the panel: labels with a bar whose colour shows the kind, readable on light and dark backgrounds."""

import html

import qt

from ccdnn.text import shown

_BARS = {"note": "#3b82c4", "done": "#3a9a5b", "warning": "#d98e04", "error": "#d0453a"}


def show(label, kind: str, *sentences) -> None:
    """Show the sentences in `label`, one paragraph each; hide it if there are none. `kind` is note, done, warning or error."""
    paragraphs = [escaped(sentence) for sentence in sentences if sentence]
    label.visible = bool(paragraphs)
    label.styleSheet = f"QLabel {{ border: 0px solid {_BARS[kind]}; border-left-width: 3px; padding: 2px 0px 2px 6px; }}"
    label.text = "".join(f"<p style='margin: 0px 0px 3px 0px;'>{paragraph}</p>" for paragraph in paragraphs)


def showPlain(label, text: str) -> None:
    """Show plain text in `label`. Names of volumes, files and models can be anything, and Qt would read some as HTML."""
    label.textFormat = qt.Qt.PlainText
    label.text = "\n".join(shown(line, longest=None) for line in text.split("\n"))


def escaped(text: str) -> str:
    """Escape text for a tool tip or an HTML label, and remove control characters."""
    return html.escape(shown(text, longest=None))
