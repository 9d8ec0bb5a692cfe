"""Probes and metrics of a worker, in every role.

Probes never wait: neither for a thread, nor for Kafka, nor for another event loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from typing import Final

from aiohttp import web
from prometheus_client import ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from understudy.schemas.api import ProbeResult
from understudy.streams.http.bodies import encoded
from understudy.streams.http.context import API, in_thread
from understudy.streams.http.rollout_series import RolloutCollector
from understudy.streams.monitoring.health import HealthReport
from understudy.streams.monitoring.worker_components import WorkerComponents

routes: Final = web.RouteTableDef()

COMPONENTS: Final = web.AppKey("components", WorkerComponents)
PROCESS: Final = web.AppKey("process", ProcessCollector)
"""The `process_…` metrics of Prometheus's client, on Linux."""
METRICS_THREADS: Final = web.AppKey("metrics_threads", ThreadPoolExecutor)


@routes.get("/healthz")
async def healthz(request: web.Request) -> web.Response:
    """Whether the worker is alive and makes progress; restart it when not."""
    return _probe_response(request.app[COMPONENTS].health())


@routes.get("/readyz")
async def readyz(request: web.Request) -> web.Response:
    """Whether the worker takes part in all that its role does."""
    return _probe_response(request.app[COMPONENTS].readiness())


@routes.get("/metrics")
async def metrics(request: web.Request) -> web.Response:
    """All metrics, in Prometheus's or OpenMetrics' text format, as the client prefers."""
    collectors: list[Collector] = [request.app[COMPONENTS], request.app[PROCESS]]
    if API in request.app:
        view = request.app[API].view  # it belongs to this loop, so it is copied before the thread
        collectors.append(RolloutCollector(view.all() if view.is_complete else None))
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    work = partial(encode, _AllCollectors(collectors))
    body = await in_thread(request.app[METRICS_THREADS], work)
    return web.Response(body=body, headers={"Content-Type": content_type})


class _AllCollectors(Collector):
    """Several collectors as one."""

    def __init__(self, collectors: list[Collector]) -> None:
        self._collectors = collectors

    def collect(self) -> Iterator[Metric]:
        for collector in self._collectors:
            yield from collector.collect()


def _probe_response(report: HealthReport) -> web.Response:
    return web.Response(
        status=HTTPStatus.OK if report.ok else HTTPStatus.SERVICE_UNAVAILABLE,
        body=encoded(ProbeResult(status=report.status.value, reasons=list(report.reasons))),
        content_type="application/json",
    )
