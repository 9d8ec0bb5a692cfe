import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.analyzers.sequential import exact, unbounded
from understudy.analyzers.sequential.bets import log_evidence, signed_bets
from understudy.analyzers.sequential.confidence import (
    asymptotic_intervals,
    boundaries,
    exact_intervals,
    mean_intervals,
)
from understudy.analyzers.sequential.unbounded import Moments, Observations, Scale


def exact_interval(harms, values, alpha, **options):
    """Of one cell."""
    return tuple(exact_intervals(np.asarray(harms, float), values, alpha, **options).tolist())


def mean_interval(*sums_and_alpha, **options):
    """Of one cell."""
    *sums, alpha = sums_and_alpha
    return tuple(mean_intervals(*(np.array(float(x)) for x in sums), alpha, **options).tolist())


def asymptotic_interval(mean, variance, units, alpha):
    """Of one cell."""
    sums = (np.array(float(x)) for x in (mean, variance, units))
    return tuple(asymptotic_intervals(*sums, alpha).tolist())


counts = st.lists(st.integers(0, 2_000), min_size=3, max_size=3).map(np.array)


@settings(max_examples=40, deadline=None)
@given(counts, st.sampled_from([0.01, 0.05]))
def test_the_interval_inverts_the_test(harms, alpha):
    low, high = exact_interval(harms, exact.PAIRED_VALUES, alpha)
    assert -1.0 <= low <= high <= 1.0

    def rejected(direction, margin):
        bets = signed_bets(direction, margin)
        won = exact.log_increments(harms, exact.PAIRED_VALUES, margin, bets)
        return log_evidence(won) >= -np.log(alpha)

    if low > -1.0:
        assert rejected("rollback", low - 1e-6) if low - 1e-6 > -1.0 else True
        assert not rejected("rollback", low + 1e-6)
    if high < 1.0:
        assert rejected("promotion", high + 1e-6) if high + 1e-6 < 1.0 else True
        assert not rejected("promotion", high - 1e-6)


def test_nothing_seen_leaves_everything_possible():
    assert exact_interval(np.zeros(3), exact.PAIRED_VALUES, 0.05) == (-1.0, 1.0)
    assert exact_interval(np.zeros(2), exact.LIMIT_VALUES, 0.05, low=0.0) == (0.0, 1.0)
    assert mean_interval(0.0, 0.0, 0.0, 0.0, 0.05) == (-np.inf, np.inf)


def test_more_data_narrows_and_less_alpha_or_design_effect_widens():
    few, many = np.array([5, 980, 15]), np.array([50, 9_800, 150])

    def width(harms, alpha=0.05, phi=1.0):
        low, high = exact_interval(harms, exact.PAIRED_VALUES, alpha, design_effect=phi)
        return high - low

    assert width(many) < width(few) < width(few, alpha=0.01)
    assert width(few) < width(few, phi=2.0)


def test_the_mean_interval_inverts_the_unbounded_test():
    scale = Scale(prior=1.0)
    batch = Observations(4_000.0, 200.0, 4_100.0, 4_100.0)
    charged = unbounded.penalty(batch, scale)
    low, high = mean_interval(batch.total, batch.units, charged, scale.prior, 0.05)
    assert low == pytest.approx(0.05 - (high - low) / 2)
    for m, direction in ((low, "rollback"), (high, "promotion")):
        total = batch.total - m * batch.units
        shifted = Observations(batch.units, total, batch.square, batch.spread)
        evidence = log_evidence(unbounded.log_increments(shifted, scale, direction))
        assert evidence == pytest.approx(np.log(20.0), abs=1e-6)


def test_intervals_cover_at_every_look_together():
    """400 streams, looked at 40 times: the truth leaves an interval in few of them."""
    rng = np.random.default_rng(11)
    looks = rng.multinomial(50, [0.02, 0.94, 0.04], size=(400, 40)).cumsum(axis=1)
    missed = 0
    bets = {side: signed_bets(side, 0.02) for side in ("rollback", "promotion")}
    for side in bets:
        won = exact.log_increments(looks, exact.PAIRED_VALUES, 0.02, bets[side])
        missed += int((log_evidence(won) >= np.log(40.0)).any(axis=1).sum())
    assert missed / 400 <= 0.05


