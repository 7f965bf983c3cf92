"""How the panel shows a sentence: as a label with a bar whose colour tells its kind, readable on light and dark backgrounds."""

import html

import qt

from ccdnn.text import shown

_BARS = {"note": "#3b82c4", "done": "#3a9a5b", "warning": "#d98e04", "error": "#d0453a"}


def show(label, kind: str, *sentences) -> None:
    """Let `label` show the sentences, a paragraph each; none hides it. `kind` is note, done, warning or error."""
    paragraphs = [escaped(sentence) for sentence in sentences if sentence]
    label.visible = bool(paragraphs)
    label.styleSheet = f"QLabel {{ border: 0px solid {_BARS[kind]}; border-left-width: 3px; padding: 2px 0px 2px 6px; }}"
    label.text = "".join(f"<p style='margin: 0px 0px 3px 0px;'>{paragraph}</p>" for paragraph in paragraphs)


def showPlain(label, text: str) -> None:
    """Let `label` show a text as it is: names of volumes, files and models come from anywhere, and Qt takes some for HTML."""
    label.textFormat = qt.Qt.PlainText
    label.text = "\n".join(shown(line, longest=None) for line in text.split("\n"))


def escaped(text: str) -> str:
    """A text for a tool tip, or a part of a label with HTML: as it is, without control characters."""
    return html.escape(shown(text, longest=None))
