"""Saves measured tables as CSV files."""

from pathlib import Path

import qt
from slicer.i18n import tr as _

from ccdnn.errors import CcdnnError, OutputError
from ccdnn.measure.table import Table
from ccdnn.writing import write_text
from CCDNNSynthLib import Messages


def chooseFile(title: str, suggested: str) -> Path | None:
    """Ask where to save a table; None if the user cancels."""
    chosen = qt.QFileDialog.getSaveFileName(None, title, suggested, _("Tables (*.csv)"))
    return Path(chosen) if chosen else None


def saveTables(label, chosen: Path, tables: dict[str, Table]) -> None:
    """Write tables beside each other, and show in `label` where they are, or why they were not written.

    :param chosen: by the user; .csv is added to a name without a suffix.
    :param tables: what each table's file adds to the chosen name → the table; "" for the chosen name itself.
    """
    named = chosen if chosen.suffix else chosen.with_suffix(".csv")
    paths = {named.with_name(f"{named.stem}{ending}{named.suffix}"): table for ending, table in tables.items()}
    # The file dialog has asked before overwriting the chosen file, but no other.
    agreed = named == chosen and chosen.exists()
    try:
        for path in paths:
            if path.exists() and not agreed:
                raise OutputError(_("{file} already exists; choose another name.").format(file=path))
        for path, table in reversed(paths.items()):  # the chosen file last: once it is there, so are the others
            write_text(table.to_csv(), path)
    except CcdnnError as error:
        Messages.show(label, "error", str(error))
        return
    Messages.show(label, "done", _("Written: {files}.").format(files=", ".join(map(str, paths))))
