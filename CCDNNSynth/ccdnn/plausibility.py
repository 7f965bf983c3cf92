"""Does a series look like what it is used as? Warnings for series in each other's place and for foreign protocols.

Nothing here stops a run: a fat-suppressed PD in place of a T2 may be just what the user wants to try. But it is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from ccdnn.errors import InputError
from ccdnn.model.card import PROTOCOL_PARAMETERS, ModelCard
from ccdnn.normalisation import robust_maximum
from ccdnn.series import Protocol, Role
from ccdnn.volume import Volume

# A parameter this many times below or above what training covered is another contrast, not another scanner.
_PROTOCOL_FACTOR = 1.5
# Where the card gives a nominal value alone, the range around it that the warning leaves alone.
_NOMINAL_FACTOR = 2.0

# Shares of the robust maximum that count as bright, and as dark, when T1 and T2 are compared voxel by voxel.
_BRIGHT, _DARK = 0.6, 0.35
_FOREGROUND = 0.1


def protocol_warnings(protocols: Mapping[Role, Protocol], card: ModelCard) -> Iterator[str]:
    """One sentence for each parameter of each series that lies far outside what the model was trained for."""
    for contrast in card.contrasts:
        role = Role(contrast.role)
        for name in PROTOCOL_PARAMETERS:
            found, nominal = getattr(protocols.get(role), name, None), getattr(contrast.protocol, name)
            if found is None or nominal is None:
                continue
            if name in contrast.protocol.ranges:
                low, high = (float(limit) for limit in contrast.protocol.ranges[name])
                bounds, trained = (low / _PROTOCOL_FACTOR, high * _PROTOCOL_FACTOR), f"{low:g} to {high:g}"
            else:
                bounds, trained = (nominal / _NOMINAL_FACTOR, nominal * _NOMINAL_FACTOR), f"{nominal:g}"
            if not bounds[0] <= found <= bounds[1]:
                label, unit = _PARAMETER_LABELS[name]
                yield (
                    f"The {role.label} series has {label} {found:g} {unit}, far from the {trained} {unit} that {card.name} "
                    f"{card.version} was trained for; expect another contrast."
                )


def fat_suppression_warning(protocol: Protocol | None, role: Role) -> str | None:
    """T1-w and T2-w of the models show fat bright; a suppressed one tells the network that fat is something else."""
    if role in (Role.T1, Role.T2) and protocol is not None and protocol.fat_suppressed:
        return f"The series used as {role.label} is fat-suppressed; the model expects bright fat there."
    return None


def swap_warning(t1: Volume, t2: Volume, protocols: Mapping[Role, Protocol]) -> str | None:
    """One sentence where the T1-w and the T2-w series seem to be in each other's place, else None.

    By repetition and echo time where both are known, else by the voxels.

    Args:
        t1, t2: on one grid.
    """
    by_protocol = _swapped_by_protocol(protocols.get(Role.T1), protocols.get(Role.T2))
    if by_protocol is None:
        swapped, why = _swapped_by_intensity(t1.array, t2.array), "fluid is bright in the first and dark in the second"
    else:
        swapped, why = by_protocol, "the first has the longer TR and TE"
    if not swapped:
        return None
    return f"The T1-w and the T2-w series seem to be swapped ({why}); check {t1.name} and {t2.name}."


_PARAMETER_LABELS = {"tr_ms": ("TR", "ms"), "te_ms": ("TE", "ms"), "ti_ms": ("TI", "ms"), "flip_angle_deg": ("flip angle", "°")}


def _swapped_by_protocol(t1: Protocol | None, t2: Protocol | None) -> bool | None:
    """None where a time is unknown."""
    if t1 is None or t2 is None or None in (t1.tr_ms, t1.te_ms, t2.tr_ms, t2.te_ms):
        return None
    return t1.tr_ms > t2.tr_ms and t1.te_ms > t2.te_ms


def _swapped_by_intensity(t1: np.ndarray, t2: np.ndarray) -> bool:
    """Whether `t1` behaves as a T2-w and `t2` as a T1-w image of a knee, judged by three tissues that must all agree.

    - Fluid is bright in T2-w and dark in T1-w, and nothing in a knee is the other way round as long as fat is not suppressed: so
      voxels that are bright in "T1" and dark in "T2", with hardly any the other way round, are fluid in swapped series.
    - Fat is bright in both. Where little is, one series is fat-suppressed (or it is no knee) and nothing can be said.
    - Muscle, the most of what is dark in both, keeps more of its signal in T1-w (TE short against its T2) than in T2-w.
    """
    try:
        a, b = t1 / robust_maximum(t1), t2 / robust_maximum(t2)
    except InputError:
        return False
    foreground = (a > _FOREGROUND) | (b > _FOREGROUND)
    voxels = np.count_nonzero(foreground)
    fluid_if_swapped = np.count_nonzero((a > _BRIGHT) & (b < _DARK)) / voxels
    fluid_as_named = np.count_nonzero((b > _BRIGHT) & (a < _DARK)) / voxels
    fat = np.count_nonzero((a > 0.5) & (b > 0.5)) / voxels
    muscle = foreground & (a < 0.5) & (b < 0.5)
    if not muscle.any():
        return False
    return bool(
        fluid_if_swapped > 1e-3
        and fluid_as_named < fluid_if_swapped / 10
        and fat > 0.05
        and np.median(a[muscle]) < 0.8 * np.median(b[muscle])
    )
