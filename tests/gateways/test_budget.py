"""A budget is exceeded by no more than the calls in flight."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.gateways.budget import Budget

COSTS = st.floats(0.0, 10.0)


@given(
    st.floats(0.0, 50.0),
    st.integers(1, 8),
    st.lists(COSTS, max_size=100),
    st.randoms(use_true_random=False),
)
def test_it_is_exceeded_by_at_most_the_calls_in_flight(
    limit_usd: float, at_once: int, costs: list[float], order: object
) -> None:
    budget, in_flight, spent = Budget(limit_usd, now_s=lambda: 0.0), [0.0] * 0, 0.0
    for cost_usd in costs:
        if budget.allows() and len(in_flight) < at_once:
            in_flight.append(cost_usd)
        elif in_flight:
            done = in_flight.pop(order.randrange(len(in_flight)))  # type: ignore[attr-defined]
            spent += done
            budget.charge(done)
        assert spent <= limit_usd + at_once * max(costs) + 1e-9
        if spent > limit_usd:
            assert not budget.allows()


def test_each_period_begins_anew() -> None:
    now_s = 1_000.0
    budget = Budget(1.0, period_s=60.0, now_s=lambda: now_s)
    budget.charge(1.5)
    assert not budget.allows()
    now_s += 59.9
    assert not budget.allows()
    now_s += 0.2
    assert budget.allows()
    budget.charge(1.5)
    now_s = 1_000.0 + 7 * 60.0 + 1.0
    assert budget.allows()
    budget.charge(1.5)
    now_s += 58.0
    assert not budget.allows()


def test_an_answer_without_a_price_ends_what_cannot_be_counted() -> None:
    budget = Budget(100.0, now_s=lambda: 0.0)
    budget.charge(None, answered=False)
    assert budget.allows()
    budget.charge(None)
    assert not budget.allows()
    assert budget.is_unpriced


def test_a_call_that_was_cut_off_costs_what_others_did() -> None:
    budget = Budget(100.0, now_s=lambda: 0.0)
    budget.charge(2.0)
    budget.charge(4.0)
    budget.charge(None, answered=False)
    assert budget.spent_usd == 9.0


def test_without_money_nothing_is_allowed() -> None:
    assert not Budget(0.0, now_s=lambda: 0.0).allows()


@pytest.mark.parametrize(("limit_usd", "period_s"), [(-1.0, 1.0), (1.0, 0.0), (float("nan"), 1.0)])
def test_what_is_no_budget(limit_usd: float, period_s: float) -> None:
    with pytest.raises(ValueError, match="budget"):
        Budget(limit_usd, period_s=period_s, now_s=lambda: 0.0)
