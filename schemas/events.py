"""The event: what one side of one request answered, as a gateway writes it to Kafka.

`decode_event` checks size, JSON, types, ranges and the consistency of mode, side and sides in one
pass. What an event is about has to be right; of an answer that is broken, the rest is read, and
where nothing is left of it, that is its side's failure: to leave it out would compare survivors
alone. Clocks are not looked at; pairing refuses events from the future. Fields that OpenTelemetry's
GenAI semantic conventions define keep their meaning; the description of each names its counterpart.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from enum import StrEnum
from itertools import permutations
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.salvage import (
    Damage,
    Document,
    cleaned,
    encoded,
    fields_of,
    parse,
    without_surrogates,
)
from understudy.schemas.vendor_shapes import REPAIRS, UNREADABLE

SCHEMA_VERSION: Final = 1
MAX_EVENT_BYTES: Final = 1_048_576
"""About what a broker accepts by default, so most gateways cannot send more anyway."""
MAX_SALVAGED_BYTES: Final = 16 * MAX_EVENT_BYTES
"""Of a larger event nothing is read: no broker lets it pass, and parsing it would stop a worker."""
MAX_COST_USD: Final = 1000.0
"""Far above the price of any call, and small enough that the sums of windows cannot overflow."""
MAX_DURATION_MS: Final = 7 * 86_400_000.0
"""A week, longer than any batch job; bounded for the same reason."""
MAX_LABEL_CHARACTERS: Final = 128
MAX_LANGUAGE_CHARACTERS: Final = 35
"""Of a tag of BCP 47 with all its parts."""
MAX_TURN: Final = 100_000
"""Beyond any conversation, agents that run for days included; bounded for the same reason."""
EARLIEST_TIME: Final = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
"""Earlier times come from a clock that was never set, and Python could not hold all of them."""
END_OF_TIME: Final = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)
"""From here on times are milliseconds taken for seconds, or the like."""

Mode = Literal["shadow", "interleave", "canary", "ab"]
Side = Literal["stable", "candidate", "control"]
Expects = Literal["text", "json", "json_schema"]
ErrorSource = Literal["client", "gateway", "provider"]
TextForm = Literal["redacted", "truncated", "hashed"]
"""What a gateway made of a text before it sent it; None for nothing."""

PAIRED_MODES: Final = ("shadow", "interleave")
SINGLE_MODES: Final = ("canary", "ab")
SIDES: Final = ("stable", "candidate", "control")

Identifier = Annotated[str, Meta(min_length=1, max_length=128)]
PairId = Annotated[str, Meta(min_length=1, max_length=256)]
ConversationId = Annotated[str, Meta(max_length=256)]
Turn = Annotated[int, Meta(ge=1, le=MAX_TURN)]
Label = Annotated[str, Meta(max_length=MAX_LABEL_CHARACTERS)]
LanguageTag = Annotated[str, Meta(max_length=MAX_LANGUAGE_CHARACTERS)]
TokenCount = Annotated[int, Meta(ge=0, le=2**31 - 1)]
DurationMs = Annotated[float, Meta(ge=0, le=MAX_DURATION_MS)]
CostUsd = Annotated[float, Meta(ge=0, le=MAX_COST_USD)]
RequestTime = Annotated[dt.datetime, Meta(tz=True)]
Record = TypeVar("Record")


def _null() -> msgspec.Raw:
    return msgspec.Raw(b"null")


class Tool(msgspec.Struct, frozen=True, gc=False):
    """A tool that was offered, with what its arguments have to be."""

    name: Annotated[str, Meta(description="OTel `gen_ai.tool.name`.")]
    parameters: Annotated[
        msgspec.Raw,
        Meta(description="JSON Schema of the arguments.", extra_json_schema={}),
    ] = msgspec.field(default_factory=_null)


class Request(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What was asked."""

    prompt: Annotated[
        str | None, Meta(description="Prompt as text; used to detect the language.")
    ] = None
    expects: Annotated[
        Expects | None, Meta(description="What the caller parses (OTel `gen_ai.output.type`).")
    ] = "text"
    schema_id: Annotated[
        Label | None, Meta(description="Name of the JSON Schema the output must satisfy.")
    ] = None
    tools: Annotated[
        tuple[str | Tool, ...] | None,
        Meta(
            description="The tools offered: their names (OTel `gen_ai.tool.name`), or objects with "
            "the schema of their arguments."
        ),
    ] = None
    prompt_form: Annotated[
        TextForm | None,
        Meta(description="What the gateway made of the prompt before it sent it; see output_form."),
    ] = None


