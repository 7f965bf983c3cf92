"""A reader study: a folder for the readers, in which nothing identifies a method, and a key, which the coordinator keeps.

    folder/study.json         the cases in the order they are read, the letters of their blinded images, the regions
    folder/case-01/stir.nii   the acquired STIR; t1.nii, t2.nii, gre.nii beside it
    folder/case-01/A.nii …    the blinded images, all on the acquired STIR's intensity scale
    key.json                   case → its source, letter → method; stored elsewhere

Cases, and the letters within each case, are shuffled with a random seed that is stored only in the key. The blinded files have the
same header, voxel type, length and date, so that no property of a file identifies a method.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import string
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ccdnn.errors import InputError, OutputError
from ccdnn.measure.scaling import Scaling, scale_pair
from ccdnn.opening import exists, is_file, read_json
from ccdnn.provenance import NOTICE
from ccdnn.readers.regions import REGIONS, Region
from ccdnn.series import Role
from ccdnn.text import shown
from ccdnn.volume import Volume
from ccdnn.writing import replacing_folder, write_text

STUDY_FILE = "study.json"
FORMAT = 1
MAX_BYTES = 4 << 20
_CASE_NAME, _LETTER = re.compile(r"case-\d{2,6}"), re.compile(r"[A-Z]")
SUFFIX = ".nii"  # not compressed: the length would depend on the noise and reveal smooth images
CONTEXT = (Role.T1, Role.T2, Role.GRE, Role.STIR)
# All files of a study have the same modification time.
_ONE_DATE = 1_000_000_000


@dataclass(frozen=True)
class Candidate:
    """One knee as the coordinator knows it.

    Args:
        name: the coordinator's name for the case; stored only in the key.
        context: the acquired series by role, STIR among them.
        images: method → its synthetic STIR, on the grid of the acquired one.
    """

    name: str
    context: Mapping[Role, Path]
    images: Mapping[str, Path]


@dataclass(frozen=True)
class Case:
    """One knee as a reader sees it: files of the acquired series by role, and letter → file of a blinded image."""

    name: str
    context: Mapping[Role, Path]
    images: Mapping[str, Path]


@dataclass(frozen=True)
class ReaderStudy:
    """What a reader opens.

    Args:
        identifier: links score files and key to this study.
        cases: in reading order.
        regions: scored in each blinded image of each case.
    """

    identifier: str
    cases: tuple[Case, ...]
    regions: tuple[Region, ...]


def create_study(
    candidates: Sequence[Candidate],
    folder: Path,
    key: Path,
    *,
    regions: Sequence[Region] = REGIONS,
    seed: int | None = None,
) -> ReaderStudy:
    """Blind and shuffle `candidates` into a new `folder`, completely or not at all, and write the `key`.

    Args:
        key: file to write, outside `folder`.
        seed: for a reproducible study; random if omitted.

    Raises:
        InputError: no cases, methods that differ between cases, a missing acquired STIR, images on different grids or without
            a scale, a key inside the folder.
        OutputError: folder or key exist already or cannot be written.
    """
    for _done, _total in creating_study(candidates, folder, key, regions=regions, seed=seed):
        pass
    return open_study(folder)


def creating_study(
    candidates: Sequence[Candidate], folder: Path, key: Path, *, regions: Sequence[Region] = REGIONS, seed: int | None = None
) -> Iterator[tuple[int, int]]:
    """`create_study` file by file, so that the caller can do other work in between; closed early, it leaves no files.

    Yields:
        (files done, files).
    """
    methods = _methods_of(candidates)
    folder, key = Path(folder).absolute(), Path(key).absolute()
    if folder == key.parent or folder in key.parents:
        raise InputError(
            f"The key {key.name} would lie in the readers' folder and undo the blinding; choose another folder for it."
        )
    for path in (folder, key):
        if path.exists():
            raise OutputError(f"{path} exists already; choose a new name, so that studies are not mixed.")
    seed = secrets.randbits(64) if seed is None else seed
    rng = np.random.default_rng(seed)
    letters = string.ascii_uppercase[: len(methods)]
    identifier = uuid.uuid4().hex  # not derived from the seed, which could be guessed if it is small
    shuffled = [candidates[index] for index in rng.permutation(len(candidates))]
    names = [f"case-{number:02d}" for number in range(1, len(shuffled) + 1)]
    orders = [dict(zip(letters, rng.permutation(methods).tolist(), strict=True)) for _ in shuffled]

    unblinding = {
        name: {"name": candidate.name, "images": order} for name, candidate, order in zip(names, shuffled, orders, strict=True)
    }
    content = {
        "format": FORMAT,
        "study": identifier,
        "regions": [[region.group, region.name] for region in regions],
        "cases": [
            {"case": name, "context": [role.value for role in CONTEXT if role in candidate.context], "images": list(letters)}
            for name, candidate in zip(names, shuffled, strict=True)
        ],
    }
    done, total = 0, sum(len(candidate.context) + len(candidate.images) for candidate in shuffled)
    try:
        with replacing_folder(folder) as partial:
            for name, candidate, order in zip(names, shuffled, orders, strict=True):
                for _path in _writing_case(candidate, order, partial / name):
                    done += 1
                    yield done, total
            write_text(json.dumps(content, indent=1) + "\n", partial / STUDY_FILE)
            _let_dates_tell_nothing(partial)
            key_content = {"format": FORMAT, "study": identifier, "seed": seed, "cases": unblinding}
            write_text(json.dumps(key_content, indent=1) + "\n", key, private=True)
    except OutputError:
        key.unlink(missing_ok=True)  # it did not exist before
        raise


def open_study(folder: Path) -> ReaderStudy:
    """Read the study in a readers' folder.

    Raises:
        InputError: there is none, it is of another version, or one of its files is missing.
    """
    path = Path(folder) / STUDY_FILE
    if not exists(path):
        raise InputError(f"{folder} is not a reader study (it has no {STUDY_FILE}); choose the folder the coordinator gave you.")
    content = read_json(path, MAX_BYTES)
    try:
        if content["format"] != FORMAT:
            raise InputError(
                f"{path} has version {shown(content['format'])} of the reader-study format; this program reads version {FORMAT}."
            )
        study = ReaderStudy(
            str(content["study"]),
            tuple(_case_of(Path(folder), entry) for entry in content["cases"]),
            tuple(Region(group, name) for group, name in content["regions"]),
        )
    except (LookupError, TypeError, ValueError, AttributeError):
        raise InputError(f"{path} is not the description of a reader study; ask the coordinator for the folder again.") from None
    for case in study.cases:
        for file in (*case.context.values(), *case.images.values()):
            if not is_file(file):
                raise InputError(f"{file} is missing from the reader study; ask the coordinator for the folder again.")
    return study


@dataclass(frozen=True)
class Key:
    """The key of a study: the coordinator's name for each case, and the method of each (case, letter)."""

    identifier: str
    names: Mapping[str, str]
    methods: Mapping[tuple[str, str], str]


