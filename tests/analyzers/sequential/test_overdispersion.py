import msgspec
import numpy as np
import pytest

from understudy.analyzers.sequential.overdispersion import (
    FIRST_GUESS,
    PRIOR_WINDOWS,
    Overdispersion,
)


def learnt(sums, units, variance):
    state = Overdispersion()
    for total in sums:
        state = state.after_window(units, float(total), variance)
    return state


def test_independent_units_show_none():
    sums = np.random.default_rng(1).binomial(500, 0.1, size=400)
    assert learnt(sums, 500, 0.09).factor == pytest.approx(1.0, abs=0.15)


def test_units_that_come_in_fives_show_about_five():
    sums = 5 * np.random.default_rng(1).binomial(100, 0.1, size=2_000)
    assert learnt(sums, 500, 0.09).factor == pytest.approx(5.0, rel=0.15)


def test_the_factor_is_never_below_one():
    assert learnt([5] * 1_000, 500, 0.09).factor == 1.0


def test_a_lasting_change_is_not_scatter():
    rng = np.random.default_rng(2)
    sums = np.concatenate([rng.binomial(1_000, 0.01, 100), rng.binomial(1_000, 0.03, 100)])
    assert learnt(sums, 1_000, 0.0196).factor < 1.3


def test_control_sides_are_measured_against_no_harm():
    state = Overdispersion()
    for total in (30.0, -30.0) * 50:
        state = state.after_control_window(100, total, 1.0)
    assert state.factor == pytest.approx(
        (PRIOR_WINDOWS * FIRST_GUESS + 100 * 9.0) / (PRIOR_WINDOWS + 100)
    )


def test_the_first_guess_holds_until_there_is_data():
    for guess, factor in ((2.0, 2.0), (1.0, 1.0), (0.3, 1.0)):
        nothing = Overdispersion(guess=guess)
        assert nothing.factor == factor
        assert nothing.after_window(0, 0.0, 0.0) == nothing
        assert nothing.after_control_window(0, 0.0, 0.0) == nothing
        assert nothing.after_window(10, 1.0, 0.1).factor == factor
    assert learnt([0, 0, 0], 10, 0.0).factor == FIRST_GUESS


def test_state_survives_json():
    state = learnt([3, 4, 1, 8], 50, 0.1)
    assert msgspec.json.decode(msgspec.json.encode(state), type=Overdispersion) == state
