"""One request under one rollout: gathers its sides and publishes them together."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Final, Protocol, runtime_checkable

import msgspec

from understudy.gateways.call_errors import MIRROR_DROPPED
from understudy.gateways.receipt import Receipt
from understudy.gateways.request_context import RequestContext
from understudy.gateways.request_journal import RequestOutline
from understudy.schemas.events import (
    MAX_DURATION_MS,
    SCHEMA_VERSION,
    Error,
    Event,
    Fallback,
    Mode,
    Request,
    Response,
    Side,
    Timing,
    Usage,
)

_MS: Final = 1000.0
_DECIMALS: Final = 3
"""Microseconds: finer than any clock that a network is in the way of."""


class EventPublisher(Protocol):
    """What takes the events; `understudy.gateways.publisher.Publisher` does."""

    def publish(self, *events: Event) -> bool:
        """Take the sides of one request; return whether there was room for them."""


@runtime_checkable
class NotesRequests(Protocol):
    """Of a publisher: it can note that a request has begun, in case the process is killed."""

    def begin(self, outline: RequestOutline) -> None:
        """Note a request, of which `publish` is going to take the sides."""


class SideRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How one call ended."""

    response: Response | None = None
    usage: Usage | None = None
    fallback: Fallback | None = None
    error: Error | None = None
    duration_s: float | None = None
    first_token_s: float | None = None
    dropped_for: str | None = None
    """Why the gateway did not make the call, or broke it off."""

    def timing(self) -> Timing | None:
        """Return how long the call took, in milliseconds."""
        if self.duration_s is None:
            return None
        return Timing(_ms(self.duration_s), _ms(self.first_token_s))


def dropped(reason: str) -> SideRecord:
    """Return the record of a call that the gateway did not make."""
    return SideRecord(error=MIRROR_DROPPED, dropped_for=reason)


class Exchange:
    """Publishes once each side has ended and it is known whose answer was served."""

    def __init__(
        self,
        publish: Callable[[Callable[[], list[Event]]], None],
        *,
        rollout_id: str,
        pair_id: str,
        mode: Mode,
        sides: tuple[Side, ...],
        request_time: dt.datetime,
        context: RequestContext,
        request: Request | None,
        workflow: str | None,
    ) -> None:
        self._publish = publish
        self._rollout_id = rollout_id
        self._pair_id = pair_id
        self._mode = mode
        self._sides = sides
        self._request_time = request_time
        self._context = context
        self._request = request
        self._workflow = context.workflow or workflow
        self._records: dict[Side, SideRecord] = {}
        self._served: Side | None = None
        self._is_decided = False

    def outline(self) -> RequestOutline:
        """Return what is known of the request before any side has ended."""
        return RequestOutline(
            rollout_id=self._rollout_id,
            pair_id=self._pair_id,
            mode=self._mode,
            sides=self._sides,
            request_time=self._request_time,
            conversation_id=self._context.conversation_id,
            turn=self._context.turn,
            language=self._context.language,
            workflow=self._workflow,
        )

    def end(self, side: Side, record: SideRecord) -> None:
        """Take how a side ended; what comes later for the same side is ignored."""
        if side in self._sides and side not in self._records:
            self._records[side] = record
            self._publish_if_over()

    def serve(self, side: Side | None) -> None:
        """Take whose answer the user got; None for an answer of none of these sides."""
        if not self._is_decided:
            self._served = side
            self._is_decided = True
            self._publish_if_over()

    def fill(self, receipt: Receipt) -> None:
        """Tell a receipt what the user got; call it once that is known."""
        receipt.rollout_id, receipt.pair_id = self._rollout_id, self._pair_id
        receipt.mode, receipt.side = self._mode, self._served
        receipt.request_time = self._request_time
        receipt.conversation_id, receipt.turn = self._context.conversation_id, self._context.turn
        receipt.language, receipt.workflow = self._context.language, self._workflow

    def _publish_if_over(self) -> None:
        if self._is_decided and len(self._records) == len(self._sides):
            self._publish(self._events)

    def _events(self) -> list[Event]:
        return [self._event(side) for side in self._sides]

    def _event(self, side: Side) -> Event:
        record, context = self._records[side], self._context
        return Event(
            schema_version=SCHEMA_VERSION,
            rollout_id=self._rollout_id,
            pair_id=self._pair_id,
            mode=self._mode,
            side=side,
            sides=self._sides,
            request_time=self._request_time,
            conversation_id=context.conversation_id,
            turn=context.turn,
            served=side == self._served,
            language=context.language,
            workflow=self._workflow,
            request=self._request,
            response=record.response,
            error=record.error,
            usage=record.usage,
            timing=record.timing(),
            fallback=record.fallback,
            attributes=self._attributes(record),
        )

    def _attributes(self, record: SideRecord) -> dict[str, str | None] | None:
        given = self._context.attributes
        if record.dropped_for is None:
            return dict(given) if given else None
        return {**(given or {}), "mirror_dropped": record.dropped_for}


def _ms(seconds: float | None) -> float | None:
    if seconds is None:
        return None
    return round(min(max(seconds * _MS, 0.0), MAX_DURATION_MS), _DECIMALS)
