"""Who may do what: the token of a request, and the scope that it takes."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from understudy.schemas.openapi import ROLLOUTS
from understudy.streams.http.connections import client_of
from understudy.streams.http.context import API
from understudy.streams.http.host_check import OPEN_PATHS
from understudy.streams.http.problems import Problem
from understudy.streams.http.sessions import COOKIE, session_token
from understudy.streams.http.tokens import Scope, Token, holder
from understudy.streams.logs import LogLimit

log = structlog.get_logger(__name__)
_limited_log: Final = LogLimit(log)

PAGES: Final = "/rollouts"
LIVE: Final = "/live"
"""Tells the page of all rollouts of changes; no rollout can have this path."""
SIGN_IN: Final = "/sign-in"
SIGN_OUT: Final = "/sign-out"
_SIGNING: Final = (SIGN_IN, SIGN_OUT)
_WRITING: Final = (hdrs.METH_PUT, hdrs.METH_DELETE, hdrs.METH_POST)


def authorize(request: web.Request, scope: Scope) -> Token:
    """The request's token, if it has the scope. Raises a 401 or 403 problem."""
    if not request.app[API].tokens:
        raise Problem(
            HTTPStatus.FORBIDDEN, "writing is disabled: the worker has no tokens; set [http] tokens"
        )
    shown = request.headers.get(hdrs.AUTHORIZATION, "")
    token = token_of(request)
    if token is None:
        log_refusal(request, scope)
        error = ', error="invalid_token"' if shown else ""
        raise Problem(
            HTTPStatus.UNAUTHORIZED,
            "this token is unknown" if shown else "send `Authorization: Bearer SECRET`",
            {hdrs.WWW_AUTHENTICATE: f'Bearer realm="understudy"{error}'},
        )
    if not token.may(scope):
        log_refusal(request, scope, token.name)
        challenge = f'Bearer realm="understudy", error="insufficient_scope", scope="{scope}"'
        raise Problem(
            HTTPStatus.FORBIDDEN,
            f"this takes the scope {scope}, which the token of {token.name} does not have",
            {hdrs.WWW_AUTHENTICATE: challenge},
        )
    return token


def token_of(request: web.Request) -> Token | None:
    """The token that a request shows; on pages, the one that its session stands for, too.

    The API takes no session: a browser sends cookies by itself, also with what another page asks.
    """
    context = request.app[API]
    shown = request.headers.get(hdrs.AUTHORIZATION)
    if shown is None and is_page(request):
        return session_token(context.tokens, request.cookies.get(COOKIE, ""), context.clock())
    return holder(context.tokens, shown or "")


def is_page(request: web.Request) -> bool:
    """Whether the request is for a page of the dashboard rather than for a program."""
    path = request.path
    return path in ("/", LIVE, *_SIGNING) or path == PAGES or path.startswith(f"{PAGES}/")


def waiting_client(request: web.Request) -> str:
    """Whose allowance a request takes that waits: its token's holder, else its address.

    So gateways with a token keep their places even where a proxy gives everybody one address.
    """
    token = token_of(request)
    return client_of(request.remote) if token is None else f"token of {token.name}"


@web.middleware
async def reading_check(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Where reading takes a token, see to it. Routes that write look for their own scope."""
    is_asked = API in request.app and request.app[API].read_needs_token
    if is_asked and not _is_open(request.path) and not _writes(request):
        authorize(request, "read")
    return await handler(request)


def _is_open(path: str) -> bool:
    """Whether a path tells nothing about rollouts."""
    return path in OPEN_PATHS or path in _SIGNING or path.startswith("/static/")


def _writes(request: web.Request) -> bool:
    return request.method in _WRITING and request.path.startswith((f"{ROLLOUTS}/", f"{PAGES}/"))


def log_refusal(request: web.Request, scope: Scope | None = None, name: str = "") -> None:
    """Log that a request, or a form to sign in, showed no token that is good enough."""
    _limited_log.warning(
        "http.unauthorized", method=request.method, path=request.path[:200], scope=scope or "",
        by=name, remote=request.remote,
    )  # fmt: skip
