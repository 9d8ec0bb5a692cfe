"""Feedback: what a user thought of an answer, some time after it was served."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.events import (
    ConversationId,
    EventIdentity,
    Identifier,
    InvalidEvent,
    InvalidReason,
    Label,
    LanguageTag,
    Mode,
    PairId,
    RequestTime,
    Turn,
    check_time,
    decode_record,
)

MAX_FEEDBACK_BYTES: Final = 65_536
"""Every field is bounded well below this; the rest of a larger record would be ignored anyway."""


class Feedback(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One rating on one served side; key `rollout_id/pair_id`."""

    schema_version: Literal[1]
    rollout_id: Identifier
    pair_id: PairId
    mode: Mode
    side: Annotated[
        Literal["stable", "candidate"], Meta(description="The side that the user saw or chose.")
    ]
    request_time: Annotated[RequestTime, Meta(description="The request's, not the feedback's.")]
    feedback_time: Annotated[RequestTime, Meta(description="When the user gave it.")]
    name: Annotated[
        Label,
        Meta(
            description="What was asked: thumbs, stars, regenerated (OTel "
            "`gen_ai.evaluation.name`)."
        ),
    ]
    score_value: Annotated[
        float,
        Meta(ge=0, le=1, description="0 worst, 1 best (OTel `gen_ai.evaluation.score.value`)."),
    ]
    score_label: Annotated[
        Label | None, Meta(description="OTel `gen_ai.evaluation.score.label`.")
    ] = None
    conversation_id: Annotated[
        ConversationId | None,
        Meta(description="As in the event; not part of the key (OTel `gen_ai.conversation.id`)."),
    ] = None
    turn: Annotated[Turn | None, Meta(description="As in the event.")] = None
    language: LanguageTag | None = None
    workflow: Label | None = None


_decode = msgspec.json.Decoder(Feedback).decode


def decode_feedback(payload: bytes | None) -> Feedback:
    """Decode and check one feedback record. Raises `InvalidEvent`."""
    feedback = decode_record(payload, _decode, MAX_FEEDBACK_BYTES)
    if "/" in feedback.rollout_id:
        raise InvalidEvent(InvalidReason.SCHEMA, "rollout_id must not contain a slash")
    check_time("feedback_time", feedback.feedback_time)
    check_time("request_time", feedback.request_time)
    return feedback


def feedback_key(feedback: Feedback | EventIdentity) -> str:
    """Return the Kafka key of a rating, which brings its copies to one partition."""
    return f"{feedback.rollout_id}/{feedback.pair_id}"


def feedback_time_ms(feedback: Feedback) -> int:
    """Return the feedback's own time in milliseconds since 1970, rounded down."""
    return to_epoch_ms(feedback.feedback_time)
