"""A receiver that answers as a test wants: refuses, asks to wait, hangs, accepts."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from tests.waiting import DEADLINE_S


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes
    at_s: float


@dataclass(frozen=True)
class Reply:
    """One answer."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    hang_s: float = 0.0


class HttpReceiver:
    """Answers with the replies it was given, then with 200."""

    def __init__(self, *replies: Reply, always: Reply | None = None) -> None:
        self._replies = deque(replies)
        self._always = always or Reply()
        self.received: list[Received] = []
        self._arrived = threading.Condition()
        self._over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def wait_for(self, requests: int, timeout_s: float = DEADLINE_S) -> list[Received]:
        """The requests, when there are so many."""
        with self._arrived:
            arrived = self._arrived.wait_for(lambda: len(self.received) >= requests, timeout_s)
        assert arrived, f"{len(self.received)} of {requests} requests"
        return self.received

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()

    def release(self) -> None:
        """Answer whoever hangs, and no longer let anybody hang."""
        self._over.set()

    def _take(self, received: Received) -> Reply:
        with self._arrived:
            self.received.append(received)
            self._arrived.notify_all()
            return self._replies.popleft() if self._replies else self._always

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                got = Received(self.path, dict(self.headers), body, time.monotonic())
                reply = receiver._take(got)
                receiver._over.wait(reply.hang_s)
                self.send_response(reply.status)
                for name, value in reply.headers:
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        return Handler
