"""Many cells of two arms: each is the average over all pairings, whatever it is computed with."""

import itertools
import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.analyzers.sequential.bets import log_evidence, signed_bets
from understudy.analyzers.sequential.log_factorial import log_binomial
from understudy.analyzers.sequential.two_arm_cells import (
    MULTIPLIED_OUT,
    Payoffs,
    log_increments,
)

MARGIN = 0.05


def won(cells, margin, bets, ratio=1.0):
    """Of (n, 4) cells: units and bad ones of the candidate, then of stable."""
    counts = np.asarray(cells, dtype=np.float64)
    return log_increments(*np.moveaxis(counts, -1, 0), Payoffs.of(margin, bets, ratio))


def average_over_pairings(cell, margin, bet, ratio):
    """Brute force: every way of giving each unit of the smaller arm its own unit of the larger."""
    units, bad, others, others_bad = cell
    candidate = [1] * bad + [0] * (units - bad)
    stable = [1] * others_bad + [0] * (others - others_bad)
    swapped = len(candidate) > len(stable)
    smaller, larger = (stable, candidate) if swapped else (candidate, stable)
    payoffs = []
    for chosen in itertools.permutations(larger, len(smaller)):
        sides = ((y, x) if swapped else (x, y) for x, y in zip(smaller, chosen, strict=True))
        payoffs.append(math.prod(1 + bet * (c - ratio * s - margin) for c, s in sides))
    return sum(payoffs) / len(payoffs)


def all_cells(units, others):
    return list(itertools.product([units], range(units + 1), [others], range(others + 1)))


@pytest.mark.parametrize("direction", ["rollback", "promotion"])
@pytest.mark.parametrize("ratio", [1.0, 3.0])
@pytest.mark.parametrize("units", [(1, 1), (2, 5), (5, 2), (4, 4), (1, 6), (3, 6), (6, 3)])
def test_closed_form_equals_the_average_over_all_pairings(direction, ratio, units):
    bets = signed_bets(direction, MARGIN, low=-ratio)
    cells = all_cells(*units)
    for cell, of_cell in zip(cells, np.exp(won(cells, MARGIN, bets, ratio)), strict=True):
        by_hand = [average_over_pairings(cell, MARGIN, bet, ratio) for bet in bets]
        assert of_cell == pytest.approx(by_hand, rel=1e-12), cell


@pytest.mark.parametrize("direction", ["rollback", "promotion"])
@pytest.mark.parametrize("units", [(8, 8), (3, 17), (17, 3), (1, 20), (30, 40)])
@pytest.mark.parametrize("base_rate", [0.0, 0.01, 0.3])
@pytest.mark.parametrize("ratio", [1.0, 3.0])
def test_expected_evidence_is_one_at_the_margin(direction, units, base_rate, ratio):
    """Exact enumeration of both arms' counts under rates that differ by just the margin."""
    bets = signed_bets(direction, MARGIN, low=-ratio)
    cells = all_cells(*units)
    evidence = np.exp(log_evidence(won(cells, MARGIN, bets, ratio)))
    chances = [
        binomial(n, bad, ratio * base_rate + MARGIN) * binomial(others, others_bad, base_rate)
        for n, bad, others, others_bad in cells
    ]
    assert np.dot(chances, evidence) == pytest.approx(1.0, rel=1e-12)


def binomial(units, bad, rate):
    return math.comb(units, bad) * rate**bad * (1 - rate) ** (units - bad)


def direct_sum(cell, margin, bet, ratio):
    """The same sum in sixty decimals, every term of it."""
    with localcontext() as context:
        context.prec = 60
        lowered = Decimal(float(bet))

        def payoff(candidate, stable):
            harm = candidate - Decimal(ratio) * stable
            return 1 + lowered * (harm - Decimal(margin))

        units, bad, others, others_bad = cell
        small_only, large_only = payoff(1, 0), payoff(0, 1)
        small, small_bad, large, k = units, bad, others, others_bad
        if units > others:
            small, small_bad, large, k = others, others_bad, units, bad
            small_only, large_only = large_only, small_only
        good, spare = small - small_bad, large - small
        total = Decimal(0)
        for u in range(min(small_bad, k) + 1):
            for v in range(max(0, k - u - spare), min(good, k - u) + 1):
                ways = math.comb(small_bad, u) * math.comb(good, v)
                ways *= math.comb(spare, k - u - v)
                alike = payoff(1, 1) ** u * payoff(0, 0) ** (good - v)
                total += ways * alike * small_only ** (small_bad - u) * large_only**v
        return float((total / math.comb(large, k)).ln())


CELLS = [
    (400, 300, 400, 290),
    (300, 40, 2_000, 25),
    (900, 90, 300, 1),
    (900, 0, 1_000, 160),
    (900, 900, 1_000, 120),
    (5, 5, 3_000, 3_000),
    (200, 30, 250, 240),
    (60, 1, 5_000, 9),
    (60, 0, 20_000, 6),
    (100, 100, 100, 100),
    *((40, 3, 50, bad) for bad in range(MULTIPLIED_OUT + 3)),
]


@pytest.mark.parametrize("cell", CELLS)
def test_nothing_that_matters_is_left_out(cell):
    for direction, ratio in itertools.product(("rollback", "promotion"), (1.0, 3.0)):
        bets = signed_bets(direction, MARGIN, low=-ratio)
        wanted = [direct_sum(cell, MARGIN, bet, ratio) for bet in bets[[0, 3, 5]]]
        assert won([cell], MARGIN, bets, ratio)[0, [0, 3, 5]] == pytest.approx(
            wanted, rel=1e-13, abs=1e-12
        )


