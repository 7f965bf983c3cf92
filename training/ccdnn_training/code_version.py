"""The version of the code that made a result."""

import subprocess
from pathlib import Path

from ccdnn import __version__


def code_version() -> str:
    """Version and, in a git checkout, the commit."""
    try:
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return __version__
    return f"{__version__} ({commit.stdout.strip()})"
