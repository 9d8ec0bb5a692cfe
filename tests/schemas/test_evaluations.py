"""An evaluation is decoded and checked in one pass, or says why not."""

from __future__ import annotations

import json
import math
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from understudy.schemas.evaluations import (
    MAX_EVALUATION_BYTES,
    decode_evaluation,
    evaluation_identity,
    evaluation_key,
    evaluation_time_ms,
    evaluator_reference,
    fingerprint,
    preference_value,
    score_shares,
)
from understudy.schemas.events import InvalidEvent
from understudy.schemas.json_schema import CONTRACTS

PREFERRED: dict[str, Any] = {
    "schema_version": 1,
    "rollout_id": "helpdesk",
    "pair_id": "r/1",
    "mode": "shadow",
    "request_time": "2026-03-02T12:00:00Z",
    "evaluation_time": "2026-03-02T13:30:00.0019+01:00",
    "evaluator": "helpfulness",
    "evaluator_version": "1",
    "preferences": [{"preferred": "candidate", "first": "stable"}],
}
SCORED: dict[str, Any] = {
    **{name: value for name, value in PREFERRED.items() if name != "preferences"},
    "scores": {"stable": 4, "candidate": 2.5},
    "score_range": [1, 5],
}


def encoded(of: dict[str, Any], **changes: Any) -> bytes:
    return msgspec.json.encode({**of, **changes})


def preferred(*values: str, first: tuple[str | None, ...] = ("stable", "candidate")) -> bytes:
    some = [{"preferred": one, "first": place} for one, place in zip(values, first, strict=False)]
    return encoded(PREFERRED, preferences=some)


def test_what_is_valid_is_read() -> None:
    one = decode_evaluation(encoded(PREFERRED, unknown="is passed over", language="ja"))
    assert evaluation_key(one) == "helpdesk/r/1"
    assert evaluator_reference(one) == "helpfulness@1"
    assert one.compared == "candidate"
    assert one.sampling_share is None
    assert evaluation_time_ms(one) % 1000 == 1


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (preferred("candidate"), 1.0),
        (preferred("stable"), 0.0),
        (preferred("tie"), 0.5),
        (preferred("candidate", first=(None,)), 1.0),
        (preferred("candidate", "candidate"), 1.0),
        (preferred("candidate", "stable"), 0.5),
        (preferred("candidate", "tie"), 0.75),
        (preferred("stable", "tie"), 0.25),
    ],
)
def test_a_pair_s_value_is_the_mean_over_the_orders(payload: bytes, value: float) -> None:
    one = decode_evaluation(payload)
    assert preference_value(one) == value
    assert all(map(math.isnan, score_shares(one)))


def test_scores_are_shares_of_their_range() -> None:
    one = decode_evaluation(encoded(SCORED))
    assert score_shares(one) == (0.75, 0.375)
    assert math.isnan(preference_value(one))


def test_control_is_compared_like_a_candidate() -> None:
    some = encoded(SCORED, compared="control", scores={"stable": 1, "control": 5})
    assert score_shares(decode_evaluation(some)) == (0.0, 1.0)
    chosen = [{"preferred": "control", "first": "control"}]
    one = decode_evaluation(encoded(PREFERRED, compared="control", preferences=chosen))
    assert preference_value(one) == 1.0


def test_what_could_not_be_judged_says_why() -> None:
    one = decode_evaluation(encoded(PREFERRED, preferences=[], error="timeout"))
    assert one.error == "timeout"
    assert math.isnan(preference_value(one))


def test_identity_is_pair_evaluator_version_and_what_was_compared() -> None:
    first = decode_evaluation(encoded(PREFERRED))
    again = decode_evaluation(encoded(PREFERRED, language="ja", evaluator_version="1"))
    assert evaluation_identity(first) == evaluation_identity(again)
    for changes in ({"evaluator_version": "2"}, {"evaluator": "b"}, {"pair_id": "x"}):
        other = decode_evaluation(encoded(PREFERRED, **changes))
        assert evaluation_identity(other) != evaluation_identity(first)


