"""The server on a mock cluster: from the topics to responses, and what it survives."""

from __future__ import annotations

import asyncio
import errno
import re
import resource
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import structlog
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from tests.brokers.ports import free_ports
from tests.streams.http.described import Answer, ask
from tests.streams.monitoring.snapshots import component
from tests.streams.rollouts.records import DECISIONS, ROLLOUTS, Kafka, killed, manifest
from tests.waiting import stays_true, wait_until
from understudy.schemas.decisions import encode_decision
from understudy.schemas.rollout_records import RolloutRecord, encode_rollout_record
from understudy.streams.deciding.deciding_progress import DecidingProgress
from understudy.streams.http import connections, server
from understudy.streams.http import view_feed as feed
from understudy.streams.http.etag import MAX_WAIT_S
from understudy.streams.http.server import http_server
from understudy.streams.kafka.compacted_topic import STALE_S, TopicFollower
from understudy.streams.kafka.embedded_broker import EmbeddedBroker
from understudy.streams.monitoring.deciding_metrics import expose_deciding
from understudy.streams.monitoring.worker_components import WorkerComponents
from understudy.streams.settings import HttpSettings, KafkaSettings, Settings

pytestmark = pytest.mark.embedded

TIMEOUT_S = 30.0
DOCS: Final = Path(__file__).parents[3] / "docs" / "api.md"


@pytest.fixture
def kafka(embedded_broker: EmbeddedBroker) -> Kafka:
    return Kafka(embedded_broker)


class Server:
    """The HTTP server of a worker that runs no other component."""

    def __init__(
        self,
        kafka: KafkaSettings,
        *,
        with_api: bool = True,
        tokens: str = "",
        max_connections: int = 600,
    ) -> None:
        http = HttpSettings(port=free_ports(1)[0], tokens=tokens, max_connections=max_connections)
        self.port, self._with_api = http.port, with_api
        self.components = WorkerComponents(("api",) if with_api else ())
        self._settings = Settings(kafka=kafka, http=http)

    @contextmanager
    def running(self) -> Iterator[None]:
        with http_server(self._settings, self.components, with_api=self._with_api, retry_s=0.1):
            yield

    def get(self, path: str, **headers: str) -> Answer:
        return ask(f"http://127.0.0.1:{self.port}", path, **headers)

    def metrics(self) -> str:
        return self.get("/metrics").body.decode() if self.status_of("/metrics") else ""

    def status_of(self, path: str) -> int:
        try:
            return self.get(path).status
        except urllib.error.URLError:
            return 0


def until(done: Callable[[], bool]) -> None:
    wait_until(done, "the server has got so far", poll_s=0.02)


def record(name: str = "checkout") -> tuple[str, bytes]:
    return name, encode_rollout_record(RolloutRecord(manifest=manifest(name)))


def test_it_serves_what_the_topics_hold(kafka: Kafka) -> None:
    kafka.write(ROLLOUTS, *[record(f"rollout-{n:04}") for n in range(1_200)])
    kafka.write(ROLLOUTS, record(), record("gone"), ("gone", None))
    kafka.write(DECISIONS, ("checkout", encode_decision(killed())))
    some = Server(kafka.settings)
    with some.running():
        until(lambda: some.status_of("/readyz") == 200)
        found = some.get("/api/v1/rollouts").json["rollouts"]
        assert len(found) == 1_201, "ready means that everything was read"
        assert found[0]["verdict"] == "rollback"


def test_changes_are_served_at_once(kafka: Kafka) -> None:
    kafka.write(ROLLOUTS, record())
    kafka.write(DECISIONS, ("checkout", encode_decision(killed("early"))))
    some = Server(kafka.settings)
    path = "/api/v1/rollouts/checkout/decision"
    with some.running():
        until(lambda: some.status_of("/readyz") == 200)
        tag = some.get(path).headers["etag"]
        late = threading.Timer(0.5, kafka.write, (DECISIONS, ("checkout", LATE)))
        late.start()
        answer = some.get(path, If_None_Match=tag, Prefer="wait=20")
        late.join()
        assert answer.body == LATE
        kafka.write(DECISIONS, ("checkout", None))
        until(lambda: some.status_of(path) == 404)


LATE = encode_decision(killed("late"))


