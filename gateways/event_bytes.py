"""The bytes of an event, whatever a model answered: within the limit, and valid UTF-8. Pure."""

from __future__ import annotations

from understudy.schemas.events import Event, encode_event, without_answer, without_request


def event_bytes(event: Event, max_bytes: int) -> bytes:
    """Return an event's bytes, at most `max_bytes` of them where its answer can be left out.

    Of an event that is too large, the request goes first. An answer that is too large by itself
    cannot be judged and is its side's failure, as it is when a worker reads one.
    """
    payload = encode_event(event)
    if len(payload) > max_bytes:
        event = without_request(event)
        payload = encode_event(event)
    if len(payload) > max_bytes:
        payload = encode_event(without_answer(event))
    return payload
