"""Figures of evidence: multiples of what a verdict needs, levels, limits and intervals as text."""

from __future__ import annotations

import math

import msgspec
import pytest

from tests.streams.demo.decisions import at_multiple, decision, evidence
from understudy.analyzers.guardrails.evidence_figures import (
    harm_text,
    interval_text,
    limit_text,
    multiple,
    noise_figures,
    promotion_multiple,
    rollback_multiple,
    sides_text,
    times,
)


def test_evidence_is_a_multiple_of_what_a_verdict_needs() -> None:
    row = evidence("language:ja", at_multiple(0.3), log_promotion=math.log(20))
    some = decision("hold", row)
    assert rollback_multiple(row, some) == pytest.approx(0.3)
    assert rollback_multiple(msgspec.structs.replace(row, weight=0.0), some) == 0.0
    assert promotion_multiple(row, some) == pytest.approx(1.0)
    assert multiple(None, 1.0) == 0.0
    assert math.isfinite(multiple(1e9, 1.0))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.0004, "<0.001"), (0.03, "0.03"), (4.1, "4.1"), (12.3, "12"), (9e9, ">1000")],
)
def test_multiples_are_short(value: float, text: str) -> None:
    assert times(value) == text


def test_shares_differ_by_points_and_have_levels() -> None:
    row = msgspec.structs.replace(evidence(), stable=0.441, candidate=0.0, interval=(-0.02, 0.1))
    assert sides_text(row) == "44.1 % → 0 %"
    assert harm_text(row, row.harm) == "+6.10 pp"
    assert interval_text(row) == "−2.00 pp to +10.00 pp"
    assert limit_text(row) == "≤ +0.5 pp"


def test_relative_limits_differ_by_per_cent_and_limits_of_a_side_have_its_value() -> None:
    slower = msgspec.structs.replace(
        evidence(metric="duration_p95"), unit="ms", relative=True, margin=0.2, harm=-0.034
    )
    assert harm_text(slower, slower.harm) == "−3.4 %"
    assert limit_text(slower) == "≤ +20 %"
    at_most = msgspec.structs.replace(
        evidence(metric="error_rate"), limit="max", stable=None, candidate=0.013, harm=0.013
    )
    assert sides_text(at_most) == "1.3 %"
    assert harm_text(at_most, at_most.harm) == "1.3 %"


def test_what_is_unknown_is_a_dash() -> None:
    row = msgspec.structs.replace(evidence(), harm=None, interval=(None, 0.1))
    assert (sides_text(row), harm_text(row, row.harm), interval_text(row)) == ("–", "–", "–")


def test_noise_of_evaluators_is_told_over_all_pairs() -> None:
    noisy = msgspec.structs.replace(
        evidence("all", metric="quality_preference"),
        evaluator="helpfulness@1", harm=-0.02, interval=(-0.06, 0.03), units=400,
    )  # fmt: skip
    scored = msgspec.structs.replace(
        noisy, metric="quality_score", evaluator="clarity@3", interval=(None, None)
    )
    elsewhere = msgspec.structs.replace(noisy, slice="language:ja")
    unseen = msgspec.structs.replace(noisy, harm=None)
    some = msgspec.structs.replace(decision("hold"), evaluators=[noisy, elsewhere, unseen, scored])
    assert noise_figures(some) == [
        (
            "helpfulness@1",
            "prefers stable's second run in 52 % (95 % interval 47 to 56 %) of 400 control pairs",
        ),
        ("clarity@3", "scores stable's second run 2 points above stable, 400 control pairs"),
    ]
