from __future__ import annotations

import numpy as np
import pytest

from tests.analyzers.fixed_sample.cases import (
    Case,
    cases_of,
    conversations,
    json_policy,
    policy,
    rows_of,
)
from understudy.analyzers.fixed_sample.judge import judge_fixed_sample
from understudy.schemas.fixed_sample import decode_fixed_sample, encode_fixed_sample


def test_broken_json_in_a_tenth_of_two_hundred_cases_is_rolled_back() -> None:
    """Under the default policy, in five languages."""
    cases = cases_of(200, stable_only=1, candidate_only=20)
    for number, case in enumerate(cases):
        case.language = ("en", "de", "fr", "ja", "es")[number % 5]
    verdict = judge_fixed_sample(rows_of(cases), policy())
    assert verdict.verdict == "rollback"
    assert verdict.reasons[0].startswith("JSON validity over all requests fell 9.5 points")
    assert (verdict.cases, verdict.units) == (200, 200)


def test_alike_models_are_held_while_there_are_few_cases_and_promoted_later() -> None:
    few = judge_fixed_sample(rows_of(cases_of(200)), policy())
    assert few.verdict == "hold"
    assert "error_rate/all" in few.missing
    assert any("pass from about 310 cases on" in reason for reason in few.reasons)
    many = judge_fixed_sample(rows_of(cases_of(400)), policy())
    assert many.verdict == "promote"
    assert many.reasons[0] == (
        "every required guardrail is shown to be within its limit by one look at 400 cases"
    )
    assert many.missing == []
    assert "json_schema_valid_rate" in many.not_measured


def test_requests_and_duration_play_no_part() -> None:
    rollout = json_policy(further="}\nmin_requests: 100000\nmin_duration: 7d\n#")
    assert judge_fixed_sample(rows_of(cases_of(400)), rollout).verdict == "promote"


def test_answers_that_are_lacking_are_the_candidates_failure() -> None:
    cases = cases_of(200) + [Case(lost="candidate") for _ in range(25)]
    verdict = judge_fixed_sample(rows_of(cases), policy())
    assert verdict.verdict == "rollback"
    assert (verdict.lost_candidate, verdict.cases) == (25, 225)
    assert "error rate" in verdict.reasons[0]


def test_turns_of_a_conversation_are_no_independent_cases() -> None:
    """Four of forty conversations fail as a whole: that is chance, twenty of 200 cases are not."""
    outcomes = [(5, False, number < 4) for number in range(40)]
    together = judge_fixed_sample(rows_of(list(conversations(outcomes))), json_policy())
    assert (together.verdict, together.units) == ("hold", 40)
    assert together.findings[0].design_effect == pytest.approx(5.0, rel=0.05)
    apart = judge_fixed_sample(rows_of(cases_of(200, candidate_only=20)), json_policy())
    assert apart.verdict == "rollback"


def test_costs_and_durations_are_judged() -> None:
    rng = np.random.default_rng(1)
    size = np.exp(0.5 * rng.standard_normal(500))
    cases = [
        Case(cost=(0.01 * s, 0.02 * s), duration_ms=(900.0 * s, 4_500.0 * s)) for s in size.tolist()
    ]
    verdict = judge_fixed_sample(rows_of(cases), policy())
    assert verdict.verdict == "rollback"
    breached = {one.guardrail for one in verdict.findings if one.status == "breach"}
    assert breached >= {"cost_usd", "duration_p95"}
    (p95,) = (one for one in verdict.findings
              if one.guardrail == "duration_p95" and one.slice == "all")  # fmt: skip
    assert p95.harm == pytest.approx(4.0, rel=0.05)
    assert p95.stable is not None


def test_a_limit_on_a_quantile_is_a_share_beyond_it() -> None:
    rollout = policy("guardrails: [{metric: duration_p95, max: 1s}]\n")
    cases = [Case(duration_ms=(500.0, 500.0 if i % 10 else 2_000.0)) for i in range(400)]
    (one,) = (one for one in judge_fixed_sample(rows_of(cases), rollout).findings)
    assert (one.unit, one.candidate, one.stable, one.status) == ("share", 0.1, None, "breach")
    assert "is over 1 s in 10 %" in one.sentence


def test_stable_that_is_broken_itself_alerts() -> None:
    verdict = judge_fixed_sample(rows_of(cases_of(200, both=180)), policy())
    assert any("stable's own JSON validity" in alert for alert in verdict.alerts)
    assert all(not one.guardrail.startswith("stable.") for one in verdict.findings)


def test_no_cases_are_held() -> None:
    verdict = judge_fixed_sample([], policy())
    assert (verdict.verdict, verdict.cases, verdict.findings) == ("hold", 0, [])
    assert verdict.reasons[0] == "no required guardrail has been measured"


def test_the_same_rows_give_the_same_bytes() -> None:
    rows = rows_of(cases_of(60, stable_only=1, candidate_only=4))
    first = encode_fixed_sample(judge_fixed_sample(rows, policy()))
    assert first == encode_fixed_sample(judge_fixed_sample(list(reversed(rows)), policy()))
    assert encode_fixed_sample(decode_fixed_sample(first)) == first