class ToolCall(msgspec.Struct, frozen=True, gc=False):
    """One call of a tool that the model asked for."""

    name: Annotated[str, Meta(description="OTel `gen_ai.tool.name`.")]
    arguments: Annotated[
        msgspec.Raw,
        Meta(
            description="A JSON value, or a string that holds one; compared as JSON values.",
            extra_json_schema={},
        ),
    ] = msgspec.field(default_factory=_null)


class Response(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What the model answered."""

    model: Annotated[str | None, Meta(description="OTel `gen_ai.response.model`.")] = None
    output: Annotated[
        str | None,
        Meta(description="Text of the answer; content parts, as OpenAI's API has them, are read."),
    ] = None
    tool_calls: Annotated[
        tuple[ToolCall, ...] | None, Meta(description="Tool calls in the order given.")
    ] = None
    finish_reason: Annotated[
        Label | None,
        Meta(description="OTel `gen_ai.response.finish_reasons`, the first: stop, length, …"),
    ] = None
    refusal: Annotated[
        str | None, Meta(description="What the model said instead of an answer.")
    ] = None
    reasoning: Annotated[
        str | None, Meta(description="What the model thought; no part of the answer.")
    ] = None
    stream: Annotated[bool | None, Meta(description="Whether the answer was streamed.")] = False
    cache_hit: Annotated[
        bool | None,
        Meta(description="Whether the gateway answered from its cache, without the model."),
    ] = None
    output_form: Annotated[
        TextForm | None,
        Meta(
            description="What the gateway made of the output before it sent it. What such a text "
            "cannot tell is not measured: of a `hashed` one whatever needs the text, of a "
            "`truncated` one all but its language, of a `redacted` one broken JSON and the schema."
        ),
    ] = None


class Error(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Why there is no answer."""

    type: Annotated[
        str, Meta(max_length=128, description="OTel `error.type`: timeout, rate_limit, 500, …")
    ]
    status: Annotated[
        Annotated[int, Meta(ge=0, le=999)] | None,
        Meta(description="HTTP status (OTel `http.response.status_code`)."),
    ] = None
    source: Annotated[
        ErrorSource | None,
        Meta(
            description="Who failed. Errors of the client and of the gateway are no failure of the "
            "model; without it, status and type tell."
        ),
    ] = None


class Usage(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What was consumed."""

    input_tokens: Annotated[
        TokenCount | None, Meta(description="OTel `gen_ai.usage.input_tokens`.")
    ] = None
    output_tokens: Annotated[
        TokenCount | None, Meta(description="OTel `gen_ai.usage.output_tokens`.")
    ] = None
    cost_usd: Annotated[CostUsd | None, Meta(description="Price of the call in US dollars.")] = None
    cached_input_tokens: Annotated[
        TokenCount | None,
        Meta(
            description="Of these, those that the provider had cached (OTel "
            "`gen_ai.usage.cache_read.input_tokens`)."
        ),
    ] = None
    reasoning_tokens: Annotated[
        TokenCount | None,
        Meta(
            description="Of these, those of the reasoning (OTel "
            "`gen_ai.usage.reasoning.output_tokens`)."
        ),
    ] = None


class Timing(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """How long it took."""

    duration_ms: Annotated[
        DurationMs | None,
        Meta(description="OTel `gen_ai.client.operation.duration`, in milliseconds here."),
    ] = None
    time_to_first_token_ms: Annotated[
        DurationMs | None,
        Meta(description="OTel `gen_ai.client.operation.time_to_first_chunk`, in milliseconds."),
    ] = None


class Fallback(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Which attempt the event describes, and whether another model had to answer."""

    used: bool | None = False
    model: Annotated[str | None, Meta(description="The model that answered instead.")] = None
    reason: Annotated[Label | None, Meta(description="Why the gateway fell back.")] = None
    attempts: Annotated[
        Annotated[int, Meta(ge=1, le=1000)] | None,
        Meta(description="Attempts made, this one included; 1 when absent."),
    ] = None
    final: Annotated[
        bool | None,
        Meta(
            description="Whether the gateway makes no further attempt. `false` keeps the pair "
            "open for the next one."
        ),
    ] = None


class Event(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One side of one request; key `rollout_id/conversation_id`, or `rollout_id/pair_id`."""

    schema_version: Literal[1]
    rollout_id: Annotated[Identifier, Meta(description="The rollout; must not contain a slash.")]
    pair_id: Annotated[PairId, Meta(description="The request; the same on all its sides.")]
    mode: Mode
    side: Side
    sides: Annotated[
        tuple[Side, ...],
        Meta(description="The sides that this request has; the join waits for exactly these."),
    ]
    request_time: Annotated[
        RequestTime,
        Meta(
            description="Event time, RFC 3339, from 2000 to 2099; stamped once, the same on all "
            "sides."
        ),
    ]
    conversation_id: Annotated[
        ConversationId | None,
        Meta(
            description="The conversation that the request is a turn of, the same on all its sides "
            "(OTel `gen_ai.conversation.id`). Part of the key."
        ),
    ] = None
    turn: Annotated[
        Turn | None,
        Meta(description="Which request of its conversation this is, from 1."),
    ] = None
    served: Annotated[bool | None, Meta(description="Whether this side went to the user.")] = False
    language: Annotated[
        LanguageTag | None, Meta(description="BCP 47 tag; detected when absent.")
    ] = None
    workflow: Annotated[
        Label | None, Meta(description="The product feature that the request came from.")
    ] = None
    request: Request | None = None
    response: Response | None = None
    error: Error | None = None
    usage: Usage | None = None
    timing: Timing | None = None
    fallback: Fallback | None = None
    attributes: Annotated[
        dict[str, str | None] | None, Meta(description="Free strings; never a dimension.")
    ] = None


class SalvagedEvent(Event, frozen=True, gc=False, omit_defaults=True):
    """An event that was not written as the contract says, as far as it could be read."""

    unreadable_fields: tuple[str, ...] = ()
    """Those that are unknown, or not as they were written, such as `usage.cost_usd`."""


AnyEvent = TypeVar("AnyEvent", bound=Event)


class InvalidReason(StrEnum):
    """Why an event could not be used; the `reason` header of a dead letter."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"
    UNSUPPORTED_VERSION = "unsupported_version"
    SCHEMA = "schema"
    SIDES = "sides"
    TIME_RANGE = "time_range"
    CLOCK_AHEAD = "clock_ahead"
    DISAGREES = "disagrees"
    ANALYZER_FAILED = "analyzer_failed"
    UNREADABLE = "unreadable"
    """A batch that cannot be unpacked; one dead letter names all its offsets."""


class InvalidEvent(ValueError):
    """An event that goes to dead letters; `reason` is for machines, the message for people."""

    def __init__(self, reason: InvalidReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


SIDE_BITS: Final[dict[str, int]] = {"stable": 1, "candidate": 2, "control": 4}
STABLE, CANDIDATE, CONTROL = SIDE_BITS["stable"], SIDE_BITS["candidate"], SIDE_BITS["control"]
PAIR: Final = STABLE | CANDIDATE


def _allowed_shapes() -> dict[tuple[str, str, tuple[str, ...]], int]:
    """Map every consistent (mode, side, sides) to the bit mask of its sides."""
    shapes: dict[tuple[str, str, tuple[str, ...]], int] = {}
    for mode in PAIRED_MODES:
        for names in (("stable", "candidate"), ("stable", "candidate", "control")):
            mask = sum(SIDE_BITS[name] for name in names)
            for order in permutations(names):
                shapes.update({(mode, side, order): mask for side in names})
    for mode in SINGLE_MODES:
        shapes.update({(mode, s, (s,)): SIDE_BITS[s] for s in ("stable", "candidate")})
    return shapes


SHAPES: Final = _allowed_shapes()
_SAFE_YEARS: Final = frozenset(range(EARLIEST_TIME.year + 1, END_OF_TIME.year - 1))
"""Times of these years are in range whatever their time zone, which saves most comparisons."""
_decode = msgspec.json.Decoder(Event).decode


def decode_event(payload: bytes | None, max_event_bytes: int = MAX_EVENT_BYTES) -> Event:
    """Decode and check one event.

    Raises `InvalidEvent` with the reason and a message that names the place.
    """
    return decode_side(payload, max_event_bytes)[0]


def decode_side(payload: bytes | None, max_event_bytes: int = MAX_EVENT_BYTES) -> tuple[Event, int]:
    """Decode and check one event; also return the bits of the sides that its request has.

    Raises `InvalidEvent` as `decode_event` does.
    """
    event: Event
    try:
        if not payload or len(payload) > max_event_bytes:
            raise _not_taken(payload, max_event_bytes)
        event = _decode(payload)
    except InvalidEvent as refused:
        event = _salvaged(payload or b"", refused, max_event_bytes)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        event = _salvaged(payload or b"", _decoding_failed(payload or b"", error), max_event_bytes)
    wanted = SHAPES.get((event.mode, event.side, event.sides))
    if wanted is None or "/" in event.rollout_id:
        raise _inconsistent(event)
    if event.request_time.year not in _SAFE_YEARS:
        check_time("request_time", event.request_time)
    return event, wanted


_FIELDS: Final = fields_of(Event)
_IDENTITY: Final = (
    *("schema_version", "rollout_id", "pair_id", "mode", "side", "sides", "request_time"),
    "conversation_id",
)
"""What an event is about, and where it lies: read strictly, or not at all."""
_decode_salvaged = msgspec.json.Decoder(SalvagedEvent).decode
_BEYOND_SALVAGE: Final = (InvalidReason.EMPTY, InvalidReason.UNSUPPORTED_VERSION)
_ANSWER: Final = frozenset({"response", "response.output", "response.tool_calls"})
"""Fields of which an answer consists."""


def _salvaged(payload: bytes, refused: InvalidEvent, max_event_bytes: int) -> SalvagedEvent:
    """Read what can be read. Raises `InvalidEvent` where the event's identity cannot."""
    if refused.reason in _BEYOND_SALVAGE or len(payload) > MAX_SALVAGED_BYTES:
        raise refused
    try:
        mended = encoded(_mended(parse(payload)))
    except ValueError:
        raise refused from None
    try:
        event = _decode_salvaged(mended)
    except msgspec.DecodeError as error:
        is_large = refused.reason is InvalidReason.TOO_LARGE
        raise (refused if is_large else _decoding_failed(mended, error)) from None
    if refused.reason is InvalidReason.TOO_LARGE:
        return _trimmed(event, max_event_bytes)
    return event


def _mended(document: Document) -> Document:
    """The event with what can be read of it, and what cannot be read by name."""
    damage = Damage()
    event = cleaned(document, _FIELDS, REPAIRS, _IDENTITY, damage)
    is_broken = not _ANSWER.isdisjoint(damage.fields)
    if is_broken and not event.get("error") and not has_answer(event.get("response")):
        event["error"] = {"type": UNREADABLE}
    return {**event, "unreadable_fields": list(damage.fields)}


def has_answer(response: Document | None) -> bool:
    """Whether a response, as a document, holds anything that answers."""
    answer = response or {}
    return any(answer.get(name) for name in ("output", "tool_calls", "refusal"))


def _trimmed(event: SalvagedEvent, max_bytes: int) -> SalvagedEvent:
    """The event without what makes it too large: what surrounds the answer, else the answer."""
    response = event.response or Response()
    texts = (response.output or "", response.reasoning or "", response.refusal or "")
    calls = response.tool_calls or ()
    size = sum(map(len, texts)) + sum(len(bytes(call.arguments)) for call in calls)
    if size <= max_bytes:
        left_out = (name for name in ("request", "attributes") if getattr(event, name) is not None)
        fields = (*event.unreadable_fields, *left_out)
        return msgspec.structs.replace(without_request(event), unreadable_fields=fields)
    fields = (*event.unreadable_fields, "response")
    return msgspec.structs.replace(without_answer(event), unreadable_fields=fields)


def without_request(event: AnyEvent) -> AnyEvent:
    """Return an event without what surrounds the answer; what the caller expected stays."""
    request = msgspec.structs.replace(event.request or Request(), prompt=None, tools=None)
    return msgspec.structs.replace(event, request=request, attributes=None)


def without_answer(event: AnyEvent) -> AnyEvent:
    """Return an event without its answer, which is then its side's failure."""
    response = event.response or Response()
    return msgspec.structs.replace(
        event,
        request=None,
        attributes=None,
        response=Response(model=response.model, stream=response.stream),
        error=event.error or Error(type=UNREADABLE),
    )


def check_time(field: str, time: dt.datetime) -> None:
    """Raise `InvalidEvent` for a time that no clock shows which has been set."""
    if not EARLIEST_TIME <= time < END_OF_TIME:
        raise InvalidEvent(
            InvalidReason.TIME_RANGE,
            f"{field} is {time.isoformat()}; times from 2000-01-01 to 2099-12-31 are read",
        )


def decode_record(
    payload: bytes | None, decode: Callable[[bytes], Record], max_bytes: int
) -> Record:
    """Decode a record of a topic. Raises `InvalidEvent` for one that is empty, large or wrong."""
    if not payload or len(payload) > max_bytes:
        raise _not_taken(payload, max_bytes)
    try:
        return decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _decoding_failed(payload, error) from None


def _not_taken(payload: bytes | None, max_bytes: int) -> InvalidEvent:
    """Return why a payload is not even looked at."""
    if not payload:
        return InvalidEvent(InvalidReason.EMPTY, "the message has no value")
    return InvalidEvent(InvalidReason.TOO_LARGE, f"{len(payload)} bytes, the limit is {max_bytes}")


def _decoding_failed(payload: bytes, error: Exception) -> InvalidEvent:
    """Return why a payload failed to decode: malformed, of another version, or a wrong field."""
    if not isinstance(error, msgspec.ValidationError):
        return InvalidEvent(InvalidReason.NOT_JSON, str(error))
    version = peek(payload).get("schema_version")
    if isinstance(version, int) and version != SCHEMA_VERSION:
        return InvalidEvent(
            InvalidReason.UNSUPPORTED_VERSION,
            f"schema_version {version}, this release reads {SCHEMA_VERSION}",
        )
    return InvalidEvent(InvalidReason.SCHEMA, str(error))


def _inconsistent(event: Event) -> InvalidEvent:
    if "/" in event.rollout_id:
        return InvalidEvent(InvalidReason.SCHEMA, "rollout_id must not contain a slash")
    wanted = (
        "[stable, candidate], optionally with control"
        if event.mode in PAIRED_MODES
        else "[stable] or [candidate] alone"
    )
    return InvalidEvent(
        InvalidReason.SIDES,
        f"side {event.side!r} with sides {list(event.sides)} in mode {event.mode!r}; "
        f"this mode has {wanted}, the side among them",
    )


def peek(payload: bytes | None) -> dict[str, Any]:
    """Return the top-level fields of a payload that failed to decode, if it is a JSON object."""
    try:
        document = msgspec.json.decode(payload or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


UNFINISHED: Final = Error(type="unfinished")
"""Of an attempt that was to be followed by another one, which never came."""


def failure_of(event: Event) -> Error | None:
    """Why the side has no answer: its error, or that its last attempt never came."""
    if event.error is None and event.fallback is not None and event.fallback.final is False:
        return UNFINISHED
    return event.error


class EventIdentity(msgspec.Struct, gc=False):
    """What the key of an event is made of, which can be read of an invalid event too."""

    rollout_id: str
    pair_id: str
    conversation_id: str | None = None


_decode_identity: Final = msgspec.json.Decoder(EventIdentity).decode


def identity_of(payload: bytes | None) -> EventIdentity | None:
    """Return what a payload's key is made of; None where it does not tell."""
    try:
        return _decode_identity(payload or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def event_key(event: Event | EventIdentity) -> str:
    """Return the Kafka key of an event.

    It brings all sides of a request, and all turns of a conversation, to one partition.
    """
    return f"{event.rollout_id}/{event.conversation_id or event.pair_id}"


def turn_of(*sides: Event) -> int:
    """Return which turn of its conversation a request is, by the first side that tells.

    0 where no side tells, or the request belongs to no conversation.
    """
    for event in sides:
        if event.turn is not None and event.conversation_id:
            return event.turn
    return 0


def request_time_ms(event: Event) -> int:
    """Return the request time in milliseconds since 1970, rounded down."""
    return to_epoch_ms(event.request_time)


def encode_event(event: Event) -> bytes:
    """Return the event's bytes for the topic, without what has its default.

    Half an emoji in a text becomes U+FFFD, as it would when the event is read: what a model wrote
    must not keep its event from being sent. `decode_event` returns an equal event, if the event is
    valid.
    """
    try:
        return msgspec.json.encode(event)
    except UnicodeEncodeError:
        document = msgspec.to_builtins(event, builtin_types=(msgspec.Raw,))
        return msgspec.json.encode(without_surrogates(document, "", Damage()))
