"""Splits the frames of a DICOM series into volumes, each with one echo, image type, orientation and time point.

Some attributes always split a series (a volume has one echo time). Others (trigger time, acquisition number) differ between the
slices of one volume on some scanners, so they split a series only where slices share a position.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, combinations
from typing import Any

import numpy as np

from ccdnn.acquisition import FLIP_ANGLE, TE, TI, TR, Parameter
from ccdnn.dicom import stack
from ccdnn.dicom.headers import Frame
from ccdnn.errors import InputError
from ccdnn.series import plane_of

# Numbers that differ by less are treated as equal.
RELATIVE_TOLERANCE = 0.01
# For direction cosines: 0.03°, which is a fifth of a pixel at the far edge of a knee.
ORIENTATION_TOLERANCE = 5e-4

# Labels that distinguish repeats of the same volume.
REPEAT_LABELS = {"time point", "acquisition", "trigger time", "acquisition time", "repeat"}
LABELS_TOGETHER = 3

IMAGE_TYPE_WORDS = {"M": "magnitude", "P": "phase", "R": "real", "I": "imaginary"}


@dataclass(frozen=True)
class Group:
    """The frames of one volume.

    Args:
        frames: in any order.
        parts: what distinguishes it within its series, such as ("TE 30 ms", "time point 2").
        time_point: 1, 2, … for repeats; None otherwise.
        planes: number of anatomical planes in the series (three for a three-plane localizer).
        diffusion: whether the series has images with a b-value above 0.
        notes: what the user should check; each completes a sentence that begins with the volume's name.
    """

    frames: list[Frame]
    parts: tuple[str, ...] = ()
    time_point: int | None = None
    planes: int = 1
    diffusion: bool = False
    notes: tuple[str, ...] = ()

    @property
    def typical(self) -> Frame:
        """A frame that was acquired as most of them were."""
        counts = Counter(frame.acquisition for frame in self.frames)
        usual = counts.most_common(1)[0][0]
        return next(frame for frame in self.frames if frame.acquisition == usual)


@dataclass(frozen=True)
class Rule:
    """An attribute to split by.

    Args:
        what: its name in messages.
        split: splits frames into parts.
        word: names a part, from its first frame and the first frames of all parts.
        tolerated: whether the slices of one regular stack stay together even if they differ in it.
    """

    what: str
    split: Callable[[Sequence[Frame]], list[list[Frame]]]
    word: Callable[[Frame, Sequence[Frame]], str]
    tolerated: bool = False


def split_into_volumes(frames: Sequence[Frame]) -> list[Group]:
    """Split frames into groups that should each be one volume (`stack.arrange` checks that), sorted by series number."""
    groups = []
    for series in _by_series(frames):
        series = _without_copies(series)
        planes = len({_plane(frame).removeprefix("oblique ") for frame in series})
        volumes = [Group(series, planes=planes, diffusion=any(frame.acquisition.b_value for frame in series))]
        for rule in ALWAYS:
            volumes = [part for volume in volumes for part in _apply(rule, volume)]
        for splitter in (_stations, _repeats, _distant_stacks):
            volumes = [part for volume in volumes for part in splitter(volume)]
        groups += volumes
    return sorted(groups, key=lambda group: (group.frames[0].series_number is None, group.frames[0].series_number or 0))


def _by_series(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Split by study, series and modality. A slice without a modality stays with the others of its series."""
    parts = []
    for series in _split(frames, lambda frame: (frame.study_uid, frame.series_uid or frame.path.parent)):
        modalities = {frame.modality for frame in series} - {""}
        parts += [series] if len(modalities) <= 1 else _split(series, lambda frame: frame.modality)
    return parts


def _without_copies(frames: Sequence[Frame]) -> list[Frame]:
    """Drop duplicates, since folders often contain a file twice. Different images with the same UID both stay."""
    seen: dict[tuple, Frame] = {}
    for frame in frames:
        seen.setdefault((frame.instance_uid or frame.path, frame.index, frame.position, frame.acquisition), frame)
    return list(seen.values())


def _split(frames: Sequence[Frame], key: Callable[[Frame], Hashable]) -> list[list[Frame]]:
    parts: dict[Hashable, list[Frame]] = {}
    for frame in frames:
        parts.setdefault(key(frame), []).append(frame)
    return list(parts.values())


