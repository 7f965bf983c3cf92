"""Attacks on the DICOM export through its source's headers. Each must give legal files, or an error message and no files."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import damage
import good_files
import numpy as np
from damage import Damage
from trials import refused_or_read


class Source:
    """A DICOM series that a synthetic volume was made from."""

    name = "DICOM export"
    damages: tuple[Damage, ...] = (damage.replace_a_dicom_value, damage.remove_a_dicom_element, damage.flip_header_bits)

    def make(self, folder: Path) -> Path:
        return good_files.KINDS["DICOM"].write(folder)

    def header(self, content: bytes) -> int:
        return good_files.KINDS["DICOM"].header(content)

    def judge(self, folder: Path, path: Path, changed: bool, how: Damage) -> tuple[str, str]:
        from ccdnn.dicom.export import export_series

        files = sorted(folder.glob("IM*"))
        # The attacked file comes first, since the new series copies its identity from the reference's first file.
        files = [path, *(file for file in files if file != path)]
        out = folder / "out"
        end, detail = refused_or_read(lambda: export_series(_synthetic(), out, files))
        if end == "refused":
            return ("damage", "a refused export left files") if out.exists() else (end, detail)
        if end == "read" and (complaints := _complaints(next(iter(sorted(out.iterdir()))))):
            return "wrong", complaints
        return end, detail


def _synthetic():
    from ccdnn.provenance import SYNTHETIC_NAME
    from ccdnn.volume import Volume

    array = np.random.default_rng(0).uniform(0, 1, good_files.SHAPE)
    about = {"CCDNN_Image": SYNTHETIC_NAME, "CCDNN_Model": "tiny 1", "CCDNN_Input_T1": "covers 1.0000"}
    return Volume(array, np.diag([-1.0, -1.0, 3.0, 1.0]), name="synthetic", metadata=about)


def _complaints(path: Path) -> str:
    """Errors from dciodvfy, David Clunie's validator; none if it is not installed."""
    if shutil.which("dciodvfy") is None:
        return ""
    run = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True, errors="replace", check=False)
    return "; ".join(line for line in (run.stdout + run.stderr).splitlines() if line.startswith(("Error", "Abort")))


TARGETS = (Source(),)
