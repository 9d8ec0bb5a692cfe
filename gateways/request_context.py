"""What a gateway knows of a request beyond what it asks the model."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import msgspec

from understudy.gateways.receipt import Receipt
from understudy.schemas.events import Request


class RequestContext(msgspec.Struct, frozen=True, kw_only=True):
    """All of it optional; see docs/events.md for the fields that events have too."""

    user_id: str | None = None
    """Decides, before the conversation, which side serves; it never leaves the process."""
    conversation_id: str | None = None
    turn: int | None = None
    language: str | None = None
    workflow: str | None = None
    request: Request | None = None
    """What was asked, where the arguments of the call do not tell it."""
    request_time: dt.datetime | None = None
    """When the request arrived; now where it is left out. Needs a time zone."""
    pair_id: str | None = None
    """Names the request; made up where it is left out."""
    attributes: Mapping[str, str] | None = None
    receipt: Receipt | None = None
    """Gets to know what was served, so that a user can rate it."""


NO_CONTEXT = RequestContext()
