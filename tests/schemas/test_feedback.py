"""Feedback is decoded and checked in one pass, or says why not."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest

from understudy.schemas.events import InvalidEvent
from understudy.schemas.feedback import MAX_FEEDBACK_BYTES, decode_feedback, feedback_time_ms

VALID: dict[str, Any] = {
    "schema_version": 1,
    "rollout_id": "helpdesk",
    "pair_id": "r/1",
    "mode": "shadow",
    "side": "candidate",
    "request_time": "2026-03-02T12:00:00Z",
    "feedback_time": "2026-03-02T13:30:00.0019+01:00",
    "name": "thumbs",
    "score_value": 1,
}


def encoded(**changes: Any) -> bytes:
    return msgspec.json.encode({**VALID, **changes})


def test_what_is_valid_is_read() -> None:
    feedback = decode_feedback(encoded(language="ja", unknown="is passed over"))
    assert (feedback.rollout_id, feedback.pair_id, feedback.side) == (
        "helpdesk",
        "r/1",
        "candidate",
    )
    assert feedback.score_value == 1.0
    assert feedback.language == "ja"
    assert feedback.workflow is None


def test_its_own_time_is_whole_milliseconds_in_utc() -> None:
    expected = dt.datetime(2026, 3, 2, 12, 30, 0, 1000, tzinfo=dt.UTC)
    assert feedback_time_ms(decode_feedback(encoded())) == round(expected.timestamp() * 1000)


@pytest.mark.parametrize(
    ("payload", "reason", "detail"),
    [
        (None, "empty", "no value"),
        (b"", "empty", "no value"),
        (b"{", "not_json", ""),
        (b"[" * 100_000, "too_large", str(MAX_FEEDBACK_BYTES)),
        (b" " * MAX_FEEDBACK_BYTES + b"{}", "too_large", str(MAX_FEEDBACK_BYTES)),
        (encoded(schema_version=2), "unsupported_version", "schema_version 2"),
        (encoded(score_value=1.01), "schema", "$.score_value"),
        (encoded(score_value=-0.01), "schema", "$.score_value"),
        (encoded(side="control"), "schema", "$.side"),
        (encoded(feedback_time="2026-03-02T12:00:00"), "schema", "$.feedback_time"),
        (encoded(rollout_id="a/b"), "schema", "slash"),
        (encoded(rollout_id=""), "schema", "$.rollout_id"),
        (encoded(name="x" * 129), "schema", "$.name"),
        (b'{"schema_version": 1}', "schema", "rollout_id"),
    ],
)
def test_what_is_invalid_says_why(payload: bytes | None, reason: str, detail: str) -> None:
    with pytest.raises(InvalidEvent) as raised:
        decode_feedback(payload)
    assert raised.value.reason == reason
    assert detail in raised.value.detail


def test_the_largest_is_read() -> None:
    padding = b" " * (MAX_FEEDBACK_BYTES - len(encoded()))
    assert decode_feedback(encoded() + padding).name == "thumbs"
