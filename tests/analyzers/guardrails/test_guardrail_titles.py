"""People read titles where a decision has names, whatever characters these have."""

from __future__ import annotations

import pytest

from tests.analyzers.guardrails.test_evaluator import policy
from tests.streams.demo.decisions import evidence
from understudy.analyzers.guardrails.checks import checks_of
from understudy.analyzers.guardrails.guardrail_titles import (
    as_heading,
    check_title,
    guardrail_title,
    guardrail_titles,
    missing_titles,
    slice_titles,
)

FOUND = [evidence("all"), evidence("all", metric="error_rate")]


@pytest.mark.parametrize(
    ("guardrail", "metric", "title"),
    [
        ("json_valid_rate", "json_valid_rate", "JSON validity"),
        ("error_rate.warn", "error_rate", "error rate"),
        ("tripled\u202e", "error_rate", "error rate (tripled\\u202e)"),
        ("of a later release", "unknown", "of a later release"),
    ],
)
def test_a_guardrail_is_called_by_what_it_measures(guardrail: str, metric: str, title: str) -> None:
    assert guardrail_title(guardrail, metric) == title


def test_titles_begin_with_a_capital_letter_in_tables() -> None:
    assert [as_heading(one) for one in ("mean cost", "JSON", "")] == ["Mean cost", "JSON", ""]


def test_guardrails_without_evidence_are_known_by_their_metric() -> None:
    assert guardrail_titles(["json_valid_rate", "cost_usd", "x"], FOUND) == [
        "JSON validity", "mean cost", "x",
    ]  # fmt: skip


def test_slices_stand_with_their_guardrail() -> None:
    names = [
        "json_valid_rate/all", "error_rate/language:ja,workflow:a/b", "json_valid_rate/mirrored",
        "a/b/language:de", "json_valid_rate/any slice",
    ]  # fmt: skip
    assert slice_titles(names, FOUND) == [
        "JSON validity in all requests, mirrored, slices of which none has turned up yet",
        "error rate in ja, workflow a/b",
        "a/b in de",
    ]


def test_what_promotion_waits_for_names_no_field() -> None:
    names = [
        "requests", "duration", "guardrails", "suspected_harm", "suspected_harm/error_rate/all",
        "json_valid_rate/language:ja", "json_valid_rate/all", "unmatched_share", "late_share",
        "sample_ratio", "paused",
    ]  # fmt: skip
    assert missing_titles(names, FOUND) == [
        "more requests in closed windows",
        "more time in closed windows",
        "a required guardrail that is measured",
        "an end of the suspicion of harm, all guardrails together",
        "fewer sides without a partner",
        "fewer events that come late",
        "requests that are shared as planned",
        "an operator, since the rollout is paused",
        "an end of the suspicion of harm: error rate in all requests",
        "JSON validity within its limit: ja, all requests",
    ]


def test_checks_of_stable_and_of_evaluators_say_whose_they_are() -> None:
    limits = "{metric: error_rate, max_increase: 1pp}"
    rollout = policy(f"{limits}, {{metric: quality_preference, evaluator: h@1, max_drop: 2pp}}")
    titles = {check_title(check) for check in checks_of(rollout)}
    assert titles == {
        "error rate", "answers preferred to stable's", "h@1", "stable's own error rate",
    }  # fmt: skip


def test_of_many_slices_the_first_are_named_and_the_rest_counted() -> None:
    names = [f"error_rate/language:x-{number:03}" for number in range(143)]
    (text,) = slice_titles(names, [])
    assert text.startswith("error rate in x-000, x-001, ")
    assert text.endswith("x-019 and 123 more")
