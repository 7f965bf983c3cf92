"""A cache of slices: one memory-mapped array per subject, and an index that records how they were made.

    cache/
      index.json        contrasts, normalisation, and what is known of each subject
      <subject>.npy     (contrast, slice, row, column), contrasts in the order of the index
      regions/<subject>.npy   (slice, row, column), labels of the tissues; for a cohort, only if they were drawn
      folds.json        a cohort's folds, see `ccdnn_training.data.folds`

Simulated knees are stored normalised, as float16, and the index states the part (train, validation, test) of each. A cohort is
stored in its original units, as float32, because its normalisation may depend on the training part, and thus on the fold.
`SliceCache(folder, fold=2)` assigns every subject its part and normalises while reading.

A subject belongs to one part, so none of its data can leak into another. A subject with a lesion belongs to none and is kept apart.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ccdnn.errors import InputError
from ccdnn.measure.cnr import tissue_name
from ccdnn.normalisation import DatasetMinMax, Normalisation
from ccdnn.writing import make_folder, replacing
from ccdnn_training.data.folds import PARTS, Fold, read_folds

INDEX = "index.json"
AS_READ, NORMALISED = "as read", "normalised"

# Share of T1-w's robust maximum that separates the patient (above) from air (below).
TISSUE_THRESHOLD = 0.2


@dataclass(frozen=True)
class CachedSubject:
    """One subject's slices.

    Args:
        provenance: how it was made or measured; does not name a patient.
        tissue_threshold: normalised T1-w intensity that separates the patient from air.
        offsets, scales: normalisation of the stored values, by contrast; None if they are stored normalised.
    """

    name: str
    part: str | None
    path: Path
    provenance: Mapping[str, Any]
    tissue_threshold: float = TISSUE_THRESHOLD
    offsets: tuple[float, ...] | None = None
    scales: tuple[float, ...] | None = None

    def array(self) -> np.ndarray | NormalisedArray:
        """(contrast, slice, row, column), normalised, read from disk as needed."""
        stored = np.load(self.path, mmap_mode="r", allow_pickle=False)
        if self.offsets is None or self.scales is None:
            return stored
        return NormalisedArray(stored, self.offsets, self.scales)

    @property
    def lesion(self) -> str:
        """The name of its lesion among the regions; "" for a healthy subject."""
        return self.provenance.get("lesion", "")

    def regions(self) -> dict[str, np.ndarray]:
        """Tissue, as `tissue_name` writes it → (slice, row, column) bool. Empty where none were drawn."""
        if "regions" not in self.provenance:
            return {}
        labels = np.load(_regions_path(self.path.parent, self.name), allow_pickle=False)
        values: dict[str, list[int]] = {}
        for name, numbers in self.provenance["regions"].items():
            values.setdefault(tissue_name(name), []).extend(numbers)
        masks = {name: np.isin(labels, numbers) for name, numbers in values.items()}
        return {name: mask for name, mask in masks.items() if mask.any()}


class NormalisedArray:
    """A view of `stored`, (contrast, slice, row, column), whose values are (stored − offset) / scale of their contrast.

    It is indexed and converted like an array, and computes only the values asked for.
    """

    def __init__(self, stored: np.ndarray, offsets: Sequence[float], scales: Sequence[float]) -> None:
        self._stored = stored
        self._offsets, self._scales = np.array(offsets, np.float32), np.array(scales, np.float32)
        self.shape, self.dtype = stored.shape, np.dtype(np.float32)

    def __len__(self) -> int:
        return len(self._stored)

    def __getitem__(self, key: Any) -> np.ndarray:
        values = np.asarray(self._stored[key], np.float32)
        contrast = key[0] if isinstance(key, tuple) else key
        offset, scale = self._offsets[contrast], self._scales[contrast]
        if offset.ndim:
            offset, scale = (of.reshape(-1, *[1] * (values.ndim - 1)) for of in (offset, scale))
        return (values - offset) / scale

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype, copy=False)

    def astype(self, dtype: Any) -> np.ndarray:
        return np.asarray(self, dtype)


class SliceCache:
    """An existing cache: `subjects` of all parts, and those `apart`, which have a lesion.

    Args:
        fold: fold of a cohort, 1, 2, …; simulated knees have no folds.

    Raises:
        InputError: there is no cache at `folder`, a subject's file is missing or does not match the index, or the cache does not
            have this `fold`.
    """

    def __init__(self, folder: str | Path, fold: int | None = None) -> None:
        self.folder = Path(folder)
        try:
            index = json.loads((self.folder / INDEX).read_text(encoding="utf-8"))
            self.contrasts = tuple(index["contrasts"])
            self.made_by: str = index["made_by"]
            self.is_cohort = index.get("intensities", NORMALISED) == AS_READ
            if self.is_cohort:
                chosen = read_folds(self.folder, [s["name"] for s in index["subjects"]]).fold(fold)
                self.fold: Fold | None = chosen
                self.normalisation = _fold_normalisation(index, chosen)
                everybody = [self._of_cohort(s, chosen) for s in index["subjects"]]
                self.subjects = tuple(subject for subject in everybody if subject.part)
                self.apart = tuple(subject for subject in everybody if subject.part is None and subject.lesion)
            else:
                if fold is not None:
                    raise InputError(f"{self.folder} is a cache of simulated knees, which has no folds; leave out the fold.")
                self.fold, self.apart = None, ()
                self.normalisation = Normalisation.from_card(index["normalisation"])
                self.subjects = tuple(
                    CachedSubject(s["name"], s["part"], self._path(s), s["provenance"]) for s in index["subjects"]
                )
        except FileNotFoundError as error:
            raise InputError(
                f"{self.folder} is not a slice cache; make one with `ccdnn-train prepare` (own data) or `ccdnn-train simulate`."
            ) from error
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{self.folder / INDEX} is not the index of a slice cache ({error}); make the cache again.") from error
        for subject in (*self.subjects, *self.apart):
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

    def _path(self, entry: Mapping[str, Any]) -> Path:
        return self.folder / f"{entry['name']}.npy"

    def _of_cohort(self, entry: Mapping[str, Any], fold: Fold) -> CachedSubject:
        series = [entry["series"][contrast] for contrast in self.contrasts]
        if isinstance(self.normalisation, DatasetMinMax):
            offsets = (self.normalisation.min,) * len(series)
            scales = (self.normalisation.max - self.normalisation.min,) * len(series)
        else:
            offsets, scales = (0.0,) * len(series), tuple(s["robust_maximum"] for s in series)
        threshold = (TISSUE_THRESHOLD * series[0]["robust_maximum"] - offsets[0]) / scales[0]
        part = fold.part_of(entry["name"])
        return CachedSubject(entry["name"], part, self._path(entry), entry, threshold, offsets, scales)


def _fold_normalisation(index: Mapping[str, Any], fold: Fold) -> Normalisation:
    """`dataset_minmax` with the constants of the fold's training part, so that no other subject influences them."""
    entry = index["normalisation"]
    if entry["strategy"] != DatasetMinMax.strategy:
        return Normalisation.from_card(entry)
    series = [s for subject in index["subjects"] if subject["name"] in fold.train for s in subject["series"].values()]
    return DatasetMinMax(min=min(s["minimum"] for s in series), max=max(s["maximum"] for s in series))


