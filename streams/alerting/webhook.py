"""A custom webhook: each decision as JSON, signed.

`X-Understudy-Signature: t=SECONDS,v1=HEX`, where HEX is HMAC-SHA256 over `SECONDS.BODY` with the
shared secret. The signature proves that the body is genuine and, by its time, not a replay.
`X-Understudy-Delivery` is the same for the same decision, however often it is delivered.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from understudy.streams.alerting.alarms import Alarm
from understudy.streams.alerting.decision_message import (
    DecisionMessage,
    NotifiedState,
    notification_key,
)
from understudy.streams.alerting.drift_notice import DriftNotice
from understudy.streams.alerting.links import NO_LINKS, Links
from understudy.streams.alerting.receiver import Notification
from understudy.streams.dashboard.addresses import rollout_address

SIGNATURE_HEADER: Final = "X-Understudy-Signature"
DELIVERY_HEADER: Final = "X-Understudy-Delivery"
_ID_CHARACTERS: Final = 32
"""128 bits in hexadecimal: no two decisions share an id by chance."""


class WebhookBody(msgspec.Struct, frozen=True, kw_only=True):
    """The body of the request."""

    type: str = "decision"
    id: str
    rollout_id: str
    url: str | None
    links: dict[str, str]
    """Pages of the dashboard: `rollout`, `evidence`, `pairs`, `traffic`, `act`; none without."""
    decision: msgspec.Raw


class DriftBody(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a request about drift."""

    type: str = "drift"
    id: str
    rollout_id: str
    url: str | None
    drift: dict[str, str]
    """Side to what of it has changed, in words; without sides that answer as they did."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook that receives all decisions."""

    url: str
    secret: str = field(default="", repr=False)
    links: Links = NO_LINKS
    name: str = "webhook"
    repeat_s: float = 0.0

    def notification(
        self, before: NotifiedState | None, message: DecisionMessage, now: dt.datetime
    ) -> Notification | None:
        """The decision, signed as of now, unless only its numbers are new."""
        decision = message.decision
        if decision is None:
            return None
        is_known = before is not None and before.key == notification_key(decision)
        if decision.is_refresh and is_known:
            return None
        return self._signed(body_of(message, self.links), delivery_id(message), now)

    def drift_notification(
        self, before: DriftNotice | None, notice: DriftNotice, now: dt.datetime
    ) -> Notification | None:
        """What has changed, whenever another side has, and when one no longer differs."""
        if notice.sides == (before.sides if before else frozenset()):
            return None
        delivery = drift_delivery_id(before, notice)
        return self._signed(drift_body_of(notice, delivery, self.links), delivery, now)

    def _signed(self, body: bytes, delivery: str, now: dt.datetime) -> Notification:
        headers = {"Content-Type": "application/json", DELIVERY_HEADER: delivery}
        if self.secret:
            headers[SIGNATURE_HEADER] = signature(self.secret, int(now.timestamp()), body)
        return Notification(self.url, headers, body)

    def reminder(self, alarms: Sequence[Alarm], now: dt.datetime) -> Notification | None:
        """None: each decision is sent once."""
        return None


def body_of(message: DecisionMessage, links: Links) -> bytes:
    """The JSON document about a decision."""
    body = WebhookBody(
        id=delivery_id(message),
        rollout_id=message.rollout_id,
        url=links.page(message.rollout_id) or None,
        links=links.views(message.decision) if message.decision else {},
        decision=msgspec.Raw(message.payload),
    )
    return msgspec.json.encode(body)


def drift_body_of(notice: DriftNotice, delivery: str, links: Links) -> bytes:
    """The JSON document about drift; `delivery` identifies it."""
    body = DriftBody(
        id=delivery,
        rollout_id=notice.rollout_id,
        url=rollout_address(links.public_url, notice.rollout_id, "traffic") or None,
        drift={alarm.guardrail: alarm.description for alarm in notice.alarms},
    )
    return msgspec.json.encode(body)


def delivery_id(message: DecisionMessage) -> str:
    """Identifies the decision, so that receivers can drop a repeated delivery."""
    return message.digest[:_ID_CHARACTERS]


def drift_delivery_id(before: DriftNotice | None, notice: DriftNotice) -> str:
    """The same of drift: one end has the words of every other, so what it ends tells them apart."""
    both = f"{before.digest if before else ''}{notice.digest}"
    return hashlib.sha256(both.encode()).hexdigest()[:_ID_CHARACTERS]


def signature(secret: str, timestamp_s: int, body: bytes) -> str:
    """The value of the signature header."""
    signed = f"{timestamp_s}.".encode() + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return f"t={timestamp_s},v1={digest}"
