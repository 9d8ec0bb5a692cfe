"""A webhook of one's own: each decision as JSON, signed.

`X-Understudy-Signature: t=SECONDS,v1=HEX`, where HEX is HMAC-SHA256 over `SECONDS.BODY` with the
shared secret: whoever has it knows that the body is genuine and, from the time, not sent again by
somebody else. `X-Understudy-Delivery` is the same for the same decision, however often it comes.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from understudy.streams.alerting.delivery import Letter
from understudy.streams.alerting.links import link_to
from understudy.streams.alerting.notices import Notice, Standing, signature_of

SIGNATURE_HEADER: Final = "X-Understudy-Signature"
DELIVERY_HEADER: Final = "X-Understudy-Delivery"
_ID_CHARACTERS: Final = 32


class WebhookBody(msgspec.Struct, frozen=True, kw_only=True):
    """What is posted."""

    type: str = "decision"
    id: str
    rollout_id: str
    url: str | None
    decision: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Webhook:
    """One receiver of all decisions."""

    url: str
    secret: str = field(default="", repr=False)
    external_url: str = ""
    name: str = "webhook"
    repeat_s: float = 0.0

    def letter(self, before: Standing | None, notice: Notice, now: dt.datetime) -> Letter | None:
        """The decision, signed as of now, unless it brings nothing but newer numbers."""
        decision = notice.decision
        if decision is None:
            return None
        is_known = before is not None and before.signature == signature_of(decision)
        if decision.is_refresh and is_known:
            return None
        body = body_of(notice, self.external_url)
        headers = {"Content-Type": "application/json", DELIVERY_HEADER: delivery_id(notice)}
        if self.secret:
            headers[SIGNATURE_HEADER] = signature(self.secret, int(now.timestamp()), body)
        return Letter(self.url, headers, body)

    def reminder(self, standing: Sequence[Standing], now: dt.datetime) -> Letter | None:
        """Each decision is sent once."""
        return None


def body_of(notice: Notice, external_url: str) -> bytes:
    """The JSON document about a decision."""
    body = WebhookBody(
        id=delivery_id(notice),
        rollout_id=notice.rollout_id,
        url=link_to(external_url, notice.rollout_id) or None,
        decision=msgspec.Raw(notice.payload),
    )
    return msgspec.json.encode(body)


def delivery_id(notice: Notice) -> str:
    """Names the decision; to tell a second delivery from a second decision."""
    return notice.digest[:_ID_CHARACTERS]


def signature(secret: str, timestamp_s: int, body: bytes) -> str:
    """The value of the signature header."""
    signed = f"{timestamp_s}.".encode() + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return f"t={timestamp_s},v1={digest}"
