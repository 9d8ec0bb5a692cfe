"""A small HTTP server in a thread of the worker: `/healthz`, `/readyz`, `/metrics`.

It reads and never changes anything, asks for no token, and listens on this machine alone unless
told otherwise.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import msgspec
import structlog
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder

from understudy.streams.monitoring.health import HealthReport
from understudy.streams.monitoring.worker_components import WorkerComponents
from understudy.streams.settings import ServingSettings

log = structlog.get_logger(__name__)

_SILENT_CLIENT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to a client."""

    status: HTTPStatus
    content_type: str
    body: bytes


Page = Callable[[str], Answer]
"""Makes an answer for a client that accepts these types."""
NOT_FOUND: Final = Answer(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"not found\n")


def report_page(report: Callable[[], HealthReport]) -> Page:
    """A page with a probe's answer: 200 or 503, and why as JSON."""

    def page(_: str) -> Answer:
        found = report()
        status = HTTPStatus.OK if found.ok else HTTPStatus.SERVICE_UNAVAILABLE
        body = msgspec.json.encode({"status": found.status, "reasons": found.reasons})
        return Answer(status, "application/json", body + b"\n")

    return page


def metrics_page(registry: CollectorRegistry) -> Page:
    """A page with all metrics, as text or OpenMetrics, as the client prefers."""

    def page(accept: str) -> Answer:
        encode, content_type = choose_encoder(accept)
        return Answer(HTTPStatus.OK, content_type, encode(registry))

    return page


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD from the server's pages."""

    server: PageServer
    timeout = _SILENT_CLIENT_S

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        page = self.server.pages.get(self.path.partition("?")[0])
        answer = page(self.headers.get("Accept", "")) if page else NOT_FOUND
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if with_body:
            self.wfile.write(answer.body)

    def version_string(self) -> str:
        return "understudy"

    def log_message(self, format: str, *args: Any) -> None:
        """Probes come every few seconds; nobody wants to read of each."""


class PageServer(ThreadingHTTPServer):
    """Serves pages by path from a thread, between entry and exit of its context."""

    daemon_threads = True

    def __init__(self, host: str, port: int, pages: Mapping[str, Page]) -> None:
        """Raises OSError when the address cannot be had."""
        self.pages = pages
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nobody's problem; all else is logged."""
        log.debug("serving.request_failed", exc_info=True)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serve meanwhile."""
        thread = threading.Thread(target=self.serve_forever, name="understudy-http", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            thread.join()
            self.server_close()


@contextmanager
def serving(serving_settings: ServingSettings, process: WorkerComponents) -> Iterator[None]:
    """Answer for a worker meanwhile.

    When the address is taken, the worker does its work all the same, and says so.
    """
    if not serving_settings.enabled:
        yield
        return
    try:
        server = PageServer(serving_settings.host, serving_settings.port, _pages(process))
    except OSError as error:
        log.warning("serving.unavailable", host=serving_settings.host, port=serving_settings.port,
                    error=str(error))  # fmt: skip
        yield
        return
    host, port = server.server_address[:2]
    log.info("serving.started", host=host, port=port)
    with server.running():
        yield


def _pages(process: WorkerComponents) -> dict[str, Page]:
    registry = CollectorRegistry()
    registry.register(process)
    ProcessCollector(registry=registry)
    return {
        "/healthz": report_page(process.health),
        "/readyz": report_page(process.readiness),
        "/metrics": metrics_page(registry),
    }
