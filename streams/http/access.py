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
from understudy.streams.http.tokens import Scope, Token, holder
from understudy.streams.logs import LogLimit

log = structlog.get_logger(__name__)
_limited_log: Final = LogLimit(log)

_WRITING: Final = (hdrs.METH_PUT, hdrs.METH_DELETE, hdrs.METH_POST)


def authorize(request: web.Request, scope: Scope) -> Token:
    """The request's token, if it has the scope. Raises a 401 or 403 problem."""
    tokens = request.app[API].tokens
    if not tokens:
        raise Problem(
            HTTPStatus.FORBIDDEN, "writing is disabled: the worker has no tokens; set [http] tokens"
        )
    shown = request.headers.get(hdrs.AUTHORIZATION, "")
    token = holder(tokens, shown)
    if token is None:
        _log_refusal(request, scope, "")
        error = ', error="invalid_token"' if shown else ""
        raise Problem(
            HTTPStatus.UNAUTHORIZED,
            "this token is unknown" if shown else "send `Authorization: Bearer SECRET`",
            {hdrs.WWW_AUTHENTICATE: f'Bearer realm="understudy"{error}'},
        )
    if not token.may(scope):
        _log_refusal(request, scope, token.name)
        challenge = f'Bearer realm="understudy", error="insufficient_scope", scope="{scope}"'
        raise Problem(
            HTTPStatus.FORBIDDEN,
            f"this takes the scope {scope}, which the token of {token.name} does not have",
            {hdrs.WWW_AUTHENTICATE: challenge},
        )
    return token


def waiting_client(request: web.Request) -> str:
    """Whose allowance a request takes that waits: its token's holder, else its address.

    So gateways with a token keep their places even where a proxy gives everybody one address.
    """
    token = holder(request.app[API].tokens, request.headers.get(hdrs.AUTHORIZATION, ""))
    return client_of(request.remote) if token is None else f"token of {token.name}"


@web.middleware
async def reading_check(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Where reading takes a token, see to it. Routes that write look for their own scope."""
    is_asked = API in request.app and request.app[API].read_needs_token
    if is_asked and request.path not in OPEN_PATHS and not _writes(request):
        authorize(request, "read")
    return await handler(request)


def _writes(request: web.Request) -> bool:
    return request.method in _WRITING and request.path.startswith(f"{ROLLOUTS}/")


def _log_refusal(request: web.Request, scope: Scope, name: str) -> None:
    _limited_log.warning(
        "http.unauthorized", method=request.method, path=request.path[:200], scope=scope,
        by=name, remote=request.remote,
    )  # fmt: skip