def test_few_bad_units_of_a_huge_arm_need_no_digits_of_its_size():
    """One unit in a huge arm, half of it bad: the average of two payoffs."""
    bets = signed_bets("promotion", 0.9)
    for bad in (500_000, 3):
        share = bad / 1e6
        wanted = share * (1 - bets * 0.9) + (1 - share) * (1 + bets * 0.1)
        got = np.exp(won([(1, 1, 1_000_000, bad)], 0.9, bets)[0])
        assert got == pytest.approx(wanted, rel=1e-10)


@pytest.mark.parametrize("margin", [0.0, 0.2, -0.1, 0.9])
def test_arms_of_any_size_and_badness_stay_finite(margin):
    sizes = [1, 7, 900, 60_000, 1_000_000]
    cells = [
        (units, bad, others, others_bad)
        for units, others in itertools.product(sizes, sizes)
        for bad in (0, 1, units // 3, units)
        for others_bad in (0, others // 2, others)
    ]
    for direction in ("rollback", "promotion"):
        assert np.isfinite(won(cells, margin, signed_bets(direction, margin))).all()


arm = st.integers(0, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))


@settings(max_examples=50)
@given(arm, arm)
def test_worse_candidates_give_more_rollback_and_less_promotion_evidence(candidate, stable):
    units, bad = candidate
    if bad == units:
        return
    for direction, sign in (("rollback", 1.0), ("promotion", -1.0)):
        bets = signed_bets(direction, MARGIN)
        as_is, worse = won([(units, bad, *stable), (units, bad + 1, *stable)], MARGIN, bets)
        assert np.all(sign * (worse - as_is) >= -1e-9)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(arm, arm), min_size=1, max_size=40))
def test_a_cell_is_the_same_to_the_last_bit_in_any_batch(pairs):
    cells = np.array([(*candidate, *stable) for candidate, stable in pairs])
    bets = signed_bets("rollback", MARGIN)
    together = won(cells, MARGIN, bets)
    alone = np.concatenate([won(cells[[place]], MARGIN, bets) for place in range(len(cells))])
    assert together.tobytes() == alone.tobytes()


def test_many_cells_are_the_same_to_the_last_bit_as_one_by_one():
    rng = np.random.default_rng(5)
    units = rng.integers(1, 900, (3_000, 2))
    cells = np.stack([units, rng.binomial(units, 0.3)], axis=-1).reshape(-1, 4)
    bets = signed_bets("promotion", MARGIN)
    together = won(cells, MARGIN, bets)
    for place in rng.integers(0, len(cells), 100):
        assert together[place].tobytes() == won(cells[place], MARGIN, bets).tobytes()


def test_leading_axes_stay_and_an_empty_arm_wins_nothing():
    bets = signed_bets("rollback", MARGIN)
    cells = np.array([[[20, 3, 0, 0], [0, 0, 20, 3]], [[20, 3, 30, 1], [0, 0, 0, 0]]])
    got = won(cells, MARGIN, bets)
    assert got.shape == (2, 2, bets.size)
    assert not got[0].any()
    assert got[1, 0].all()
    assert not got[1, 1].any()
    assert won(np.zeros((0, 4)), MARGIN, bets).shape == (0, bets.size)


@pytest.mark.parametrize("cell", [(3, 4, 5, 1), (3, -1, 5, 1), (3, 1, 5, 6), (1, 0, -1, -1)])
def test_impossible_counts_are_an_error(cell):
    with pytest.raises(ValueError, match="exceed"):
        won([cell], MARGIN, signed_bets("rollback", MARGIN))


def test_counts_beyond_sixteen_bits_are_told_apart():
    bets = signed_bets("rollback", MARGIN)
    small, large = won([(1, 0, 65_536, 0), (2, 0, 65_536, 0)], MARGIN, bets)
    assert small == pytest.approx(np.log1p(-bets * MARGIN))
    assert large == pytest.approx(2 * np.log1p(-bets * MARGIN))


def test_log_binomial_has_all_digits():
    for n, k, chance in ((10, 3, 0.25), (1_000, 20, 0.02), (7, 0, 0.5), (7, 7, 0.5), (50, 49, 0.9)):
        with localcontext() as context:
            context.prec = 40
            p = Decimal(chance)
            exact = float((math.comb(n, k) * p**k * (1 - p) ** (n - k)).ln())
        got = log_binomial(*(np.array([float(x)]) for x in (k, n, chance, 1.0 - chance)))
        assert got[0] == pytest.approx(exact, rel=1e-14, abs=1e-14)


def test_kinds_of_cells_have_payoffs_of_their_own():
    rng = np.random.default_rng(3)
    payoffs = [
        Payoffs.of(margin, signed_bets("rollback", margin, low=-ratio), ratio)
        for margin, ratio in ((0.01, 1.0), (0.05, 1.0), (0.05, 3.0))
    ]
    units = rng.integers(0, 400, (200, 2)).astype(float)
    bad = rng.binomial(units.astype(int), 0.1).astype(float)
    kinds = rng.integers(0, len(payoffs), len(units))
    arms = units[:, 0], bad[:, 0], units[:, 1], bad[:, 1]
    together = log_increments(*arms, Payoffs.stacked(payoffs), kinds)
    for kind, of_kind in enumerate(payoffs):
        own = kinds == kind
        alone = log_increments(*(one[own] for one in arms), of_kind)
        assert np.array_equal(together[own], alone)
