"""Reads how a DICOM frame was acquired, from the tags of classic and Enhanced MR and vendors' variants of their values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ccdnn.acquisition import Acquisition, Technique

if TYPE_CHECKING:
    from ccdnn.dicom.headers import Header

# Scan Options for fat saturation (FS in the standard, the others from vendors) and for water excitation.
FAT_SUPPRESSION_OPTIONS = {"FS", "FATSAT", "FAT_SAT", "FAT SAT", "CHEMSAT", "SPIR", "SPAIR", "WE", "WATER_EXC"}

# Dixon methods name the separated image in Image Type.
WATER_IMAGE_TYPES = {"W", "WATER", "DIXON_WATER"}

# Siemens' Sequence Name identifies the technique where Scanning Sequence is only EP or RM: "*tse2d1_5", "*tir2d1rs9", "*fl3d1".
SEQUENCE_NAMES = (
    (re.compile(r"^\*?(tse|tir|se\d|spc|spcir|h\d|hir|ep_b|tgse)", re.IGNORECASE), Technique.SPIN_ECHO),
    (re.compile(r"^\*?(fl\d|qfl|tfl|me\d|de\d|fi\d|fm\d|tfi|psif|swi|epfid|fldyn|vibe)", re.IGNORECASE), Technique.GRADIENT_ECHO),
)
INVERTED_SEQUENCE_NAMES = re.compile(r"^\*?(tir|spcir|hir|ir\d)", re.IGNORECASE)


# Attributes that determine a series' role. An unreadable value is not the same as a missing one.
DECISIVE_NUMBERS = ("RepetitionTime", "EchoTime", "EffectiveEchoTime", "InversionTime", "FlipAngle")


def acquisition_of(header: Header, unreadable: str = "") -> Acquisition:
    """How one frame was acquired. A TR or TI of 0 counts as absent, since some vendors write 0 for "none".

    Args:
        unreadable: values already found to be unreadable.
    """
    found = [f"{keyword} is “{text}”" for keyword in DECISIVE_NUMBERS if (text := header.unreadable_number(keyword))]
    sequence = set(header.words("ScanningSequence"))
    name = header.text("SequenceName") or header.text("PulseSequenceName") or None
    ti = header.number("InversionTime") or header.number("InversionTimes")
    return Acquisition(
        tr_ms=header.number("RepetitionTime") or None,
        te_ms=_first_number(header, "EffectiveEchoTime", "EchoTime"),
        ti_ms=ti or None,
        flip_angle_deg=header.number("FlipAngle"),
        field_strength_t=_tesla(header.number("MagneticFieldStrength")),
        technique=_technique(header, sequence, name),
        inversion=_inversion(header, sequence, name),
        fat_suppressed=_fat_suppressed(header),
        echo_planar=_yes_no(header, "EchoPlanarPulseSequence") if not sequence else "EP" in sequence,
        acquisition_type=header.text("MRAcquisitionType") or None,
        echo_train_length=header.number("EchoTrainLength"),
        b_value=header.number("DiffusionBValue"),
        image_type=_image_type(header),
        contrast=header.text("AcquisitionContrast").upper() or None,
        sequence_name=name,
        unreadable="; ".join(filter(None, (unreadable, *found))),
    )


def _first_number(header: Header, *keywords: str) -> float | None:
    return next((number for keyword in keywords if (number := header.number(keyword)) is not None), None)


def _tesla(strength: float | None) -> float | None:
    """Convert to tesla; old scanners wrote gauss."""
    return strength / 1e4 if strength is not None and strength > 100 else strength


def _yes_no(header: Header, keyword: str) -> bool | None:
    return {"YES": True, "NO": False}.get(header.text(keyword).upper())


def _image_type(header: Header) -> tuple[str, ...]:
    """Frame Type of an Enhanced frame, or Image Type, plus the complex component if it is not included."""
    words = header.words("FrameType") or header.words("ImageType")
    component = header.text("ComplexImageComponent").upper()
    return (*words, component) if component and component not in words and component not in ("MAGNITUDE", "MIXED") else words


def _technique(header: Header, sequence: set[str], name: str | None) -> Technique | None:
    pulse = header.text("EchoPulseSequence").upper()
    spin = "SE" in sequence or pulse in ("SPIN", "BOTH")
    gradient = "GR" in sequence or pulse in ("GRADIENT", "BOTH")
    if spin or gradient:
        return Technique.BOTH if spin and gradient else Technique.SPIN_ECHO if spin else Technique.GRADIENT_ECHO
    if header.number("RFEchoTrainLength") == 0 and (header.number("GradientEchoTrainLength") or 0) >= 1:
        return Technique.GRADIENT_ECHO  # no refocusing pulse
    return next((technique for pattern, technique in SEQUENCE_NAMES if name and pattern.match(name)), None)


def _inversion(header: Header, sequence: set[str], name: str | None) -> bool | None:
    if "IR" in sequence or "MP" in header.words("SequenceVariant") or (name and INVERTED_SEQUENCE_NAMES.match(name)):
        return True
    if (enhanced := _yes_no(header, "InversionRecovery")) is not None:
        return enhanced
    return False if sequence & {"SE", "GR"} else None


def _fat_suppressed(header: Header) -> bool | None:
    """True where a tag states it. False only where an Enhanced file does, since vendors may omit it from Scan Options."""
    if FAT_SUPPRESSION_OPTIONS & set(header.words("ScanOptions")) or WATER_IMAGE_TYPES & set(header.words("ImageType")):
        return True
    if suppression := header.text("SpectrallySelectedSuppression").upper():
        return "FAT" in suppression
    # Philips writes excitation WATER into every proton series, so it counts only where no suppression is stated.
    return True if header.text("SpectrallySelectedExcitation").upper() == "WATER" else None
