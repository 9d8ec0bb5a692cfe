"""Mistakes in policies, and what the message says to write instead."""

from __future__ import annotations

import pytest

from understudy.schemas.manifest_hints import explained
from understudy.schemas.manifests import ManifestError, read_policy

HEAD = "rollout_id: checkout\nmodels: {stable: a, candidate: b}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            f"{HEAD}mode: Shadow",
            "3:7: 'Shadow' is none of shadow, interleave, canary, ab; did you mean shadow?",
        ),
        (
            f"{HEAD}stages: [{{mode: canry, share: 5%}}]",
            "3:17: 'canry' is none of shadow, interleave, canary, ab; did you mean canary?",
        ),
        (
            "rollout_id: 2026\nmodels: {stable: a, candidate: b}",
            '1:13: rollout_id must be text, not a whole number; write it in quotes: "2026"',
        ),
        (
            "rollout_id: checkout\nmodels: {stable: 4.1, candidate: b}",
            '2:18: stable must be text, not a number; write it in quotes: "4.1"',
        ),
        (f"{HEAD}guardrails:\n\t- x", "4:1: YAML is not indented with tabs; write spaces"),
        (
            f"{HEAD}guardrails:\n  error_rate: {{max: 5%}}",
            "3:1: guardrails must be a list; begin each with a dash: `- metric: error_rate`",
        ),
        (
            f"{HEAD}guardrails: 5",
            "3:13: guardrails must be a list; begin each with a dash: `- metric: error_rate`",
        ),
        (
            f"{HEAD}stages: {{mode: shadow}}",
            "3:1: stages must be a list; begin each with a dash: `- mode: shadow`",
        ),
        (
            f"{HEAD}guardrails: [{{metric: error_rate, max: 5%, slices: all}}]",
            "3:52: slices must be a list; write `[all]` or `[each language]`",
        ),
        (
            f"{HEAD}false_rollback: 5",
            "3:17: false_rollback must be below 0.5, not 5; for 5 % write 0.05",
        ),
        (f"{HEAD}false_rollback: 0.7", "3:17: false_rollback must be below 0.5, not 0.7"),
        (
            f"{HEAD}false_rollback: 5%",
            "3:17: false_rollback must be a number, not text; write 0.05",
        ),
        (
            "rollout_id: checkout",
            "1:1: models is missing; write `models: {stable: NAME, candidate: NAME}`",
        ),
        (
            "rollout_id: checkout\nmodels: [a, b]",
            "2:9: models must be names with values, not a list; "
            "write `models: {stable: NAME, candidate: NAME}`",
        ),
        (f"{HEAD}min_requests: '50'", "3:15: min_requests must be a whole number, not text; "
                                      "write it without quotes"),
        (f"{HEAD}independent_requests: yes",
         "3:23: independent_requests must be true or false, not text"),
        ("# größer\nrollout_id: x".encode("latin-1"),
         "1:5: the file is not UTF-8; save it as UTF-8"),
        (f"{HEAD}# größer".encode("latin-1"), "3:5: the file is not UTF-8; save it as UTF-8"),
    ],
)  # fmt: skip
def test_a_mistake_gets_its_place_and_a_hint(text: str | bytes, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read_policy(text)
    assert str(caught.value) == f"policy:{message}"


def test_a_problem_of_another_kind_stays_as_it_is() -> None:
    assert explained("something new", ("models",), {}) == "something new"
