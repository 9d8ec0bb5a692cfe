"""The application: routes, errors as documents, headers that every answer has."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web
from prometheus_client import CollectorRegistry

from understudy.schemas.manifests import MAX_MANIFEST_BYTES
from understudy.streams.api import gates, reading, writing
from understudy.streams.api.board import Board
from understudy.streams.api.context import CONTEXT, Context
from understudy.streams.api.history import History
from understudy.streams.api.problems import as_problems
from understudy.streams.api.series import RolloutCollector
from understudy.streams.api.tokens import read_tokens
from understudy.streams.rollouts.store import RolloutStore
from understudy.streams.settings import Settings

QUIET: Final = logging.getLogger("understudy.api.http")
"""What aiohttp would log of requests that are none; scanners send them all day."""
QUIET.setLevel(logging.CRITICAL)
RUNNER: Final[Mapping[str, Any]] = {
    "access_log": None, "auto_decompress": False, "handle_signals": False, "logger": QUIET,
}  # fmt: skip
"""How the application is to be run. Bodies are not unpacked: what is small may be large then."""
ROUTES: Final = (reading.routes, writing.routes, gates.routes)


def make_context(settings: Settings) -> Context:
    """What handlers need, with an empty board. Raises `SettingsError`."""
    board, registry = Board(), CollectorRegistry()
    registry.register(RolloutCollector(board))
    return Context(
        board=board,
        store=RolloutStore(settings.kafka),
        history=History(settings.clickhouse.url),
        tokens=read_tokens(settings.api.tokens),
        registry=registry,
    )


def make_app(context: Context) -> web.Application:
    """An application that answers out of this context."""
    app = web.Application(middlewares=[as_problems], client_max_size=MAX_MANIFEST_BYTES)
    app[CONTEXT] = context
    for routes in ROUTES:
        app.add_routes(routes)
    app.on_response_prepare.append(_finish)
    return app


async def _finish(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "understudy"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Cache-Control", "no-store")
