"""What one model answered to one request, whatever file or payload it was recorded in.

A format's reader takes the names of its format apart into a document of the event's parts, and
`answer_of` reads that as leniently as an event: what vendors write in shapes of their own is put
into ours, and what cannot be read is unknown, by name.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any, Final

import msgspec

from understudy.schemas.events import (
    SCHEMA_VERSION,
    ConversationId,
    Error,
    Event,
    Fallback,
    Label,
    LanguageTag,
    Mode,
    PairId,
    Request,
    RequestTime,
    Response,
    Side,
    Timing,
    Turn,
    Usage,
    has_answer,
)
from understudy.schemas.salvage import Damage, Document, cleaned, encoded, fields_of
from understudy.schemas.vendor_shapes import REPAIRS, UNREADABLE

MAX_ID: Final = 256
"""What `pair_id` and `conversation_id` may have; longer ids are hashed."""


class RecordedAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One model's answer to one request; its parts are those of the event.

    What the record does not tell is None, never a default that looks like a measurement.
    """

    id: PairId
    """Names the request; the same in the records of both models."""
    request_time: RequestTime | None = None
    conversation_id: ConversationId | None = None
    turn: Turn | None = None
    served: bool | None = None
    language: LanguageTag | None = None
    workflow: Label | None = None
    request: Request | None = None
    response: Response | None = None
    error: Error | None = None
    usage: Usage | None = None
    timing: Timing | None = None
    fallback: Fallback | None = None
    attributes: dict[str, str | None] | None = None
    unreadable_fields: tuple[str, ...] = ()
    """Those that are unknown, or not as they were written, such as `usage.cost_usd`."""


_FIELDS: Final = fields_of(RecordedAnswer)
_decode: Final = msgspec.json.Decoder(RecordedAnswer).decode
_STRICT: Final = ("id",)
_ANSWER: Final = frozenset({"response", "response.output", "response.tool_calls"})


def answer_of(document: Document) -> RecordedAnswer:
    """The answer in a document of the event's parts, each in our shape or that of a vendor.

    Values of another type or out of range are unknown; unknown names are ignored. An answer of
    which nothing can be read is an error of its side, of type `unreadable`. Raises ValueError for
    a document without an `id` (text or a whole number).
    """
    damage = Damage()
    document = _with_stream(document)
    kept = cleaned(
        {**document, "id": id_text(document.get("id"))}, _FIELDS, REPAIRS, _STRICT, damage
    )
    is_broken = not _ANSWER.isdisjoint(damage.fields)
    if is_broken and not kept.get("error") and not has_answer(kept.get("response")):
        kept["error"] = {"type": UNREADABLE}
    return _decode(encoded({**kept, "unreadable_fields": list(damage.fields)}))


def _with_stream(document: Document) -> Document:
    """The document, its answer streamed where it has a time to first token and does not say so."""
    timing, response = document.get("timing"), document.get("response")
    is_timed = isinstance(timing, dict) and timing.get("time_to_first_token_ms") is not None
    if is_timed and isinstance(response, dict) and response.get("stream") is None:
        return {**document, "response": {**response, "stream": True}}
    return document


def id_text(value: Any) -> str:
    """An id as text that a `pair_id` can be; one that is too long becomes its hash.

    Raises ValueError for what names nothing.
    """
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise ValueError("has no id")
    text = str(value).encode("utf-8", "replace").decode()
    return text if len(text) <= MAX_ID else hashlib.sha256(text.encode()).hexdigest()


def event_of(
    answer: RecordedAnswer,
    *,
    rollout_id: str,
    mode: Mode,
    side: Side,
    sides: tuple[Side, ...],
    request_time: dt.datetime,
) -> Event:
    """The event of an answer.

    `request_time` is that of the request, the same for all its sides, which the records of two
    models rarely share; so it is given, and the answer's own is not looked at.
    """
    return Event(
        schema_version=SCHEMA_VERSION,
        rollout_id=rollout_id,
        pair_id=answer.id,
        mode=mode,
        side=side,
        sides=sides,
        request_time=request_time,
        conversation_id=answer.conversation_id,
        turn=answer.turn,
        served=answer.served,
        language=answer.language,
        workflow=answer.workflow,
        request=answer.request,
        response=answer.response,
        error=answer.error,
        usage=answer.usage,
        timing=answer.timing,
        fallback=answer.fallback,
        attributes=answer.attributes,
    )
