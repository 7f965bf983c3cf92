"""A trial: what is attacked, how, and what must come of it."""

from __future__ import annotations

import contextlib
import hashlib
import io
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import damage
import good_files
from good_files import ARRAY, KINDS, SHAPE, SPACING, Kind

# Stands in the inputs' headers and must not come out again.
SECRETS = ("Doe^Jane", "SECRET-ID", "19700101")
ALLOWED_EXIT_CODES = (0, 3)


@dataclass(frozen=True)
class Trial:
    """Args:
    target: the kind of file.
    how: the damage, by name.
    """

    target: str
    how: str
    make: Callable[[bytes, int, np.random.Generator], bytes]


def draw(seed: int, number: int) -> Trial:
    rng = np.random.default_rng((seed, number))
    target = list(KINDS)[int(rng.integers(len(KINDS)))]
    own = damage.OF_TEXT if KINDS[target].text else damage.OF_DICOM if "DICOM" in target else damage.OF_BINARY
    choices = (*damage.ANYWHERE, *own, *own)
    make = choices[int(rng.integers(len(choices)))]
    return Trial(target, make.__name__, make)


def run(seed: int, number: int, folder: Path) -> tuple[str, str]:
    """How the trial ends (see `attack.Outcome`), and a detail."""
    trial = draw(seed, number)
    kind = KINDS[trial.target]
    path = kind.write(folder)
    good = path.read_bytes()
    content = trial.make(good, kind.header(good), np.random.default_rng((seed, number, 1)))
    path.write_bytes(content)
    before = _hashes(folder)
    try:
        end, detail = _judge(trial, kind, folder, content != good)
    except Exception:
        return "traceback", traceback.format_exc().strip().replace("\n", " | ")[-1500:]
    if _hashes(folder) != before:
        return "damage", "a file of the folder was changed"
    return end, detail


def _judge(trial: Trial, kind: Kind, folder: Path, changed: bool) -> tuple[str, str]:
    from ccdnn.errors import InputError
    from ccdnn.study import read_study

    code, shown = _inspect(folder)
    if code not in ALLOWED_EXIT_CODES:
        return "wrong", f"exit code {code}"
    if secret := next((secret for secret in SECRETS if secret in shown), None):
        return "leak", f"inspect shows {secret}"
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
    if unlike is None or said or _is_meant(trial, kind, unlike):
        return "read", unlike or ""
    return "wrong", unlike


def _inspect(folder: Path) -> tuple[int, str]:
    from ccdnn.cli.main import main

    streams = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
        code = main(["inspect", str(folder)])
    return code, "".join(stream.getvalue() for stream in streams)


def _unlike(volume) -> str | None:
    """How a volume differs from the one that was written, in a word; None where it does not."""
    if volume.array.shape != SHAPE:
        return f"shape {volume.array.shape}"
    if not np.allclose(volume.grid.spacing, SPACING, rtol=1e-3):
        return f"spacing {volume.grid.spacing}"
    if not np.allclose(volume.ijk_to_ras, np.diag([-1.0, -1.0, 3.0, 1.0]), atol=1e-3):
        return "place"
    different = int(np.count_nonzero(volume.array != ARRAY))
    return f"{different} voxels" if different else None


def _is_meant(trial: Trial, kind: Kind, unlike: str) -> bool:
    """Whether a difference is what the damaged file now says: nobody can tell another header, or a changed voxel, from a true one.

    What can be told: damage to voxels that the format checks, a volume that is shorter than its header says, and a DICOM series
    that lost a slice.
    """
    if "DICOM" in trial.target and unlike.startswith("shape"):
        return False
    if kind.checked and trial.make in (*damage.OF_VOXELS, damage.cut):
        return False
    if trial.make in (damage.cut, damage.append_bytes):
        return False
    if trial.make is damage.flip_voxel_bits:
        return unlike.endswith("voxels")
    return True


def _hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*")) if path.is_file()}


__all__ = ["Trial", "draw", "good_files", "run"]
