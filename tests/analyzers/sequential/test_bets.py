import numpy as np
import pytest

from understudy.analyzers.sequential.bets import (
    SIGNED_GRID,
    UNIT_GRID,
    log_evidence,
    log_sum_exp,
    signed_bets,
)


@pytest.mark.parametrize(
    ("direction", "margin", "low", "high"),
    [
        ("rollback", 0.005, -1.0, 1.0),
        ("promotion", 0.005, -1.0, 1.0),
        ("rollback", 0.01, 0.0, 1.0),
        ("promotion", 0.01, 0.0, 1.0),
        ("rollback", 0.0, 0.0, 1.0),
        ("promotion", 1.0, 0.0, 1.0),
        ("rollback", 1.0, -1.0, 1.0),
        ("promotion", -1.0, -1.0, 1.0),
    ],
)
def test_no_single_unit_can_ruin_a_bettor(direction, margin, low, high):
    bets = signed_bets(direction, margin, low=low, high=high)
    payoffs = 1.0 + np.outer(bets, np.array([low, high]) - margin)
    assert np.all(payoffs > 0.0)
    assert np.all(bets > 0.0) if direction == "rollback" else np.all(bets < 0.0)


def test_grids_suit_the_range_of_the_harm():
    assert signed_bets("rollback", 0.0).tolist() == [0.99, *SIGNED_GRID[1:]]
    assert signed_bets("rollback", 0.01, low=0.0).tolist() == UNIT_GRID.tolist()
    assert signed_bets("rollback", 0.5, low=0.0)[0] == pytest.approx(1.98)
    own = np.array([0.125])
    assert signed_bets("promotion", 0.0, grid=own).tolist() == [-0.125]


@pytest.mark.parametrize(("margin", "low", "high"), [(1.5, -1, 1), (-0.1, 0, 1), (0, 1, 1)])
def test_a_margin_outside_the_range_is_an_error(margin, low, high):
    with pytest.raises(ValueError, match="must lie within"):
        signed_bets("rollback", margin, low=low, high=high)


def test_evidence_is_the_mean_wealth_even_beyond_what_floats_hold():
    assert log_evidence(np.log([1.0, 3.0])) == pytest.approx(np.log(2.0))
    assert log_evidence(np.array([5_000.0, 5_000.0])) == pytest.approx(5_000.0)
    assert log_evidence(np.array([[-np.inf, -np.inf], [0.0, 0.0]])).tolist() == [-np.inf, 0.0]
    assert log_sum_exp(np.empty((2, 0))).tolist() == [-np.inf, -np.inf]
