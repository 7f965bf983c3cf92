"""What a model says of subjects whose STIR is known: image, error, and the scale of the error that it expects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ccdnn.errors import InputError
from ccdnn.inference.synthesizer import Synthesizer
from ccdnn.normalisation import Normalisation
from ccdnn_training.data.cache import CachedSubject
from ccdnn_training.data.knees import KneeRecipe
from ccdnn_training.evaluation.checks import body_of


@dataclass(frozen=True, eq=False)
class Case:
    """One subject, with all inputs or without some.

    Args:
        missing: roles that were left out.
        image, acquired, log_scale: (slice, row, column), normalised.
        body: (slice, row, column) bool.
        regions: tissue → mask.
        spacing: mm, (slice, row, column).
    """

    subject: str
    missing: tuple[str, ...]
    image: np.ndarray
    acquired: np.ndarray
    log_scale: np.ndarray
    body: np.ndarray
    regions: Mapping[str, np.ndarray]
    spacing: tuple[float, float, float]

    @cached_property
    def error(self) -> np.ndarray:
        return self.acquired - self.image

    @cached_property
    def scale(self) -> np.ndarray:
        return np.exp(self.log_scale)


def missing_sets(optional: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """What may be missing: nothing, or one of the optional inputs."""
    return ((), *((role,) for role in optional))


def case_of(synthesizer: Synthesizer, subject: CachedSubject, missing: tuple[str, ...]) -> Case:
    """What a model that estimates its error says of a subject without some inputs."""
    card = synthesizer.model.card
    array = np.asarray(subject.array(), np.float32)
    inputs, acquired = array[:-1], array[-1]
    body = body_of(inputs, subject.tissue_threshold)
    inputs = without(inputs, [card.roles.index(role) for role in missing], Normalisation.from_card(card.normalisation).background)
    found = synthesizer.predict(inputs)
    assert found.log_scale is not None
    return Case(subject.name, missing, found.image, acquired, found.log_scale, body, subject.regions(), spacing_of(subject))


def without(inputs: np.ndarray, left_out: Sequence[int], background: float) -> np.ndarray:
    """(contrast, slice, row, column) with some contrasts replaced as in training."""
    inputs = inputs.copy()
    inputs[list(left_out)] = background
    return inputs


def spacing_of(subject: CachedSubject) -> tuple[float, float, float]:
    """mm from voxel to voxel, (slice, row, column).

    Raises:
        InputError: the cache is not of simulated knees.
    """
    recipe = subject.provenance.get("recipe")
    if recipe is None:
        raise InputError("The size of regions is known for simulated knees alone; name a cache of `ccdnn-train simulate`.")
    known = KneeRecipe(**{**recipe, "matrix": tuple(recipe["matrix"]), "fov": tuple(recipe["fov"])})
    grid, _, _ = known.draw(subject.provenance["simulation_seed"])
    return grid.spacing[2], grid.spacing[1], grid.spacing[0]
