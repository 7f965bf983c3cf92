"""Checks that a series looks like its role, with warnings for swapped series and unusual protocols.

Nothing here stops a run: a fat-suppressed PD in place of a T2 may be exactly what the user wants to try. It is only reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations

import numpy as np

from ccdnn.acquisition import PARAMETERS, Acquisition
from ccdnn.errors import InputError
from ccdnn.model.card import ModelCard
from ccdnn.normalisation import robust_maximum
from ccdnn.series import Role, plane_of
from ccdnn.volume import Grid, Volume

# A parameter this many times below or above what training covered is another contrast, not another scanner.
_RANGE_FACTOR = 1.5
# If the card gives only a nominal value, the range around it without a warning.
_NOMINAL_FACTOR = 2.0

# How far a crossing slice may smear an edge within the picture, and how much thicker than the reference's it may be.
_SMEARED_MM, _SMEARED_PIXELS, _THICK_SLICES = 1.0, 2.0, 2.0

# Shares of the robust maximum: fat in both T1-w and T2-w, and anything that is not air.
_BRIGHT, _FOREGROUND = 0.5, 0.1
# Shares of the foreground, and ratios, beyond which the voxels justify a warning.
_LEAST_FAT, _LEAST_CORRELATION, _MUSCLE_RATIO = 0.2, 0.85, 0.85


def acquisition_warnings(acquisitions: Mapping[Role, Acquisition], card: ModelCard) -> Iterator[str]:
    """One sentence for each parameter of each series that lies far outside what the model was trained for."""
    for contrast in card.contrasts:
        role = Role(contrast.role)
        for parameter in PARAMETERS:
            found, nominal = parameter.of(acquisitions.get(role, Acquisition())), parameter.of(contrast.acquisition)
            if found is None or nominal is None:
                continue
            if parameter.name in contrast.ranges:
                low, high = (float(limit) for limit in contrast.ranges[parameter.name])
                bounds, trained = (low / _RANGE_FACTOR, high * _RANGE_FACTOR), f"{low:g} to {high:g}"
            else:
                bounds, trained = (nominal / _NOMINAL_FACTOR, nominal * _NOMINAL_FACTOR), f"{nominal:g}"
            if not bounds[0] <= found <= bounds[1]:
                yield (
                    f"The {role.label} series has {parameter.labelled(found)}, far from the {parameter.with_unit(trained)} that "
                    f"{card.name} {card.version} was trained for; expect another contrast."
                )


def missing_warning(missing: Iterable[Role], card: ModelCard) -> str | None:
    """A sentence on a result made without some of the model's inputs."""
    labels = [role.label for role in missing]
    if not labels:
        return None
    return (
        f"The result is made without {' and '.join(labels)}. {card.name} {card.version} was trained for this, but is less accurate."
    )


def fat_suppression_warning(acquisition: Acquisition | None, role: Role) -> str | None:
    """The models expect bright fat in T1-w and T2-w. In a suppressed series the network mistakes fat for another tissue."""
    if role in (Role.T1, Role.T2) and acquisition is not None and acquisition.fat_suppressed:
        return f"The series used as {role.label} is fat-suppressed; the model expects bright fat there."
    return None


def crossing_words(series: Grid, reference: Grid) -> str | None:
    """How the slices of a series lie relative to the reference's, in words, if that causes partial volume; else None.

    A slice that crosses the reference's smears an edge over its thickness within the picture; one more than twice as thick smears
    it over the neighbouring slices.
    """
    columns, rows = (series.ijk_to_ras[:3, axis] / series.spacing[axis] for axis in (0, 1))
    normal = np.cross(columns, rows)
    along = reference.ijk_to_ras[:3, :3] / np.array(reference.spacing)
    thickness = series.spacing[2] * np.abs(along.T @ normal)  # mm along the columns, rows and slices of the reference
    plane = f"{plane_of(series.ijk_to_ras)} slices {series.spacing[2]:.3g} mm apart"
    if thickness[:2].max() > max(_SMEARED_MM, _SMEARED_PIXELS * min(reference.spacing[:2])):
        return plane
    if thickness[2] > _THICK_SLICES * reference.spacing[2]:
        return f"{plane}, more than twice as far as in the result"
    return None


