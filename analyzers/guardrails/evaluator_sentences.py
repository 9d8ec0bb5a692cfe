"""What is said of an evaluator itself: its noise, and how its answers turn with their order.

helpfulness@1 prefers stable's second run to stable over all requests in 62 % (95 % interval 55
to 69 %) of 400 control pairs, where 45 to 55 % would be noise: it sees something else than the
answers
"""

from __future__ import annotations

from typing import Final

from understudy.analyzers.guardrails.evaluate import CheckResult
from understudy.analyzers.guardrails.formatting import (
    format_count,
    format_percent,
    format_points,
    format_with_interval,
    printable,
)
from understudy.analyzers.guardrails.graded_columns import place_of
from understudy.schemas.rollout_metrics import QUALITY_PREFERENCE

ENOUGH_ORDERS: Final = 30
"""From which a share of orders is worth a sentence: its error is below ten points."""
_BIAS: Final = 0.1
"""Of the preferences, beyond one half, that the place of an answer decides: worth naming, and since
either answer comes first as often, no reason to doubt a verdict."""


def noise_sentence(result: CheckResult, where: str) -> str:
    """Say what an evaluator sees between two runs of stable, and what would be noise."""
    check, test = result.check, result.check.test
    observed = test.observed(result.total)
    who, units = printable(check.evaluator), format_count(observed.units)
    low, high = result.evidence.interval
    if observed.harm is None:
        return f"{who} has judged no control pair {where}"
    margin = test.margin
    if check.metric.name == QUALITY_PREFERENCE.name:
        share = format_with_interval(format_percent, 0.5 - observed.harm, 0.5 - high, 0.5 - low)
        noise = f"{format_percent(0.5 - margin)} to {format_percent(0.5 + margin)}"
        seen = f"prefers stable's second run to stable {where} in {share} of {units} control pairs"
    else:
        points = format_with_interval(format_points, -observed.harm, -high, -low)
        noise = f"up to {format_points(margin)} either way"
        seen = f"scores stable's second run {points} above stable {where}; {units} control pairs"
    return f"{who} {seen}, where {noise} would be noise: it sees something else than the answers"


def order_note(result: CheckResult) -> str:
    """Say how the evaluator's answers turn with the order of the two; empty of few."""
    orders, first, second, both, alike = (
        int(result.total[place_of(name)])
        for name in (
            "orders", "first_preferred", "second_preferred", "both_orders", "both_orders_alike",
        )
    )  # fmt: skip
    said = []
    if first + second >= ENOUGH_ORDERS:
        share = format_percent(first / (first + second))
        said.append(f"the answer shown first is preferred in {share}")
    if both >= ENOUGH_ORDERS:
        share = format_percent(alike / both)
        said.append(f"of {format_count(both)} pairs asked in both orders {share} give one answer")
    return "; ".join(said) if orders else ""


def place_preference(result: CheckResult) -> str:
    """Say in a sentence about a guardrail that the place of an answer decides much."""
    if result.check.metric.name != QUALITY_PREFERENCE.name:
        return ""
    first, second = (
        int(result.total[place_of(name)]) for name in ("first_preferred", "second_preferred")
    )
    decided = first + second
    if decided < ENOUGH_ORDERS or abs(first / decided - 0.5) < _BIAS:
        return ""
    return f"; the answer shown first is preferred in {format_percent(first / decided)}"
