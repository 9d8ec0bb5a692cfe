"""The records that window rows are made from: for each source its decoder, key, time and words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from understudy.schemas.evaluations import (
    Evaluation,
    decode_evaluation,
    evaluation_key,
    evaluation_time_ms,
)
from understudy.schemas.events import EventIdentity, decode_event, event_key, request_time_ms
from understudy.schemas.feedback import Feedback, decode_feedback, feedback_key, feedback_time_ms
from understudy.schemas.windows import Source


class KeyAndTime(NamedTuple):
    """The Kafka key of a record and its own time, epoch milliseconds."""

    key: str
    time_ms: int


@dataclass(frozen=True, slots=True)
class SourceRecords:
    """What the records of one source are."""

    noun: str
    """For sentences, in the plural."""
    time_field: str
    """The field that windows go by."""
    read: Callable[[bytes | None, int], KeyAndTime]
    """Decodes a record of at most so many bytes. Raises `InvalidEvent`."""
    key: Callable[[EventIdentity], str]
    """Of a record of which no more than its identity can be read."""
    can_be_late: bool = True
    """Whether a record counts no more once the watermark has passed its time by far."""


def _event(payload: bytes | None, max_bytes: int) -> KeyAndTime:
    event = decode_event(payload, max_bytes)
    return KeyAndTime(event_key(event), request_time_ms(event))


def _feedback(payload: bytes | None, max_bytes: int) -> KeyAndTime:
    feedback: Feedback = decode_feedback(payload)
    return KeyAndTime(feedback_key(feedback), feedback_time_ms(feedback))


def _evaluation(payload: bytes | None, max_bytes: int) -> KeyAndTime:
    evaluation: Evaluation = decode_evaluation(payload)
    return KeyAndTime(evaluation_key(evaluation), evaluation_time_ms(evaluation))


SOURCE_RECORDS: Final[Mapping[Source, SourceRecords]] = {
    "events": SourceRecords("events", "request_time", _event, event_key),
    "feedback": SourceRecords("feedback records", "feedback_time", _feedback, feedback_key),
    "evaluations": SourceRecords(
        "evaluations", "evaluation_time", _evaluation, evaluation_key, can_be_late=False
    ),
}
