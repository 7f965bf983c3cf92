"""What is stated about a file that is not DICOM: in a BIDS sidecar beside it, or in entries of its own header.

A synthetic NIfTI volume has its provenance in a sidecar, since its header has no room.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ccdnn.acquisition import PARAMETERS, Acquisition
from ccdnn.errors import InputError
from ccdnn.opening import exists, read_json
from ccdnn.patient import Patient
from ccdnn.text import shown

MOST_BYTES = 1 << 20
PREFIX = "CCDNN_"  # of our own entries
# BIDS gives times in seconds (Brain Imaging Data Structure, "Magnetic Resonance Imaging data"). Above these the value can only be
# in milliseconds.
SECONDS = {"RepetitionTime": 60.0, "EchoTime": 2.0, "InversionTime": 20.0}
NUMBERS = (*SECONDS, "FlipAngle", "MagneticFieldStrength", "EchoTrainLength", "DiffusionBValue")
# dcm2niix joins the values of these with an underscore.
JOINED = ("ScanningSequence", "SequenceVariant", "ScanOptions")


@dataclass(frozen=True)
class Sidecar:
    """What a file beside an image states about it.

    Args:
        acquisition: how it was acquired; None if it is not stated.
        description: the series description; "" if it has none.
        warnings: what a user should know, a sentence each.
        patient: the patient of the image.
        provenance: how a synthetic image was made, see `ccdnn.provenance`.
    """

    acquisition: Acquisition | None = None
    description: str = ""
    warnings: tuple[str, ...] = ()
    patient: Patient = field(default_factory=Patient)
    provenance: Mapping[str, str] = field(default_factory=dict)


def sidecar_text(header: Mapping[str, str]) -> str:
    """The sidecar of a synthetic volume with this header, in the style of BIDS derivatives."""
    engine, _, version = header.get("CCDNN_Engine", "ccdnn").partition(" ")
    entries = {"Description": header["CCDNN_Notice"], "GeneratedBy": [{"Name": engine, "Version": version}], **header}
    return json.dumps(entries, indent=2, ensure_ascii=False) + "\n"


def sidecar_of(path: Path) -> Sidecar:
    """The BIDS sidecar at `path`; an empty one if there is none, or if the JSON file is about something else."""
    if not exists(path):
        return Sidecar()
    try:
        entries = read_json(path, MOST_BYTES)
    except InputError as error:
        return Sidecar(warnings=(f"{error} The protocol of the image beside it is therefore unknown.",))
    if not isinstance(entries, dict):
        return Sidecar()
    if provenance := {key: value for key, value in entries.items() if key.startswith(PREFIX) and isinstance(value, str)}:
        return Sidecar(provenance=provenance)
    if not any(key in entries for key in (*SECONDS, "FlipAngle", "ScanningSequence")):
        return Sidecar()
    # pydicom is needed only for the vocabulary, and only if there is a sidecar.
    from ccdnn.dicom.acquisition import acquisition_of
    from ccdnn.dicom.headers import Header

    tags = {key: value for key, value in entries.items() if isinstance(value, (str, int, float, list)) and key not in NUMBERS}
    unreadable, warnings = [], []
    for key in NUMBERS:
        if (value := entries.get(key)) is None:
            continue
        number = _number(value)
        if number is None:
            unreadable.append(f"{key} of {path.name} is “{shown(str(value)[:200])}”")
            continue
        if key in SECONDS:
            if number > SECONDS[key]:
                warnings.append(f"{path.name} states {key} {number:g}, which cannot be in seconds; it was taken as milliseconds.")
            else:
                number *= 1000
        tags[key] = number
    for key in JOINED:
        if isinstance(joined := tags.get(key), str):
            # A code such as FAT_SAT itself contains an underscore.
            tags[key] = [joined, *re.split(r"[_\\]", joined)]
    name = entries.get("SeriesDescription") or entries.get("ProtocolName") or ""
    acquisition = acquisition_of(Header(tags), "; ".join(unreadable))
    patient = Patient.stated(*(str(entries.get(key) or "") for key in ("PatientID", "PatientName", "PatientBirthDate")))
    return Sidecar(acquisition, shown(name, 200) if isinstance(name, str) else "", tuple(warnings), patient)


def _number(value: Any) -> float | None:
    """A finite number, written as one or as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def acquisition_in_header(entries: Mapping[str, str]) -> Acquisition:
    """From "RepetitionTime_ms" and similar entries (`Acquisition.header_entries`), which our own simulated series contain."""
    stated = {parameter: text for parameter in PARAMETERS if (text := entries.get(parameter.header_entry))}
    numbers = {parameter: _number(text) for parameter, text in stated.items()}
    unreadable = (f"{parameter.header_entry} is “{shown(stated[parameter])}”" for parameter, n in numbers.items() if n is None)
    known: dict[str, Any] = {parameter.name: number for parameter, number in numbers.items()}
    return Acquisition(**known, unreadable="; ".join(unreadable))
