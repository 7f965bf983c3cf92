"""Reads DICOM files as series, from any mixture of series, slices and multi-frame files."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from ccdnn.dicom import stack
from ccdnn.dicom.grouping import Group, split_into_volumes
from ccdnn.dicom.headers import DamagedFile, Frame, read_frames
from ccdnn.dicom.pixels import read_pixels
from ccdnn.errors import InputError
from ccdnn.roles import Evidence, classify
from ccdnn.series import Series

# How far an image may lie from the position of a stack's next slice, in slice spacings, to count as that slice.
STRAY_TOLERANCE = 0.25


@dataclass
class Damage:
    """Problems of files that belong, or may belong, to a series: series UID → sentences."""

    certain: dict[str, list[str]] = field(default_factory=dict)
    possible: dict[str, list[str]] = field(default_factory=dict)


def read_dicom(files: Sequence[Path], strays: Mapping[Path, str] | None = None) -> tuple[list[Series], list[str]]:
    """Read the series in `files` from their headers, sorted by series number, and a sentence about each damaged file.

    A series that lost a slice to damage, has missing slices or does not lie on a regular grid has a `problem`.

    Args:
        strays: neighbouring files that are named like DICOM but are not → a sentence about each. A series that such a file must
            belong to gets a problem; a series that it may belong to gets a warning.
    """
    frames: list[Frame] = []
    problems: list[str] = []
    damage = Damage()
    lost = dict(strays or {})
    for path in files:
        try:
            frames += read_frames(path)
        except DamagedFile as error:
            problems.append(str(error))
            if error.series_uid:
                damage.certain.setdefault(error.series_uid, []).append(str(error))
            else:
                lost[path] = str(error)
        except InputError as error:
            problems.append(str(error))
        except OSError as error:
            problems.append(f"{path.name} cannot be read: {error.strerror or error}.")
    problems += [sentence for path, sentence in lost.items() if path in (strays or {})]
    _attribute(lost, frames, damage)
    groups = split_into_volumes(frames)
    _find_stray_slices(groups, damage)
    return [_series_of(group, damage) for group in groups], problems


def _attribute(lost: Mapping[Path, str], frames: Sequence[Frame], damage: Damage) -> None:
    """Assign damaged files to series: the only one in their folder, or that of the files next to them by name."""
    folders: dict[Path, dict[Path, str]] = {}
    for frame in frames:
        folders.setdefault(frame.path.parent, {})[frame.path] = frame.series_uid
    ordered = {folder: sorted(files, key=natural_order) for folder, files in folders.items()}
    for path, sentence in lost.items():
        series_of, siblings = folders.get(path.parent, {}), ordered.get(path.parent, [])
        place = bisect_left(siblings, natural_order(path), key=natural_order)
        neighbours = {series_of[sibling] for sibling in siblings[max(place - 1, 0) : place + 1]}
        alone = set(series_of.values())
        if len(alone) == 1 or (len(neighbours) == 1 and 0 < place < len(siblings)):
            damage.certain.setdefault(next(iter(neighbours)), []).append(sentence)
        else:
            for uid in neighbours:
                damage.possible.setdefault(uid, []).append(sentence)


def _find_stray_slices(groups: Sequence[Group], damage: Damage) -> None:
    """Find single images at the position of another series' next slice: one wrong UID takes a slice out of its series."""
    single = [group.frames[0] for group in groups if len(group.frames) == 1 and group.frames[0].position is not None]
    if not single:
        return
    positions = np.array([frame.position for frame in single])
    for group in groups:
        places = stack.next_places(group.frames)
        if places is None:
            continue
        tolerance = STRAY_TOLERANCE * np.linalg.norm(places[1] - places[0]) / (len(group.frames) + 1)
        for index in np.flatnonzero((np.linalg.norm(positions[:, None] - places, axis=2) <= tolerance).any(axis=1)):
            frame = single[index]
            if stack.is_one_stack([*group.frames, frame]):
                sentence = f"{frame.path.name} lies where its next slice would be, but states another series."
                damage.possible.setdefault(group.typical.series_uid, []).append(sentence)


def natural_order(path: Path) -> tuple[tuple[int, str | int], ...]:
    """A sort key for natural order: IM2 before IM10."""
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d{1,18})", path.name) if part)


def _series_of(group: Group, damage: Damage) -> Series:
    typical, name = group.typical, _name(group)
    ordered, grid = group.frames, None
    certain = damage.certain.get(typical.series_uid, [])
    problem = next((frame.problem for frame in group.frames if frame.problem), None) or next(iter(certain), None)
    if any(typical.patient.differs_from(frame.patient) for frame in group.frames):
        problem = problem or "its slices belong to different patients; export it again."
    try:
        grid, ordered = stack.arrange(group.frames)
        if grid.implausible:
            problem = problem or f"it {grid.implausible}."
    except InputError as error:
        problem = problem or str(error)
    role, reason = classify(
        Evidence(
            acquisition=typical.acquisition,
            description=typical.description,
            notes=typical.derivation,
            modality=typical.modality,
            slices=len(group.frames),
            planes=group.planes,
            diffusion=group.diffusion,
        )
    )
    files = tuple(dict.fromkeys(frame.path for frame in ordered))
    return Series(
        name=name,
        description=typical.description,
        grid=grid,
        acquisition=typical.acquisition,
        role=role,
        reason=reason,
        source=files[0] if len(files) == 1 else files[0].parent,
        read_array=partial(read_pixels, tuple(ordered)),
        files=files,
        provenance={
            "study_instance_uid": typical.study_uid,
            "series_instance_uid": typical.series_uid,
            "frame_of_reference_uid": next((frame.frame_of_reference_uid for frame in ordered if frame.frame_of_reference_uid), ""),
        },
        problem=problem and f"“{name}” cannot be used: {problem}",
        time_point=group.time_point,
        warnings=tuple(_warnings(group, name, damage)),
        patient=typical.patient,
    )


def _warnings(group: Group, name: str, damage: Damage) -> list[str]:
    found = [f"“{name}” {note}." for note in group.notes]
    possible = damage.possible.get(group.frames[0].series_uid, [])
    return found + [f"“{name}” may be missing a slice: {sentence}" for sentence in possible]


def _name(group: Group) -> str:
    first = group.typical
    number = "" if first.series_number is None else str(first.series_number)
    name = " ".join(filter(None, (number, first.description))) or first.path.name
    return ", ".join((name, *group.parts))