def _check(subject: CachedSubject, contrasts: int) -> None:
    if subject.part not in (*PARTS, None):
        raise InputError(f"{subject.name} belongs to the part {subject.part!r}; the parts are {', '.join(PARTS)}.")
    try:
        shape = subject.array().shape
    except (OSError, ValueError) as error:
        raise InputError(f"{subject.path} cannot be read ({error}); make the slice cache again.") from error
    if len(shape) != 4 or shape[0] != contrasts:
        raise InputError(f"{subject.path} has the shape {shape}, not ({contrasts} contrasts, slices, rows, columns).")


def write_subject(folder: Path, name: str, array: np.ndarray, dtype: type[np.floating] = np.float16) -> Path:
    """Write one subject's slices, (contrast, slice, row, column), atomically."""
    path = folder / f"{name}.npy"
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.save(file, array.astype(dtype))
    partial.replace(path)
    return path


def write_regions(folder: Path, name: str, labels: np.ndarray) -> None:
    """Write one subject's labels, (slice, row, column) whole numbers, atomically."""
    path = _regions_path(folder, name)
    make_folder(path.parent)
    with replacing(path) as partial:
        np.save(partial, labels.astype(np.uint16), allow_pickle=False)


def _regions_path(folder: Path, name: str) -> Path:
    return folder / "regions" / f"{name}.npy"


def write_index(
    folder: Path, subjects: list[dict[str, Any]], *, contrasts: tuple[str, ...], normalisation: Normalisation, made_by: str
) -> None:
    """Finish a cache of normalised slices: `subjects` are {"name", "part", "provenance"}; `made_by` is the command that made it."""
    _write(folder, subjects, contrasts=contrasts, normalisation=normalisation.to_card(), made_by=made_by, intensities=NORMALISED)


def write_cohort_index(
    folder: Path, subjects: list[dict[str, Any]], *, contrasts: tuple[str, ...], normalisation: Mapping[str, Any], made_by: str
) -> None:
    """Finish a cohort's cache.

    Args:
        subjects: {"name", "series": {contrast: {"minimum", "maximum", "robust_maximum", …}}, …}.
        normalisation: a card's entry; `dataset_minmax` without constants, since each fold has its own.
    """
    _write(folder, subjects, contrasts=contrasts, normalisation=normalisation, made_by=made_by, intensities=AS_READ)


def _write(folder: Path, subjects: list[dict[str, Any]], **entries: Any) -> None:
    partial = folder / f"{INDEX}.partial"
    partial.write_text(json.dumps({**entries, "subjects": subjects}, indent=1), encoding="utf-8")
    partial.replace(folder / INDEX)
