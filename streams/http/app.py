"""The application: its routes, errors as problem documents, and headers of every response."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Middleware
from prometheus_client import ProcessCollector

from understudy.schemas.manifests import MAX_MANIFEST_BYTES
from understudy.streams.clickhouse.decision_history import DecisionHistory
from understudy.streams.clickhouse.read_connection import ReadConnection
from understudy.streams.http import (
    dashboard_routes,
    gate_routes,
    probe_routes,
    read_routes,
    write_routes,
)
from understudy.streams.http.access import reading_check
from understudy.streams.http.backtests import Backtests, Judge
from understudy.streams.http.connections import CONNECTIONS, Connections, tracked
from understudy.streams.http.context import API, ApiContext
from understudy.streams.http.host_check import AllowedHosts, host_check
from understudy.streams.http.materialized_view import MaterializedView
from understudy.streams.http.problems import errors_as_problems
from understudy.streams.http.request_body import expecting
from understudy.streams.http.tokens import read_tokens
from understudy.streams.monitoring.worker_components import WorkerComponents
from understudy.streams.rollouts.registry import RolloutRegistry
from understudy.streams.settings import Settings, SettingsError

_SILENT: Final = logging.getLogger("understudy.http.aiohttp")
"""aiohttp logs requests that are not HTTP; port scanners send them all day."""
_SILENT.setLevel(logging.CRITICAL)
RUNNER: Final[Mapping[str, Any]] = {
    "access_log": None, "auto_decompress": False, "handle_signals": False, "logger": _SILENT,
    "lingering_time": 2.0,
}  # fmt: skip
"""How to run the application. Bodies are not decompressed: a small one could become huge. Two
seconds suffice for a client to see that its body is refused before the connection closes."""
API_ROUTES: Final = (
    read_routes.routes, write_routes.routes, gate_routes.routes, dashboard_routes.routes
)  # fmt: skip


def check_access(settings: Settings) -> None:
    """Raise `SettingsError` for tokens or names of hosts that cannot be used."""
    AllowedHosts(settings.http)
    if not read_tokens(settings.http.tokens) and settings.http.read_needs_token:
        raise SettingsError("[http] read_needs_token: nobody could read without any tokens")


def make_api_context(
    settings: Settings, max_connections: int, judge: Judge | None = None
) -> ApiContext:
    """What the handlers of the API need, with an empty view. Raises `SettingsError`."""
    check_access(settings)
    return ApiContext(
        view=MaterializedView(max_waiting=max_connections * 5 // 6),
        store=RolloutRegistry(settings.kafka),
        history=DecisionHistory(ReadConnection(settings.clickhouse.url)),
        tokens=read_tokens(settings.http.tokens),
        read_needs_token=settings.http.read_needs_token,
        is_local=_is_loopback(settings.http.host),
        gate_max_age_s=settings.http.gate_max_age_s,
        backtests=Backtests(judge),
    )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def make_app(
    components: WorkerComponents,
    api: ApiContext | None = None,
    max_connections: int = 100,
    hosts: AllowedHosts | None = None,
) -> web.Application:
    """Probes and metrics of these components, and the API where a context is given."""
    checks = [host_check(hosts or AllowedHosts()), reading_check]
    middlewares: list[Middleware] = [
        tracked, errors_as_problems, dashboard_routes.errors_as_pages, *checks
    ]  # fmt: skip
    app = web.Application(middlewares=middlewares, client_max_size=MAX_MANIFEST_BYTES)
    app[CONNECTIONS] = Connections(max_connections)
    app[probe_routes.COMPONENTS] = components
    app[probe_routes.PROCESS] = ProcessCollector(registry=None)
    app[probe_routes.METRICS_THREADS] = ThreadPoolExecutor(1, "understudy-http-metrics")
    app.add_routes(expecting(probe_routes.routes))
    if api is not None:
        app[API] = api
        for routes in API_ROUTES:
            app.add_routes(expecting(routes))
    app.on_response_prepare.append(_add_headers)
    app.on_cleanup.append(_close_threads)
    return app


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "understudy"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Cache-Control", "no-store")


async def _close_threads(app: web.Application) -> None:
    """Accept no more work; work under way ends by itself."""
    app[probe_routes.METRICS_THREADS].shutdown(wait=False, cancel_futures=True)
    if API in app:
        app[API].close()
