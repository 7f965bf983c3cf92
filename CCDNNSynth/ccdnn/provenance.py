"""Header entries of a synthetic volume that describe how it was made, in words that a reader of the file understands.

The inputs are identified by their coverage and a digest of their voxels, by which a file can be recognised. Names of files, folders
and series are omitted unless requested, because folders are often named after patients. UIDs of the inputs are omitted too: a UID
does not name a patient, but it links to a hospital's archive, and DICOM's confidentiality profile (PS3.15, Table E.1-1) replaces
it. The UIDs that a derived DICOM series needs stay in memory, in `SynthesisResult.sources`. There is no date, so that the same
inputs give the same file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

import numpy as np

from ccdnn import __version__
from ccdnn.model.card import ModelCard
from ccdnn.series import Role
from ccdnn.volume import Volume

NOTICE = "SYNTHETIC image computed by a neural network, not acquired. Research use only, not for diagnosis."
SYNTHETIC_NAME = "synthetic STIR"
MADE_WITHOUT = "CCDNN_Made_Without"
FORCED = "CCDNN_Forced"


def synthetic_header(
    card: ModelCard,
    model_sha256: str,
    inputs: Mapping[Role, Volume],
    coverage: Mapping[Role, float],
    reference: Volume,
    zeroed_share: float,
    missing: Iterable[Role] = (),
    crossing: Mapping[Role, str] | None = None,
    forced: Iterable[str] = (),
    with_names: bool = False,
) -> dict[str, str]:
    """Header entries of a synthetic volume.

    Args:
        inputs: role → the volume used as it.
        coverage: role → share of the reference grid that this volume covers.
        reference: the volume whose grid the result has.
        zeroed_share: share of voxels set to 0 because an input does not cover them.
        missing: roles of the model's inputs that it was made without.
        crossing: role → how its slices lie, for inputs that were interpolated across the result's slices.
        forced: problems that the user overrode by forcing the run, a clause each.
        with_names: whether to include the names of the inputs, which may contain a patient's name.
    """
    constants = ", ".join(f"{name} {value:g}" for name, value in card.normalisation["constants"].items())
    entries = {
        "CCDNN_Notice": NOTICE,
        "CCDNN_Image": SYNTHETIC_NAME,
        "CCDNN_Model": f"{card.name} {card.version}",
        "CCDNN_Model_SHA256": model_sha256,
        "CCDNN_Engine": f"ccdnn {__version__}",
        "CCDNN_Normalisation": f"{card.normalisation['strategy']} ({constants})",
        "CCDNN_Reference": _reference(reference, inputs, with_names),
        "CCDNN_Voxels_Outside_Inputs": f"{zeroed_share:.4f} of all, set to 0",
    }
    for role, volume in inputs.items():
        name = f"{volume.name}, " if with_names else ""
        entries[f"CCDNN_Input_{role.value.upper()}"] = f"{name}covers {coverage[role]:.4f}, voxels {digest_of(volume.array)}"
    if labels := [role.label for role in missing]:
        entries[MADE_WITHOUT] = ", ".join(labels)
    for role, words in (crossing or {}).items():
        entries[f"CCDNN_Other_Plane_{role.value.upper()}"] = words
    if clauses := "; ".join(forced):
        entries[FORCED] = clauses
    return entries


def digest_of(array: np.ndarray) -> str:
    """The first 16 digits of the SHA-256 of voxels, as float32 in the order slice, row, column."""
    return hashlib.sha256(np.ascontiguousarray(array, np.float32).data).hexdigest()[:16]


def digests_of_inputs(header: Mapping[str, str]) -> list[str]:
    """The digests of the inputs' voxels in the header entries of a synthetic volume.

    >>> digests_of_inputs({"CCDNN_Input_T1": "covers 1.0000, voxels 0123456789abcdef", "CCDNN_Model": "small 1.0.0"})
    ['0123456789abcdef']
    """
    inputs = (str(text) for key, text in header.items() if key.startswith("CCDNN_Input_"))
    return [found[1] for text in inputs if (found := re.search(r"voxels ([0-9a-f]{16})$", text))]


def _reference(reference: Volume, inputs: Mapping[Role, Volume], with_names: bool) -> str:
    label = next((role.label for role, volume in inputs.items() if volume is reference), "another series")
    return f"{label}: {reference.name}" if with_names else label


def synthetic_name(header: Mapping[str, str]) -> str:
    """The name of an image with this header: synthetic, and which inputs it was made without."""
    return f"{SYNTHETIC_NAME} without {header[MADE_WITHOUT]}" if MADE_WITHOUT in header else SYNTHETIC_NAME
