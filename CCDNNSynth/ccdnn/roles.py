"""Identifies a series, first by how it was acquired and second by what it is called.

Knee protocols, 0.2 to 3 T. Rules are tried in order; the first that fits decides and gives the reason:

1. a synthetic image, another modality, a phase image, map, projection or diffusion: other, whatever its weighting
2. localizer: named as one, or few slices in several planes; any other single slice is not a volume
3. the sequence: the inversion time for STIR; gradient or spin echo, TR and TE for the rest (limits below)
4. the name, if the header does not identify the sequence

Fat suppression decides between roles for spin echoes: with short TE and long TR it is the fat-suppressed PD that most resembles an
acquired STIR; a fat-suppressed T1 or T2 is neither a T1 nor a T2 for the model and is "other".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ccdnn.acquisition import PARAMETERS, TE, TI, TR, Acquisition, Technique
from ccdnn.series import Role

Candidate = TypeVar("Candidate")

# Fat nulls at TI = ln 2 · T1: 80 ms at 0.2 T to 260 ms at 3 T. Fluid nulls above 1700 ms (FLAIR), white matter from 350 ms.
STIR_TI_MS = (70.0, 300.0)
T1_MAX_TR_MS = 1200.0
T1_MAX_TE_MS = 35.0
T2_MIN_TE_MS = 55.0
# Fat-suppressed PD is often "intermediate weighted", TE 30 to 60 ms.
PD_FAT_SAT_MAX_TE_MS = 60.0
# A T1-weighted gradient echo (VIBE, T1-TFE, MPRAGE) has the shortest TE there is; the T2*-weighted one of a knee has 8 ms and more.
T1_GRADIENT_ECHO_MAX_TE_MS = 6.0
# A refocusing train has excitation pulses near 90°; a low angle with no other evidence is a gradient echo.
LOW_FLIP_ANGLE_DEG = 60.0
LOCALIZER_MAX_SLICES = 15
# Magnetisation has no time to recover between excitations of 90°.
SPIN_ECHO_MIN_TR_MS = 50.0

# A fast 2D gradient echo with so few slices is a localizer.
FAST_LOCALIZER_MAX_SLICES = 5
FAST_LOCALIZER_MAX_TR_MS = 20.0

# Values of Image Type that name something other than the magnitude of a weighted signal.
NOT_A_WEIGHTED_IMAGE = {
    value: kind
    for kind, values in {
        "phase image": ("P", "PHASE", "PHASE MAP", "VELOCITY", "VELOCITY MAP"),
        "real part": ("R", "REAL"),
        "imaginary part": ("I", "IMAGINARY"),
        "field map": ("B0", "B0 MAP", "B1 MAP"),
        "diffusion map": ("ADC", "ADC_MAP", "FA", "TRACEW", "DIFFUSION_ANISO"),
        "relaxation map": ("T1 MAP", "T2 MAP", "T2_STAR MAP", "T1_MAP", "T2_MAP", "T2_STAR_MAP", "R2_MAP", "R2STAR_MAP"),
        "projection": ("PROJECTION IMAGE", "MIP", "MNIP", "MAX_IP", "MIN_IP"),
        "subtraction": ("SUBTRACTION", "SUBTRACT", "SUB"),
        "fat image of a Dixon series": ("F", "FAT", "FAT_FRACTION", "FF", "DIXON_FAT"),
        "opposed-phase image": ("OP", "OPP_PHASE", "OUT_PHASE", "OUT_OF_PHASE"),
        "perfusion map": ("PERFUSION", "CBF", "CBV", "MTT", "TTP"),
    }.items()
    for value in values
}


def _names(*words: str) -> re.Pattern[str]:
    """Any of `words`, between the separators used in descriptions and file names."""
    return re.compile(rf"(?:^|[^a-z0-9])(?:{'|'.join(words)})(?=$|[^a-z0-9])", re.IGNORECASE)


SYNTHETIC = re.compile(r"synth(?:etic|$|[^a-z])", re.IGNORECASE)
LOCALIZER = _names(
    "(?:aa)?loc", "(?:aa)?locali[sz]\\w+", "(?:aa)?scout\\w*", "survey", "rep[eé]rage", r"3.?pl\w*", r"tri.?plan\w*", "planscan"
)
LABEL_MAP = _names(
    r"\w*label+ed\w*", "labels?", r"label.?map\w*", r"\w*seg", r"\w*segmentations?", r"\w*masks?", "rois?", "manual",
    r"\w*cent(?:er|re).?lines?", "contours?", "ground.?truth", "gt",
)  # fmt: skip
FIELD_MAP = _names(r"field.?map\w*", "fmap", "b[01].?maps?", "b1", "shim", "calibration", "cal", r"ref.?scan")
DIFFUSION = _names("dwi", "dti", "diff(?:usion)?", "adc", "tracew?", r"ep2d.?diff\w*")
STIR = _names(r"(?:t2)?stir\w*", r"tirm?\w{0,3}")
SPECTRAL_INVERSION = _names("spair", "spir")
# A file name cannot contain the asterisk of T2*; exporters use an underscore instead.
T2_STAR = _names(r"t2\*\w*", r"t2.?star\w*", "t2s", r"t2_(?=$|-|_)", "ffe", r"m?ffe\w*", "medic", "merge", "swi", "swan", "bold")
GRADIENT_ECHO = _names(
    "gre", "grad", r"gradient.?echo", "ge", "flash", r"fl[23]d\w*", "dess", r"\w*fisp", "fiesta", r"f?spgr", "grass"
)
T1_GRADIENT_ECHO = _names(r"mp.?rage", "vibe", "lava", "thrive", "bravo", "t1tfe", "tfl3d\\w*")
T1 = _names("t1", r"t1w\w*", r"t1(?:tse|se|fse|spin|fs|sag|cor|tra|ax)\w*")
T2 = _names("t2", r"t2w\w*", r"t2(?:tse|se|fse|frfse|spin|fs|sag|cor|tra|ax)\w*")
PROTON_DENSITY = _names("pd", "dp", r"pdw\w*", r"pd(?:tse|se|fse|fs|spair|spir|sag|cor|tra|ax)\w*", "rho", r"proton.?dens\w*", "iw")
FAT_SUPPRESSED = _names("fs", r"fat.?(?:sat|sup)\w*", "fsat", "spair", "spir", "chess", "we", r"water\w*", r"(?:pd|dp|t1|t2)w?fs")


@dataclass(frozen=True)
class Evidence:
    """What is known about a series without its voxels.

    Args:
        acquisition: from the header or a sidecar.
        description: series description or file name.
        notes: descriptive header texts: derivation, comments, NIfTI's descrip, our own notice.
        modality: DICOM Modality; "" where unknown.
        slices: number of slices.
        planes: number of anatomical planes with slices in its source series.
        diffusion: whether the series it came from has images with a b-value above 0.
    """

    acquisition: Acquisition
    description: str = ""
    notes: str = ""
    modality: str = ""
    slices: int = 2
    planes: int = 1
    diffusion: bool = False


def assign(
    candidates: Mapping[Role, Sequence[Candidate]], same_grid: Callable[[Candidate, Candidate], bool]
) -> dict[Role, Candidate]:
    """One candidate for each role, only where the choice is certain.

    A single candidate is taken. Of several, one is taken if it alone lies on the grid that the single candidates of the inputs
    share. The acquired STIR does not count for that grid, since it often has its own.

    Args:
        candidates: role → its candidates: series, or volumes of a scene.
        same_grid: whether two candidates lie on the same grid.

    >>> assign({Role.T1: ["t1"], Role.T2: ["t2", "t2 coarse"]}, lambda a, b: "coarse" not in a + b)
    {<Role.T1: 't1'>: 't1', <Role.T2: 't2'>: 't2'}
    """
    chosen = {role: found[0] for role, found in candidates.items() if len(found) == 1}
    settled = [candidate for role, candidate in chosen.items() if role is not Role.STIR]
    for role, found in candidates.items():
        fitting = [one for one in found if settled and all(same_grid(one, other) for other in settled)]
        if len(found) > 1 and len(fitting) == 1:
            chosen[role] = fitting[0]
    return chosen


def classify(evidence: Evidence) -> tuple[Role, str]:
    """The role of a series, and why in words."""
    for rule in (
        _unreadable,
        _not_a_weighted_image,
        _localizer,
        _single_slice,
        _inversion_recovery,
        _gradient_echo,
        _spin_echo,
        _by_name,
    ):
        if (decision := rule(evidence)) is not None:
            return decision
    return Role.OTHER, f"{_acquired(evidence.acquisition)}; neither the header nor the name identifies the contrast"


def _acquired(acquisition: Acquisition) -> str:
    """The facts behind a decision: "spin echo, TR 656 ms, TE 14 ms"."""
    facts = [
        ("inversion recovery " if acquisition.inversion else "") + (acquisition.technique.value if acquisition.technique else "")
        or "sequence not stated"
    ]
    # The flip angle of a spin echo says nothing about its contrast.
    shown = PARAMETERS if acquisition.technique is Technique.GRADIENT_ECHO else (TR, TE, TI)
    facts += [parameter.labelled(value) for parameter in shown if (value := parameter.of(acquisition)) is not None]
    return ", ".join(fact.strip() for fact in facts)


def _unreadable(evidence: Evidence) -> tuple[Role, str] | None:
    """A stated time that cannot be read may be decisive: a guess without it could give the wrong role."""
    if unreadable := evidence.acquisition.unreadable:
        return Role.OTHER, f"{unreadable}, which cannot be read, so the contrast is unknown"
    return None


def _not_a_weighted_image(evidence: Evidence) -> tuple[Role, str] | None:
    acquisition = evidence.acquisition
    if SYNTHETIC.search(evidence.notes) or SYNTHETIC.search(evidence.description):
        return Role.OTHER, "marked as synthetic, so it is not an acquired image"
    if evidence.modality not in ("", "MR"):
        return Role.OTHER, f"modality {evidence.modality}, not MR"
    if not evidence.modality and LABEL_MAP.search(evidence.description):
        return Role.OTHER, "called a label map"
    # Philips writes b = 0 into every series, so it means nothing alone.
    weighted = bool(acquisition.b_value) or (acquisition.b_value == 0 and bool(evidence.diffusion or acquisition.echo_planar))
    if "DIFFUSION" in (acquisition.contrast, *acquisition.image_type) or weighted:
        b_value = "" if acquisition.b_value is None else f", b {acquisition.b_value:g} s/mm²"
        return Role.OTHER, f"diffusion{b_value}"
    # The first two values of Image Type describe the pixels' history, not their content.
    for word in acquisition.image_type[2:]:
        if (kind := NOT_A_WEIGHTED_IMAGE.get(word)) is not None:
            return Role.OTHER, f"{kind} (image type {word})"
    if FIELD_MAP.search(evidence.description):
        return Role.OTHER, "called a field map or calibration"
    if DIFFUSION.search(evidence.description):
        return Role.OTHER, "called diffusion"
    return None


def _localizer(evidence: Evidence) -> tuple[Role, str] | None:
    acquisition = evidence.acquisition
    if "LOCALIZER" in acquisition.image_type:
        return Role.LOCALIZER, "image type LOCALIZER"
    few = evidence.slices <= LOCALIZER_MAX_SLICES
    if evidence.planes > 1 and few:
        return Role.LOCALIZER, f"few slices in {evidence.planes} planes in one series, {_acquired(acquisition)}"
    if LOCALIZER.search(evidence.description) and few:
        return Role.LOCALIZER, f"called a localizer, {_acquired(acquisition)}"
    return None


def _single_slice(evidence: Evidence) -> tuple[Role, str] | None:
    return (Role.OTHER, f"a single slice, {_acquired(evidence.acquisition)}") if evidence.slices == 1 else None


def _inversion_recovery(evidence: Evidence) -> tuple[Role, str] | None:
    """STIR by its inversion time; MPRAGE, an inversion before gradient echoes, is left to the gradient-echo rule."""
    acquisition, acquired = evidence.acquisition, _acquired(evidence.acquisition)
    if acquisition.technique is Technique.GRADIENT_ECHO or (
        acquisition.fat_suppressed and SPECTRAL_INVERSION.search(evidence.description)
    ):
        return None
    called = bool(STIR.search(evidence.description)) or acquisition.contrast == "STIR"
    if acquisition.ti_ms is not None and (acquisition.inversion or called or acquisition.technique is None):
        shortest, longest = STIR_TI_MS
        if shortest <= acquisition.ti_ms <= longest:
            return Role.STIR, f"{acquired}: the inversion time nulls fat"
        return Role.OTHER, f"{acquired}: the inversion time does not null fat"
    if called:
        return Role.STIR, f"called STIR, {acquired}; the header gives no inversion time"
    if acquisition.inversion:
        return Role.OTHER, f"{acquired}; the header gives no inversion time"
    return None


def _gradient_echo(evidence: Evidence) -> tuple[Role, str] | None:
    acquisition, acquired = evidence.acquisition, _acquired(evidence.acquisition)
    unstated = acquisition.technique is None
    low_angle = unstated and (acquisition.flip_angle_deg or 180.0) <= LOW_FLIP_ANGLE_DEG
    fast = unstated and (acquisition.tr_ms or math.inf) < SPIN_ECHO_MIN_TR_MS
    if acquisition.technique is not Technique.GRADIENT_ECHO and not low_angle and not fast:
        return None
    if low_angle:
        acquired = f"a flip angle of {acquisition.flip_angle_deg:g}° implies a gradient echo ({acquired})"
    elif fast:
        acquired = f"a TR of {acquisition.tr_ms:g} ms implies a gradient echo ({acquired})"
    # An inversion long before a gradient echo means MPRAGE, whatever the header says about inversion.
    prepared = acquisition.inversion or (acquisition.ti_ms or 0.0) > STIR_TI_MS[1]
    suppressed = _fat_suppressed(evidence)
    named = T1.search(evidence.description) or T1_GRADIENT_ECHO.search(evidence.description)
    short = acquisition.te_ms is not None and acquisition.te_ms < T1_GRADIENT_ECHO_MAX_TE_MS
    if short and not suppressed and (prepared or acquisition.contrast == "T1" or named):
        why = "after an inversion" if prepared else "stated as T1" if acquisition.contrast == "T1" else "called T1"
        return Role.T1, f"{acquired}: the shortest TE, {why}"
    if prepared:
        return Role.OTHER, f"{acquired}: a gradient echo after an inversion"
    if (
        evidence.slices <= FAST_LOCALIZER_MAX_SLICES
        and (acquisition.tr_ms or 1e3) <= FAST_LOCALIZER_MAX_TR_MS
        and acquisition.acquisition_type != "3D"
    ):
        return Role.LOCALIZER, f"{acquired}, {evidence.slices} slices"
    planar = ", echo-planar" if acquisition.echo_planar else ""
    return Role.GRE, f"{acquired}{planar}{', fat-suppressed' if suppressed else ''}"


def _spin_echo(evidence: Evidence) -> tuple[Role, str] | None:
    """Spin echoes, and sequences of unknown kind that state TR and TE and are not called gradient echoes."""
    acquisition, acquired = evidence.acquisition, _acquired(evidence.acquisition)
    if acquisition.tr_ms is None or acquisition.te_ms is None:
        return None
    if acquisition.tr_ms < SPIN_ECHO_MIN_TR_MS:
        return Role.OTHER, f"{acquired}: no spin echo has so short a TR, so the header contradicts itself"
    if acquisition.technique is None and (GRADIENT_ECHO.search(evidence.description) or T2_STAR.search(evidence.description)):
        return None
    if acquisition.echo_planar:
        return Role.OTHER, f"{acquired}, echo-planar"
    suppressed = _fat_suppressed(evidence)
    if acquisition.tr_ms <= T1_MAX_TR_MS and acquisition.te_ms <= T1_MAX_TE_MS:
        return (
            (Role.OTHER, f"{acquired}: T1-weighted, but fat-suppressed")
            if suppressed
            else (Role.T1, f"{acquired}: short TR and TE")
        )
    if suppressed and acquisition.tr_ms > T1_MAX_TR_MS and acquisition.te_ms < PD_FAT_SAT_MAX_TE_MS:
        return Role.PD_FAT_SAT, f"{acquired}, fat-suppressed: long TR, TE below {PD_FAT_SAT_MAX_TE_MS:g} ms"
    if acquisition.te_ms >= T2_MIN_TE_MS:
        return (Role.OTHER, f"{acquired}: T2-weighted, but fat-suppressed") if suppressed else (Role.T2, f"{acquired}: long TE")
    if acquisition.tr_ms > T1_MAX_TR_MS:
        return Role.OTHER, f"{acquired}: PD-weighted without fat suppression"
    return Role.OTHER, f"{acquired}: between T1 and T2 weighting"


def _by_name(evidence: Evidence) -> tuple[Role, str] | None:
    name, called = evidence.description, f"called “{evidence.description}”; the header does not identify the sequence"
    suppressed = bool(FAT_SUPPRESSED.search(name))
    if T2_STAR.search(name) or GRADIENT_ECHO.search(name):
        return Role.GRE, called
    if STIR.search(name):
        return Role.STIR, called
    if PROTON_DENSITY.search(name):
        return (Role.PD_FAT_SAT if suppressed else Role.OTHER), called
    weighted = [role for role, pattern in ((Role.T1, T1), (Role.T2, T2)) if pattern.search(name)]
    if len(weighted) == 1:
        return (Role.OTHER, f"{called}, and fat-suppressed") if suppressed else (weighted[0], called)
    return (Role.T1, called) if T1_GRADIENT_ECHO.search(name) and not suppressed else None


def _fat_suppressed(evidence: Evidence) -> bool:
    """From the header, else from the name, since Scan Options need not list it."""
    if evidence.acquisition.fat_suppressed is not None:
        return evidence.acquisition.fat_suppressed
    return bool(FAT_SUPPRESSED.search(evidence.description))
