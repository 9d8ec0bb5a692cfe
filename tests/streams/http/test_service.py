"""The whole service on a mock cluster: from the topics to answers, and what it survives."""

from __future__ import annotations

import re
import socket
import threading
import time
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import structlog

from tests.brokers.ports import free_ports
from tests.streams.http.described import Answer, ask
from tests.streams.rollouts.records import DECISIONS, ROLLOUTS, Kafka, killed, manifest
from understudy.schemas.decisions import encode_decision
from understudy.schemas.rollout_records import RolloutRecord, encode_rollout_record
from understudy.streams.http import service
from understudy.streams.http import view_feed as feed
from understudy.streams.http.service import run_api
from understudy.streams.kafka.compacted_topic import STALE_S, TopicFollower
from understudy.streams.kafka.embedded_broker import EmbeddedBroker
from understudy.streams.settings import ApiSettings, KafkaSettings, Settings

pytestmark = pytest.mark.embedded

TIMEOUT_S = 30.0
DOCS: Final = Path(__file__).parents[3] / "docs" / "api.md"


@pytest.fixture
def kafka(embedded_broker: EmbeddedBroker) -> Kafka:
    return Kafka(embedded_broker)


class Service:
    """`run_api` in a thread."""

    def __init__(self, kafka: KafkaSettings) -> None:
        api = ApiSettings(port=free_ports(1)[0])
        self.port, self.stop = api.port, threading.Event()
        self._thread = threading.Thread(
            target=run_api, args=(Settings(kafka=kafka, api=api), self.stop)
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self.stop.set()
            self._thread.join()

    def get(self, path: str, **headers: str) -> Answer:
        return ask(f"http://127.0.0.1:{self.port}", path, **headers)

    def status_of(self, path: str) -> int:
        try:
            return self.get(path).status
        except urllib.error.URLError:
            return 0


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def record(name: str = "checkout") -> tuple[str, bytes]:
    return name, encode_rollout_record(RolloutRecord(manifest=manifest(name)))


def test_what_stands_in_the_topics_is_told(kafka: Kafka) -> None:
    kafka.write(ROLLOUTS, *[record(f"rollout-{n:04}") for n in range(1_200)])
    kafka.write(ROLLOUTS, record(), record("gone"), ("gone", None))
    kafka.write(DECISIONS, ("checkout", encode_decision(killed())))
    some = Service(kafka.settings)
    with some.running():
        until(lambda: some.status_of("/readyz") == 200)
        found = some.get("/api/v1/rollouts").json["rollouts"]
        assert len(found) == 1_201, "ready means that everything was read"
        assert found[0]["verdict"] == "rollback"


def test_changes_are_told_at_once(kafka: Kafka) -> None:
    kafka.write(ROLLOUTS, record())
    kafka.write(DECISIONS, ("checkout", encode_decision(killed("early"))))
    some = Service(kafka.settings)
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


def test_whoever_falls_behind_says_so_and_begins_anew(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka.write(ROLLOUTS, record())
    has_caught_up = TopicFollower.has_caught_up
    falls = threading.Event()

    def later(self: TopicFollower, now_s: float) -> bool:
        return has_caught_up(self, now_s + (2 * STALE_S if falls.is_set() else 0.0))

    monkeypatch.setattr(TopicFollower, "has_caught_up", later)
    monkeypatch.setattr(feed, "RETRY_S", 0.5)
    some = Service(kafka.settings)
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


def test_a_feed_that_fails_is_begun_anew(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = iter([RuntimeError("unforeseen")])
    ensure = feed.ensure_topics

    def fail_once(*arguments: object, **named: object) -> object:
        for error in failures:
            raise error
        return ensure(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(feed, "ensure_topics", fail_once)
    monkeypatch.setattr(feed, "RETRY_S", 0.1)
    some = Service(kafka.settings)
    with structlog.testing.capture_logs() as logs, some.running():
        until(lambda: some.status_of("/readyz") == 200)
    assert [log["log_level"] for log in logs if log["event"] == "api.feed_failed"] == ["error"]


def test_without_a_broker_it_listens_and_knows_nothing() -> None:
    some = Service(KafkaSettings(bootstrap_servers="127.0.0.1:1"))
    with some.running():
        until(lambda: some.status_of("/readyz") == 503)
        assert some.get("/api/v1/rollouts").detail.startswith("the topics are being read, or Kafka")


def test_an_address_that_is_taken_is_tried_again(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "AGAIN_S", 0.1)
    some = Service(kafka.settings)
    with structlog.testing.capture_logs() as logs:
        with socket.create_server(("127.0.0.1", some.port)):
            thread = some.running()
            thread.__enter__()
            until(lambda: any(log["event"] == "api.unavailable" for log in logs))
            time.sleep(0.3)
        until(lambda: some.status_of("/readyz") == 200)
        thread.__exit__(None, None, None)
    assert [log["event"] for log in logs].count("api.unavailable") == 1


def test_the_documented_gateway_follows_decisions(kafka: Kafka) -> None:
    (recipe,) = re.findall(r"^```python\n(.*?)^```", DOCS.read_text("utf-8"), re.M | re.S)
    names: dict[str, Any] = {}
    exec(recipe, names)
    kafka.write(ROLLOUTS, record())
    some = Service(kafka.settings)
    with some.running():
        until(lambda: some.status_of("/readyz") == 200)
        followed = names["statuses"](f"http://127.0.0.1:{some.port}/api/v1/rollouts", "checkout", 1)
        assert next(followed)["candidate_share"] is None
        kafka.write(DECISIONS, ("checkout", LATE))
        assert next(followed)["candidate_share"] == 0.0
        kafka.write(ROLLOUTS, ("checkout", None))
        assert next(followed) is None


def test_a_stop_answers_those_who_wait(kafka: Kafka) -> None:
    kafka.write(ROLLOUTS, record())
    some = Service(kafka.settings)
    path = "/api/v1/rollouts/checkout/status"
    with some.running():
        until(lambda: some.status_of("/readyz") == 200)
        tag = some.get(path).headers["etag"]
        threading.Timer(0.3, some.stop.set).start()
        started_s = time.monotonic()
        assert some.get(path, If_None_Match=tag, Prefer="wait=60").status == 304
    assert time.monotonic() - started_s < 5.0
