"""Sessions of browsers: a signed cookie that stands for a token, so that the secret is typed once.

The cookie names the token's holder and the end of the session, signed with the token's digest. So
every worker with the same tokens takes it, nothing has to be stored, and it ends with the token.
"""

from __future__ import annotations

import datetime as dt
import hmac
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from understudy.streams.http.problems import Problem
from understudy.streams.http.query_parameters import whole_number
from understudy.streams.http.tokens import Token

COOKIE: Final = "understudy_session"
DURATION: Final = dt.timedelta(hours=12)
"""A shift: long enough not to type a secret in the middle of an incident."""
_PURPOSE: Final = b"understudy session\x00"
"""What is signed cannot be taken for anything else that the digest may sign one day."""


def cookie_value(token: Token, now: dt.datetime) -> str:
    """Return the cookie of a session that begins now."""
    until = int((now + DURATION).timestamp())
    return f"{token.name}:{until}:{_signature(token, until)}"


def session_token(tokens: Sequence[Token], value: str, now: dt.datetime) -> Token | None:
    """Return the token that a cookie stands for; None for an old or a forged one."""
    if not value.isascii():
        return None
    name, _, rest = value.partition(":")
    until, _, signature = rest.partition(":")
    until_s = whole_number(until, _MAX_DIGITS)
    if until_s is None or until_s <= now.timestamp():
        return None
    for token in tokens:
        is_signed = hmac.compare_digest(_signature(token, until_s), signature)
        if token.name == name and is_signed:
            return token
    return None


_MAX_DIGITS: Final = 12
"""Of seconds since 1970, for thirty thousand years."""


def start_session(response: web.StreamResponse, request: web.Request, value: str) -> None:
    """Set the cookie: no script may read it, and no other site's form may send it."""
    response.set_cookie(
        COOKIE, value, httponly=True, samesite="Strict", path="/", secure=_is_secure(request),
        max_age=int(DURATION.total_seconds()),
    )  # fmt: skip


def _is_secure(request: web.Request) -> bool:
    """Whether the browser speaks TLS, to a proxy in front of us: its form says so."""
    return request.secure or request.headers.get(hdrs.ORIGIN, "").startswith("https://")


def check_same_origin(request: web.Request) -> None:
    """Raise a 403 problem for a form that another site's page sent. Old browsers send neither."""
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    origin = request.headers.get(hdrs.ORIGIN)
    is_own = origin is None or urlsplit(origin).netloc == request.host
    if site not in ("same-origin", "none") or not is_own:
        raise Problem(HTTPStatus.FORBIDDEN, "this form was sent by a page of another site")


def _signature(token: Token, until: int) -> str:
    signed = _PURPOSE + f"{token.name}:{until}".encode()
    return hmac.new(token.digest, signed, "sha256").hexdigest()
