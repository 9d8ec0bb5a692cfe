import msgspec
import numpy as np
import pytest

from understudy.analyzers.sequential import unbounded
from understudy.analyzers.sequential.bets import log_evidence
from understudy.analyzers.sequential.unbounded import Moments, Observations, Scale


def costs(seed, pairs, factor=1.0):
    rng = np.random.default_rng(seed)
    stable = rng.lognormal(0.0, 1.0, pairs)
    return factor * stable * rng.lognormal(-0.08, 0.4, pairs), stable


def paired(candidate, stable, margin):
    return unbounded.paired_ratio(
        len(stable),
        candidate.sum(),
        stable.sum(),
        (candidate**2).sum(),
        (candidate * stable).sum(),
        (stable**2).sum(),
        margin,
    )


def test_paired_ratio_equals_the_sums_over_observations():
    candidate, stable = costs(1, 200)
    x = candidate - 1.1 * stable
    batch = paired(candidate, stable, 0.1)
    assert (batch.units, batch.total, batch.square) == pytest.approx((200, x.sum(), (x**2).sum()))


def test_an_unpaired_window_weighs_its_one_observation():
    candidate, stable = costs(3, 50)
    ours = Moments(50, candidate.sum(), (candidate**2).sum())
    theirs = Moments(30, stable[:30].sum(), (stable[:30] ** 2).sum())
    weight = 50 * 30 / 80
    batch = unbounded.unpaired(ours, theirs, 1.1)
    expected = weight * (candidate.mean() - 1.1 * stable[:30].mean())
    noise = candidate.var(ddof=1) / 50 + 1.21 * stable[:30].var(ddof=1) / 30
    assert batch == Observations(
        pytest.approx(weight),
        pytest.approx(expected),
        pytest.approx(expected**2),
        pytest.approx(weight**2 * noise),
    )


def test_an_empty_arm_or_window_says_nothing():
    nothing = Moments(0, 0.0, 0.0)
    batch = unbounded.unpaired(nothing, Moments(5, 5.0, 5.0), 1.0)
    assert batch == Observations(0.0, 0.0, 0.0, 0.0)
    scale = Scale(prior=1.0)
    assert not unbounded.log_increments(batch, scale, "rollback").any()
    assert scale.after(batch) == scale
    assert (nothing.mean, nothing.variance, Moments(1, 2.0, 4.0).variance) == (0.0, 0.0, 0.0)


def test_nothing_is_staked_before_the_scale_is_known():
    batch = Observations(40.0, 30.0, 80.0, 80.0)
    scale = Scale()
    for seen in (1, 2):
        assert not unbounded.log_increments(batch, scale, "rollback").any()
        scale = scale.after(batch)
        assert (scale.prior, scale.units) == (0.0, 40.0 * seen)
    scale = scale.after(batch)
    assert scale.prior == 2.0
    assert unbounded.log_increments(batch, scale, "rollback").any()


def test_the_predicted_variance_leans_on_the_prior_and_then_on_what_was_seen():
    scale = Scale(prior=4.0)
    assert scale.variance == 4.0
    assert scale.after(Observations(500.0, 0.0, 1_000.0, 1_000.0)).variance == pytest.approx(3.0)
    assert msgspec.json.decode(msgspec.json.encode(scale), type=Scale) == scale


def test_degenerate_costs_stay_finite():
    free = paired(np.zeros(200), np.zeros(200), 0.1)
    scale = Scale().after(free)
    assert scale.prior == 0.0
    assert not unbounded.log_increments(free, scale, "promotion").any()


@pytest.mark.parametrize("direction", ["rollback", "promotion"])
def test_evidence_is_the_documented_formula(direction):
    batch, scale = Observations(100.0, 12.0, 90.0, 90.0), Scale(prior=0.81)
    sign = 1 if direction == "rollback" else -1
    by_hand = [
        sign * stake * 12.0 - stake**2 / 6 * (90.0 + 2 * 100.0 * 0.81)
        for stake in (0.5 * 2.0**-g / 0.9 for g in range(7))
    ]
    assert unbounded.log_increments(batch, scale, direction) == pytest.approx(by_hand)


def test_expected_evidence_is_at_most_one_for_a_skewed_observation():
    """Two-point harm with mean zero, one chance in a hundred of a large one; exact expectation."""
    rare, often = 9.9, -0.1
    variance = 0.01 * rare**2 + 0.99 * often**2
    scale = Scale(prior=variance)
    for direction in ("rollback", "promotion"):
        expected = 0.0
        for x, chance in ((rare, 0.01), (often, 0.99)):
            won = unbounded.log_increments(Observations(1.0, x, x * x, x * x), scale, direction)
            expected += chance * np.exp(log_evidence(won))
        assert expected <= 1.0


def test_equal_costs_promote_and_dearer_ones_roll_back():
    for factor, direction in ((1.0, "promotion"), (1.3, "rollback")):
        scale, wealth = Scale(), np.zeros(7)
        for window in range(100):
            batch = paired(*costs(window, 100, factor), 0.1)
            wealth = wealth + unbounded.log_increments(batch, scale, direction)
            scale = scale.after(batch)
        assert log_evidence(wealth) > np.log(100.0)