def _split_near(
    frames: Sequence[Frame], value: Callable[[Frame], Sequence[float] | float | None], relative: float = 0.0, absolute: float = 0.0
) -> list[list[Frame]]:
    """Split by numbers, within a tolerance of each part's first frame. Frames without a number form a part of their own."""
    distinct = [(part[0], part) for part in _split(frames, value)]
    parts: list[list[Frame]] = []
    part_of: list[int] = []
    firsts = np.empty((0, 0))
    for frame, alike in distinct:
        number = value(frame)
        if number is None:
            parts.append(alike)
            continue
        found = np.atleast_1d(np.asarray(number, dtype=float))
        if not part_of:
            firsts = np.empty((len(distinct), len(found)))
        known = firsts[: len(part_of)]
        near = np.flatnonzero((np.abs(known - found) <= absolute + relative * np.abs(known)).all(axis=1))
        if len(near):
            parts[part_of[near[0]]] += alike
        else:
            firsts[len(part_of)] = found
            part_of.append(len(parts))
            parts.append(alike)
    return parts


def _with_the_most(parts: list[list[Frame]], value: Callable[[Frame], Any]) -> list[list[Frame]]:
    """Move frames without a value to the largest part that has one, where the missing value is reported later."""
    known = [part for part in parts if value(part[0]) is not None]
    if not known or len(known) == len(parts):
        return parts
    largest = max(known, key=len)
    largest += [frame for part in parts for frame in part if value(part[0]) is None]
    return known


def _by_parameter(parameter: Parameter) -> Rule:
    def value(frame: Frame) -> float | None:
        return parameter.of(frame.acquisition)

    def name(frame: Frame, _: Sequence[Frame]) -> str:
        number = value(frame)
        return parameter.labelled("unknown" if number is None else number)

    return Rule(parameter.words, lambda frames: _split_near(frames, value, relative=RELATIVE_TOLERANCE), name, tolerated=True)