def test_a_feed_that_falls_behind_says_so_and_starts_again(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka.write(ROLLOUTS, record())
    has_caught_up = TopicFollower.has_caught_up
    falls = threading.Event()

    def later(self: TopicFollower, now_s: float) -> bool:
        return has_caught_up(self, now_s + (2 * STALE_S if falls.is_set() else 0.0))

    monkeypatch.setattr(TopicFollower, "has_caught_up", later)
    monkeypatch.setattr(feed, "RETRY_S", 0.5)
    some = Server(kafka.settings)
    with some.running():
        until(lambda: some.status_of("/readyz") == 200)
        falls.set()
        until(lambda: some.status_of("/api/v1/rollouts/checkout") == 503)
        kafka.write(ROLLOUTS, ("checkout", None), record("search"))
        falls.clear()
        until(lambda: some.status_of("/readyz") == 200)
        assert [one["rollout_id"] for one in some.get("/api/v1/rollouts").json["rollouts"]] == [
            "search"
        ]


def test_a_feed_that_fails_starts_again(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = iter([RuntimeError("unforeseen")])
    ensure = feed.ensure_topics

    def fail_once(*arguments: object, **named: object) -> object:
        for error in failures:
            raise error
        return ensure(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(feed, "ensure_topics", fail_once)
    monkeypatch.setattr(feed, "RETRY_S", 0.1)
    some = Server(kafka.settings)
    with structlog.testing.capture_logs() as logs, some.running():
        until(lambda: some.status_of("/readyz") == 200)
    assert [log["log_level"] for log in logs if log["event"] == "http.feed_failed"] == ["error"]


def test_without_a_broker_probes_and_metrics_are_served() -> None:
    some = Server(KafkaSettings(bootstrap_servers="127.0.0.1:1"))
    with some.running():
        until(lambda: some.status_of("/readyz") == 503)
        assert some.get("/api/v1/rollouts").detail.startswith("this worker does not know")
        assert some.get("/readyz").json["reasons"][0].startswith("the API does not know")
        assert some.get("/healthz").json == {"status": "ok", "reasons": []}
        assert b"understudy_rollouts_known 0.0" in some.get("/metrics").body


def test_an_address_that_is_taken_is_tried_again(kafka: Kafka) -> None:
    some = Server(kafka.settings)
    with structlog.testing.capture_logs() as logs, ExitStack() as stack:
        with socket.create_server(("127.0.0.1", some.port)):
            stack.enter_context(some.running())
            until(lambda: any(log["event"] == "http.address_unavailable" for log in logs))
            time.sleep(0.3)  # for more attempts, none of which may be logged
        until(lambda: some.status_of("/readyz") == 200)
    assert [log["event"] for log in logs].count("http.address_unavailable") == 1


def test_each_time_that_the_address_is_taken_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    taken, denied = OSError(errno.EADDRINUSE, "in use"), OSError(errno.EACCES, "not allowed")
    failures: list[Exception | None] = [taken, taken, None, taken, denied, taken]
    listen = asyncio.BaseEventLoop.create_server

    async def scripted(self: asyncio.BaseEventLoop, *args: Any, **named: Any) -> Any:
        failure = failures.pop(0) if failures else None
        if failure:
            raise failure
        return await listen(self, *args, **named)

    wait = server.stopped

    async def crash_once(stop: threading.Event) -> None:
        monkeypatch.setattr(server, "stopped", wait)
        raise RuntimeError("crashed")

    monkeypatch.setattr(asyncio.BaseEventLoop, "create_server", scripted)
    monkeypatch.setattr(server, "stopped", crash_once)
    most = resource.RLIM_INFINITY - 1
    monkeypatch.setattr(resource, "getrlimit", lambda _: (500, most))
    some = Server(KafkaSettings(bootstrap_servers="127.0.0.1:1"), with_api=False)
    with structlog.testing.capture_logs() as logs, some.running():
        until(lambda: not failures and some.status_of("/metrics") == 200)
    names = [one["event"] for one in logs if one["event"].startswith("http.")]
    assert names == [
        "http.connections_limited",
        "http.address_unavailable", "http.started", "http.failed",
        "http.address_unavailable", "http.failed", "http.started",
    ]  # fmt: skip


def test_a_failure_that_lasts_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    wait, crashes = server.stopped, ["same", "same", "same", "other", "same"]

    async def crash(stop: threading.Event) -> None:
        if crashes:
            raise RuntimeError(crashes.pop(0))
        await wait(stop)

    monkeypatch.setattr(server, "stopped", crash)
    some = Server(KafkaSettings(bootstrap_servers="127.0.0.1:1"), with_api=False)
    with structlog.testing.capture_logs() as logs, some.running():
        until(lambda: not crashes and some.status_of("/metrics") == 200)
    told = [one["error"] for one in logs if one["event"] == "http.failed"]
    assert told == ["RuntimeError('same')", "RuntimeError('other')", "RuntimeError('same')"]


def test_the_documented_gateway_follows_decisions(kafka: Kafka) -> None:
    (recipe,) = re.findall(r"^```python\n(.*?)^```", DOCS.read_text("utf-8"), re.M | re.S)
    names: dict[str, Any] = {}
    exec(recipe, names)
    kafka.write(ROLLOUTS, record())
    some = Server(kafka.settings)
    with some.running():
        until(lambda: some.status_of("/readyz") == 200)
        followed = names["statuses"](f"http://127.0.0.1:{some.port}/api/v1/rollouts", "checkout", 1)
        assert next(followed)["candidate_share"] is None
        kafka.write(DECISIONS, ("checkout", LATE))
        assert next(followed)["candidate_share"] == 0.0
        kafka.write(ROLLOUTS, ("checkout", None))
        assert next(followed) is None


def test_a_stop_answers_requests_that_wait(kafka: Kafka) -> None:
    kafka.write(ROLLOUTS, record())
    some = Server(kafka.settings)
    path = "/api/v1/rollouts/checkout/status"
    with ThreadPoolExecutor() as pool:
        with some.running():
            until(lambda: some.status_of("/readyz") == 200)
            tag = some.get(path).headers["etag"]
            waiting = pool.submit(some.get, path, If_None_Match=tag, Prefer="wait=60")
            stays_true(lambda: not waiting.done(), "the request waits", for_s=0.3)
        started_s = time.monotonic()
        assert waiting.result(TIMEOUT_S).status == 304
    assert time.monotonic() - started_s < 5.0


# Clients that are slow, many, or gone


@contextmanager
def opened(
    port: int, number: int, request: bytes, source: str = "127.0.0.1"
) -> Iterator[list[socket.socket]]:
    """Connections that have sent this and take nothing."""
    with ExitStack() as stack:
        yield [stack.enter_context(sent(port, request, source)) for _ in range(number)]


def sent(port: int, request: bytes, source: str = "127.0.0.1") -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), TIMEOUT_S, source_address=(source, 0))
    made.sendall(request)
    return made


def is_closed(connection: socket.socket) -> bool:
    """Whether the server has closed it without an answer."""
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


PART = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "
AWAY = KafkaSettings(bootstrap_servers="127.0.0.1:1")


def test_slow_clients_silence_neither_probes_nor_logs() -> None:
    some = Server(AWAY, with_api=False, max_connections=50)
    with structlog.testing.capture_logs() as logs, some.running():
        until(lambda: some.status_of("/healthz") == 200)
        with opened(some.port, 300, PART) as slow:
            assert [some.status_of("/healthz") for _ in range(20)] == [200] * 20
            until(lambda: sum(map(is_closed, slow)) >= 250)
    assert [log["event"] for log in logs].count("http.connections_full") == 1


def test_headers_have_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADERS_TIMEOUT_S", 0.2)
    monkeypatch.setattr(connections, "CHECK_INTERVAL_S", 0.05)
    some = Server(AWAY, with_api=False)
    with some.running():
        until(lambda: some.status_of("/healthz") == 200)
        with opened(some.port, 3, PART) as slow, opened(some.port, 1, b"") as silent:
            until(lambda: all(map(is_closed, slow)))
            assert not is_closed(silent[0]), "it may be kept for a request to come"


def test_a_response_that_is_not_taken_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "IDLE_TIMEOUT_S", 0.3)
    monkeypatch.setattr(connections, "CHECK_INTERVAL_S", 0.05)
    some = Server(AWAY, with_api=False)
    request = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    with some.running():
        until(lambda: some.status_of("/healthz") == 200)
        with socket.socket() as greedy:
            greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            greedy.settimeout(TIMEOUT_S)
            greedy.connect(("127.0.0.1", some.port))
            # more answers than any buffer holds, of which none is read
            until(lambda: cannot_send(greedy, request * 100))


