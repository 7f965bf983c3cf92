"""Damaged and hostile files give the right volume or an error message. A few trials run here; `make attack` runs thousands."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from attack import COLUMNS, attack, table

SEED = 5


@pytest.mark.parametrize("trials", [150, pytest.param(3000, marks=pytest.mark.slow)])
def test_every_trial_ends_as_it_should(trials: int) -> None:
    outcomes = list(attack(SEED, range(trials)))
    assert not [outcome for outcome in outcomes if outcome.end in COLUMNS], table(outcomes)
    assert {outcome.end for outcome in outcomes} == {"read", "refused"}