def _by_frame_of_reference(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Split by frame of reference, across which positions cannot be compared. A slice without one stays with the others."""
    if len({frame.frame_of_reference_uid for frame in frames} - {""}) <= 1:
        return [list(frames)]
    return _split(frames, lambda frame: frame.frame_of_reference_uid)


def _split_by_stack(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Split by Stack ID, unless every slice has its own."""
    parts = _split(frames, lambda frame: frame.stack)
    return parts if min(map(len, parts)) > 1 else [list(frames)]


def _spacing(frame: Frame) -> tuple[float, float] | None:
    return frame.pixel_spacing


def _orientation(frame: Frame) -> tuple[float, ...] | None:
    return frame.orientation


def _plane(frame: Frame) -> str:
    if frame.orientation is None:
        return "no orientation"
    columns = np.array(frame.orientation).reshape(2, 3).T
    return plane_of(np.column_stack([columns, np.cross(columns[:, 0], columns[:, 1])]))


def _image_type_word(frame: Frame, all_parts: Sequence[Frame]) -> str:
    """The Image Type values that not all parts share."""
    common = set.intersection(*(set(part.acquisition.image_type) for part in all_parts))
    own = [IMAGE_TYPE_WORDS.get(value, value) for value in frame.acquisition.image_type if value not in common]
    return " ".join(own) or "image type"


def _by_spacing(frames: Sequence[Frame]) -> list[list[Frame]]:
    return _with_the_most(_split_near(frames, _spacing, relative=1e-3), _spacing)


def _by_orientation(frames: Sequence[Frame]) -> list[list[Frame]]:
    return _with_the_most(_split_near(frames, _orientation, absolute=ORIENTATION_TOLERANCE), _orientation)


ALWAYS = (
    Rule(
        "size",
        lambda frames: _split(frames, lambda frame: frame.shape),
        lambda frame, _: f"{frame.shape[1]}×{frame.shape[0]}",
    ),
    Rule("frame of reference", _by_frame_of_reference, lambda *_: "frame of reference"),
    Rule(
        "image type",
        lambda frames: _split(frames, lambda frame: frame.acquisition.image_type),
        _image_type_word,
        tolerated=True,
    ),
    *map(_by_parameter, (TE, TI, FLIP_ANGLE)),
    Rule("pixel spacing", _by_spacing, lambda *_: "pixel spacing"),
    Rule("orientation", _by_orientation, lambda frame, _: _plane(frame)),
    Rule("stack", _split_by_stack, lambda frame, _: f"stack {frame.stack}"),
)


def _apply(rule: Rule, volume: Group) -> list[Group]:
    parts = rule.split(volume.frames)
    if len(parts) == 1:
        return [volume]
    largest, total = max(map(len, parts)), len(volume.frames)
    if rule.tolerated and stack.is_one_stack(volume.frames):
        note = (
            f"was read as one volume, although the {rule.what} of {total - largest} of its {total} slices differs; "
            "check that it is one volume"
        )
        return [replace(volume, notes=(*volume.notes, note))]
    named = _named(volume, parts, [rule.word(part[0], [part[0] for part in parts]) for part in parts])
    single = [part for part in parts if len(part) == 1]
    if len(parts) - len(single) != 1 or largest < stack.STACK_SLICES:
        return named
    count = "1 slice" if len(single) == 1 else f"{len(single)} slices"
    note = f"was read without {count} of its series whose {rule.what} differs; check that it is complete"
    return [replace(part, notes=(*part.notes, note)) if len(part.frames) > 1 else part for part in named]


def _named(volume: Group, parts: Sequence[list[Frame]], words: Sequence[str]) -> list[Group]:
    """The parts of a volume, each named by its word, with a number where a word repeats."""
    total, so_far = Counter(words), Counter[str]()
    numbered = []
    for word in words:
        so_far[word] += 1
        numbered.append(word if total[word] == 1 else f"{word} {so_far[word]}")
    return [replace(volume, frames=part, parts=(*volume.parts, word)) for part, word in zip(parts, numbered, strict=True)]


def _stations(volume: Group) -> list[Group]:
    return _separated(volume, stack.separate_sideways)


def _distant_stacks(volume: Group) -> list[Group]:
    return _separated(volume, stack.separate_at_gaps)


def _separated(volume: Group, separate: Callable[[Sequence[Frame]], list[list[Frame]]]) -> list[Group]:
    try:
        parts = separate(volume.frames)
    except InputError:
        return [volume]  # no position in the patient, which `stack.arrange` reports later
    return [volume] if len(parts) == 1 else _named(volume, parts, ["stack"] * len(parts))


def _repeats(volume: Group) -> list[Group]:
    """Split where slices share a position, by the fewest labels that leave one slice per volume at each position."""
    try:
        count = stack.multiplicity(volume.frames)
    except InputError:
        return [volume]
    if count == 1:
        return [volume]
    names = list(dict.fromkeys(name for frame in volume.frames for name in frame.labels))
    for used in chain.from_iterable(combinations(names, size) for size in range(1, LABELS_TOGETHER + 1)):
        parts = _split(volume.frames, partial(_key, names=used))
        if len(parts) == count and all(stack.multiplicity(part) == 1 for part in parts):
            parts.sort(key=partial(_sort_key, names=used))
            return _repeats_named(volume, parts, used)
    turns = _by_turn(volume.frames, count)
    return [volume] if turns is None else _repeats_named(volume, turns, ("repeat",))


def _key(frame: Frame, names: Sequence[str]) -> tuple[Any, ...]:
    return tuple(frame.labels.get(name) for name in names)


def _sort_key(part: Sequence[Frame], names: Sequence[str]) -> tuple[Any, ...]:
    return tuple((value is not None, 0 if value is None else value) for value in _key(part[0], names))


def _by_turn(frames: Sequence[Frame], count: int) -> list[list[Frame]] | None:
    """Group the first, second, … image at every position, by Instance Number; None where the order is uncertain."""
    numbers = {frame.instance_number for frame in frames}
    files = {(frame.path, frame.instance_number) for frame in frames}
    at_places = stack.places(frames)
    if None in numbers or len(numbers) < len(files):
        return None
    if any(len(place) != count or len({frame.path for frame in place}) != count for place in at_places):
        return None
    ordered = [sorted(place, key=lambda frame: frame.instance_number or 0) for place in at_places]
    return [[place[turn] for place in ordered] for turn in range(count)]


def _repeats_named(volume: Group, parts: Sequence[list[Frame]], used: Sequence[str]) -> list[Group]:
    """Number the repeats. Volumes that differ in weighting (b-value, echo, TR) are named by that value instead."""
    names = list(used)
    if "b-value" not in used and len({part[0].labels.get("b-value") for part in parts}) > 1:
        names.insert(0, "b-value")
    groups = _named(volume, parts, [" ".join(dict.fromkeys(_label_word(name, part[0]) for name in names)) for part in parts])
    if set(used) <= REPEAT_LABELS:
        return [replace(group, time_point=number) for number, group in enumerate(groups, start=1)]
    return groups


def _label_word(name: str, frame: Frame) -> str:
    value = frame.labels.get(name)
    if name in REPEAT_LABELS:
        return "time point"
    shown = "unknown" if value is None else f"{value:g}" if isinstance(value, (int, float)) else ""
    return {"b-value": f"b {shown}", TR.label: TR.labelled(shown), "echo": f"echo {shown}", "gradient direction": "direction"}.get(
        name, "volume"
    )
