"""The bytes of an event, whatever a model answered: within the limit, and valid UTF-8. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from understudy.schemas.events import Event, encode_event, without_answer, without_request


def event_bytes(event: Event, max_bytes: int) -> bytes:
    """Return an event's bytes, at most `max_bytes` of them where its answer can be left out.

    Of an event that is too large, the request goes first. An answer that is too large by itself
    cannot be judged and is its side's failure, as it is when a worker reads one.
    """
    payload = _encoded(event)
    if len(payload) > max_bytes:
        event = without_request(event)
        payload = _encoded(event)
    if len(payload) > max_bytes:
        payload = _encoded(without_answer(event))
    return payload


def _encoded(event: Event) -> bytes:
    try:
        return encode_event(event)
    except UnicodeEncodeError:
        return encode_event(_without_surrogates(event))


def _without_surrogates(value: Any) -> Any:
    """Replace halves of characters, which no UTF-8 can hold, as decoders do: by U+FFFD."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, msgspec.Struct):
        names = value.__struct_fields__
        changed = {name: _without_surrogates(getattr(value, name)) for name in names}
        return msgspec.structs.replace(value, **changed)
    if isinstance(value, tuple):
        return tuple(map(_without_surrogates, value))
    if isinstance(value, dict):
        return {_without_surrogates(k): _without_surrogates(v) for k, v in value.items()}
    return value