def test_two_arms_cover_their_difference_at_every_look_together():
    """60 streams of two arms, 4 % against 2 % bad, through the unbounded test's sums."""
    rng = np.random.default_rng(12)
    missed = 0
    for _ in range(60):
        scale, total, weight, charged, covered = Scale(), 0.0, 0.0, 0.0, True
        for _ in range(40):
            ours, theirs = int(rng.binomial(50, 0.04)), int(rng.binomial(450, 0.02))
            batch = unbounded.unpaired(Moments(50, ours, ours), Moments(450, theirs, theirs), 1.0)
            if scale.prior > 0.0:
                total, weight = total + batch.total, weight + batch.units
                charged += unbounded.penalty(batch, scale)
                low, high = mean_interval(total, weight, charged, scale.prior, 0.025)
                covered = covered and low <= 0.02 <= high
            scale = scale.after(batch)
        missed += not covered
        assert high - low < 0.06
    assert missed <= 3


@pytest.mark.parametrize("edge", [0.2, 0.5, 0.9999])
def test_bisection_finds_the_edge(edge):
    inside, outside = np.zeros(2), np.ones(2)
    found = boundaries(lambda m: m >= edge, inside, outside)
    assert found == pytest.approx(np.full(2, edge), abs=2e-9)
    assert (found >= edge).all()
    nowhere = boundaries(lambda m: np.zeros(2, dtype=bool), inside, outside)
    assert nowhere.tolist() == [1.0, 1.0]


def test_the_asymptotic_interval_holds_at_every_look() -> None:
    rng, missed, runs = np.random.default_rng(4), 0, 400
    looks = np.arange(200, 10_001, 200)
    for _ in range(runs):
        sums = np.cumsum(rng.normal(0.3, 1.0, 10_000))[looks - 1]
        intervals = (
            asymptotic_interval(total / n, 1.0 / n, n, 0.05)
            for total, n in zip(sums.tolist(), looks.tolist(), strict=True)
        )
        missed += any(not low <= 0.3 <= high for low, high in intervals)
    assert missed <= 0.05 * runs
    assert asymptotic_interval(0.3, 0.0, 10.0, 0.05) == (-np.inf, np.inf)


CELLS = np.array([[4, 900, 30], [0, 5, 0], [5, 0, 0], [0, 0, 7], [0, 0, 0], [40, 9, 50]], float)
EFFECTS = np.array([1.0, 2.0, 1.0, 3.0, 1.0, 5.0])


def test_intervals_of_many_cells_are_those_of_each():
    values = exact.PAIRED_VALUES
    together = exact_intervals(CELLS, values, 0.025, design_effect=EFFECTS)
    for cell, effect, ends in zip(CELLS, EFFECTS, together, strict=True):
        alone = exact_interval(cell, values, 0.025, design_effect=effect)
        assert tuple(ends.tolist()) == alone


def test_intervals_of_many_means_are_those_of_each():
    total, weight = np.array([80.0, -30.0, 5.0, 5.0]), np.array([900.0, 50.0, 0.0, 9.0])
    penalty, prior = np.array([2_000.0, 90.0, 5.0, 5.0]), np.array([0.7, 2.0, 1.0, 0.0])
    effects = EFFECTS[:4]
    together = mean_intervals(total, weight, penalty, prior, 0.025, design_effect=effects)
    sums = zip(total, weight, penalty, prior, strict=True)
    for ends, effect, of_cell in zip(together, effects, sums, strict=True):
        alone = mean_interval(*of_cell, 0.025, design_effect=effect)
        assert tuple(ends.tolist()) == alone


def test_asymptotic_intervals_of_many_cells_are_those_of_each():
    mean, variance = np.array([0.01, -0.2, 0.0, 0.0]), np.array([1e-4, 0.3, 0.0, np.nan])
    units = np.array([900.0, 5.0, 10.0, 10.0])
    together = asymptotic_intervals(mean, variance, units, 0.05)
    cells = zip(mean, variance, units, strict=True)
    for ends, cell in zip(together, cells, strict=True):
        assert tuple(ends.tolist()) == asymptotic_interval(*cell, 0.05)
