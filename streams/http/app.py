"""The application: routes, errors as documents, headers that every answer has."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web
from prometheus_client import CollectorRegistry

from understudy.schemas.manifests import MAX_MANIFEST_BYTES
from understudy.streams.clickhouse.decision_history import History
from understudy.streams.http import gate_routes as gates
from understudy.streams.http import read_routes as reading
from understudy.streams.http import write_routes as writing
from understudy.streams.http.context import CONTEXT, Context
from understudy.streams.http.materialized_view import MaterializedView
from understudy.streams.http.problems import as_problems
from understudy.streams.http.rollout_series import RolloutCollector
from understudy.streams.http.tokens import read_tokens
from understudy.streams.rollouts.registry import RolloutRegistry
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
    """What handlers need, with an empty view. Raises `SettingsError`."""
    view, registry = MaterializedView(), CollectorRegistry()
    registry.register(RolloutCollector(view))
    return Context(
        view=view,
        store=RolloutRegistry(settings.kafka),
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