def read_key(path: Path) -> Key:
    """Read the key that `create_study` wrote.

    Raises:
        InputError: the file cannot be read or is not a key.
    """
    content = read_json(Path(path), MAX_BYTES)
    try:
        cases = content["cases"]
        key = Key(
            str(content["study"]),
            {case: str(entry["name"]) for case, entry in cases.items()},
            {(case, letter): str(method) for case, entry in cases.items() for letter, method in entry["images"].items()},
        )
    except (LookupError, TypeError, AttributeError, ValueError):
        raise InputError(f"{path} is not the key of a reader study; use the file that was made with the study.") from None
    if len(set(key.names.values())) < len(key.names):
        raise InputError(f"{path} gives two cases the same name; use the file that was made with the study.")
    return key


def _methods_of(candidates: Sequence[Candidate]) -> list[str]:
    if not candidates:
        raise InputError("A reader study needs at least one case.")
    methods = sorted(candidates[0].images)
    for candidate in candidates:
        if sorted(candidate.images) != methods:
            raise InputError(f"{candidate.name} does not have images of the same methods as {candidates[0].name}.")
        if Role.STIR not in candidate.context:
            raise InputError(f"{candidate.name} has no acquired STIR for readers to compare with.")
    if not 1 <= len(methods) <= len(string.ascii_uppercase):
        raise InputError(f"A reader study compares 1 to {len(string.ascii_uppercase)} methods, not {len(methods)}.")
    return methods


def _writing_case(candidate: Candidate, order: Mapping[str, str], folder: Path) -> Iterator[Path]:
    """Write the files of a case, one per step."""
    from ccdnn.files import read_volume  # SimpleITK, which a reader's Slicer may lack

    folder.mkdir()
    acquired = read_volume(candidate.context[Role.STIR])
    for role in CONTEXT:
        if role in candidate.context:
            volume = acquired if role is Role.STIR else read_volume(candidate.context[role])
            yield _write(volume, folder / f"{role.value}{SUFFIX}", {})
    for letter, method in order.items():
        path = candidate.images[method]
        image = read_volume(path)
        if not image.grid.same_as(acquired.grid):
            raise InputError(f"{path} does not lie on the grid of the acquired STIR of {candidate.name}; resample it first.")
        scaled, reference = scale_pair(
            image.array, acquired.array, Scaling.TISSUE, names=(str(path), f"the STIR of {candidate.name}")
        )
        # One intensity scale for all; otherwise the unit would reveal the method.
        array = scaled.array * np.float32(reference.high)
        yield _write(Volume(array, acquired.ijk_to_ras, name=letter), folder / f"{letter}{SUFFIX}", {"CCDNN_Notice": NOTICE})


def _write(volume: Volume, path: Path, metadata: Mapping[str, str]) -> Path:
    """Write a file of voxels alone; only the grid is kept from the source's header."""
    from ccdnn.files import write_volume

    write_volume(Volume(volume.array, volume.ijk_to_ras, name=path.stem, metadata=dict(metadata)), path)
    return path


def _let_dates_tell_nothing(folder: Path) -> None:
    for path in folder.rglob("*"):
        os.utime(path, (_ONE_DATE, _ONE_DATE))


def _case_of(folder: Path, entry: Mapping[str, Any]) -> Case:
    """A case of the description; its files must be in the study's folder.

    Raises:
        ValueError: names that `create_study` does not write.
    """
    name, letters = entry["case"], entry["images"]
    if not isinstance(name, str) or not _CASE_NAME.fullmatch(name):
        raise ValueError("the name of a case")
    if not isinstance(letters, list) or not all(isinstance(letter, str) and _LETTER.fullmatch(letter) for letter in letters):
        raise ValueError("the letters of a case")
    place = folder / name
    return Case(
        name,
        {Role(role): place / f"{Role(role).value}{SUFFIX}" for role in entry["context"]},
        {letter: place / f"{letter}{SUFFIX}" for letter in letters},
    )
