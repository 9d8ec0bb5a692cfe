"""The newest events of each partition, as the checks of gateways look at them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from understudy.schemas.events import (
    Event,
    InvalidEvent,
    decode_event,
    event_key,
    request_time_ms,
)
from understudy.streams.terminal.plain_text import one_line

GATEWAY_ATTRIBUTES: Final = ("gateway", "service.instance.id", "host.name")
"""Attributes of an event that may name the gateway that wrote it."""


@dataclass(frozen=True, slots=True)
class SampledEvent:
    """A valid event, and where and when it reached Kafka."""

    partition: int
    timestamp_ms: int
    stamped_by_broker: bool
    key: bytes | None
    event: Event

    @property
    def right_key(self) -> bytes:
        """The key that it should have."""
        return event_key(self.event).encode()

    @property
    def gateway(self) -> str:
        """Who wrote it, if it says so; else its rollout."""
        attributes = self.event.attributes or {}
        for name in GATEWAY_ATTRIBUTES:
            if value := attributes.get(name):
                return f"gateway {one_line(value, 60)}"
        return f"rollout {one_line(self.event.rollout_id, 60)}"

    @property
    def ahead_ms(self) -> int:
        """How far its request time lies after its arrival."""
        return request_time_ms(self.event) - self.timestamp_ms

    @property
    def delay_ms(self) -> float:
        """From the answer's end to its arrival, by the gateway's clock and the broker's."""
        timing = self.event.timing
        return -self.ahead_ms - ((timing.duration_ms if timing else None) or 0.0)


def sampled(
    partition: int,
    timestamp_ms: int,
    stamped_by_broker: bool,
    key: bytes | None,
    payload: bytes | None,
    max_event_bytes: int,
) -> SampledEvent | None:
    """A record as part of a sample; None when it is no valid event."""
    try:
        event = decode_event(payload, max_event_bytes)
    except InvalidEvent:
        return None
    return SampledEvent(partition, timestamp_ms, stamped_by_broker, key, event)