def test_fingerprints_tell_parts_and_purposes_apart() -> None:
    assert fingerprint(["ab", "c"]) == fingerprint(["ab", "c"])
    some = {fingerprint(["ab", "c"]), fingerprint(["a", "bc"]), fingerprint(["ab", "c"], "other")}
    assert len(some) == 3
    assert 0 <= min(some) <= max(some) < 2**64


WRONG = [
    (None, "empty", "no value"),
    (b"{", "not_json", ""),
    (b" " * MAX_EVALUATION_BYTES + b"{}", "too_large", str(MAX_EVALUATION_BYTES)),
    (encoded(PREFERRED, schema_version=2), "unsupported_version", "schema_version 2"),
    (encoded(PREFERRED, rollout_id="a/b"), "schema", "slash"),
    (encoded(PREFERRED, mode="canary"), "schema", "$.mode"),
    (encoded(PREFERRED, evaluator="a@1"), "schema", "$.evaluator"),
    (encoded(PREFERRED, evaluator_version=""), "schema", "$.evaluator_version"),
    *((encoded(PREFERRED, evaluator=name), "schema", "evaluator")
      for name in ("x\n", "x\x1b[2J", "x\u202e", "x\x00", "x\u2028", "x\u200b")),
    (encoded(PREFERRED, evaluator_version="1\n"), "schema", "evaluator_version"),
    (encoded(PREFERRED, evaluation_time="1999-01-01T00:00:00Z"), "time_range", "evaluation_time"),
    (encoded(PREFERRED, request_time="2101-01-01T00:00:00Z"), "time_range", "request_time"),
    (encoded(PREFERRED, sampling_share=0), "schema", "$.sampling_share"),
    (encoded(PREFERRED, preferences=[]), "schema", "exactly one"),
    (encoded(PREFERRED, error="timeout"), "schema", "exactly one"),
    (encoded(PREFERRED, scores=SCORED["scores"]), "schema", "exactly one"),
    (encoded(PREFERRED, score_range=[0, 1]), "schema", "go together"),
    (preferred("control"), "schema", "stable or candidate"),
    (preferred("candidate", "candidate", first=("stable", "stable")), "schema", "another answer"),
    (preferred("candidate", "candidate", first=("stable", None)), "schema", "another answer"),
    (encoded(SCORED, score_range=None), "schema", "go together"),
    (encoded(SCORED, score_range=[5, 1]), "schema", "must rise"),
    (encoded(SCORED, score_range=[1, 3]), "schema", "lie within"),
    (encoded(SCORED, scores={"stable": 4}), "schema", "stable and candidate"),
    (encoded(SCORED, scores={"stable": 4, "control": 4}), "schema", "stable and candidate"),
    (encoded(SCORED, compared="control"), "schema", "stable and control"),
]  # fmt: skip


@pytest.mark.parametrize(("payload", "reason", "detail"), WRONG)
def test_what_is_wrong_says_why(payload: bytes | None, reason: str, detail: str) -> None:
    with pytest.raises(InvalidEvent) as raised:
        decode_evaluation(payload)
    assert raised.value.reason == reason
    assert detail in raised.value.detail


def test_the_json_schema_knows_the_forms() -> None:
    contract = next(one for one in CONTRACTS if one.name == "evaluation")
    validator = jsonschema_rs.validator_for(contract.path.read_text("utf-8"), validate_formats=True)
    for payload in (encoded(PREFERRED), encoded(SCORED), preferred("stable", "tie")):
        assert validator.is_valid(json.loads(payload))
    for payload in (
        encoded(PREFERRED, preferences=[]),
        encoded(PREFERRED, error="timeout"),
        encoded(SCORED, score_range=None),
        encoded(PREFERRED, evaluator="a@1"),
    ):
        assert not validator.is_valid(json.loads(payload))