def crossing_warning(role: Role, name: str, series: Grid, reference: Grid) -> str | None:
    """A warning about interpolating such a series: along bone it can look like an edema."""
    words = crossing_words(series, reference)
    if words is None:
        return None
    return (
        f"{name}, used as {role.label}, was acquired in {words}. Interpolated onto {plane_of(reference.ijk_to_ras)} slices it "
        "mixes tissues at edges: such partial volume along bone can look like an edema. Prefer a series in the result's plane."
    )


def repetition_warnings(volumes: Mapping[Role, Volume]) -> Iterator[str]:
    """One sentence for each two roles with the same image."""
    for (first, a), (second, b) in combinations(volumes.items(), 2):
        if a.grid.same_as(b.grid) and np.array_equal(a.array, b.array):
            yield f"The {first.label} and the {second.label} series are the same image ({a.name} and {b.name}); check your choice."


def swap_warning(t1: Volume, t2: Volume, acquisitions: Mapping[Role, Acquisition]) -> str | None:
    """One sentence if the T1-w and the T2-w series seem to be swapped, else None.

    Compares repetition and echo times if both are known, else the voxels.

    Args:
        t1, t2: on one grid.
    """
    by_times = _swapped_by_times(acquisitions.get(Role.T1), acquisitions.get(Role.T2))
    if by_times is None:
        swapped, why = _muscle_is_darker(t1.array, t2.array), "muscle, relative to fat, is darker in the first than in the second"
    else:
        swapped, why = by_times, "the first has the longer TR and TE"
    if not swapped:
        return None
    return (
        f"The T1-w and the T2-w series seem to be swapped, or the second is not T2-weighted ({why}); check {t1.name} and {t2.name}."
    )


def _swapped_by_times(t1: Acquisition | None, t2: Acquisition | None) -> bool | None:
    """None if a time is unknown."""
    if t1 is None or t2 is None:
        return None
    if t1.tr_ms is None or t1.te_ms is None or t2.tr_ms is None or t2.te_ms is None:
        return None
    return t1.tr_ms > t2.tr_ms and t1.te_ms > t2.te_ms


def _muscle_is_darker(t1: np.ndarray, t2: np.ndarray) -> bool:
    """Whether muscle, relative to fat, is darker in `t1` than in `t2`: the reverse of what is expected.

    Fat is bright in both and fills most of a knee, so the two images are similar; if they are not, one of them is
    fat-suppressed or of another kind, or it is not a knee, and nothing is concluded. Most of what is dark in both is muscle, which
    keeps less than half of its brightness from T1-w (TE short against its T2) to T2-w. On simulated knees over the protocols of
    training, its ratio of T1-w to T2-w is 1.5 to 2.9.
    """
    try:
        a, b = (_block_means(image / robust_maximum(image)) for image in (t1, t2))
    except InputError:
        return False
    foreground = (a > _FOREGROUND) | (b > _FOREGROUND)
    muscle = foreground & (a < _BRIGHT) & (b < _BRIGHT)
    if np.count_nonzero(muscle) < 2:
        return False
    bright_in_both = np.count_nonzero((a > _BRIGHT) & (b > _BRIGHT)) / np.count_nonzero(foreground)
    alike = np.corrcoef(a[foreground], b[foreground])[0, 1]
    return bool(
        bright_in_both > _LEAST_FAT and alike > _LEAST_CORRELATION and np.median(a[muscle]) < _MUSCLE_RATIO * np.median(b[muscle])
    )


def _block_means(image: np.ndarray, size: int = 4) -> np.ndarray:
    """Means of blocks in each slice, which noise, edges and small shifts between the series hardly affect."""
    slices, rows, columns = image.shape
    rows, columns = rows // size * size, columns // size * size
    return image[:, :rows, :columns].reshape(slices, rows // size, size, columns // size, size).mean(axis=(2, 4))