def cannot_send(connection: socket.socket, request: bytes) -> bool:
    connection.setblocking(False)
    try:
        connection.send(request)
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    return False


def long_poll(tag: str, token: str = "") -> bytes:
    return (
        f"GET /api/v1/rollouts/checkout/status HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"{f'Authorization: Bearer {token}' if token else 'X-Token: none'}\r\n"
        f"If-None-Match: {tag}\r\nPrefer: wait=60\r\n\r\n"
    ).encode()


REFUSED = b"HTTP/1.1 503 Service Unavailable"


def first_line(port: int, request: bytes, source: str) -> bytes:
    with sent(port, request, source) as connection, connection.makefile("rb") as answer:
        return answer.readline().strip()


def test_clients_that_left_hold_no_places(kafka: Kafka) -> None:
    kafka.write(ROLLOUTS, record())
    some = Server(kafka.settings, max_connections=60)
    path = "/api/v1/rollouts/checkout/status"
    with some.running():
        until(lambda: some.status_of("/readyz") == 200)
        tag = some.get(path).headers["etag"]
        with opened(some.port, 50, long_poll(tag)):
            until(lambda: some.get(path, If_None_Match=tag, Prefer="wait=1").status == 503)
        wait_until(
            lambda: some.get(path, If_None_Match=tag, Prefer="wait=1").status == 304,
            "places are free, long before those who left would have waited for a minute",
            MAX_WAIT_S / 2,
        )


