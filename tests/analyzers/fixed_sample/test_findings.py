from __future__ import annotations

import pytest

from tests.analyzers.fixed_sample.cases import Case, cases_of, json_policy, policy, rows_of
from understudy.analyzers.fixed_sample.findings import Finding, findings, lacks, levels, untold_of
from understudy.analyzers.fixed_sample.sample import Sample
from understudy.analyzers.guardrails.checks import checks_of
from understudy.schemas.rollouts import Rollout


def found(rollout: Rollout, cases: list[Case]) -> tuple[Sample, dict[str, Finding]]:
    sample = Sample.of_rows(rows_of(cases), checks_of(rollout))
    return sample, {one.name: one for one in findings(rollout, sample)}


def test_harm_beyond_the_margin_is_a_breach() -> None:
    _, results = found(policy(), cases_of(200, candidate_only=20))
    one = results["json_valid_rate/all"]
    assert (one.status, one.is_required, one.is_within) == ("breach", True, False)
    assert one.weight > 0.0
    assert one.p_harm <= one.threshold == pytest.approx(0.01 * one.error_share)
    assert levels(one).candidate == pytest.approx(0.1)


def test_what_no_case_has_is_not_found() -> None:
    sample, results = found(policy(), cases_of(200))
    assert "refusal_rate/all" in results
    assert "json_schema_valid_rate/all" not in results
    assert "json_schema_valid_rate" in untold_of(sample, results.values()).not_measured


@pytest.mark.parametrize(("with_json", "is_awaited"), [(3, False), (25, True)])
def test_a_metric_of_a_few_cases_is_not_awaited(with_json: int, is_awaited: bool) -> None:
    rows = rows_of(cases_of(200))
    for row in rows[with_json:]:
        row.pair.json_expected_both = row.pair.json_valid_both = 0
    sample = Sample.of_rows(rows, checks_of(policy()))
    results = {one.name: one for one in findings(policy(), sample)}
    assert results["json_valid_rate/all"].is_required is is_awaited


def test_promotion_lacks_what_is_not_shown() -> None:
    rollout = json_policy()
    sample, results = found(rollout, cases_of(200))
    (lack,) = lacks(rollout, sample, list(results.values()))
    assert lack.name == "json_valid_rate/all"
    assert lack.finding is results["json_valid_rate/all"]
    sample, results = found(rollout, cases_of(300))
    assert lacks(rollout, sample, list(results.values())) == []


def test_a_suspicion_in_one_language_keeps_from_promotion() -> None:
    rollout = json_policy("5pp")
    cases = cases_of(3_000) + [Case(language="ja", bad_candidate=i < 16) for i in range(100)]
    sample, results = found(rollout, cases)
    assert results["json_valid_rate/all"].is_within
    assert [one.name for one in lacks(rollout, sample, list(results.values()))] == [
        "suspected_harm/json_valid_rate/language:ja"
    ]


def test_what_pauses_keeps_from_promotion() -> None:
    rollout = json_policy("1pp", ", action: pause")
    sample, results = found(rollout, cases_of(200, candidate_only=40))
    names = [one.name for one in lacks(rollout, sample, list(results.values()))]
    assert names[0] == "paused/json_valid_rate/all"


def test_what_is_required_and_has_no_case_keeps_from_promotion() -> None:
    rollout = json_policy("1pp", ", required: all")
    rows = rows_of(cases_of(300))
    for row in rows:
        row.pair.json_expected_both = row.pair.json_valid_both = 0
    sample = Sample.of_rows(rows, checks_of(rollout))
    names = [one.name for one in lacks(rollout, sample, findings(rollout, sample))]
    assert names == ["guardrails", "json_valid_rate/any slice"]


def test_many_cases_without_a_side_keep_from_promotion() -> None:
    rollout = json_policy()
    sample, results = found(rollout, cases_of(300) + [Case(lost="stable")] * 30)
    assert [one.name for one in lacks(rollout, sample, list(results.values()))] == [
        "unmatched_share"
    ]
