"""A cache of normalised slices: one memory-mapped array a subject, and an index that says how they were made.

    cache/
      index.json        contrasts, normalisation, and for each subject its part (train, validation, test) and provenance
      <subject>.npy     float16 (contrast, slice, row, column), normalised, contrasts in the order of the index

A subject belongs to one part: nothing of it can cross into another.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ccdnn.errors import InputError
from ccdnn.normalisation import Normalisation

INDEX = "index.json"
PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class CachedSubject:
    """One subject's slices: `array()` is (contrast, slice, row, column) float16, read from disk as needed."""

    name: str
    part: str
    path: Path
    provenance: Mapping[str, Any]

    def array(self) -> np.ndarray:
        return np.load(self.path, mmap_mode="r", allow_pickle=False)


class SliceCache:
    """An existing cache.

    Raises:
        InputError: there is no cache at `folder`, or a subject's file is missing or does not fit the index.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            index = json.loads((self.folder / INDEX).read_text(encoding="utf-8"))
            self.contrasts = tuple(index["contrasts"])
            self.normalisation = Normalisation.from_card(index["normalisation"])
            self.made_by: str = index["made_by"]
            self.subjects = tuple(
                CachedSubject(s["name"], s["part"], self.folder / f"{s['name']}.npy", s["provenance"]) for s in index["subjects"]
            )
        except FileNotFoundError as error:
            raise InputError(f"{self.folder} holds no slice cache; make one with `ccdnn-train simulate`.") from error
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{self.folder / INDEX} is not the index of a slice cache ({error}); make the cache again.") from error
        for subject in self.subjects:
            _check(subject, len(self.contrasts))

    def part(self, part: str) -> tuple[CachedSubject, ...]:
        """The subjects of `train`, `validation` or `test`.

        Raises:
            InputError: the part has no subject.
        """
        subjects = tuple(subject for subject in self.subjects if subject.part == part)
        if not subjects:
            raise InputError(f"The slice cache {self.folder} has no {part} subjects.")
        return subjects


def _check(subject: CachedSubject, contrasts: int) -> None:
    if subject.part not in PARTS:
        raise InputError(f"{subject.name} belongs to the part {subject.part!r}; the parts are {', '.join(PARTS)}.")
    try:
        shape = subject.array().shape
    except (OSError, ValueError) as error:
        raise InputError(f"{subject.path} cannot be read ({error}); make the slice cache again.") from error
    if len(shape) != 4 or shape[0] != contrasts:
        raise InputError(f"{subject.path} has the shape {shape}, not ({contrasts} contrasts, slices, rows, columns).")


def write_subject(folder: Path, name: str, array: np.ndarray) -> Path:
    """Write one subject's normalised slices, (contrast, slice, row, column), whole or not at all."""
    path = folder / f"{name}.npy"
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.save(file, array.astype(np.float16))
    partial.replace(path)
    return path


def write_index(
    folder: Path, subjects: list[dict[str, Any]], *, contrasts: tuple[str, ...], normalisation: Normalisation, made_by: str
) -> None:
    """Finish a cache: `subjects` are {"name", "part", "provenance"}; `made_by` is the command that made it."""
    index = {"made_by": made_by, "contrasts": contrasts, "normalisation": normalisation.to_card(), "subjects": subjects}
    partial = folder / f"{INDEX}.partial"
    partial.write_text(json.dumps(index, indent=1), encoding="utf-8")
    partial.replace(folder / INDEX)