def test_others_cannot_switch_off_the_kill_switch(kafka: Kafka) -> None:
    """As many long polls as there may be wait already, of another client."""
    kafka.write(ROLLOUTS, record())
    some = Server(kafka.settings, max_connections=60)
    path = "/api/v1/rollouts/checkout/status"
    with ThreadPoolExecutor() as pool, some.running():
        until(lambda: some.status_of("/readyz") == 200)
        tag = some.get(path).headers["etag"]
        with opened(some.port, 100, long_poll(tag), "127.0.0.2"):
            until(lambda: first_line(some.port, long_poll(tag), "127.0.0.2") == REFUSED)
            waiting = pool.submit(some.get, path, If_None_Match=tag, Prefer="wait=60")
            kafka.write(DECISIONS, ("checkout", LATE))
            assert waiting.result(TIMEOUT_S).json["candidate_share"] == 0.0


def test_a_gateway_with_a_token_keeps_its_place_behind_a_proxy(kafka: Kafka) -> None:
    """Where all clients have one address."""
    kafka.write(ROLLOUTS, record())
    secret = "correct-horse-battery"
    some = Server(kafka.settings, max_connections=60, tokens=f"gateway:read:{secret}")
    path = "/api/v1/rollouts/checkout/status"
    with some.running():
        until(lambda: some.status_of("/readyz") == 200)
        tag = some.get(path).headers["etag"]
        with opened(some.port, 50, long_poll(tag)):
            until(lambda: first_line(some.port, long_poll(tag), "127.0.0.1") == REFUSED)
            asked = {"If_None_Match": tag, "Prefer": "wait=1"}
            assert some.get(path, **asked, Authorization=f"Bearer {secret}").status == 304


def test_who_kills_and_leaves_has_killed(kafka: Kafka) -> None:
    kafka.write(ROLLOUTS, record())
    secret = "correct-horse-battery"
    some = Server(kafka.settings, tokens=f"anna:admin:{secret}")
    body = b'{"reason": "tone"}'
    head = (
        f"POST /api/v1/rollouts/checkout/kill HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {secret}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    with structlog.testing.capture_logs() as logs, some.running():
        until(lambda: some.status_of("/readyz") == 200)
        sent(some.port, head + body).close()
        until(lambda: any(log["event"] == "http.command_issued" for log in logs))
    assert kafka.store.rollouts()["checkout"].commands[0].kind == "kill"


# Probes while event loops hang


def test_probes_are_answered_while_the_loop_of_deciding_hangs() -> None:
    some = Server(KafkaSettings(bootstrap_servers="127.0.0.1:1"), with_api=False)
    hang, released = threading.Event(), threading.Event()

    async def decide() -> None:
        progress = DecidingProgress(is_recovered=True, lags={})
        with expose_deciding(some.components, 0.5, progress):
            while not hang.is_set():
                progress.updated_s = time.monotonic()
                await asyncio.sleep(0.02)
            released.wait(TIMEOUT_S)  # blocks the event loop, as a bug in a handler would

    with some.running():
        thread = threading.Thread(target=asyncio.run, args=(decide(),))
        thread.start()
        until(lambda: "understudy_deciding_recovered 1.0" in some.metrics())
        assert some.status_of("/healthz") == 200
        hang.set()
        until(lambda: some.status_of("/healthz") == 503)
        (reason,) = some.get("/healthz").json["reasons"]
        assert reason.startswith("deciding has not responded for")
        assert some.status_of("/readyz") == 503
        assert "understudy_healthy 0.0" in some.metrics()
        released.set()
        thread.join()
        assert some.status_of("/healthz") == 200


def test_probes_are_answered_while_metrics_are_collected() -> None:
    some = Server(KafkaSettings(bootstrap_servers="127.0.0.1:1"), with_api=False)
    released, collecting = threading.Event(), threading.Event()

    class Slow(Collector):
        def collect(self) -> Iterator[Metric]:
            collecting.set()
            released.wait(TIMEOUT_S)
            yield from ()

    with (
        ThreadPoolExecutor() as pool,
        some.running(),
        some.components.running("slow", component(metrics=Slow())),
    ):
        until(lambda: some.status_of("/healthz") == 200)
        scrape = pool.submit(some.get, "/metrics")
        collecting.wait()
        assert some.status_of("/healthz") == some.status_of("/readyz") == 200
        assert not scrape.done()
        released.set()
        assert scrape.result(TIMEOUT_S).status == 200


def test_a_worker_that_does_not_decide_has_no_api() -> None:
    some = Server(KafkaSettings(bootstrap_servers="127.0.0.1:1"), with_api=False)
    with some.running():
        until(lambda: some.status_of("/readyz") == 200)
        assert "understudy_rollouts_known" not in some.metrics()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://127.0.0.1:{some.port}/api/v1/rollouts", timeout=5)
