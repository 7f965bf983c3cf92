"""What a synthetic volume says about itself wherever it goes: header entries in words that a reader of the file understands.

No UID of the inputs is among them. A UID names no patient, but it links to a hospital's archive, and DICOM's confidentiality
profile (PS3.15, Table E.1-1) has it replaced. The UIDs that a derived DICOM series needs stay in memory, with the inputs, in
`SynthesisResult.sources`. Nor is there a date: the same inputs give the same file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ccdnn import __version__
from ccdnn.model.card import ModelCard
from ccdnn.series import Role

NOTICE = "SYNTHETIC image computed by a neural network, not acquired. Research use only, not for diagnosis."
SYNTHETIC_NAME = "synthetic STIR"
MADE_WITHOUT = "CCDNN_Made_Without"


def synthetic_header(
    card: ModelCard,
    model_sha256: str,
    inputs: Mapping[Role, str],
    coverage: Mapping[Role, float],
    reference: str,
    zeroed_share: float,
    missing: Iterable[Role] = (),
    crossing: Mapping[Role, str] | None = None,
) -> dict[str, str]:
    """Header entries of a synthetic volume.

    Args:
        inputs: role → name of the series used as it.
        coverage: role → share of the reference grid that this series covers.
        reference: name of the series, or file, whose grid the volume has.
        zeroed_share: share of voxels set to 0 since an input does not reach there.
        missing: roles of the model's inputs that it was made without.
        crossing: role → how its slices lie, of inputs that were interpolated across the result's slices.
    """
    constants = ", ".join(f"{name} {value:g}" for name, value in card.normalisation["constants"].items())
    entries = {
        "CCDNN_Notice": NOTICE,
        "CCDNN_Image": SYNTHETIC_NAME,
        "CCDNN_Model": f"{card.name} {card.version}",
        "CCDNN_Model_SHA256": model_sha256,
        "CCDNN_Engine": f"ccdnn {__version__}",
        "CCDNN_Normalisation": f"{card.normalisation['strategy']} ({constants})",
        "CCDNN_Reference": reference,
        "CCDNN_Voxels_Outside_Inputs": f"{zeroed_share:.4f} of all, set to 0",
    }
    for role, name in inputs.items():
        entries[f"CCDNN_Input_{role.value.upper()}"] = f"{name} (covers {coverage[role]:.4f})"
    if labels := [role.label for role in missing]:
        entries[MADE_WITHOUT] = ", ".join(labels)
    for role, words in (crossing or {}).items():
        entries[f"CCDNN_Other_Plane_{role.value.upper()}"] = words
    return entries


def synthetic_name(header: Mapping[str, str]) -> str:
    """What to call an image with this header: that it is synthetic, and which inputs it was made without."""
    return f"{SYNTHETIC_NAME} without {header[MADE_WITHOUT]}" if MADE_WITHOUT in header else SYNTHETIC_NAME
