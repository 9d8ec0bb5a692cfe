"""What a policy finds and how soon, in words."""

from __future__ import annotations

import re

from tests.analyzers.guardrails.test_evaluator import policy
from understudy.analyzers.guardrails.power_sentences import assumption, power_sentences
from understudy.schemas.manifests import read_policy


def test_each_guardrail_on_a_rate_says_what_it_finds_where_and_when() -> None:
    rollout = read_policy("rollout_id: a\nmodels: {stable: b, candidate: c}\n")
    sentences = power_sentences(rollout)
    (json,) = [one for one in sentences if one.startswith("json_valid_rate: ")]
    assert re.fullmatch(
        r"json_valid_rate: a fall of 4 points is found after about [\d,]+ requests, in a "
        r"language that turns up after about [\d,]+ requests of it",
        json,
    ), json
    assert not any(one.startswith(("duration", "cost", "error_rate_multiple")) for one in sentences)
    assert "if stable is bad in 1 % of the requests" in assumption(rollout)


def test_an_absolute_limit_names_the_candidates_own_value() -> None:
    (errors,) = power_sentences(policy("{metric: error_rate, max: 2%, slices: [all]}"))
    assert re.fullmatch(r"error_rate: 8 % is found after about [\d,]+ requests", errors), errors
    (json,) = power_sentences(policy("{metric: json_valid_rate, min: 98%, slices: [all]}"))
    assert json.startswith("json_valid_rate: 92 % is found after about ")


def test_what_has_no_known_power_is_left_out() -> None:
    assert power_sentences(policy("{metric: cost_usd, max_increase: 10%}")) == []
