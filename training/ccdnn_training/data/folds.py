"""Cross-validation by subject (section 2.6): every subject is tested once, by a network that never saw it.

folds.json lists the names in each part of each fold, so that a split can be read, cited, or replaced by your own.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ccdnn.errors import InputError

FOLDS = "folds.json"
PARTS = ("train", "validation", "test")

# Two of the paper's nine; the paper does not state how many were used for validation.
VALIDATION_SHARE = 0.2


@dataclass(frozen=True)
class Fold:
    """Names of subjects, every one in at most one part.

    Raises:
        InputError: a subject in two parts.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        names = [name for part in PARTS for name in getattr(self, part)]
        if crossing := sorted({name for name in names if names.count(name) > 1}):
            raise InputError(f"{crossing[0]} appears more than once in a fold; a subject belongs to one part.")

    def part_of(self, name: str) -> str | None:
        """The part that contains the subject, None if the fold leaves it out."""
        return next((part for part in PARTS if name in getattr(self, part)), None)


@dataclass(frozen=True)
class Folds:
    """All folds of a cohort, and the seed that drew them (None for a custom split)."""

    folds: tuple[Fold, ...]
    seed: int | None = None

    def fold(self, number: int | None) -> Fold:
        """Fold 1, 2, …

        Raises:
            InputError: the fold does not exist.
        """
        if number is None or not 1 <= number <= len(self.folds):
            asked = "no fold was chosen" if number is None else f"fold {number} does not exist"
            raise InputError(
                f"The cohort has folds 1 to {len(self.folds)}, but {asked}; choose one, as in --data.init_args.fold 1."
            )
        return self.folds[number - 1]


def make_folds(persons: Mapping[str, str], count: int = 4, seed: int = 0, validation_share: float = VALIDATION_SHARE) -> Folds:
    """Draw folds such that all subjects of one person are in the same part.

    Args:
        persons: subject to person; two knees, or two visits, of one person are two subjects.
        count: number of folds; each person is in the test part of exactly one.
        validation_share: share of the persons outside the test part, at least one of them.

    Raises:
        InputError: too few persons for a training, a validation and a test part in every fold.
    """
    everybody = sorted(set(persons.values()))
    if count < 2:
        raise InputError(f"A cross-validation needs at least 2 folds, not {count}.")
    if len(everybody) < _fewest(count):
        raise InputError(
            f"{len(everybody)} {'person is' if len(everybody) == 1 else 'persons are'} too few for {count} folds with training, "
            f"validation and test subjects of their own; at least {_fewest(count)} are needed."
        )
    rng = np.random.default_rng(seed)
    tested = np.array_split(rng.permutation(everybody), count)
    folds = []
    for number in range(count):
        others = np.concatenate([group for other, group in enumerate(tested) if other != number])
        validated = rng.permutation(others)[: max(1, round(validation_share * len(others)))]
        members = {"test": set(tested[number]), "validation": set(validated), "train": set(others) - set(validated)}
        folds.append(Fold(**{part: tuple(s for s, person in persons.items() if person in members[part]) for part in PARTS}))
    return Folds(tuple(folds), seed)


def _fewest(count: int) -> int:
    """The smallest number of persons that leaves two outside the test part of every one of `count` folds."""
    return next(n for n in range(count, count + 3) if n - -(-n // count) >= 2)


def write_folds(folds: Folds, folder: Path) -> None:
    (folder / FOLDS).write_text(json.dumps(asdict(folds), indent=1), encoding="utf-8")


def read_folds(folder: Path, subjects: Collection[str] | None = None) -> Folds:
    """The folds of a cohort's cache.

    Args:
        subjects: subjects of the cache; None skips the check for unknown ones.

    Raises:
        InputError: the file is missing or damaged, a subject is unknown or in two parts, or a training or validation part is empty.
    """
    path = folder / FOLDS
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        folds = tuple(Fold(**{part: tuple(fold[part]) for part in PARTS}) for fold in entries["folds"])
        seed = entries.get("seed")
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path} does not list folds ({error}); make the cache again with `ccdnn-train prepare`.") from error
    for number, fold in enumerate(folds, start=1):
        named = {*fold.train, *fold.validation, *fold.test}
        if unknown := sorted(named - (named if subjects is None else set(subjects))):
            raise InputError(f"Fold {number} of {path} names {unknown[0]}, which is not in the cache.")
        if not fold.train or not fold.validation:
            raise InputError(f"Fold {number} of {path} has no training or no validation subjects.")
    return Folds(folds, seed)
