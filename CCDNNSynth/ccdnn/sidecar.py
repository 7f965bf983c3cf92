"""The protocol of a file that is not DICOM: from a BIDS sidecar beside it, or from entries of its own header."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from ccdnn.series import Protocol

# BIDS gives times in seconds (Brain Imaging Data Structure, "Magnetic Resonance Imaging data").
SECONDS = ("RepetitionTime", "EchoTime", "InversionTime")
# dcm2niix joins the values of these with an underscore.
JOINED = ("ScanningSequence", "SequenceVariant", "ScanOptions")


def protocol_beside(sidecar: Path) -> tuple[Protocol | None, str]:
    """The protocol and the series description in a BIDS sidecar; (None, "") where there is none that can be read."""
    if not sidecar.is_file():
        return None, ""
    try:
        entries = json.loads(sidecar.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None, ""
    if not isinstance(entries, dict) or not any(key in entries for key in (*SECONDS, "FlipAngle", "ScanningSequence")):
        return None, ""
    # pydicom is needed for the vocabulary alone, and only where there is a sidecar.
    from ccdnn.dicom.headers import Header
    from ccdnn.dicom.protocol import protocol_of

    tags = dict(entries)
    for key in SECONDS:
        if isinstance(tags.get(key), (int, float)):
            tags[key] = float(tags[key]) * 1000
    for key in JOINED:
        if isinstance(tags.get(key), str):
            # A code such as FAT_SAT is itself written with an underscore.
            tags[key] = [tags[key], *re.split(r"[_\\]", tags[key])]
    return protocol_of(Header(tags)), str(entries.get("SeriesDescription") or entries.get("ProtocolName") or "")


def protocol_in_header(entries: Mapping[str, str]) -> Protocol:
    """From "RepetitionTime_ms" and its like, which our own simulated series carry."""

    def number(key: str) -> float | None:
        try:
            return float(entries[key])
        except (KeyError, ValueError):
            return None

    return Protocol(
        tr_ms=number("RepetitionTime_ms"),
        te_ms=number("EchoTime_ms"),
        ti_ms=number("InversionTime_ms"),
        flip_angle_deg=number("FlipAngle_deg"),
    )
