"""DICOM files to series, whatever mixture of series, slices and multi-frame files they are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ccdnn.dicom import stack
from ccdnn.dicom.grouping import Group, split_into_volumes
from ccdnn.dicom.headers import DamagedFile, Frame, read_frames
from ccdnn.dicom.pixels import read_pixels
from ccdnn.errors import InputError
from ccdnn.roles import Evidence, classify
from ccdnn.series import Series


def read_dicom(files: Sequence[Path]) -> tuple[list[Series], list[str]]:
    """The series in `files`, from headers alone, in order of series number; and a sentence for each file that is damaged.

    A series that lost a slice to damage, has slices missing or lies on no regular grid comes with its `problem`.
    """
    frames: list[Frame] = []
    problems: list[str] = []
    damaged_series: dict[str, str] = {}
    for path in files:
        try:
            frames += read_frames(path)
        except DamagedFile as error:
            problems.append(str(error))
            if error.series_uid:
                damaged_series[error.series_uid] = str(error)
        except OSError as error:
            problems.append(f"{path.name} cannot be read: {error.strerror or error}.")
    series = [_series_of(group, damaged_series) for group in split_into_volumes(frames)]
    return series, problems


def _series_of(group: Group, damaged_series: dict[str, str]) -> Series:
    first, name = group.frames[0], _name(group)
    ordered, grid = group.frames, None
    problem = next((frame.problem for frame in group.frames if frame.problem), None) or damaged_series.get(first.series_uid)
    try:
        grid, ordered = stack.arrange(group.frames)
    except InputError as error:
        problem = problem or str(error)
    role, reason = classify(
        Evidence(
            protocol=first.protocol,
            description=first.description,
            notes=first.derivation,
            modality=first.modality,
            slices=len(group.frames),
            planes=group.planes,
        )
    )
    files = tuple(dict.fromkeys(frame.path for frame in ordered))
    return Series(
        name=name,
        description=first.description,
        grid=grid,
        protocol=first.protocol,
        role=role,
        reason=reason,
        source=files[0] if len(files) == 1 else files[0].parent,
        read_array=partial(read_pixels, tuple(ordered)),
        files=files,
        provenance={
            "study_instance_uid": first.study_uid,
            "series_instance_uid": first.series_uid,
            "frame_of_reference_uid": first.frame_of_reference_uid,
        },
        problem=problem and f"“{name}” cannot be used: {problem}",
        time_point=group.time_point,
    )


def _name(group: Group) -> str:
    first = group.frames[0]
    number = "" if first.series_number is None else str(first.series_number)
    name = " ".join(filter(None, (number, first.description))) or first.path.name
    return ", ".join((name, *group.parts))
