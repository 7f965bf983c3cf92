"""How the panel shows a sentence: as a label with a bar whose colour tells its kind, readable on light and dark backgrounds."""

import html

_BARS = {"note": "#3b82c4", "done": "#3a9a5b", "warning": "#d98e04", "error": "#d0453a"}


def show(label, kind: str, *sentences) -> None:
    """Let `label` show the sentences, a paragraph each; none hides it. `kind` is note, done, warning or error."""
    shown = [html.escape(sentence) for sentence in sentences if sentence]
    label.visible = bool(shown)
    label.styleSheet = f"QLabel {{ border: 0px solid {_BARS[kind]}; border-left-width: 3px; padding: 2px 0px 2px 6px; }}"
    label.text = "".join(f"<p style='margin: 0px 0px 3px 0px;'>{sentence}</p>" for sentence in shown)
