"""Attacks on image files. Each must give the right volume or an error message."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path

import damage
import numpy as np
from damage import Damage
from good_files import ARRAY, KINDS, SHAPE, SPACING, Kind

# The inputs' headers contain these; the output must not.
SECRETS = ("Doe^Jane", "SECRET-ID", "19700101")
ALLOWED_EXIT_CODES = (0, 3)


@dataclass(frozen=True)
class Image:
    """A file of one kind, in its own folder."""

    name: str
    kind: Kind

    @property
    def damages(self) -> tuple[Damage, ...]:
        own = damage.OF_TEXT if self.kind.text else damage.OF_DICOM if "DICOM" in self.name else damage.OF_BINARY
        return (*damage.ANYWHERE, *own, *own)

    def make(self, folder: Path) -> Path:
        return self.kind.write(folder)

    def header(self, content: bytes) -> int:
        return self.kind.header(content)

    def judge(self, folder: Path, path: Path, changed: bool, how: Damage) -> tuple[str, str]:
        from ccdnn.errors import InputError
        from ccdnn.study import read_study

        code, shown = _inspect(folder)
        if code not in ALLOWED_EXIT_CODES:
            return "wrong", f"exit code {code}"
        if secret := next((secret for secret in SECRETS if secret in shown), None):
            return "leak", f"inspect shows {secret}"
        if any(not line.isprintable() for line in shown.splitlines()):
            return "leak", "inspect shows control characters"
        try:
            study = read_study(folder)
        except InputError as error:
            return "refused", str(error)
        said = [*study.problems]
        volumes = []
        for series in study.series:
            if series.problem is not None:
                said.append(series.problem)
                continue
            said += series.warnings
            try:
                volume = series.load()
            except InputError as error:
                said.append(str(error))
                continue
            said += volume.warnings
            volumes.append(volume)
        if not volumes:
            return "refused", " ".join(said)
        unlike = next((why for volume in volumes if (why := _unlike(volume)) is not None), None)
        if unlike is None or said or self._is_meant(how, unlike):
            return "read", unlike or ""
        return "wrong", unlike

    def _is_meant(self, how: Damage, unlike: str) -> bool:
        """Whether a difference cannot be detected, because the damaged file is valid in itself.

        Detectable differences are damage to voxels that the format checks, a volume that is shorter than its header states, and a
        DICOM series that lost a slice.
        """
        if "DICOM" in self.name and unlike.startswith("shape"):
            return False
        if self.kind.checked and how in damage.OF_VOXELS:
            return False
        if how in (damage.cut, damage.append_bytes):
            return False
        return how not in damage.OF_VOXELS or unlike.endswith("voxels")


def _inspect(folder: Path) -> tuple[int, str]:
    from ccdnn.cli.main import main

    streams = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
        code = main(["inspect", str(folder)])
    return code, "".join(stream.getvalue() for stream in streams)


def _unlike(volume) -> str | None:
    """How a volume differs from the one that was written; None if it does not."""
    if volume.array.shape != SHAPE:
        return f"shape {volume.array.shape}"
    if not np.allclose(volume.grid.spacing, SPACING, rtol=1e-3):
        return f"spacing {volume.grid.spacing}"
    if not np.allclose(volume.ijk_to_ras, np.diag([-1.0, -1.0, 3.0, 1.0]), atol=1e-3):
        return "place"
    different = int(np.count_nonzero(volume.array != ARRAY))
    return f"{different} voxels" if different else None


TARGETS = tuple(Image(name, kind) for name, kind in KINDS.items())
