"""Evidence as shares of what verdicts take."""

from __future__ import annotations

import math

import pytest

from tests.streams.demo.decisions import SUSPICIOUS, at_multiple, decision, evidence
from understudy.streams.demo.evidence_progress import (
    harm_by_slice,
    overall_harm,
    promotion_progress,
    weightiest_evidence,
)


def test_no_evidence_is_nothing() -> None:
    empty = decision()
    assert overall_harm(empty).multiple == 0.0
    assert overall_harm(empty).growth == 0.0
    assert harm_by_slice(empty) == {}
    assert weightiest_evidence(empty) is None
    assert promotion_progress(decision(requests=0)).share == 0.0


@pytest.mark.parametrize(
    ("multiple", "growth", "is_suspicious"),
    [
        (0.005, 0.0, False),
        (0.01, 0.0, False),
        (0.1, 0.5, False),
        (0.19, math.log(19) / math.log(100), False),
        (0.21, math.log(21) / math.log(100), True),
        (1.0, 1.0, True),
        (1e9, 1.0, True),
    ],
)
def test_growth_runs_from_evidence_one_to_a_rollback(
    multiple: float, growth: float, is_suspicious: bool
) -> None:
    some = decision("hold", evidence("language:ja", at_multiple(multiple)))
    for harm in (overall_harm(some), harm_by_slice(some)["language:ja"]):
        assert harm.multiple == pytest.approx(multiple)
        assert harm.growth == pytest.approx(growth, abs=1e-9)
        assert harm.is_suspicious is is_suspicious


def test_a_slice_adds_its_guardrails_up_and_names_the_weightiest() -> None:
    some = decision(
        "hold",
        evidence("language:ja", at_multiple(0.1), metric="error_rate"),
        evidence("language:ja", at_multiple(0.3), metric="json_valid_rate"),
        evidence("language:ja", at_multiple(9.0), metric="cost_usd", action="alert"),
        evidence("language:en", None),
    )
    harms = harm_by_slice(some)
    assert harms["language:ja"].multiple == pytest.approx(0.4)
    assert harms["language:ja"].metric == "json_valid_rate"
    assert harms["language:en"].multiple == 0.0
    assert harms["language:en"].metric == ""


def test_proof_is_the_least_of_what_is_needed() -> None:
    assert promotion_progress(SUSPICIOUS).proven == 1
    assert promotion_progress(SUSPICIOUS).required == 1
    assert promotion_progress(SUSPICIOUS).share == pytest.approx(0.5)
    unproven = evidence("all", required=True, log_promotion=math.log(20) / 4)
    assert promotion_progress(decision("hold", unproven, requests=9_000)).share == pytest.approx(
        0.25
    )
    against = evidence("all", required=True, log_promotion=-7.0)
    assert promotion_progress(decision("hold", against, requests=9_000)).share == 0.0
