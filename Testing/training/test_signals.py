"""The signal equations compared with values worked out by hand, their limits, and the physics they describe."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ccdnn_training.physics import signals
from ccdnn_training.physics.noise import add_rician_noise
from ccdnn_training.physics.protocol import PAPER_PROTOCOL, PARAMETER_RANGES, draw_protocol


def test_spin_echo_by_hand() -> None:
    value = signals.spin_echo(0.8, 1000.0, 50.0, tr=522, te=11)
    assert value == pytest.approx(0.8 * (1 - math.exp(-0.522)) * math.exp(-0.22), rel=1e-12)


def test_gradient_echo_by_hand_and_at_ninety_degrees() -> None:
    e1 = math.exp(-500 / 1420)
    expected = math.sin(math.radians(25)) * (1 - e1) / (1 - math.cos(math.radians(25)) * e1) * math.exp(-10 / 24)
    assert signals.spoiled_gradient_echo(1, 1420, 24, tr=500, te=10, flip_angle=25) == pytest.approx(expected, rel=1e-12)
    # At 90° the steady state's denominator is 1: a spin echo with T2* in place of T2.
    assert signals.spoiled_gradient_echo(1, 800, 30, tr=500, te=10, flip_angle=90) == pytest.approx(
        float(signals.spin_echo(1, 800, 30, tr=500, te=10)), rel=1e-12
    )


def test_the_ernst_angle_gives_the_brightest_signal() -> None:
    tr, t1 = 500, 1240
    ernst = math.degrees(math.acos(math.exp(-tr / t1)))
    angles = np.linspace(5, 90, 1701)
    brightest = angles[np.argmax([signals.spoiled_gradient_echo(1, t1, 25, tr=tr, te=10, flip_angle=a) for a in angles])]
    assert brightest == pytest.approx(ernst, abs=0.05)


def test_inversion_recovery_nulls_fat_of_the_paper_at_317_ms() -> None:
    t1 = np.arange(100.0, 1000.0, 0.5)
    signal = signals.inversion_recovery(1, t1, 100, tr=4478, te=60, ti=220)
    # What relaxes faster has passed through zero, what relaxes more slowly has not: there is one null, at TI / ln 2.
    null = t1[signal > 0].max()
    assert (signal[t1 <= null] > 0).all() and (signal[t1 > null] < 0).all()
    assert null == pytest.approx(220 / math.log(2), abs=1) and round(null) == 317
    # Fat at 3 T keeps about −10 % of its magnetisation.
    assert signals.inversion_recovery(1, 371, 1e9, tr=4478, te=0, ti=220) == pytest.approx(-0.10, abs=0.01)


def test_no_t1_is_nulled_when_the_magnetisation_recovers_before_the_readout() -> None:
    assert (signals.inversion_recovery(1, np.geomspace(1, 1e4, 1000), 100, tr=100, te=0, ti=5000) > 0).all()


def test_rician_noise_has_the_moments_of_a_rice_distribution() -> None:
    rng = np.random.default_rng(0)
    signal, sigma = 0.5, 0.2
    noisy = add_rician_noise(np.full(400_000, signal, np.float32), sigma, rng)
    assert np.mean(noisy.astype(float) ** 2) == pytest.approx(signal**2 + 2 * sigma**2, rel=5e-3)
    air = add_rician_noise(np.zeros(400_000, np.float32), sigma, rng)
    assert air.mean() == pytest.approx(sigma * math.sqrt(math.pi / 2), rel=5e-3)
    assert air.std() == pytest.approx(sigma * math.sqrt(2 - math.pi / 2), rel=5e-3)
    assert np.array_equal(add_rician_noise(np.array([-1.0, 2.0]), 0, rng), [1.0, 2.0])
    with pytest.raises(ValueError, match="0 or more"):
        add_rician_noise(np.zeros(1), -1, rng)


def test_a_drawn_protocol_stays_in_its_ranges_and_keeps_the_stir() -> None:
    for seed in range(20):
        protocol = draw_protocol(np.random.default_rng(seed))
        assert protocol["stir"] == PAPER_PROTOCOL["stir"]
        for contrast, ranges in PARAMETER_RANGES.items():
            for name, (low, high) in ranges.items():
                assert low <= getattr(protocol[contrast], name) <= high
                assert low <= getattr(PAPER_PROTOCOL[contrast], name) <= high
