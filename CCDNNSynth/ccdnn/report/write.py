"""Writes a report's files into their own folder, all of them or none."""

from __future__ import annotations

from pathlib import Path

from ccdnn.errors import InputError, OutputError
from ccdnn.opening import is_file, read_text
from ccdnn.report.content import Report
from ccdnn.report.page import INDEX, is_of_report, is_page, render
from ccdnn.writing import replacing_folder

MOST_PAGE_BYTES = 256 << 20


def write_report(folder: Path, report: Report) -> Path:
    """Write the page, its tables, pictures and plots into `folder`; returns the page.

    The folder is created. An existing one is replaced if it is empty or an earlier report without added files.

    Raises:
        OutputError: the folder contains other files or cannot be written; it is unchanged.
    """
    folder = Path(folder)
    check_report_folder(folder)
    contents = render(report)
    with replacing_folder(folder) as temporary:
        for name, content in contents.items():
            (temporary / name).write_bytes(content)
    return folder / INDEX


def check_report_folder(folder: Path) -> None:
    """Check, before the work is done, that a report may be written there.

    Raises:
        OutputError: a file, or a folder that contains more than a report.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OutputError(f"{folder} is a file; give the name of a folder to write the report into.")
    try:
        paths = sorted(folder.iterdir())
        foreign = [path for path in paths if not is_of_report(path.name) or path.is_symlink() or not path.is_file()]
        if paths and not foreign:
            page = folder / INDEX
            foreign = [] if is_file(page) and is_page(read_text(page, MOST_PAGE_BYTES)) else paths[:1]
    except OSError as error:
        raise OutputError(f"{folder} cannot be read: {error.strerror}.") from None
    except InputError:
        foreign = [folder / INDEX]
    if foreign:
        raise OutputError(f"{folder} contains {foreign[0].name}, which is not part of a report; choose a new or empty folder.")
